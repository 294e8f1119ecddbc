"""Samples: functions of (seed, step, row), with the truth that belongs to the picture."""

import shutil
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
cv2 = pytest.importorskip("cv2")

from leadline import world  # noqa: E402
from leadline.datasets import Frame, FrameRef, open_dataset  # noqa: E402
from leadline.errors import (  # noqa: E402
    DeviceError,
    InputError,
    JobError,
    UnknownNameError,
)
from leadline.image import Image  # noqa: E402
from leadline.training import DataConfig, TrainConfig  # noqa: E402
from leadline.training.config import AugmentConfig  # noqa: E402
from leadline.training.data.colours import change_colours, disturb_colours  # noqa: E402
from leadline.training.data.crops import cut_crop, cut_crops, draw_crop  # noqa: E402
from leadline.training.data.rendering import render_views  # noqa: E402
from leadline.training.data.samples import (  # noqa: E402
    DepthSamples,
    list_training_frames,
    list_validation_frames,
    make_batch,
    open_depth_samples,
    read_sample,
    stack_samples,
)
from leadline.training.data.stereo_pairs import open_stereo_pairs  # noqa: E402
from leadline.training.data.world_shards import (  # noqa: E402
    Plan,
    RenderedWorld,
    _renderer,
    write_shard,
)
from leadline.training.devices import choose_device  # noqa: E402
from leadline.training.engine.parallel import Place  # noqa: E402


def test_sample_is_a_function_of_step_and_row(tiny, tmp_path):
    with open_depth_samples(tiny, tmp_path, 0) as one:
        batch = one.batch(3, range(4))
        alone = one.batch(3, [2])
        next_step = one.batch(4, [2])
    with open_depth_samples(tiny, tmp_path, 3) as two:
        again = two.batch(3, range(4))
    for name, values in batch.items():
        assert torch.equal(values, again[name]), name
        assert torch.equal(values[2:3], alone[name]), name
    assert not torch.equal(alone["rgb"], next_step["rgb"])


def test_batch_is_what_the_losses_expect(tiny, tmp_path):
    with open_depth_samples(tiny, tmp_path, 0) as source:
        batch = source.batch(0, range(4))
    assert batch["rgb"].shape == (4, 3, 32, 32)
    assert batch["depth"].shape == batch["disparity"].shape == batch["valid"].shape == (4, 32, 32)
    assert batch["rgb"].min() >= 0
    assert batch["rgb"].max() <= 1
    known = batch["valid"]
    assert known.all()
    assert torch.allclose(batch["depth"][known] * batch["disparity"][known], torch.ones(()))
    assert (batch["depth"] >= 1).all()


def test_enlarged_window_is_nearer_when_asked(tiny, tmp_path):
    config = tiny.updated({"augment.min_crop": 0.5})
    with open_depth_samples(config, tmp_path, 0) as plain:
        still, lens = (plain.batch(0, range(4))[key] for key in ("depth", "focal_px"))
    with open_depth_samples(config, tmp_path, 0, zoom_is_near=True) as moved:
        nearer, kept = (moved.batch(0, range(4))[key] for key in ("depth", "focal_px"))
    factor = (still / nearer).flatten(1)
    assert torch.allclose(factor, factor[:, :1].expand_as(factor), rtol=1e-4)
    assert (factor[:, 0] > 1).all()
    assert (factor[:, 0] <= 2).all()
    assert torch.allclose(lens / kept, factor[:, 0], rtol=1e-4)  # nearer, by the same lens


def test_origin_names_the_frame_that_was_drawn(tiny, tmp_path, pictures):
    config = tiny.updated({"data": [f"folder={pictures}@3", f"folder={pictures}@1"]})
    with open_depth_samples(config, tmp_path, 0) as source:
        drawn = [int(source.batch(step, [0])["source"]) for step in range(40)]
        assert source.origin(0, 0).startswith("folder: ")
    assert 4 <= sum(drawn) <= 18  # a quarter of 40


def test_data_set_that_is_not_there(tiny, tmp_path):
    with (
        pytest.raises(UnknownNameError, match="nyu-labelled"),
        open_depth_samples(tiny.updated({"data": ["nyu_labeled=x"]}), tmp_path, 0),
    ):
        pass
    with (
        pytest.raises(InputError, match="no such folder"),
        open_depth_samples(tiny.updated({"data": [f"folder={tmp_path / 'none'}"]}), tmp_path, 0),
    ):
        pass


