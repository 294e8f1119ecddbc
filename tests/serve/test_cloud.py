"""``/v1/cloud``: the files of the library's clouds and meshes."""

from collections.abc import Iterator

import pytest

pytest.importorskip("fastapi")

from dataclasses import replace

from leadline.camera import Camera
from leadline.kinds import DepthKind
from leadline.serve import create_app
from testing.serving import Running, encode, make_estimator, make_picture, run_app

PICTURE = make_picture()
CLOUD = "/v1/cloud?fov=60"


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    near = make_estimator("near", kind=DepthKind.AFFINE_DISPARITY)
    with run_app(create_app([make_estimator(), near])) as running:
        running.wait_ready()
        yield running


def test_ply_is_the_librarys_own(server: Running, tmp_path) -> None:
    reply = server.ask(CLOUD, encode(PICTURE), accept="application/ply")
    prediction = make_estimator().predict(PICTURE)
    camera = Camera.from_fov(64, 48, fov_deg=60)
    replace(prediction, camera=camera).point_cloud().save(tmp_path / "own.ply")
    assert reply.body == (tmp_path / "own.ply").read_bytes()
    assert reply.headers["content-type"] == "application/ply"
    assert reply.headers["x-cloud-unit"] == "m"
    assert int(reply.headers["x-cloud-points"]) <= 48 * 64


def test_glb_is_what_comes_unasked(server: Running) -> None:
    reply = server.ask(CLOUD, encode(PICTURE))
    assert reply.headers["content-type"] == "model/gltf-binary"
    assert reply.body.startswith(b"glTF")


def test_a_mesh_opens_elsewhere(server: Running, tmp_path) -> None:
    trimesh = pytest.importorskip("trimesh")
    reply = server.ask(f"{CLOUD}&shape=mesh", encode(PICTURE))
    file = tmp_path / "mesh.glb"
    file.write_bytes(reply.body)
    mesh = trimesh.load(file, force="mesh")
    assert len(mesh.vertices) == int(reply.headers["x-cloud-points"])
    assert len(mesh.faces) > 1000


def test_points_are_bounded_where_asked(server: Running) -> None:
    reply = server.ask(f"{CLOUD}&points=200", encode(PICTURE))
    assert int(reply.headers["x-cloud-points"]) <= 200


def test_a_map_without_scale_becomes_a_relief_alone(server: Running) -> None:
    reply = server.ask(f"{CLOUD}&model=near", encode(PICTURE))
    assert (reply.status, reply.json["code"]) == (422, "kind")
    reply = server.ask(f"{CLOUD}&model=near&relief=0.3", encode(PICTURE))
    assert (reply.status, reply.headers["x-cloud-unit"]) == (200, "relief")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?format=stl", 400),
        ("?shape=cube", 400),
        ("?points=1", 400),
        ("?points=nan", 400),
        ("?edges=bend", 400),
        ("?sky=blue", 400),
        ("?color=1", 400),
        ("", 422),
    ],
)
def test_a_wrong_option_is_one_json_error(server: Running, query: str, status: int) -> None:
    reply = server.ask(f"/v1/cloud{query}", encode(PICTURE))
    assert reply.status == reply.json["status"] == status
