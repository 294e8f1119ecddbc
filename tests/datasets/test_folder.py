"""Custom folders: how files are paired, what their numbers mean, which codes are holes."""

import json
import struct

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline.datasets import Options, open_dataset
from leadline.datasets.folder import folder_refs, pair_files, strip_role
from leadline.errors import InputError, LeadlineWarning

DEPTH = np.linspace(1, 4, 40 * 30).reshape(30, 40)
"""Metres without a far plane."""


def _picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    PilImage.fromarray(np.full((*DEPTH.shape, 3), 90, np.uint8)).save(path)


def _write(root, values, *, suffix=".npy", names=("a", "b", "c", "d"), rgb="{}", depth="{}"):
    for name in names:
        _picture(root / "rgb" / f"{rgb.format(name)}.png")
        file = root / "depth" / f"{depth.format(name)}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".npy":
            np.save(file, values)
        else:
            PilImage.fromarray(values).save(file)
    return root


def test_sub_folders_are_pairs_of_one_path(tmp_path):
    names = ("scene1/1", "scene1/2", "scene2/1", "scene2/10")
    refs = folder_refs(_write(tmp_path, DEPTH, names=names))
    assert [ref.name for ref in refs] == list(names)
    assert refs[2].read().depth == pytest.approx(DEPTH, abs=1e-6)


@pytest.mark.parametrize(
    ("rgb", "depth"),
    [
        ("rgb_{}", "depth_{}"),
        ("{}.color", "{}.depth"),
        ("{}_left", "{}_gt"),
        ("Image{}", "Depth{}"),
    ],
)
def test_names_may_differ_in_what_they_are(tmp_path, rgb, depth):
    names = ("0001", "0002", "0010")
    pairs = pair_files(_write(tmp_path, DEPTH, names=names, rgb=rgb, depth=depth))
    assert list(pairs) == [rgb.format(name) for name in names]
    for name, (_, found) in zip(names, pairs.values(), strict=True):
        assert found == tmp_path / "depth" / f"{depth.format(name)}.npy"
    assert strip_role("kitchen_depth_7") == "kitchen_7"
    assert strip_role("grandepth7") == "grandepth7"


def test_names_that_could_mean_two_are_no_pair(tmp_path):
    _write(tmp_path, DEPTH, names=("1", "2"), rgb="rgb_{}", depth="depth_{}")
    _picture(tmp_path / "rgb" / "left_1.png")
    found = {name: depth for name, (_, depth) in pair_files(tmp_path).items()}
    assert found["rgb_1"] is None
    assert found["left_1"] is None
    assert found["rgb_2"] == tmp_path / "depth" / "depth_2.npy"
    np.save(tmp_path / "depth" / "depth.npy", DEPTH)  # whose name says nothing but its role
    assert [depth for _, depth in pair_files(tmp_path).values()].count(None) == 2


def test_no_pair_at_all_is_told_with_both_names(tmp_path):
    _write(tmp_path, DEPTH, names=("1",), rgb="a{}", depth="b{}")
    with pytest.raises(InputError, match=r"a1\.png say; .*b1\.npy"):
        folder_refs(tmp_path)


def test_floats_of_a_picture_format_are_asked_for_with_1(tmp_path):
    holes = np.where(np.arange(40) < 4, np.nan, DEPTH).astype(np.float32)
    _write(tmp_path, holes, suffix=".tif")
    with pytest.raises(InputError, match=r"floats of unknown scale.* 1 for metres \(2\.\d+ m\)"):
        folder_refs(tmp_path)
    depth = folder_refs(tmp_path, per_metre=1)[0].read().depth
    assert depth[:, 4:] == pytest.approx(DEPTH[:, 4:], rel=1e-6)
    assert (depth[:, :4] == 0).all()


def test_integers_in_an_array_have_no_scale_either(tmp_path):
    _write(tmp_path, (DEPTH * 1000).astype(np.uint16))
    with pytest.raises(InputError, match=r"integers of unknown scale.*1000 for millimetres"):
        folder_refs(tmp_path)
    assert folder_refs(tmp_path, per_metre=1000)[0].read().depth.max() == pytest.approx(4, abs=0.01)