def test_set_without_parts_spares_every_tenth_frame(tmp_path, pictures, tiny):
    for name in ("rgb", "depth"):
        (tmp_path / name).mkdir()
    for n in range(30):
        shutil.copy(pictures / "rgb" / "0.png", tmp_path / "rgb" / f"{n:02}.png")
        shutil.copy(pictures / "depth" / "0.npy", tmp_path / "depth" / f"{n:02}.npy")
    config = tiny.updated({"data": [f"folder={tmp_path}"]})
    spared = {ref.name for ref in list_validation_frames(config.data[0])}
    learned = {ref.name for ref in list_training_frames(config.data[0])}
    assert spared == {"09", "19", "29"}
    assert not spared & learned
    assert len(list_training_frames(config.data[0], spare=False)) == 30
    few = tiny.data[0]
    assert len(list_training_frames(few)) == len(list_validation_frames(few)) == 6


@pytest.mark.parametrize(
    ("source", "learned", "validated"),
    [
        ("kitti-eigen", 39810, 4424),
        ("kitti-eigen:full-train", 45200, 1776),
        ("kitti-eigen-annotated", 20843, 2315),
        ("nyu-sync", 24231, 654),
    ],
)
def test_nothing_is_learned_that_is_validated_on(tmp_path, source, learned, validated):
    data = DataConfig.from_text(f"{source}={tmp_path}")
    one, other = list_training_frames(data), list_validation_frames(data)
    assert (len(one), len(other)) == (learned, validated)
    names = {ref.name for ref in other}
    assert names.isdisjoint(ref.name for ref in one)
    if source.startswith("kitti"):  # a test frame chooses no weights
        assert names.isdisjoint(ref.name for ref in open_dataset(data.name, tmp_path))


def a_sample(h=60, w=80):
    column = np.arange(w, dtype=np.float32)
    return {
        "rgb": np.repeat(np.repeat(column[None, :, None], h, 0), 3, 2).astype(np.uint8),
        "disparity": np.repeat(column[None], h, 0).astype(np.float16),
        "focal_px": np.array(100, np.float32),
    }


def random_window(rng, sample, size, config, **options):
    window = draw_crop(rng, sample["rgb"].shape[:2], size, config, **options)
    return cut_crop(sample, window, size), window.enlarged


@pytest.mark.parametrize("angle", [0.0, 5.0])
def test_window_keeps_picture_and_truth_together(angle):
    config = AugmentConfig(min_crop=0.5, rotate_deg=angle)
    for seed in range(8):
        made, enlarged = random_window(np.random.default_rng(seed), a_sample(), (30, 40), config)
        assert made["rgb"].shape == (30, 40, 3)
        difference = made["rgb"][..., 0].astype(float) - made["disparity"]
        assert np.abs(difference).max() <= 3
        # Columns count themselves, so their steps tell by how much they were spread.
        spread = 2 / np.abs(np.polyfit(np.arange(40), made["rgb"][15, :, 0], 1)[0])
        assert enlarged == pytest.approx(spread, rel=0.05)


def test_focal_length_follows_the_resampling():
    config = AugmentConfig(min_crop=0.999, flip=0)
    made, _ = random_window(np.random.default_rng(0), a_sample(), (30, 40), config)
    assert made["focal_px"] == pytest.approx(50)


def test_a_turned_picture_is_enlarged_and_so_is_its_focal_length():
    turned = AugmentConfig(min_crop=0.999, flip=0, rotate_deg=20)
    made, enlarged = random_window(np.random.default_rng(0), a_sample(), (60, 80), turned)
    angle = np.deg2rad(20 * abs(np.random.default_rng(0).uniform(-1, 1, 6)))
    grown = np.cos(angle) + np.sin(angle) * 80 / 60
    assert np.abs(made["focal_px"] / a_sample()["focal_px"] - grown).min() < 2e-3
    assert made["focal_px"] > 1.02 * a_sample()["focal_px"]
    # Nearer by all of that: depth is divided by it, and the lens is the one that took the picture.
    assert enlarged == pytest.approx(made["focal_px"] / a_sample()["focal_px"], rel=2e-3)
    numbers = {"kind": np.array(-1), "source": np.array(0)}
    batch = stack_samples([made | numbers], torch.device("cpu"))
    moved, still = (make_batch(batch, nearer=[factor]) for factor in (enlarged, 1.0))
    torch.testing.assert_close(moved["depth"] * enlarged, still["depth"], rtol=1e-4, atol=1e-4)
    assert float(moved["focal_px"]) == pytest.approx(100, rel=2e-3)


