"""``leadline label`` and ``leadline predict --cluster``, through the command line."""

import io
import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline.cli import main
from leadline.datasets import open_labels


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.jpg", "c.png"):
        PilImage.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(folder / name)
    return folder


def _run(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["label", *map(str, words)])
    return int(ended.value.code or 0)


def test_a_folder_of_labels(
    photos: Path, tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "labels"
    words = (photos, "-o", out, "-m", tiny_model, "--json")
    assert _run(*words) == 0
    assert json.loads(capsys.readouterr().out)["done"] == 3
    _, labels = open_labels(out)
    assert [label.name for label in labels] == ["a", "b", "c"]
    first = labels[0].read()
    assert first.valid.all()
    assert first.values.std() > 0

    changed = (out / "depth" / "a.png").stat().st_mtime_ns
    (out / "depth" / "b.png").unlink()
    assert _run(*words) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["done"], summary["skipped"]) == (1, 2)
    assert (out / "depth" / "a.png").stat().st_mtime_ns == changed
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["kind"], manifest["count"]) == ("affine_disparity", 3)
    assert manifest["complete"] is True


def test_another_picture_of_the_same_name_is_labelled(
    photos: Path, tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "labels"
    assert _run(photos, "-o", out, "-m", tiny_model) == 0
    other = tmp_path / "other" / "a.png"
    other.parent.mkdir()
    PilImage.new("RGB", (30, 20)).save(other)
    capsys.readouterr()
    assert _run(other, "-o", out, "-m", tiny_model, "--json") == 0
    assert json.loads(capsys.readouterr().out)["done"] == 1
    assert open_labels(out)[1][0].read().image.size == (20, 30)


def test_labels_of_before_there_were_notes_are_kept(
    photos: Path, tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "labels"
    words = (photos, "-o", out, "-m", tiny_model)
    notes = out / "depth" / "made.jsonl"
    assert _run(*words) == 0
    first = notes.read_text()
    notes.unlink()
    kept = (out / "depth" / "a.png").stat().st_mtime_ns
    later = (out / "depth" / "c.png").stat().st_mtime_ns + 10**9
    os.utime(photos / "c.png", ns=(later, later))
    PilImage.new("RGB", (9, 9)).save(out / "depth" / "b.png")
    capsys.readouterr()
    assert _run(*words) == 0
    err = capsys.readouterr().err
    assert "2 labels made, 1 labels already there" in err
    assert "2 labels that were there were made anew" in err
    assert (out / "depth" / "a.png").stat().st_mtime_ns == kept
    assert notes.read_text().splitlines()[0] in first.splitlines()
    assert _run(*words, "--json") == 0
    assert json.loads(capsys.readouterr().out)["skipped"] == 3


@pytest.mark.parametrize("layout", ["folder", "webdataset"])
def test_a_start_that_failed_leaves_nothing_in_the_way(
    photos: Path,
    tmp_path: Path,
    tiny_model: Path,
    capsys: pytest.CaptureFixture[str],
    layout: str,
) -> None:
    out = tmp_path / "labels"
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    (wrong / "w.png").write_bytes(b"no picture")
    words = ("-o", out, "-m", tiny_model, "--layout", layout, "--json")
    assert _run(wrong, *words, "--size", 64) == 1
    assert _run(photos, *words, "--precision", "f16") in (1, 2)
    assert _run(tmp_path / "absent", *words) in (1, 2)
    capsys.readouterr()
    assert _run(photos, *words) == 0
    assert json.loads(capsys.readouterr().out)["done"] == 3
    assert len(open_labels(out)[1]) == 3


def test_labels_are_no_pictures_of_the_next_run(
    photos: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (photos, "-m", tiny_model, "--json")
    assert _run(*words, "-o", photos / "labels") == 0
    capsys.readouterr()
    assert _run(*words, "-o", photos / "again") == 0
    assert json.loads(capsys.readouterr().out)["done"] == 3
    assert _run(*words, "-o", photos / "shards", "--layout", "webdataset") == 0
    assert json.loads(capsys.readouterr().out)["maps"] == 3


def test_pictures_that_were_moved_are_found(photos: Path, tmp_path: Path, tiny_model: Path) -> None:
    out = tmp_path / "labels"
    assert _run(photos, "-o", out, "-m", tiny_model) == 0
    moved = photos.rename(tmp_path / "elsewhere")
    _, labels = open_labels(out, pictures=moved)
    assert labels[1].read().image.size == (40, 60)


def test_a_damaged_picture_is_named_and_the_rest_is_done(
    photos: Path, tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "bad.png").write_bytes(b"no picture")
    assert _run(photos, "-o", tmp_path / "labels", "-m", tiny_model) == 1
    assert "bad.png" in capsys.readouterr().err
    assert len(open_labels(tmp_path / "labels")[1]) == 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--layout", "zip"), "webdataset"),
        (("--layout", "folder", "--workers", "2"), "single files"),
        (("--layout", "folder", "--cluster", "local"), "single files"),
    ],
)
def test_refusals(
    words: tuple[str, ...],
    says: str,
    photos: Path,
    tmp_path: Path,
    tiny_model: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _run(photos, "-o", tmp_path / "labels", "-m", tiny_model, *words) == 2
    assert says in capsys.readouterr().err


@pytest.mark.slow
def test_predict_on_a_cluster(
    photos: Path, tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray.data", exc_type=ImportError)
    words = ["predict", photos, "-o", tmp_path / "maps", "-m", tiny_model, "--cluster", "local"]
    with pytest.raises(SystemExit) as ended:
        main([*map(str, words), "--json"])
    assert not ended.value.code
    assert json.loads(capsys.readouterr().out)["maps"] == 3
    assert (tmp_path / "maps" / "shard-000000.tar").is_file()


def test_flat_pictures_are_told_and_stretched(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flat = np.linspace(29000, 30530, 40 * 60).reshape(40, 60).astype(np.uint16)
    PilImage.fromarray(flat).save(tmp_path / "thermal.png")
    words = (tmp_path / "thermal.png", "-o", tmp_path / "labels", "-m", tiny_model)
    assert _run(*words) == 0
    assert "7 grey levels are left of" in capsys.readouterr().err
    assert _run(*words, "--tone", "percentile") == 2  # of two kinds in one folder
    assert "tone" in capsys.readouterr().err
    shards = (*words[:2], tmp_path / "shards", *words[3:], "--layout", "webdataset")
    assert _run(*shards) == 0
    assert "7 grey levels are left of" in capsys.readouterr().err
    assert _run(*shards) == 0  # nothing was read
    assert "grey levels" not in capsys.readouterr().err
    other = (*words[:2], tmp_path / "stretched", *words[3:], "--tone", "percentile")
    assert _run(*other) == 0
    assert "grey levels" not in capsys.readouterr().err
    assert _run(*other, "--layout", "webdataset", "--max-megapixels", "0.001") in (1, 2)


def test_a_linked_folder_inside_is_not_followed_out(
    photos: Path, tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "depth").symlink_to(tmp_path / "elsewhere")
    assert _run(photos, "-o", tmp_path / "labels", "-m", tiny_model) == 2
    assert "is a link to" in capsys.readouterr().err
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_list_on_standard_input(
    photos: Path, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = "\n".join(str(path) for path in sorted(photos.rglob("*.png"))).encode()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(names)))
    assert _run("-", "-o", tmp_path / "labels", "-m", tiny_model) == 0
    assert len(list((tmp_path / "labels" / "depth").glob("*.png"))) == names.count(b"\n") + 1
