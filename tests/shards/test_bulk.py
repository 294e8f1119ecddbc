"""Shards of maps: whole, once, the same whoever makes them, and readable as a data set."""

import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

import leadline
from leadline.datasets import open_labels
from leadline.errors import InputError, UnknownNameError
from leadline.io import decode_png16, read_image
from leadline.jobs import run_parts
from leadline.kinds import DepthKind
from leadline.load_options import LoadOptions
from leadline.prediction import Prediction
from leadline.preprocess import Prepared
from leadline.shards import (
    BulkJob,
    ShardWriter,
    Where,
    gather,
    list_sources,
    plan,
    read_manifest,
    run_bulk,
    todo,
)
from leadline.shards.manifest import check_manifest, describe_maps


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Seven pictures of two sizes and one damaged file."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(3)
    for index in range(7):
        size = (40, 64) if index % 3 else (64, 48)
        PilImage.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(
            folder / f"p{index}.png"
        )
    (folder / "p7.jpg").write_bytes(b"\xff\xd8\xff damaged")
    return folder


@pytest.fixture
def job(tiny_model: Path, tmp_path: Path) -> BulkJob:
    """Labels in WebDataset shards by the tiny network."""
    choice = LoadOptions(model=str(tiny_model), threads=1)
    return BulkJob(model=choice, out=str(tmp_path / "out"), keep_pictures=True, batch_size=2)


def _keys(path: Path) -> list[str]:
    with tarfile.open(path) as shard:
        return [m.name.removesuffix(".depth.png") for m in shard if m.name.endswith(".depth.png")]


def test_every_picture_once_and_the_damaged_one_named(job: BulkJob, photos: Path) -> None:
    report = run_bulk(job, list_sources([photos]), per_part=3)
    assert (report.made, report.parts, report.tally.count) == (7, 3, 7)
    assert [Path(source).name for source, _ in report.tally.failed] == ["p7.jpg"]
    out = Path(job.out)
    keys = [key for shard in sorted(out.glob("shard-*.tar")) for key in _keys(shard)]
    assert len(set(keys)) == len(keys) == 7
    manifest = read_manifest(job.out)
    assert manifest["kind"] == "affine_disparity"
    assert len(manifest["model_sha256"]) == 64
    assert (manifest["count"], manifest["failed"]) == (7, 1)
    assert manifest["range"] == [report.tally.low, report.tally.high]
    assert not list(out.glob(".*"))


def test_maps_are_those_of_predict(job: BulkJob, photos: Path) -> None:
    run_bulk(job, list_sources([photos]), per_part=8)
    kind, labels = open_labels(job.out)
    assert kind is DepthKind.AFFINE_DISPARITY
    estimator = leadline.load(job.model.model, threads=1)
    for number, label in enumerate(labels):
        read = label.read()
        direct = estimator.predict(photos / f"p{number}.png").values
        step = (direct.max() - direct.min()) / 65534
        np.testing.assert_allclose(read.values, direct, atol=0.51 * step + 1e-5)
        np.testing.assert_array_equal(
            read.image.pixels, np.asarray(PilImage.open(photos / f"p{number}.png"))
        )


