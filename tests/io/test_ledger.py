"""The notes of what a folder's files were made of: never a wrong one, whatever was killed."""

import json
import os
from pathlib import Path

import pytest

from leadline.io import Ledger, read_npz, write_npz

WAY = {"model": "lite", "size": None}


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "a.jpg"
    path.parent.mkdir()
    path.write_bytes(b"photo")
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    (tmp_path / "out").mkdir()
    return [tmp_path / "out" / "a.npz", tmp_path / "out" / "a.png"]


def make(photo: Path, files: list[Path], way: dict[str, object] = WAY) -> None:
    ledger = Ledger(files[0].parent, {photo: files}, way, resume=True)
    for file in files:
        file.write_bytes(b"map")
    ledger.add(photo)


def is_done(photo: Path, files: list[Path], way: dict[str, object] = WAY) -> bool:
    """What a later run would keep; the notes are left as they are."""
    notes = files[0].parent / "made.jsonl"
    before = notes.read_bytes()
    found = photo in Ledger(files[0].parent, {photo: files}, way, resume=True).done
    notes.write_bytes(before)
    return found


def test_the_same_again_is_kept(photo: Path, files: list[Path]) -> None:
    make(photo, files)
    assert is_done(photo, files)
    assert is_done(photo, files[:1])
    assert not Ledger(files[0].parent, {photo: files}, WAY, resume=False).done


def test_what_differs_is_made_anew(photo: Path, files: list[Path], tmp_path: Path) -> None:
    make(photo, files)
    assert not is_done(photo, files, {**WAY, "size": 128})
    other = tmp_path / "a.jpg"
    other.write_bytes(b"photo")
    assert not is_done(other, files)
    photo.write_bytes(b"another photo")
    assert not is_done(photo, files)
    make(photo, files)
    files[1].unlink()
    assert not is_done(photo, files)


def test_files_without_a_line_are_counted_and_made_anew(photo: Path, files: list[Path]) -> None:
    for file in files:
        file.write_bytes(b"map")
    ledger = Ledger(files[0].parent, {photo: files}, WAY, resume=True)
    assert (ledger.done, ledger.foreign) == (frozenset(), 1)


def test_a_run_that_was_killed_while_it_made_them_anew_leaves_no_wrong_line(
    photo: Path, files: list[Path]
) -> None:
    make(photo, files)
    Ledger(files[0].parent, {photo: files}, {**WAY, "size": 128}, resume=True)  # and killed
    assert not is_done(photo, files)


def test_a_line_that_was_cut_short_spoils_no_other(photo: Path, files: list[Path]) -> None:
    make(photo, files)
    notes = files[0].parent / "made.jsonl"
    whole = notes.read_bytes()
    other = photo.with_name("b.jpg")
    other.write_bytes(b"other")
    for junk in (whole[:40], b"\xff\x00\n", b"5\n[]\n{}\n"):
        notes.write_bytes(whole + junk)
        assert is_done(photo, files)
        made = [files[0].with_name("b.npz")]
        make(other, made)
        assert is_done(photo, files)
        assert is_done(other, made)


def test_lines_of_other_files_stay_and_are_gathered(photo: Path, files: list[Path]) -> None:
    make(photo, files)
    other = photo.with_name("b.jpg")
    other.write_bytes(b"other")
    for size in (1, 2, 3):
        make(other, [files[0].with_name("b.npz")], {"size": size})
    lines = (files[0].parent / "made.jsonl").read_text().splitlines()
    assert [json.loads(line)["files"] for line in lines] == [["a.npz", "a.png"], ["b.npz"]]


def test_names_that_are_no_utf8_are_noted(tmp_path: Path) -> None:
    photo = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg"))
    try:
        photo.write_bytes(b"photo")
    except (OSError, UnicodeError):
        pytest.skip("this file system takes UTF-8 names only")
    files = [tmp_path / f"{photo.stem}.npz"]
    make(photo, files)
    assert is_done(photo, files)
    write_npz(files[0], {"a": "map"})
    assert str(read_npz(files[0], ("a",))["a"]) == "map"
