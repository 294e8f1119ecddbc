from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline.datasets import DATASETS, Options, open_dataset
from leadline.datasets.lists import KITTI_LISTS, LISTS, kitti_frames, read_list
from leadline.errors import InputError, UnknownNameError
from leadline.evaluation import protocols
from leadline.io import write_pfm

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
REAL = {
    "nyu-folder": ("nyu", 4),
    "kitti-raw": ("kitti_raw", 6),
    "kitti-depth": ("kitti_depth", 3),
    "kitti-object": ("kitti_object", 3),
    "7scenes": ("rgbd_7scenes_kitchen", 96),
    "kinect-poses": ("rgbd_kinect_5", 5),
    "icl-nuim": ("synthetic_icl_livingroom", 206),
    "middlebury": ("stereo", 3),
    "folder": ("kitti_depth", 3),
}


@pytest.mark.parametrize("name", REAL)
def test_real_folders(name):
    folder, count = REAL[name]
    if not (DATA / folder).is_dir():
        pytest.skip("the real frames are not on this machine")
    refs = open_dataset(name, DATA / folder)
    assert len(refs) == count
    assert len({ref.name for ref in refs}) == count
    frame = refs[0].read()
    assert frame.valid.mean() > 0.02
    assert 0.3 < np.median(frame.depth[frame.valid]) < frame.max_depth / 2


def test_every_data_set_says_what_is_needed():
    for name, spec in DATASETS.items():
        assert spec.name == name
        assert all((spec.summary, spec.layout, spec.source, spec.terms))
        assert spec.protocol in protocols.PROTOCOLS
        if spec.needs_root:
            with pytest.raises(InputError, match="needs its folder"):
                open_dataset(name)


def test_an_empty_folder_is_told_what_belongs_there(tmp_path):
    with pytest.raises(InputError, match="holds no frame") as error:
        open_dataset("kitti-raw", tmp_path)
    assert "velodyne_points" in str(error.value)
    with pytest.raises(InputError, match="no such folder"):
        open_dataset("kitti-raw", tmp_path / "none")
    with pytest.raises(UnknownNameError, match="kitti-raw"):
        open_dataset("kitti_raw", tmp_path)


def test_lists_have_the_sizes_that_papers_name():
    sizes = {name: len(read_list(name)) for name in LISTS}
    assert sizes == {
        "kitti-eigen-test": 697,
        "kitti-eigen-benchmark-test": 652,
        "kitti-eigen-zhou-train": 39810,
        "kitti-eigen-zhou-val": 4424,
        "kitti-eigen-full-train": 45200,
        "kitti-eigen-full-val": 1776,
        "kitti-bts-train": 23158,
        "nyu-labelled-test": 654,
        "nyu-labelled-train": 795,
        "nyu-sync-test": 654,
        "nyu-sync-train": 24231,
    }
    with pytest.raises(UnknownNameError):
        read_list("kitti")


def test_no_test_drive_is_trained_on():
    tests = {frame.sync for frame in kitti_frames("kitti-eigen-test")}
    for name in KITTI_LISTS:
        if name.endswith(("train", "val")):
            assert not tests & {frame.sync for frame in kitti_frames(name)}, name
    subset = set(kitti_frames("kitti-eigen-benchmark-test"))
    assert subset < set(kitti_frames("kitti-eigen-test"))


def test_shipped_lists_equal_the_public_files():
    import gzip

    public = DATA / "splits" / "kitti_eigen_zhou_train.txt.gz"
    if not public.is_file():
        pytest.skip("the public lists are not on this machine")
    lines = gzip.decompress(public.read_bytes()).decode().split("\n")
    rows = {tuple(line.split()) for line in lines if line.strip()}
    ours = {
        (f"{f.date}/{f.sync}", str(f.number), f.side)
        for f in kitti_frames("kitti-eigen-zhou-train")
    }
    assert ours == rows


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PilImage.fromarray(array).save(path)


def test_tum(tmp_path):
    for time in ("1.00", "2.00", "3.00"):
        save(tmp_path / "rgb" / f"{time}.png", np.zeros((4, 6, 3), np.uint8))
    for time in ("1.01", "2.015", "3.5"):
        save(tmp_path / "depth" / f"{time}.png", np.full((4, 6), 10000, np.uint16))
    for kind, times in (("rgb", ("1.00", "2.00", "3.00")), ("depth", ("1.01", "2.015", "3.5"))):
        rows = "".join(f"{t} {kind}/{t}.png\n" for t in times)
        (tmp_path / f"{kind}.txt").write_text(f"# {kind}\n{rows}")
    (tmp_path / "groundtruth.txt").write_text("1.0 1 2 3 0 0 0 1\n9 0 0 0 0 0 0 1\n")
    refs = open_dataset("tum", tmp_path)
    frames = [ref.read() for ref in refs]
    assert [ref.name for ref in refs] == ["1.000000", "2.000000"]  # the third has no depth near
    assert (frames[0].depth == 2).all()
    assert frames[0].image.camera.world_from_camera[:3, 3].tolist() == [1, 2, 3]
    assert frames[1].image.camera.world_from_camera is None