def test_a_rerun_makes_only_what_is_missing_and_the_same_bytes(job: BulkJob, photos: Path) -> None:
    sources = list_sources([photos])
    run_bulk(job, sources, per_part=2)
    out = Path(job.out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    (out / "shard-000001.tar").unlink()
    (out / "shard-000003.json").unlink()
    again = run_bulk(job, sources, per_part=2)
    assert (again.skipped, again.made) == (2, 3)  # part 3 holds the damaged picture
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert run_bulk(job, sources, per_part=2).made == 0


def test_a_picture_that_was_mended_is_made(job: BulkJob, photos: Path) -> None:
    sources = list_sources([photos])
    assert run_bulk(job, sources, per_part=4).tally.count == 7
    (photos / "p7.jpg").write_bytes((photos / "p1.png").read_bytes())
    again = run_bulk(job, sources, per_part=4)
    assert (again.skipped, again.tally.count, again.tally.failed) == (1, 8, [])
    assert run_bulk(job, sources, per_part=4).made == 0


@pytest.mark.parametrize("in_shard", [False, True])
def test_maps_of_pictures_that_are_gone_stay(
    job: BulkJob, photos: Path, tmp_path: Path, in_shard: bool
) -> None:
    sources = list_sources([photos])
    if in_shard:
        sources = [str(tmp_path / "in.tar")]
        with tarfile.open(sources[0], "w") as file:
            file.add(photos, "x")
    assert run_bulk(job, sources, per_part=8).tally.count == 7
    shard = Path(job.out) / "shard-000000.tar"
    before = shard.read_bytes()
    (photos / "p7.jpg").write_bytes((photos / "p1.png").read_bytes())
    (photos / "p2.png").unlink()
    if in_shard:
        with tarfile.open(sources[0], "w") as file:
            file.add(photos, "x")
    again = run_bulk(job, sources, per_part=8)
    assert (again.made, again.tally.count, again.errors) == (0, 7, ())
    assert "1 of the 7 pictures" in again.kept[0][1]
    with pytest.raises(InputError, match="left as it is"):
        ShardWriter(job)(plan(job.out, sources)[0])
    assert shard.read_bytes() == before


def test_shards_elsewhere_are_not_brought_here_to_look(
    job: BulkJob, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec = pytest.importorskip("fsspec")
    with tarfile.open(tmp_path / "in.tar", "w") as file:
        file.add(photos, "x")
    store = fsspec.filesystem("memory")
    store.pipe_file("/far/in.tar", (tmp_path / "in.tar").read_bytes())
    sources = ["memory://far/in.tar"]
    assert len(run_bulk(job, sources).tally.failed) == 1
    monkeypatch.setattr("leadline.shards.parts.pictures_of", lambda *_: pytest.fail("was brought"))
    assert run_bulk(job, sources).skipped == 1
    store.rm("/far", recursive=True)


def test_a_part_without_any_picture_leaves_nothing(job: BulkJob, photos: Path) -> None:
    report = run_bulk(job, [str(photos / "p7.jpg")])
    assert "none of 1 pictures has a map" in report.errors[0][1]
    assert not list(Path(job.out).glob("shard-*"))
    other = replace(job, model=replace(job.model, size=96))
    assert run_bulk(other, list_sources([photos / "p1.png"])).errors == ()


def test_new_pictures_become_new_parts(job: BulkJob, photos: Path) -> None:
    sources = list_sources([photos])
    first = plan(job.out, sources[:5], per_part=3)
    grown = plan(job.out, sources, per_part=3)
    assert grown[: len(first)] == first
    assert sum((part.sources for part in grown), ()) == tuple(sources)
    assert len({source for part in grown for source in part.sources}) == len(sources)


def test_a_map_without_any_value_is_a_failure(
    job: BulkJob, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, sources = ShardWriter(job), list_sources([photos])
    predict = write._estimator.predict_many

    def fail_on_wide_ones(ready: Sequence[Prepared]) -> list[Prediction]:
        made = predict(ready)
        return [replace(m, values=m.values * np.nan) if m.size == (40, 64) else m for m in made]

    monkeypatch.setattr(write._estimator, "predict_many", fail_on_wide_ones)
    receipt = write(plan(job.out, sources, per_part=8)[0])
    assert receipt.count == 3
    said = dict(receipt.failed)
    assert len(said) == 5  # one is damaged
    assert sum("gives no finite value" in line for line in said.values()) == 4


def test_another_network_is_refused(job: BulkJob, photos: Path, tmp_path: Path) -> None:
    run_bulk(job, list_sources([photos]), per_part=8)
    with pytest.raises(InputError, match="mixed"):
        run_bulk(replace(job, model=replace(job.model, size=96)), list_sources([photos]))


def test_manifests_of_before_are_accepted_as_far_as_they_tell(tmp_path: Path) -> None:
    (tmp_path / "shard-000000.tar").touch()
    model = LoadOptions(model="lite")
    now = describe_maps(BulkJob(model=model, out=str(tmp_path)), "webdataset")
    assert now["model_sha256"] != now["file_sha256"]

    def check(**there: object) -> None:
        known = {key: value for key, value in {**now, **there}.items() if value is not None}
        (tmp_path / "manifest.json").write_text(json.dumps(known))
        check_manifest(str(tmp_path), now)

    check()
    other_version = {k: v for k, v in now["preprocess"].items() if k != "letterbox_level"}
    check(preprocess={**other_version, "in_widths": False})  # settings that one of them knows
    old = {"file_sha256": None, "preprocess": None}
    check(**old, model_sha256=now["file_sha256"])
    check(**old)
    for wrong in (
        {**old, "model_sha256": "0" * 64},
        {"model_sha256": now["file_sha256"]},
        {"preprocess": {**now["preprocess"], "max_aspect": 99}},
    ):
        with pytest.raises(InputError, match=r"says (model_sha256|preprocess) "):
            check(**wrong)


def test_shards_in_keep_their_keys(job: BulkJob, photos: Path, tmp_path: Path) -> None:
    shard = tmp_path / "in" / "a.tar"
    shard.parent.mkdir()
    with tarfile.open(shard, "w") as file:
        for name in ("x/one.png", "x/two.png", "x/one.txt"):
            data = (photos / "p1.png").read_bytes() if name.endswith("png") else b"words"
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    run_bulk(job, list_sources([tmp_path / "in"]))
    assert _keys(Path(job.out) / "shard-000000.tar") == ["x/one", "x/two"]


def test_names_in_shards_lead_nowhere(job: BulkJob, photos: Path, tmp_path: Path) -> None:
    shard = tmp_path / "in" / "a.tar"
    shard.parent.mkdir()
    data = (photos / "p1.png").read_bytes()
    with tarfile.open(shard, "w") as file:
        for name in ("../../up/one.png", "/top/two.png", "a/../three.png"):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    run_bulk(job, list_sources([tmp_path / "in"]))
    names = _keys(Path(job.out) / "shard-000000.tar")
    assert sorted(names) == ["_/_/up/one", "a/_/three", "top/two"]


def test_one_picture_that_the_network_refuses_fails_alone(
    job: BulkJob, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from leadline.estimator import DepthEstimator

    right = DepthEstimator.predict_many

    def wrong(self: DepthEstimator, prepared: list[Prepared]) -> list[Prediction]:
        for one in prepared:
            if one.image.pixels[0, 0, 0] == first:
                raise InputError("a focal length is needed")
        return right(self, prepared)

    pictures = sorted(photos.glob("p*.png"))
    firsts = [read_image(path).pixels[0, 0, 0] for path in pictures]
    first = firsts[1]
    monkeypatch.setattr(DepthEstimator, "predict_many", wrong)
    report = run_bulk(job, list_sources(pictures))
    bad = firsts.count(first)
    assert 0 < bad < len(pictures)
    assert report.tally.count == len(pictures) - bad
    assert [why for _, why in report.tally.failed] == ["a focal length is needed"] * bad


def test_object_stores_in_and_out(job: BulkJob, photos: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    for index in range(3):
        store.pipe_file(f"/in/p{index}.png", (photos / f"p{index}.png").read_bytes())
    elsewhere = replace(job, out="memory://out")
    sources = list_sources(["memory://in"])
    assert len(sources) == 3
    report = run_bulk(elsewhere, sources, per_part=2)
    assert report.made == 3
    with tarfile.open(fileobj=io.BytesIO(store.cat_file("/out/shard-000000.tar"))) as shard:
        assert "000000_000001.depth.png" in shard.getnames()
    assert todo(elsewhere.out, plan(elsewhere.out, sources), ".tar") == []
    store.rm("/out", recursive=True)
    store.rm("/in", recursive=True)


def test_parquet(job: BulkJob, photos: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    run_bulk(replace(job, layout="parquet"), list_sources([photos]), per_part=8)
    table = parquet.read_table(Path(job.out) / "shard-000000.parquet")
    assert table.num_rows == 7
    row = table.slice(2, 1).to_pylist()[0]
    assert decode_png16(row["depth"]).values.shape == (row["height"], row["width"])
    assert PilImage.open(io.BytesIO(row["picture"])).size == (row["width"], row["height"])
    with pytest.raises(InputError, match="Parquet"):
        open_labels(job.out)


def test_the_sky_is_far(job: BulkJob, photos: Path, tmp_path: Path) -> None:
    masks = tmp_path / "sky"
    masks.mkdir()
    mask = np.zeros((40, 64), np.uint8)
    mask[:10] = 255
    PilImage.fromarray(mask).save(masks / "p1.png")
    run_bulk(replace(job, sky=str(masks)), list_sources([photos / "p1.png"]))
    label = open_labels(job.out)[1][0].read()
    assert label.values[:10].max() == label.values.min()
    assert label.values[10:].max() > label.values.min()


def test_smaller_labels_take_their_pictures_with_them(job: BulkJob, photos: Path) -> None:
    run_bulk(replace(job, side=20), list_sources([photos / "p1.png"]))
    label = open_labels(job.out)[1][0].read()
    assert label.values.shape == label.image.size == (20, 32)
    whole = leadline.load(job.model.model, threads=1).predict(photos / "p1.png").values
    means = whole.reshape(20, 2, 32, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(label.values, means, atol=np.ptp(means) / 60000 + 1e-5)
    with pytest.raises(InputError, match="side"):
        run_bulk(job, list_sources([photos / "p1.png"]))


@pytest.mark.slow
def test_processes_give_the_same_shards(job: BulkJob, photos: Path, tmp_path: Path) -> None:
    parts = plan(job.out, list_sources([photos]), per_part=3)
    other = replace(job, out=str(tmp_path / "other"))
    plan(other.out, list_sources([photos]), per_part=3)
    for outcome in run_parts(parts, partial(ShardWriter, job)):
        assert outcome.error is None
    for outcome in Where(workers=2).run(parts, other):
        assert outcome.error is None
    for index in range(3):
        name = f"shard-{index:06d}.tar"
        assert (Path(job.out) / name).read_bytes() == (Path(other.out) / name).read_bytes()
    assert gather(job.out, range(3)) == gather(other.out, range(3))


def test_refusals(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="webdataset"):
        BulkJob(model=LoadOptions(), out=str(tmp_path), layout="zip")
    with pytest.raises(InputError, match="no INPUT"):
        list_sources([])
    with pytest.raises(InputError, match="absent is no file"):
        list_sources([tmp_path / "absent"])
    with pytest.raises(InputError, match="nothing://"):
        list_sources(["nothing://bucket"])
    (tmp_path / "plan.jsonl").write_text(json.dumps({"part": 0}) + "\n")
    with pytest.raises(InputError, match="the plan of a job is needed"):
        plan(str(tmp_path), ["a.png"])
    with pytest.raises(InputError, match="leadline label"):
        read_manifest(str(tmp_path))