@pytest.mark.parametrize("size", [(60, 80), (41, 90), (20, 24)])
def test_windows_are_cut_together_as_one_by_one(size, device):
    rng = np.random.default_rng(0)
    smooth = cv2.GaussianBlur(rng.uniform(0, 255, (60, 80, 3)), (0, 0), 3).astype(np.uint8)
    sample = a_sample() | {"rgb": smooth, "disparity": smooth[..., 0].astype(np.float16)}
    config = AugmentConfig(min_crop=0.4)
    windows = [draw_crop(rng, (60, 80), size, config, aspect=1.2) for _ in range(12)]
    assert {window.mirrored for window in windows} == {False, True}
    alone = [cut_crop(sample, window, size) for window in windows]
    together = cut_crops(stack_samples([sample] * 12, torch.device(device)), windows, size)
    for n, one in enumerate(alone):
        rgb = together["rgb"][n].cpu().numpy()
        assert np.abs(rgb - one["rgb"]).mean() < 1  # OpenCV averages over areas where it shrinks
        assert np.array_equal(together["disparity"][n].float().cpu(), one["disparity"])
        assert float(together["focal_px"][n]) == pytest.approx(float(one["focal_px"]))


def test_unknown_truth_stays_unknown():
    sample = a_sample()
    sample["disparity"][:] = np.nan
    made, _ = random_window(np.random.default_rng(0), sample, (30, 40), AugmentConfig())
    assert np.isnan(made["disparity"]).all()


def test_window_of_another_aspect_is_stretched():
    config = AugmentConfig(min_crop=0.999, flip=0)
    made, _ = random_window(np.random.default_rng(0), a_sample(), (30, 30), config, aspect=4 / 3)
    assert np.ptp(made["disparity"]) > 70  # nearly all of the 80 columns


def generators(count: int, first: int = 0) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in range(first, first + count)]


def test_colours_stay_in_range_and_follow_the_generators():
    rgb = torch.rand(40, 3, 8, 8)
    one = disturb_colours(rgb, generators(40))
    assert torch.equal(one, disturb_colours(rgb, generators(40)))
    assert one.min() >= 0
    assert one.max() <= 1


def test_colours_of_a_picture_are_its_own_in_any_batch():
    rgb = torch.rand(40, 3, 8, 8)
    together = disturb_colours(rgb, generators(40))
    torch.testing.assert_close(together[7:9], disturb_colours(rgb[7:9], generators(2, first=7)))
    assert (
        len(
            {
                tuple(one.flatten().tolist())
                for one in disturb_colours(rgb[:1].expand(40, -1, -1, -1), generators(40))
            }
        )
        == 40
    )


def test_permuted_colours_are_the_same_channels():
    rgb = torch.rand(3, 8, 8)
    seen = set()
    for made in change_colours(rgb.expand(60, -1, -1, -1), generators(60), "permute"):
        order = tuple(next(i for i in range(3) if torch.equal(c, rgb[i])) for c in made)
        assert sorted(order) == [0, 1, 2]
        seen.add(order)
    assert len(seen) == 6


def test_channels_change_places_as_often_as_densedepth_s():
    rgb = torch.rand(3, 1, 1)
    made = change_colours(rgb.expand(1000, -1, -1, -1), generators(1000), "permute")
    assert sum(not torch.equal(c, rgb) for c in made) == pytest.approx(1000 * 5 / 14, rel=0.1)


@pytest.mark.parametrize(("how", "most"), [("bts-nyu", 1.25 * 1.1), ("bts-kitti", 1.1 * 1.1)])
def test_colours_of_bts_change_half_of_the_pictures_a_little(how, most):
    rgb = torch.full((200, 3, 4, 4), 0.5)
    made = change_colours(rgb, generators(200), how)
    changed = [c for c in made if not torch.equal(c, rgb[0])]
    assert 80 <= len(changed) <= 120
    gains = torch.stack(changed)[..., 0, 0] / 0.5
    assert gains.max() <= most * 0.5**-0.1
    assert gains.max() > 0.93 * most


