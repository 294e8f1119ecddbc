"""Files are whole or absent, and what killed writers leave is taken away."""

import subprocess
import sys
from pathlib import Path

import pytest

from leadline import whole_files
from leadline.errors import InputError
from leadline.whole_files import atomic_write, is_disk_full, move_files, working_folder, write_text


def test_atomic_write_makes_folders_and_leaves_no_temporary(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "c.bin"
    with atomic_write(target) as file:
        file.write(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert list(target.parent.iterdir()) == [target]


def test_atomic_write_takes_names_as_long_as_the_disk_does(tmp_path: Path) -> None:
    target = tmp_path / ("深" * 83 + ".txt")  # 253 bytes
    write_text(target, "new")
    assert target.read_text() == "new"


def test_atomic_write_keeps_the_old_file_when_the_block_fails(tmp_path: Path) -> None:
    target = tmp_path / "c.txt"
    write_text(target, "old")

    def write_half() -> None:
        with atomic_write(target) as file:
            file.write(b"half")
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        write_half()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_atomic_write_takes_the_longest_names(tmp_path: Path) -> None:
    target = tmp_path / ("x" * 250 + ".npy")
    write_text(target, "text")
    assert target.read_text() == "text"


def test_atomic_write_into_a_file_as_folder_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="give another"), atomic_write(tmp_path / "file" / "x"):
        pass


KILLED = """
import os, signal, sys
from pathlib import Path
from leadline.whole_files import atomic_write, working_folder
folder = Path(sys.argv[1])
with atomic_write(folder / "a.npz") as file, working_folder(folder) as inner:
    file.write(b"half")
    (inner / "b.onnx").write_bytes(b"half")
    if sys.argv[2] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    print("ready", flush=True)
    input()
"""


def parts(folder: Path) -> list[Path]:
    return list(folder.glob(".*.part"))


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this process had not looked anywhere yet."""
    monkeypatch.setattr(whole_files, "_swept", set())


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
@pytest.mark.usefixtures("fresh")
def test_what_a_killed_process_left_is_swept_by_the_next(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path), "kill"]
    assert subprocess.run(command, check=False).returncode == -9
    assert len(parts(tmp_path)) == 2
    (tmp_path / ".film.mp4.part").write_text("of another program")
    write_text(tmp_path / "b.txt", "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".film.mp4.part", "b.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
@pytest.mark.usefixtures("fresh")
def test_what_a_living_process_writes_stays(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path), "wait"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        write_text(tmp_path / "b.txt", "new")
        assert len(parts(tmp_path)) == 2
        process.communicate("go on\n")
    assert process.returncode == 0
    assert (tmp_path / "a.npz").read_bytes() == b"half"
    assert not parts(tmp_path)


def test_a_working_folder_moves_sidecars_last_and_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[str] = []
    replace = Path.replace

    def note(self: Path, target: Path) -> Path:
        moved.append(target.name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", note)
    with working_folder(tmp_path / "new") as folder:
        for name in ("a.json", "a.xml", "a.bin"):
            (folder / name).write_text(name)
        move_files(folder, tmp_path / "new")
    assert moved == ["a.bin", "a.xml", "a.json"]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(moved)


def test_a_full_disk_is_known_through_other_errors() -> None:
    def raise_through() -> None:
        try:
            raise OSError(28, "No space left on device")
        except OSError:
            raise RuntimeError("unexpected pos") from None

    with pytest.raises(RuntimeError) as caught:
        raise_through()
    assert is_disk_full(caught.value)
    assert not is_disk_full(OSError(13, "Permission denied"))


def test_errors_of_writing_name_the_file(tmp_path: Path) -> None:
    target = tmp_path / "a.npz"

    def write() -> None:
        with atomic_write(target):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match=r"a\.npz"):
        write()
    assert not list(tmp_path.iterdir())
