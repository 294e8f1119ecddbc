"""Depth Anything 3's parts without weights: equal to the original's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from leadline.errors import InputError  # noqa: E402
from leadline.models.depth_anything_3_camera import (  # noqa: E402
    decode_pose,
    encode_pose,
    invert_rigid,
    quaternion_from_rotation,
    rotation_from_quaternion,
)
from leadline.models.depth_anything_3_encoder import (  # noqa: E402
    choose_reference,
    order_views,
    rotate,
    rotation_of,
)
from leadline.models.depth_anything_3_heads import uv_embedding  # noqa: E402
from leadline.models.depth_anything_3_sky import (  # noqa: E402
    align_to_metric,
    fill_sky,
    percentile,
)
from testing.goldens import Golden, load_golden  # noqa: E402


@pytest.fixture(scope="module", params=[True, False], ids=["extract", "full"])
def golden(request: pytest.FixtureRequest) -> Golden:
    return load_golden("da3_geom", extract=request.param)


def array(golden: Golden, key: str) -> Any:
    return torch.from_numpy(golden.arrays[key])


# --- cameras -------------------------------------------------------------------------------------


def test_a_camera_becomes_the_originals_nine_numbers(golden: Golden) -> None:
    extrinsics = invert_rigid(array(golden, "pose_encode/in_c2w"))
    intrinsics = array(golden, "pose_encode/in_intrinsics")
    pose = encode_pose(extrinsics, intrinsics, (378, 504))
    assert golden.relative_error("pose_encode/out_pose_enc", pose.numpy()) < 1e-6


def test_nine_numbers_become_the_originals_camera(golden: Golden) -> None:
    extrinsics, intrinsics = decode_pose(array(golden, "pose_decode/in_pose_enc"), (280, 504))
    assert golden.relative_error("pose_decode/out_w2c", extrinsics.numpy()) < 1e-6
    assert golden.relative_error("pose_decode/out_intrinsics", intrinsics.numpy()) < 1e-6
    assert golden.relative_error("pose_decode/out_c2w", invert_rigid(extrinsics).numpy()) < 1e-6


def test_every_rotation_goes_to_a_quaternion_and_back() -> None:
    rng = np.random.default_rng(0)
    quaternions = torch.from_numpy(rng.standard_normal((200, 4)))
    quaternions = torch.cat([quaternions, torch.eye(4, dtype=torch.float64)])  # half turns too
    rotations = rotation_from_quaternion(quaternions)
    found = quaternion_from_rotation(rotations)
    assert bool((found[:, 3] >= 0).all())
    torch.testing.assert_close(found.norm(dim=1), torch.ones(204, dtype=torch.float64))
    torch.testing.assert_close(rotation_from_quaternion(found), rotations)


# --- views and places ----------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["first", "middle", "saddle_balanced", "saddle_sim_range"])
def test_the_reference_view_is_the_originals(golden: Golden, strategy: Any) -> None:
    chosen = choose_reference(array(golden, "ref_view/in_tokens")[:, :, 0], strategy)
    assert torch.equal(chosen, array(golden, f"ref_view/out_{strategy}"))


def test_views_are_put_into_the_originals_order(golden: Golden) -> None:
    order = order_views(torch.tensor([2, 5]), 6)
    assert torch.equal(order, array(golden, "ref_view/out_order_2_5"))


def test_positions_rotate_as_in_the_original(golden: Golden) -> None:
    x = array(golden, "rope/in_x")
    turned = rotate(x, rotation_of(array(golden, "rope/in_pos")[0], 64, x))
    assert golden.relative_error("rope/out_x", turned.numpy()) < 1e-6


@pytest.mark.parametrize(("height", "width", "channels"), [(5, 7, 48), (10, 14, 32)])
def test_places_are_embedded_as_in_the_original(
    golden: Golden, height: int, width: int, channels: int
) -> None:
    embedding = uv_embedding(height, width, channels, torch.zeros(1)).permute(1, 2, 0)
    key = f"uv_embed/{height}x{width}x{channels}"
    assert golden.relative_error(key, embedding.numpy()) < 1e-6


# --- sky and metres ------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["nested_sky", "nested_nosky", "nested_far"])
def test_metres_are_the_originals(golden: Golden, case: str) -> None:
    if f"{case}/in_sky" not in golden.arrays:
        pytest.skip("not in the extract")
    sky, raw = (array(golden, f"{case}/in_{what}") for what in ("sky", "metric_raw"))
    metric = fill_sky(raw.reshape(1, -1), sky.reshape(1, -1)).view_as(raw)
    names = ("depth", "depth_conf", "intrinsics", "extrinsics")
    views = {name: array(golden, f"{case}/in_{name}") for name in names}
    views["rays"] = torch.zeros(1, 2, 6, 4, 4)
    found = align_to_metric(views, metric, sky, groups=1)
    found |= {"scale": found["metric_scale"][0, :1], "conf": found["depth_conf"]}
    found["metric_after_own_sky_step"] = metric
    for what in ("scale", "depth", "conf", "extrinsics", "metric_after_own_sky_step"):
        if f"{case}/out_{what}" in golden.arrays:
            assert golden.relative_error(f"{case}/out_{what}", found[what].numpy()) < 1e-6, what


@pytest.mark.parametrize(("few", "changes"), [(10, False), (11, True)])
def test_sky_is_filled_where_both_sides_have_more_than_ten_pixels(few: int, changes: bool) -> None:
    depth = torch.linspace(1, 2, 40)[None]
    for count in (few, 40 - few):
        sky = torch.zeros(1, 40)
        sky[:, :count] = 0.3
        assert torch.equal(fill_sky(depth, sky), depth) is not changes


def test_percentiles_are_linear_and_of_what_is_wanted() -> None:
    rng = np.random.default_rng(1)
    values, wanted = rng.random((3, 257)).astype(np.float32), rng.random((3, 257)) < 0.4
    wanted[2] = False
    for percent in (0, 50, 99, 100):
        ours = percentile(torch.from_numpy(values), torch.from_numpy(wanted), percent)
        expected = [
            np.percentile(v[m], percent) for v, m in zip(values, wanted, strict=True) if m.any()
        ]
        np.testing.assert_allclose(ours[:, 0].numpy(), [*expected, 0], rtol=1e-6)


def test_views_without_a_sure_depth_get_no_metres() -> None:
    shape = (1, 1, 4, 6)
    views = {
        "depth": torch.zeros(shape),
        "depth_conf": torch.ones(shape),
        "intrinsics": torch.eye(3).expand(1, 1, 3, 3),
        "extrinsics": torch.eye(4)[:3].expand(1, 1, 3, 4),
        "rays": torch.zeros(1, 1, 6, 4, 4),
    }
    with pytest.raises(InputError, match=r"24 pixels that are not sky.*some of them with a depth"):
        align_to_metric(views, torch.ones(shape) * 300, torch.zeros(shape), groups=1)