def test_a_batch_is_the_same_on_any_device(tiny, device, tmp_path):
    config = tiny.updated({"augment.colours": "channels"})
    with open_depth_samples(config, tmp_path, 0, device="cpu") as source:
        expected = source.batch(3, range(4))
        alone = source.sample(3, 2)
    with open_depth_samples(config.updated({"device": device}), tmp_path, 0) as source:
        found = source.batch(3, range(4))
    assert {values.device.type for values in found.values()} == {device}
    for name, values in expected.items():
        torch.testing.assert_close(found[name].cpu(), values)
        torch.testing.assert_close(alone[name], values[2])


SMALL = TrainConfig().updated(
    {
        "sizes": [[32, 64], [64, 64]],
        "steps": 40,
        "world": {"shard": 3, "window": 3, "shard_steps": 3, "margin": 1.0},
    }
)


def paint(rng, size, count):
    return {"rgb": rng.integers(0, 255, (count, *size, 3), dtype=np.uint8)}


def painted(folder, **changes):
    plan = Plan.of(SMALL.updated(changes), paint)
    return RenderedWorld(plan=plan, folder=folder)


def test_shard_is_a_function_of_its_number(tmp_path):
    plan = painted(tmp_path).plan
    assert np.array_equal(plan.make(4)["rgb"], plan.make(4)["rgb"])
    sizes = {plan.size(k) for k in range(30)}
    assert sizes == {(32, 64), (64, 64)}
    assert plan.make(4)["rgb"].shape == (3, *plan.size(4), 3)


def paint_truth(rng, size, count):
    smooth = [cv2.GaussianBlur(rng.uniform(0, 255, (*size, 3)), (0, 0), 3) for _ in range(count)]
    return {
        "rgb": np.stack(smooth).astype(np.uint8),
        "disparity": np.stack(smooth)[..., 0].astype(np.float16),
        "focal_px": rng.uniform(50, 90, count).astype(np.float32),
        "kind": np.arange(count),
    }


def test_shards_on_a_device_give_the_samples_of_those_on_disk(tmp_path, device):
    config = SMALL.updated({"batch": 6, "augment.colours": "none"})
    plan = Plan.of(config, paint_truth)
    for index in range(12):
        write_shard(tmp_path, index, plan.make(index))
    read, kept = (
        DepthSamples(
            config, world=RenderedWorld(plan=plan, folder=tmp_path), frames=[[]], device=device
        )
        for _ in range(2)
    )
    read.keeps_world, kept.keeps_world = False, True
    for step in (0, 9, 25):
        expected = read.batch(step, range(6))
        found = kept.batch(step, range(6))
        assert found.keys() == expected.keys()
        torch.testing.assert_close(found.pop("rgb"), expected.pop("rgb"), atol=0.012, rtol=0)
        for name, values in expected.items():
            torch.testing.assert_close(found[name], values)
    assert kept.world._shards.keys() <= set(range(plan.oldest(25), 12))


def test_the_window_moves_on_and_old_shards_go(tmp_path):
    world = painted(tmp_path)
    assert world.plan.newest(5) == world.plan.newest(0) + 1
    for index in range(12):
        write_shard(tmp_path, index, world.plan.make(index))
    for step in range(31):
        world.draw(np.random.default_rng(0), step)
        world.forget(step)
    left = {int(path.name[6:11]) for path in tmp_path.glob("shard-*.npy")}
    assert set(range(world.plan.oldest(31), 12)) <= left
    assert 0 not in left


def test_fixed_set_is_kept_and_all_drawn_from(tmp_path):
    world = painted(tmp_path, **{"world.shards": 4})
    for index in range(4):
        write_shard(tmp_path, index, world.plan.make(index))
    drawn = {world.place(np.random.default_rng(n), n)[0] for n in range(40)}
    world.forget(1000)
    assert drawn == {0, 1, 2, 3}
    assert len(list(tmp_path.glob("*.json"))) == 4


def test_missing_shard_without_a_renderer_is_an_error(tmp_path):
    with pytest.raises(JobError, match="--resume"):
        painted(tmp_path).draw(np.random.default_rng(0), 0)


def test_a_folder_of_other_pictures_is_refused(tmp_path):
    painted(tmp_path)._claim()
    painted(tmp_path, steps=80, **{"world.window": 9})._claim()
    wider = painted(tmp_path, **{"world.margin": 1.5})
    with pytest.raises(InputError, match=r"margin=1\.0, and 1\.5 is given"), wider.rendering(0):
        pass