def test_the_next_frame_of_a_sequence(tmp_path):
    for number in (0, 1):
        stem = tmp_path / f"frame-{number:06d}"
        save(stem.with_suffix(".color.png"), np.full((4, 6, 3), number, np.uint8))
        save(stem.with_suffix(".depth.png"), np.full((4, 6), 1500, np.uint16))
        np.savetxt(stem.with_suffix(".pose.txt"), np.eye(4))
    first, last = (r.read() for r in open_dataset("7scenes", tmp_path, Options(following=True)))
    assert first.following is not None
    assert first.following.pixels[0, 0, 0] == 1
    assert last.following is None


def test_middlebury(tmp_path):
    old, new = tmp_path / "cones", tmp_path / "piano"
    picture = np.zeros((4, 6, 3), np.uint8)
    for path in (old / "im2.png", old / "im6.png", new / "im0.png", new / "im1.png"):
        save(path, picture)
    save(old / "disp2.png", np.array([[0, 40, 80, 80, 80, 80]] * 4, np.uint8))
    disparity = np.full((4, 6), 20, np.float32)
    disparity[0, 0] = np.inf
    write_pfm(new / "disp0.pfm", disparity)
    (new / "calib.txt").write_text(
        "cam0=[1000 0 3; 0 1000 2; 0 0 1]\ncam1=[1000 0 8; 0 1000 2; 0 0 1]\n"
        "doffs=5\nbaseline=200\nwidth=6\nheight=4\n"
    )
    cones, piano = (ref.read() for ref in open_dataset("middlebury", tmp_path))
    assert cones.disparity[0].tolist() == [0, 10, 20, 20, 20, 20]
    assert cones.depth[0, 0] == 0
    assert cones.depth[0, 1] == pytest.approx(2 * cones.depth[0, 2])
    assert piano.depth[1, 1] == pytest.approx(1000 * 0.2 / 25)
    assert piano.depth[0, 0] == 0
    assert piano.right is not None
    assert (piano.image.camera.cx, piano.baseline_m) == (3, 0.2)
    (new / "calib.txt").write_text("nothing\n")
    with pytest.raises(InputError, match=r"calib\.txt"):
        open_dataset("middlebury", tmp_path)[1].read()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        save(tmp_path / "rgb" / f"{name}.png", np.zeros((4, 6, 3), np.uint8))
    save(tmp_path / "depth" / "a.png", np.full((4, 6), 500, np.uint16))
    np.save(tmp_path / "depth" / "b.npy", np.full((4, 6), 3.0))
    return tmp_path


def test_folder(folder):
    refs = open_dataset("folder", folder, Options(per_metre=250))
    assert (refs[0].read().depth == 2).all()
    assert (refs[1].read().depth == np.float32(3) / np.float32(250)).all()
    with pytest.raises(InputError, match=r"c\.png has no depth file"):
        refs[2].read()
    with pytest.raises(InputError, match="unknown scale"):
        open_dataset("folder", folder)[0].read()
    (folder / "camera.json").write_text(
        '{"fx": 5, "fy": 5, "cx": 2, "cy": 1, "depth_png_per_metre": 1000, "max_depth": 7}'
    )
    frame = open_dataset("folder", folder)[0].read()
    assert frame.depth[0, 0] == 0.5
    assert frame.max_depth == 7
    assert frame.image.camera.fx == 5


def test_bad_depth_files_are_named(folder):
    def read():
        return open_dataset("folder", folder, Options(per_metre=250))[1].read()

    path = folder / "depth" / "b.npy"
    np.save(path, np.full((4, 6), -1.0))
    with pytest.raises(InputError, match=r"b\.npy holds 24 negative"):
        read()
    np.save(path, np.arange(72.0).reshape(4, 6, 3))
    with pytest.raises(InputError, match=r"b\.npy: an array of shape"):
        read()
    np.save(path, np.full((5, 6), 1.0))
    with pytest.raises(InputError, match=r"b\.npy is a map of \(5, 6\)"):
        read()
    np.save(path, np.array([[np.nan, np.inf, 1, 0, 2, 3]] * 4))
    assert (read().depth[0] * 250).round(4).tolist() == [0, 0, 1, 0, 2, 3]
    path.unlink()
    save(folder / "depth" / "b.png", np.zeros((4, 6), np.uint8))
    with pytest.raises(InputError, match=r"b\.png is an 8-bit picture"):
        read()
    (folder / "camera.json").write_text('{"kind": "affine_disparity"}')
    with pytest.raises(InputError, match="truth in metres"):
        read()