def test_sintel_files_are_metres(tmp_path):
    _write(tmp_path, DEPTH, names=("a",))
    (tmp_path / "depth" / "a.npy").unlink()
    head = struct.pack("<fii", 202021.25, 40, 30)
    (tmp_path / "depth" / "a.dpt").write_bytes(head + DEPTH.astype("<f4").tobytes())
    assert folder_refs(tmp_path)[0].read().depth == pytest.approx(DEPTH, rel=1e-6)


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [(65535, np.uint16, "the largest uint16"), (-1, np.float32, "the only negative value")],
)
def test_a_hole_code_is_asked_for_and_obeyed(tmp_path, code, kind, words):
    scale = 1000 if kind is np.uint16 else 1
    values = np.where(np.arange(40) < 4, code, DEPTH * scale).astype(kind)
    suffix = ".png" if kind is np.uint16 else ".npy"
    _write(tmp_path, values, suffix=suffix)
    with pytest.raises(InputError, match=rf"{words}.*--hole {code}"):
        folder_refs(tmp_path, per_metre=scale)
    depth = (
        open_dataset("folder", tmp_path, Options(per_metre=scale, holes=(code,)))[0].read().depth
    )
    assert (depth[:, :4] == 0).all()
    assert depth[:, 4:] == pytest.approx(DEPTH[:, 4:], abs=1e-3)
    record = {"holes": [code], "depth_per_metre": scale}
    (tmp_path / "camera.json").write_text(json.dumps(record))
    assert (folder_refs(tmp_path)[0].read().depth == depth).all()


def test_a_hole_code_in_one_late_file_is_noticed_too(tmp_path):
    names = [f"{n:02d}" for n in range(30)]
    _write(tmp_path, (DEPTH * 1000).astype(np.uint16), suffix=".png", names=names)
    late = (DEPTH * 1000).astype(np.uint16)
    late[0, 0] = 65535
    PilImage.fromarray(late).save(tmp_path / "depth" / "06.png")
    refs = folder_refs(tmp_path, per_metre=1000)
    with pytest.raises(InputError, match=r"06\.png holds 65535"):
        refs[6].read()


def test_a_far_plane_is_asked_for_and_may_be_depth(tmp_path):
    _write(tmp_path, np.where(np.arange(40) < 4, 80.0, DEPTH))
    with pytest.raises(InputError, match=r"80 in 10\.0% of its pixels.*--hole 80"):
        folder_refs(tmp_path)
    assert folder_refs(tmp_path, holes=())[0].read().depth.max() == 80
    assert folder_refs(tmp_path, holes=(80,))[0].read().depth.max() < 5


def test_a_scale_that_the_record_contradicts_is_refused(tmp_path):
    _write(tmp_path, (DEPTH * 1000).astype(np.uint16), suffix=".png")
    (tmp_path / "camera.json").write_text('{"depth_png_per_metre": 1000}')
    assert len(folder_refs(tmp_path, per_metre=1000)) == 4
    with pytest.raises(InputError, match=r"--per-metre 256, and .*says depth_png_per_metre 1000"):
        folder_refs(tmp_path, per_metre=256)


def test_a_scale_with_an_impossible_median_is_refused(tmp_path):
    _write(tmp_path, (DEPTH * 1000).astype(np.uint16), suffix=".png")
    with pytest.raises(InputError, match=r"would be 25\d\d m.*1000 \(2\.5 m\)"):
        folder_refs(tmp_path, per_metre=1)


@pytest.mark.parametrize(
    "text",
    [
        '{"depth_png_per_metre": "mm"}',
        '{"holes": 5}',
        '{"kind": "metres"}',
        "[1]",
        '{"max_depth": -1}',
    ],
)
def test_a_record_of_other_types_is_one_line(tmp_path, text):
    _write(tmp_path, DEPTH)
    (tmp_path / "camera.json").write_text(text)
    with pytest.raises(InputError, match="needed"):
        folder_refs(tmp_path)


def test_a_room_in_millimetres_that_is_said_to_be_in_256ths_is_doubted(tmp_path):
    """Nothing in the file decides, so it is said and read as it was asked for."""
    rng = np.random.default_rng(0)
    room = rng.uniform(500, 9000, (60, 80)).astype(np.uint16)
    with pytest.warns(LeadlineWarning, match=r"--per-metre 1000"):
        refs = folder_refs(_write_png(tmp_path / "room", room), per_metre=256)
    assert refs[0].read().depth.max() == room.max() / np.float32(256)
    folder_refs(_write_png(tmp_path / "said", room), per_metre=1000)
    street = np.where(rng.uniform(size=(60, 80)) < 0.2, room, 0).astype(np.uint16)
    folder_refs(_write_png(tmp_path / "sparse", street), per_metre=256)
    far = np.where(rng.uniform(size=(60, 80)) < 0.1, 15_000, room).astype(np.uint16)
    far[0, 0] = 15_001  # no far plane
    folder_refs(_write_png(tmp_path / "far", far), per_metre=256, holes=())


def _write_png(root, values):
    for name in "abcd":
        for part, array in (("rgb", np.full((*values.shape, 3), 90, np.uint8)), ("depth", values)):
            (root / part).mkdir(parents=True, exist_ok=True)
            PilImage.fromarray(array).save(root / part / f"{name}.png")
    return root