def test_what_stops_a_renderer_is_refused_in_one_line(tmp_path):
    plan = painted(tmp_path).plan
    plan = replace(plan, world=replace(plan.world, textures=str(tmp_path / "none")))
    with pytest.raises(SystemExit, match=r"leadline: the renderer stopped: .*none") as refused:
        _renderer(plan, tmp_path, 0, 0, SimpleNamespace(value=0))
    assert "\n" not in str(refused.value)


def test_rows_are_dealt_out_once():
    config = TrainConfig().updated({"batch": 12, "accumulate": 2})
    rows = [
        row
        for rank in range(3)
        for part in range(2)
        for row in Place(rank=rank, world_size=3).rows(config, part)
    ]
    assert rows == list(range(12))
    with pytest.raises(InputError, match="multiple of 10"):
        Place(world_size=5).rows(config, 0)


def test_device_by_name():
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(DeviceError, match="offers"):
        choose_device("abacus")


def test_a_mount_gives_all_pictures_one_lens(monkeypatch):
    bank = world.TextureBank.procedural(0, share=0.01)
    monkeypatch.setattr("leadline.world.sample._default", [bank])
    made = render_views(
        np.random.default_rng(0), (24, 32), 4, kinds=("room",), views=2, mount="nyu"
    )
    fov = 2 * np.degrees(np.arctan(16 / made["focal_px"]))
    assert fov == pytest.approx(world.MOUNTS["nyu"].fov_deg, abs=0.01)


def test_rigs_have_lenses_of_their_own(tmp_path):
    config = TrainConfig.from_toml("stereo").updated({"world.kinds": [], "world.mount": "kitti"})
    with (
        pytest.raises(InputError, match="rigs of its own"),
        open_stereo_pairs(config, tmp_path, 0),
    ):
        pass


def test_a_device_renders_the_shards_that_numpy_does(monkeypatch):
    bank = world.TextureBank.procedural(0, share=0.01)
    monkeypatch.setattr("leadline.world.sample._default", [bank])
    monkeypatch.setattr("leadline.training.data.rendering.BATCH", 3)
    expected, found = (
        render_views(
            np.random.default_rng(5), (32, 48), 5, kinds=("objects",), views=2, device=device
        )
        for device in ("", "cpu")
    )
    assert {k: (v.shape, v.dtype) for k, v in found.items()} == {
        k: (v.shape, v.dtype) for k, v in expected.items()
    }
    assert np.array_equal(found["focal_px"], expected["focal_px"])
    assert np.isclose(found["disparity"], expected["disparity"], rtol=2e-3).mean() > 0.99


def test_a_missing_device_of_the_world_is_named_before_rendering(tmp_path):
    config = SMALL.updated({"world.device": "abacus"})
    with pytest.raises(DeviceError, match="abacus"), open_depth_samples(config, tmp_path, 0):
        pass


@pytest.mark.slow
def test_world_renders_what_a_step_needs(tmp_path):
    config = SMALL.updated({"steps": 6})
    with open_depth_samples(config, tmp_path, 0) as source:
        batch = source.batch(4, range(2))
        again = source.batch(4, range(2))
    assert torch.equal(batch["rgb"], again["rgb"])
    assert (batch["disparity"] >= 0).all()
    assert (batch["kind"] >= 0).all()
    assert (batch["focal_px"] > 0).all()


def _frame(**given):
    pixels = np.zeros((4, 8, 3), np.uint8)
    depth = np.array([[1, 2], [0, 4]], np.float32)
    given = {"depth": depth, "coarse": True, **given}
    return Frame(image=Image(pixels=pixels), max_depth=80, group="set", name="one", **given)


def test_a_coarse_grid_covers_its_picture():
    sample = read_sample(FrameRef(name="one", read=_frame))
    assert sample["disparity"].shape == (4, 8)
    np.testing.assert_array_equal(sample["disparity"][:2, 4:], 0.5)
    assert np.isnan(sample["disparity"][2:, :4]).all()


def test_pairs_of_points_are_no_depth():
    read = partial(_frame, pairs=({"nearer": (0, 0)},))
    with pytest.raises(InputError, match=r"set/one has pairs.*depth is needed"):
        read_sample(FrameRef(name="one", read=read))