@pytest.mark.slow
def test_world_pairs_and_steps_agree_with_depth():
    pytest.importorskip("cv2")
    options = Options(right=True, following=True, normals=True, count=2, seed=3)
    refs = open_dataset("world-streets", None, options)
    assert [ref.name for ref in refs] == ["street-000003", "street-000004"]
    frame = refs[0].read()
    again = refs[0].read()
    np.testing.assert_array_equal(frame.depth, again.depth)
    np.testing.assert_array_equal(frame.image.pixels, again.image.pixels)
    assert frame.max_depth == 80
    assert frame.normals is not None
    lengths = np.linalg.norm(frame.normals[frame.valid], axis=-1)
    np.testing.assert_allclose(lengths, 1, atol=1e-3)
    assert frame.right is not None
    assert frame.following is not None
    here, right, after = (
        image.camera.world_from_camera for image in (frame.image, frame.right, frame.following)
    )
    np.testing.assert_allclose(
        np.linalg.inv(here) @ right[:, 3], [frame.baseline_m, 0, 0, 1], atol=1e-9
    )
    assert (np.linalg.inv(here) @ after[:, 3])[2] > 0
    # the right picture, moved left by the disparity, is the left picture
    fx = frame.image.camera.fx
    rows, columns = np.nonzero(frame.valid & (frame.depth > 3))
    shifted = np.round(columns - fx * frame.baseline_m / frame.depth[rows, columns]).astype(int)
    inside = shifted >= 0
    left = frame.image.pixels[rows, columns][inside].astype(float)
    matched = frame.right.pixels[rows[inside], shifted[inside]].astype(float)
    straight = frame.right.pixels[rows[inside], columns[inside]].astype(float)
    assert np.median(np.abs(left - matched)) < 0.8 * np.median(np.abs(left - straight))


def test_diode(tmp_path):
    stem = tmp_path / "indoors" / "scene_00019" / "scan_00183" / "00019_00183_indoors_000_010"
    save(stem.with_suffix(".png"), np.zeros((4, 6, 3), np.uint8))
    np.save(f"{stem}_depth.npy", np.full((4, 6, 1), 3.5, np.float32))
    mask = np.ones((4, 6))
    mask[0] = 0
    np.save(f"{stem}_depth_mask.npy", mask)
    (frame,) = (ref.read() for ref in open_dataset("diode", tmp_path))
    assert frame.depth[:, 0].tolist() == [0, 3.5, 3.5, 3.5]
    assert frame.max_depth == 10
    with pytest.raises(InputError, match="holds no frame"):
        open_dataset("diode", tmp_path, Options(split="outdoor"))
    np.save(f"{stem}_depth_mask.npy", mask[:2])
    with pytest.raises(InputError, match="depth_mask"):
        open_dataset("diode", tmp_path)[0].read()


def test_vkitti2(tmp_path):
    frames = tmp_path / "Scene01" / "clone" / "frames"
    save(frames / "rgb" / "Camera_0" / "rgb_00007.jpg", np.zeros((4, 6, 3), np.uint8))
    save(frames / "depth" / "Camera_0" / "depth_00007.png", np.full((4, 6), 1250, np.uint16))
    (ref,) = open_dataset("vkitti2", tmp_path)
    assert ref.name == "Scene01/clone/00007"
    assert (ref.read().depth == 12.5).all()


def test_hypersim_s_distances_become_depth(tmp_path):
    h5py = pytest.importorskip("h5py")
    images = tmp_path / "ai_001_001" / "images"
    save(
        images / "scene_cam_00_final_preview" / "frame.0003.tonemap.jpg",
        np.zeros((768, 1024, 3), np.uint8),
    )
    v, u = np.mgrid[:768, :1024]
    rays = np.stack([(u - 511.5) / 886.81, (v - 383.5) / 886.81, np.ones((768, 1024))], -1)
    distance = 4 * np.linalg.norm(rays, axis=-1)  # a wall 4 m ahead
    distance[0, 0] = np.nan
    (images / "scene_cam_00_geometry_hdf5").mkdir()
    target = images / "scene_cam_00_geometry_hdf5" / "frame.0003.depth_meters.hdf5"
    with h5py.File(target, "w") as file:
        file["dataset"] = distance.astype(np.float16)
    (ref,) = open_dataset("hypersim", tmp_path)
    assert ref.name == "ai_001_001/scene_cam_00/0003"
    depth = ref.read().depth
    assert depth[0, 0] == 0
    np.testing.assert_allclose(depth[1:], 4, rtol=1e-3)
    target.unlink()
    with pytest.raises(InputError, match="geometry"):
        ref.read()


def test_every_n_th_frame_is_taken_once(tmp_path):
    for scene in ("a", "b"):
        folder = tmp_path / "training" / "depth" / scene
        folder.mkdir(parents=True)
        for number in range(1, 6):
            (folder / f"frame_{number:04d}.dpt").touch()
    names = [ref.name for ref in open_dataset("sintel", tmp_path, Options(every=2))]
    assert names == [f"{scene}/frame_{n:04d}" for scene in "ab" for n in (1, 3, 5)]  # by scene
    assert len(open_dataset("world-rooms", options=Options(count=4, every=2))) == 4  # no sequence
    for number in range(5):
        for part in ("rgb", "depth"):
            (tmp_path / "mine" / part).mkdir(parents=True, exist_ok=True)
            (tmp_path / "mine" / part / f"{number}.png").touch()
    refs = open_dataset("folder", tmp_path / "mine", Options(every=2, per_metre=1000))
    assert [ref.name for ref in refs] == ["0", "2", "4"]
