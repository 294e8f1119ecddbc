"""Video: geometry of film, its mirror, its three sources, and what is delivered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from leadline.datasets.frame import Frame, FrameRef, set_intrinsics  # noqa: E402
from leadline.errors import InputError  # noqa: E402
from leadline.image import Image  # noqa: E402
from leadline.kinds import DepthKind  # noqa: E402
from leadline.models import build  # noqa: E402
from leadline.training import TrainConfig, train  # noqa: E402
from leadline.training.config import DataConfig  # noqa: E402
from leadline.training.data.colours import jitter_alike  # noqa: E402
from leadline.training.data.frame_triplets import (  # noqa: E402
    Moment,
    moments_of,
    open_triplets,
    read_moment,
)
from leadline.training.data.world_shards import write_shard  # noqa: E402
from leadline.training.options import Rig  # noqa: E402
from leadline.training.recipes.video import Film, Video  # noqa: E402
from testing.planes import plane_triplets  # noqa: E402

SIZE = (64, 96)
UNIT = Rig().baseline_m / 0.1


def config(folder: Path, **changes: Any) -> TrainConfig:
    """The preset on six films of walls."""
    if not (folder / "shard-00000.json").exists():
        films = plane_triplets(np.random.default_rng(0), SIZE, 6, rig=Rig())
        write_shard(folder, 0, films)
    settings = {
        "sizes": [SIZE],
        "batch": 2,
        "steps": 2,
        "render_workers": 0,
        "threads": 1,
        "validate_every": -1,
        "world.shards": 1,
        "world.shard": 6,
        "world.folder": str(folder),
    }
    return TrainConfig.from_toml("video").updated(settings | changes)


def batch_of(given: TrainConfig, folder: Path) -> Any:
    """The first batch."""
    with open_triplets(given, folder, 0) as source:
        return source.batch(0, range(given.batch))


class Known(torch.nn.Module):
    """Gives the true sigmoid and motion, the depth times a factor."""

    def __init__(self, batch: Any, factor: float, *, turned: bool, unit: float = 1.0) -> None:
        super().__init__()
        inverse = 1 / (factor * batch["depth"])
        nearest, farthest = 1 / (0.1 * unit), 1 / (100.0 * unit)
        self.sigmoid = (inverse - farthest) / (nearest - farthest)
        self.step = Rig().baseline_m / 2 * (-1 if turned else 1)

    def forward(self, frame: Any, before: Any = None, after: Any = None) -> Any:
        """Four scales, and the motion to each neighbour given."""
        scales = tuple(self.sigmoid[:, :: 2**s, :: 2**s] for s in range(4))
        motions = []
        for source, sign in ((before, 1), (after, -1)):
            if source is not None:
                move = torch.eye(4).repeat(len(frame), 1, 1)
                move[:, 0, 3] = sign * self.step
                motions.append(move)
        return scales, tuple(motions)


@pytest.mark.parametrize("flip", [0.0, 1.0])
@pytest.mark.parametrize("sources", ["mono", "stereo", "both"])
def test_the_true_depth_has_the_lowest_loss(tmp_path: Path, sources: str, flip: float) -> None:
    given = config(tmp_path, **{"options.sources": sources, "augment.flip": flip})
    batch, recipe = batch_of(given, tmp_path), Video(given)
    unit = 1.0 if sources == "mono" else UNIT
    losses = {
        factor: recipe.loss(Known(batch, factor, turned=flip == 1, unit=unit), batch, 0)[0]
        for factor in (0.6, 1.0, 1.6)
    }
    assert losses[1.0] < 0.7 * losses[0.6]
    assert losses[1.0] < 0.7 * losses[1.6]


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        ("mono", {"frame", "before", "after"}),
        ("stereo", {"frame", "right"}),
        ("both", {"frame", "before", "after", "right"}),
    ],
)
def test_batches_hold_what_the_sources_need(tmp_path: Path, sources: str, names: set[str]) -> None:
    batch = batch_of(config(tmp_path, **{"options.sources": sources}), tmp_path)
    assert {"frame", "before", "after", "right"} & set(batch) == names


@pytest.mark.parametrize(
    ("sources", "kind", "unit"),
    [
        ("mono", DepthKind.SCALED_DEPTH, 1.0),
        ("stereo", DepthKind.METRIC_DEPTH, UNIT),
        ("both", DepthKind.METRIC_DEPTH, UNIT),
    ],
)
def test_metres_only_where_the_scale_is_known(
    tmp_path: Path, sources: str, kind: DepthKind, unit: float
) -> None:
    recipe = Video(config(tmp_path, **{"options.sources": sources}))
    module = recipe.build().eval()
    assert isinstance(module, Film)
    delivered = recipe.deliver(module)
    assert delivered.spec.kind is kind
    assert ("pose" in delivered.spec.options) == (sources == "stereo")
    assert delivered.spec.options.get("unit", 1.0) == pytest.approx(unit)
    picture = torch.rand(1, 3, *SIZE)
    with torch.no_grad():
        depth = delivered.module(picture)
        again = build(recipe.config.model, **delivered.spec.options).eval()
        again.load_state_dict(delivered.module.state_dict())
        assert torch.equal(again(picture), depth)  # what is stored gives the same unit
        learnt = 1 / recipe._inverse_depth(module(picture)[0][0])
    torch.testing.assert_close(depth, learnt)
    assert depth.min() >= 0.1 * unit  # the preset's least depth
    assert depth.max() <= 100.0 * unit


@pytest.mark.parametrize("sources", ["stereo", "both"])
def test_an_untrained_network_warps_from_inside_the_other_eye(tmp_path: Path, sources: str) -> None:
    torch.manual_seed(0)
    given = config(tmp_path, **{"options.sources": sources, "augment.flip": 0.0})
    batch, recipe = batch_of(given, tmp_path), Video(given)
    module: Any = recipe.build()
    disparities, _ = module(batch["seen_frame"], batch.get("seen_before"), batch.get("seen_after"))
    shift = batch["intrinsics"][:, 0, 0, None, None] * batch["right_from_frame"][0, 0, 3].abs()
    seen_at = torch.arange(SIZE[1]) - shift * recipe._inverse_depth(disparities[0])
    assert (seen_at > 0).float().mean() > 0.4
    total, _ = recipe.loss(module, batch, 0)
    total.backward()
    slopes = [p.grad.norm() for p in module.network.decoder.parameters() if p.grad is not None]
    assert torch.stack(slopes).norm() > 1e-3


def test_motion_is_in_the_unit_of_depth() -> None:
    pair = torch.rand(2, 1, 3, *SIZE)
    found = {}
    for unit in (1.0, 5.4):
        torch.manual_seed(0)
        small = {"encoder": "small", "decoder_widths": (8, 16, 32, 64, 96), "unit": unit}
        network: Any = build("monodepth2-r18", output="depth", **small).eval()
        with torch.no_grad():
            found[unit] = network(pair[0]), network.motion(*pair)
    torch.testing.assert_close(found[5.4][0], 5.4 * found[1.0][0])
    torch.testing.assert_close(found[5.4][1].translation, 5.4 * found[1.0][1].translation)
    torch.testing.assert_close(found[5.4][1].axis_angle, found[1.0][1].axis_angle)


def test_eyes_at_an_unknown_distance_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadline.training.recipes.video.rig_of", lambda *_: {})
    with pytest.raises(InputError, match="baseline"):
        Video(config(tmp_path, **{"options.sources": "both"})).build()


def test_sources_and_loss_share_the_range_of_depths(tmp_path: Path) -> None:
    recipe = Video(config(tmp_path, **{"model_options.min_depth": 2.0}))
    assert recipe._loss_config.min_depth == 2.0
    assert recipe._loss_config.max_depth == 100.0


def test_samples_do_not_depend_on_what_ran_before(tmp_path: Path) -> None:
    given = config(tmp_path)
    with open_triplets(given, tmp_path, 0) as source:
        source.batch(1, [0])
        late = source.batch(4, [1])
    with open_triplets(given, tmp_path, 4) as source:
        whole = source.batch(4, range(2))
    for name, array in late.items():
        torch.testing.assert_close(array, whole[name][1:], rtol=0, atol=0)


def test_only_what_networks_see_changes_colour() -> None:
    picture = torch.rand(3, 8, 9)
    same, changed = (
        jitter_alike([picture, picture], np.random.default_rng(0), change=change)
        for change in (False, True)
    )
    torch.testing.assert_close(same[0], picture)
    torch.testing.assert_close(changed[0], changed[1])
    assert not torch.allclose(changed[0], picture)


def frame_ref(name: str, *, camera: bool = True) -> FrameRef:
    """A grey frame of 8x12 pixels."""
    image = Image(pixels=np.full((8, 12, 3), 90, np.uint8))
    if camera:
        image = set_intrinsics(image, fx=10, fy=10, cx=5.5, cy=3.5)
    depth = np.ones((8, 12), np.float32)
    frame = Frame(image=image, depth=depth, max_depth=10.0, group="test", name=name)
    return FrameRef(name=name, read=lambda: frame)


def test_a_moment_is_resized_with_its_camera() -> None:
    moment = Moment(frame=frame_ref("a/1"), before=frame_ref("a/0"), after=frame_ref("a/2"))
    sample = read_moment(moment, (4, 6), ("frame", "before", "after"))
    np.testing.assert_allclose(sample["camera"], [5, 5, 2.5, 1.5])
    assert sample["before"].shape == (4, 6, 3)


def test_neighbours_do_not_leap_over_missing_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["a/0", "a/1", "a/2", "a/3", "a/7", "a/8", "b/9", "b/10"]
    refs = [frame_ref(name) for name in names]
    monkeypatch.setattr("leadline.training.data.frame_triplets.open_dataset", lambda *_: refs)
    found = moments_of(DataConfig(name="kitti-raw", root="x"), Path(), "mono")
    assert [moment.frame.name for moment in found] == ["a/1", "a/2"]
    refs[:] = [frame_ref("a/0"), frame_ref("b/1")]
    with pytest.raises(InputError, match="neighbour"):
        moments_of(DataConfig(name="kitti-raw", root="x"), Path(), "mono")


def test_a_frame_without_a_camera_is_refused() -> None:
    with pytest.raises(InputError, match="focal length"):
        read_moment(Moment(frame=frame_ref("a/1", camera=False)), (4, 6), ("frame",))


def test_truth_is_refused_where_it_is_not_read(tmp_path: Path) -> None:
    given = config(
        tmp_path, data=[{"name": "kitti-eigen", "root": "x"}], **{"options.depth_weight": 1.0}
    )
    with pytest.raises(InputError, match="kitti-raw"):
        Video(given).data(tmp_path, 0)


def test_a_network_without_motion_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pose"):
        Video(config(tmp_path, model="lite", model_options={})).build()


@pytest.mark.slow
def test_a_run_delivers_a_folder_that_loads(tmp_path: Path) -> None:
    import leadline

    out = tmp_path / "run"
    train(config(tmp_path / "world"), out, report=lambda line: None)
    prediction = leadline.load(out).predict(np.zeros((*SIZE, 3), np.uint8))
    assert prediction.kind is DepthKind.SCALED_DEPTH
    assert prediction.values.shape == SIZE


@pytest.mark.parametrize("sources", ["mono", "stereo", "both"])
def test_validation_and_sheets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: str
) -> None:
    monkeypatch.setattr("leadline.training.recipes.video.render_triplets", plane_triplets)
    given = config(tmp_path, validate_frames=1, **{"options.sources": sources})
    recipe = Video(given)
    module = recipe.build().eval()
    assert recipe.validate(module)["abs_rel"] > 0
    sheet = recipe.pictures(module, batch_of(given, tmp_path))
    assert sheet is not None
    assert sheet.shape == (2 * SIZE[0], 4 * SIZE[1], 3)
