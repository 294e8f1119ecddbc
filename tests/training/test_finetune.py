"""Fine-tuning on a folder: what is refused, how it is divided, what is chosen."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline import catalog
from leadline.datasets.folder import folder_refs
from leadline.errors import InputError
from leadline.estimator import DepthEstimator
from leadline.kinds import DepthKind
from leadline.prediction import Prediction
from leadline.preprocess import Preprocess
from leadline.training import TrainConfig
from leadline.training.data.custom_folder import (
    FolderFacts,
    check_direction,
    divide,
    examine,
    group_of,
    round_up,
    write_split,
)
from leadline.training.engine.checkpoint import save_state
from leadline.training.engine.loop import Run
from leadline.training.finetune import begin_run, input_size, of_whole_pictures, settings_for
from leadline.training.network import fit_preprocess

NAMES = [f"{room}_{n:03d}" for room in ("attic", "bath", "cellar", "den") for n in range(3)]


def _write(root: Path, depth: np.ndarray, *, names: list[str] = NAMES, png: bool = False) -> Path:
    rng = np.random.default_rng(0)
    for part in ("rgb", "depth"):
        (root / part).mkdir(parents=True)
    for name in names:
        pixels = rng.integers(0, 256, (*depth.shape, 3), dtype=np.uint8)
        PilImage.fromarray(pixels).save(root / "rgb" / f"{name}.jpg")
        if png:
            PilImage.fromarray(depth.astype(np.uint16)).save(root / "depth" / f"{name}.png")
        else:
            np.save(root / "depth" / f"{name}.npy", depth.astype(np.float32))
    return root


@pytest.fixture
def ramp() -> np.ndarray:
    """Depth from 1 m at the bottom to 5 m at the top, unknown in a corner."""
    depth = np.linspace(5, 1, 24)[:, None] - 0.001 * np.arange(31, -1, -1)  # no far plane
    depth[:4, :4] = 0
    return depth


def test_facts(tmp_path: Path, ramp: np.ndarray) -> None:
    facts, refs = examine(_write(tmp_path / "a", ramp))
    assert (facts.pictures, facts.size, len(refs)) == (12, (24, 32), 12)
    assert facts.known == pytest.approx(1 - 16 / (24 * 32))
    assert facts.median_m == pytest.approx(3, abs=0.2)
    assert facts.reach_m == pytest.approx(5.3)
    assert not facts.lens
    (tmp_path / "a" / "camera.json").write_text(json.dumps({"max_depth": 4.0}))
    assert examine(tmp_path / "a")[0].reach_m == 4.0
    assert [round_up(metres) for metres in (9.71, 83.2, 0.5)] == [9.8, 84.0, 0.5]


def test_integers_of_unknown_scale_are_refused_with_what_each_scale_would_mean(
    tmp_path: Path, ramp: np.ndarray
) -> None:
    root = _write(tmp_path / "a", ramp * 1000, png=True)
    with pytest.raises(InputError, match=r"1000 for millimetres \(2\.\d+ m\)"):
        examine(root)
    facts, _ = examine(root, per_metre=1000)
    assert facts.median_m == pytest.approx(3, abs=0.2)
    with pytest.raises(InputError, match="not its scale"):
        examine(root, per_metre=1)


def test_folders_that_cannot_be_learned_from(tmp_path: Path, ramp: np.ndarray) -> None:
    with pytest.raises(InputError, match="no such folder"):
        examine(tmp_path / "none")
    with pytest.raises(InputError, match="at least 4"):
        examine(_write(tmp_path / "few", ramp, names=["a", "b"]))
    with pytest.raises(InputError, match="millimetres"):
        examine(_write(tmp_path / "mm", ramp * 1000))
    with pytest.raises(InputError, match="above 0"):
        examine(_write(tmp_path / "empty", ramp * 0))
    other = _write(tmp_path / "kind", ramp)
    (other / "camera.json").write_text(json.dumps({"kind": "affine_disparity"}))
    with pytest.raises(InputError, match="affine_disparity"):
        examine(other)


def test_every_file_is_looked_at_before_anything_learns(tmp_path: Path, ramp: np.ndarray) -> None:
    names = [f"f{n}" for n in range(60)]
    root = _write(tmp_path / "a", ramp, names=names)
    (root / "depth" / "f31.npy").write_bytes(b"cut short")
    np.save(root / "depth" / "f33.npy", ramp[1:])
    with pytest.raises(InputError, match=r"2 of 60 .*f31\.npy"):
        examine(root)
    np.save(root / "depth" / "f31.npy", ramp)
    np.save(root / "depth" / "f33.npy", ramp * 0)
    with pytest.raises(InputError, match=r"1 of 60 .*f33: no depth is above 0"):
        examine(root)
    (root / "depth" / "f33.npy").unlink()
    with pytest.raises(InputError, match=r"f33\.jpg has no depth file"):
        examine(root)


def test_files_beside_the_depth_are_not_taken_for_it(tmp_path: Path, ramp: np.ndarray) -> None:
    root = _write(tmp_path / "a", ramp)
    for name in NAMES:
        (root / "depth" / f"{name}.txt").write_text("exposure 3")
    _, refs = examine(root)
    folders = write_split(root, tmp_path / "run", {"val": [refs[0].name]}, {})
    assert [file.suffix for file in (folders["val"] / "depth").iterdir()] == [".npy"]
    assert folder_refs(folders["val"])[0].read().depth.max() == 5
    PilImage.fromarray(np.zeros(ramp.shape, np.uint8)).save(root / "depth" / f"{NAMES[0]}.png")
    with pytest.raises(InputError, match="same stem"):
        examine(root)


def test_depth_that_is_upside_down_is_found(tmp_path: Path, ramp: np.ndarray) -> None:
    def near_below(image: object) -> Prediction:
        rows = np.repeat(np.arange(24.0)[:, None], 32, axis=1)
        return Prediction(values=rows, kind=DepthKind.AFFINE_DISPARITY)

    right = folder_refs(_write(tmp_path / "a", ramp))
    assert check_direction(right, near_below) > 0.95
    inverse = np.where(ramp > 0, 1 / np.maximum(ramp, 0.1), 0)
    wrong = folder_refs(_write(tmp_path / "b", inverse))
    with pytest.raises(InputError, match="--trust"):
        check_direction(wrong, near_below)


def test_groups_stay_together(tmp_path: Path, ramp: np.ndarray) -> None:
    refs = folder_refs(_write(tmp_path / "a", ramp))
    learn, held_out = divide(refs, 0.25)
    assert sorted(learn + held_out) == sorted(NAMES)
    assert len(held_out) == 3
    assert not {group_of(name) for name in learn} & {group_of(name) for name in held_out}
    film = folder_refs(_write(tmp_path / "b", ramp, names=[f"f{n}" for n in range(40)]))
    learn, held_out = divide(film, 0.2)
    assert held_out == [f"f{n}" for n in range(32, 40)]
    assert learn == [f"f{n}" for n in range(30)]  # a gap between them
    with pytest.raises(InputError, match="share"):
        divide(film, 1.0)


def test_the_split_is_two_folders_that_read_as_data_sets(tmp_path: Path, ramp: np.ndarray) -> None:
    root = _write(tmp_path / "a", ramp * 1000, png=True)
    record = {"depth_png_per_metre": 1000, "max_depth": 4.0}
    parts = {"train": NAMES[:9], "val": NAMES[9:]}
    folders = write_split(root, tmp_path / "run" / "data", parts, record)
    frames = [ref.read() for ref in folder_refs(folders["val"])]
    assert [frame.name for frame in frames] == NAMES[9:]
    assert frames[0].max_depth == 4.0
    assert frames[0].depth.max() == pytest.approx(5, abs=0.01)


def test_a_run_s_directory_is_not_taken_over(tmp_path: Path) -> None:
    run, parts = tmp_path / "run", {"train": ["a"], "val": ["b"]}
    begin_run(run, tmp_path / "mine", parts, resume=False)
    begin_run(run, tmp_path / "mine", {**parts, "train": ["c"]}, resume=False)  # nothing learned
    save_state(run, 1, {})
    with pytest.raises(InputError, match="--resume"):
        begin_run(run, tmp_path / "mine", parts, resume=False)
    with pytest.raises(InputError, match="another part"):
        begin_run(run, tmp_path / "mine", parts, resume=True)
    with pytest.raises(InputError, match="another folder"):
        begin_run(run, tmp_path / "others", {**parts, "train": ["c"]}, resume=True)
    begin_run(run, tmp_path / "mine", {**parts, "train": ["c"]}, resume=True)
    other = tmp_path / "other"
    (other / "data" / "train").mkdir(parents=True)
    for resume in (False, True):
        with pytest.raises(InputError, match="something else"):
            begin_run(other, tmp_path / "mine", parts, resume=resume)


def _facts(**changes: object) -> FolderFacts:
    given = {"pictures": 100, "size": (480, 640), "known": 1.0, "median_m": 3.0, "reach_m": 10.2}
    return FolderFacts(**{**given, "per_metre": None, "lens": False, **changes})  # ty: ignore[invalid-argument-type]


def test_the_recipe_follows_from_the_network_and_the_goal() -> None:
    lite = catalog.get("lite")
    metres = TrainConfig.from_dict(settings_for(lite, "lite", _facts(), goal=None, steps=50))
    assert (metres.recipe, metres.model) == ("metric", "metric")
    assert metres.model_options["encoder"] == "lite"
    assert [tuple(domain) for domain in metres.model_options["domains"]] == [("own", 10.2)]
    assert metres.options.relative == "lite"
    relative = TrainConfig.from_dict(
        settings_for(lite, "lite", _facts(), goal="relative", steps=50)
    )
    assert (relative.recipe, relative.model) == ("relative", "lite")
    assert relative.init_from == "lite"
    assert relative.sizes == ((288, 384),)
    assert input_size(lite, (375, 1242)) == [192, 576]


@pytest.mark.parametrize(("reach_m", "domain"), [(10.2, "indoor"), (70.0, "outdoor")])
def test_metres_for_one_camera_are_a_start(reach_m: float, domain: str) -> None:
    spec = catalog.get("lite-metric")
    for lens, focal_px in ((True, 275.0), (False, 0.0)):
        facts = _facts(reach_m=reach_m, lens=lens)
        config = TrainConfig.from_dict(settings_for(spec, spec.name, facts, goal=None, steps=50))
        assert (config.recipe, config.model, config.init_from) == (
            "metric",
            "metric",
            "lite-metric",
        )
        assert config.options.canonical_focal_px == focal_px
        assert config.options.domains == (domain,)
        Run(config)


@pytest.mark.parametrize(
    "name", ["lite", "midas-v21-small", "depth-anything-v2-vits", "dpt-large-384", "zoedepth-nk"]
)
@pytest.mark.parametrize("picture", [(480, 640), (375, 1242), (640, 480), (500, 500)])
def test_a_network_looks_at_pictures_as_it_learned_to(name: str, picture: tuple[int, int]) -> None:
    spec = catalog.get(name)
    facts, goal = _facts(size=picture), None if name == "zoedepth-nk" else "relative"
    config = TrainConfig.from_dict(settings_for(spec, name, facts, goal=goal, steps=50))
    assert config.sizes == (tuple(input_size(spec, picture)),)
    assert (
        Preprocess(fit_preprocess(spec.preprocess, config)).input_size(*picture) == config.sizes[0]
    )


def test_networks_of_one_size_learn_from_pictures_stretched_as_they_will_be() -> None:
    for name, aspect in (("eigen14-nyu", 1000 / 480), ("lite-metric", 0.0)):
        given = settings_for(catalog.get(name), name, _facts(size=(480, 1000)), goal=None, steps=50)
        assert given["options"]["aspect"] == aspect


def test_before_is_measured_on_whole_pictures_as_after() -> None:
    start = DepthEstimator(None, catalog.get("fastdepth"))  # ty: ignore[invalid-argument-type]
    whole = of_whole_pictures(start)
    assert start.prepare(np.zeros((250, 333, 3), np.uint8)).box != (0, 250, 0, 333)
    assert whole.prepare(np.zeros((250, 333, 3), np.uint8)).whole


def test_goals_that_a_network_cannot_have() -> None:
    with pytest.raises(InputError, match="affine"):
        settings_for(catalog.get("fastdepth"), "lite", _facts(), goal="relative", steps=5)
    with pytest.raises(InputError, match="no torch network"):
        settings_for(catalog.get("superpixel"), "lite", _facts(), goal=None, steps=5)


@pytest.mark.slow
def test_from_a_miniature_folder_to_a_report(tmp_path: Path) -> None:
    """A handful of rendered rooms; the network that comes out is the one that was measured."""
    from leadline.cli import main
    from leadline.datasets.rendered import world_refs

    root = tmp_path / "mine"
    for part in ("rgb", "depth"):
        (root / part).mkdir(parents=True)
    for number, ref in enumerate(world_refs("room", count=8, seed=40, size=(64, 96))):
        frame = ref.read()
        name = f"room{number // 2}_{number % 2}"
        PilImage.fromarray(frame.image.pixels).save(root / "rgb" / f"{name}.png")
        np.save(root / "depth" / f"{name}.npy", frame.depth)
    words = ["finetune", root, "-o", tmp_path / "run", "--steps", "3", "--trust"]
    more = ["--set", "sizes=[[64,96]]", "--set", "batch=2"]
    with pytest.raises(SystemExit) as ended:
        main([*map(str, words), *more])
    assert not ended.value.code
    record = json.loads((tmp_path / "run" / "finetune.json").read_text())
    assert record["recipe"] == "metric"
    assert set(record["after"]) == {"depth-anything-zero-shot", "depth-anything-v2-metric"}
    assert set(record["before"]) == {"depth-anything-zero-shot"}
    assert record["learned"] + record["held_out"] == 8
