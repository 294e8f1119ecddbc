"""PLY, GLB and OBJ of clouds and meshes, read back by others."""

import json
import os
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from leadline.camera import Camera
from leadline.cloud import CloudOptions, Surface, make_mesh, make_point_cloud
from leadline.errors import InputError, UnknownNameError
from leadline.io import Mesh, PointCloud, make_glb

VALIDATE = """
import { readFileSync } from "node:fs";
import validator from "gltf-validator";
const report = await validator.validateBytes(new Uint8Array(readFileSync(process.argv[2])));
console.log(JSON.stringify(report.issues));
"""
MODULES = [Path(__file__).parents[2] / "node_modules", Path(os.environ.get("NODE_PATH", "none"))]


@pytest.fixture(scope="module")
def scene():
    rng = np.random.default_rng(0)
    depth = np.full((24, 32), 4.0)
    depth[8:16, 10:20] = 2.0
    pixels = np.kron(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), np.ones((4, 4, 1), np.uint8))
    return Surface(depth=depth, camera=Camera.from_fov(32, 24, fov_deg=60), pixels=pixels)


@pytest.fixture(scope="module")
def mesh(scene):
    return make_mesh(scene, CloudOptions(normals=True))


@pytest.fixture(scope="module")
def cloud(scene):
    return make_point_cloud(scene, CloudOptions(normals=True))


def parts_of(path):
    data = path.read_bytes()
    magic, version, total = struct.unpack("<4sII", data[:12])
    assert (magic, version, total) == (b"glTF", 2, len(data))
    length = struct.unpack("<I", data[12:16])[0]
    return json.loads(data[20 : 20 + length]), data[28 + length :]


def test_a_glb_is_what_gltf_asks_for(tmp_path, mesh, cloud):
    mesh.save(tmp_path / "mesh.glb")
    document, blob = parts_of(tmp_path / "mesh.glb")
    material = document["materials"][0]
    assert material["doubleSided"] is True
    assert "KHR_materials_unlit" in material["extensions"]
    assert document["images"][0]["mimeType"] == "image/jpeg"
    assert document["asset"]["extras"]["unit"] == "m"
    assert document["cameras"][0]["perspective"]["aspectRatio"] == pytest.approx(32 / 24)
    position = document["accessors"][0]
    points = np.frombuffer(blob, "<f4", 3 * position["count"]).reshape(-1, 3)
    np.testing.assert_allclose(points, mesh.points * [1, -1, -1])
    assert position["min"] == points.min(0).tolist()
    cloud.save(tmp_path / "points.glb")
    document, blob = parts_of(tmp_path / "points.glb")
    primitive = document["meshes"][0]["primitives"][0]
    assert primitive["mode"] == 0
    colors = document["accessors"][primitive["attributes"]["COLOR_0"]]
    assert colors["componentType"] == 5123
    assert colors["normalized"] is True
    view = document["bufferViews"][colors["bufferView"]]
    stored = np.frombuffer(blob, "<u2", 4 * colors["count"], view["byteOffset"]).reshape(-1, 4)
    grey = stored[:, :3] / 65535
    again = np.where(grey <= 0.0031308, 12.92 * grey, 1.055 * grey ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(255 * again, cloud.colors, atol=0.1)


def test_the_validator_of_khronos_finds_nothing(tmp_path, mesh, cloud):
    node = shutil.which("node")
    modules = next((m for m in MODULES if (m / "gltf-validator").is_dir()), None)
    if node is None or modules is None:
        pytest.skip("needs node and `npm install gltf-validator` in the checkout")
    bare = Mesh(points=mesh.points, faces=mesh.faces, colors=mesh.color_points())
    for name, shape in (("mesh", mesh), ("points", cloud), ("bare", bare)):
        path = tmp_path / f"{name}.glb"
        shape.save(path)
        (tmp_path / "node_modules").exists() or (tmp_path / "node_modules").symlink_to(modules)
        (tmp_path / "check.mjs").write_text(VALIDATE)
        run = subprocess.run(
            [node, "check.mjs", str(path)], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        issues = json.loads(run.stdout)
        assert issues["numErrors"] + issues["numWarnings"] == 0, issues


def test_trimesh_reads_the_same(tmp_path, mesh, cloud):
    trimesh = pytest.importorskip("trimesh")
    mesh.save(tmp_path / "a.glb")
    (found,) = trimesh.load(tmp_path / "a.glb", process=False).geometry.values()
    np.testing.assert_array_equal(found.vertices, mesh.points * np.float32([1, -1, -1]))
    np.testing.assert_array_equal(found.faces, mesh.faces)
    np.testing.assert_allclose(found.visual.uv, mesh.uv * [1, -1] + [0, 1], atol=1e-6)
    assert found.visual.material.baseColorTexture.size == (32, 24)
    mesh.save(tmp_path / "a.obj")
    found = trimesh.load(tmp_path / "a.obj", process=False)
    assert len(found.faces) == len(mesh.faces)
    np.testing.assert_allclose(found.vertices, mesh.points * [1, -1, -1], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.visual.uv, mesh.uv * [1, -1] + [0, 1], atol=1e-5)
    assert sorted(p.name for p in tmp_path.glob("a.*")) == [
        "a.glb",
        "a.mtl",
        "a.obj",
        "a.texture.jpg",
    ]
    for up, turned in (("z", cloud.points[:, [0, 2, 1]] * [1, 1, -1]), (None, cloud.points)):
        cloud.save(tmp_path / "a.ply", up=up)
        found = trimesh.load(tmp_path / "a.ply")
        np.testing.assert_allclose(found.vertices, turned, rtol=1e-6)
        np.testing.assert_array_equal(found.colors[:, :3], cloud.colors)
    mesh.save(tmp_path / "b.ply")
    found = trimesh.load(tmp_path / "b.ply", process=False)
    np.testing.assert_array_equal(found.faces, mesh.faces)
    np.testing.assert_allclose(found.vertex_normals, mesh.normals, atol=1e-6)
    cloud.save(tmp_path / "c.obj")
    lines = (tmp_path / "c.obj").read_text().splitlines()
    assert sum(line.startswith("v ") and len(line.split()) == 7 for line in lines) == len(
        cloud.points
    )


def test_what_no_file_can_hold(tmp_path, mesh):
    empty = PointCloud(points=np.zeros((0, 3), np.float32))
    with pytest.raises(InputError, match="no points"):
        make_glb(empty)
    empty.save(tmp_path / "empty.ply")
    with pytest.raises(UnknownNameError, match="ply, glb, obj, html"):
        mesh.save(tmp_path / "a.stl")
    with pytest.raises(UnknownNameError, match="camera, y, z"):
        mesh.save(tmp_path / "a.ply", up="x")
    with pytest.raises(InputError, match="y-up"):
        mesh.save(tmp_path / "a.glb", up="z")
    with pytest.raises(InputError, match="colors of shape"):
        PointCloud(points=np.zeros((4, 3), np.float32), colors=np.zeros((3, 3), np.uint8))


def test_a_large_texture_is_made_smaller():
    from io import BytesIO

    from PIL import Image

    from leadline.io.glb import encode_jpeg

    made = Image.open(BytesIO(encode_jpeg(np.zeros((300, 500, 3), np.uint8), 100)))
    assert made.size == (100, 60)
