"""Points, normals and meshes of scenes whose truth is known, and of maps that are none."""

from dataclasses import replace

import numpy as np
import pytest

from leadline.camera import Camera
from leadline.cloud import (
    CloudOptions,
    Surface,
    estimate_normals,
    lift,
    make_mesh,
    make_point_cloud,
    make_relief,
)
from leadline.errors import InputError, KindError, UnknownNameError
from leadline.image import Image
from leadline.kinds import DepthKind
from leadline.prediction import Prediction

SIZE = (120, 160)


@pytest.fixture(scope="module")
def views():
    pytest.importorskip("cv2")
    from leadline import world

    bank = world.TextureBank.procedural(0, share=0.01)
    return {
        kind: world.sample_view(world.sample_scene(3, kind, bank=bank), 1, SIZE)
        for kind in ("room", "objects", "street")
    }


def surface_of(view):
    return Surface(depth=view.depth, camera=view.camera, pixels=view.rgb)


def tilted(size=(60, 80), normal=(0.3, -0.5, -0.8), distance=3.0):
    """A plane n P = -distance, and its unit normal."""
    camera = Camera.from_fov(size[1], size[0], fov_deg=50)
    n = np.array(normal) / np.linalg.norm(normal)
    u, v = np.meshgrid(np.arange(size[1]), np.arange(size[0]))
    rays = np.stack(
        [(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], -1
    )
    depth = -distance / (rays @ n)
    return Surface(depth=depth, camera=camera, known=depth > 0), n


def distance_to_view(points, view):
    """Relative distance of points along their rays from the true depth of their pixels."""
    camera = view.camera
    u = np.rint(points[:, 0] / points[:, 2] * camera.fx + camera.cx).astype(int)
    v = np.rint(points[:, 1] / points[:, 2] * camera.fy + camera.cy).astype(int)
    true = view.depth[np.clip(v, 0, SIZE[0] - 1), np.clip(u, 0, SIZE[1] - 1)]
    return np.abs(points[:, 2] - true) / true


def longest_sides(mesh, view):
    """Longest side of every face in footprints of the true surface at its corners."""
    camera, (height, width) = view.camera, SIZE
    rays = np.ones((height, width, 3))
    rays[..., 0] = (np.arange(width) - camera.cx) / camera.fx
    rays[..., 1] = ((np.arange(height) - camera.cy) / camera.fy)[:, None]
    length = np.linalg.norm(rays, axis=2)
    facing = np.abs((rays * view.normals).sum(2)) / length
    footprint = view.depth * length / camera.fx / np.maximum(facing, 1e-3)
    u, v = np.rint(mesh.uv * [width, height] - 0.5).astype(int).T
    corners = mesh.points[mesh.faces]
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    return sides / footprint[v, u][mesh.faces].max(axis=1)


@pytest.mark.parametrize("max_points", [None, 5000])
def test_points_and_meshes_lie_on_the_true_surface(views, max_points):
    for kind, view in views.items():
        options = CloudOptions(max_points=max_points)
        cloud = make_point_cloud(surface_of(view), options)
        mesh = make_mesh(surface_of(view), options)
        for shape in (cloud, mesh):
            assert max_points is None or len(shape.points) <= max_points
            assert (distance_to_view(shape.points, view) <= 0.02).mean() >= 0.99
            assert len(shape.points) > 1500
        middles = mesh.points[mesh.faces].mean(axis=1)
        if kind != "street":  # whose floor changes more within one pixel
            assert (distance_to_view(middles, view) <= 0.02).mean() >= 0.98
        np.testing.assert_array_equal(cloud.colors.shape, cloud.points.shape)


def test_no_face_is_longer_than_three_footprints(views):
    for kind, most in (("room", 3.0), ("objects", 3.0)):
        mesh = make_mesh(surface_of(views[kind]))
        assert longest_sides(mesh, views[kind]).max() <= most
    kept = make_mesh(surface_of(views["room"]), CloudOptions(edges="keep"))
    assert longest_sides(kept, views["room"]).max() > 20


def test_normals_are_those_of_the_scene(views):
    for kind in ("room", "objects"):
        view = views[kind]
        found = estimate_normals(surface_of(view))
        known = np.isfinite(view.depth)
        angle = np.degrees(np.arccos(np.clip((found * view.normals).sum(2), -1, 1)))[known]
        assert np.median(angle) <= 1
        assert np.isfinite(angle).all()


def test_normals_of_a_plane_are_exact_and_face_the_camera():
    one, normal = tilted()
    found = estimate_normals(one)
    np.testing.assert_allclose(found, np.broadcast_to(normal, found.shape), atol=2e-4)
    points = lift(one.depth, one.camera).reshape(*one.size, 3)
    assert ((found * points).sum(2) < 0).all()
    assert np.isnan(estimate_normals(one.without(one.depth > 3))[one.depth > 3]).all()


def test_faces_look_at_the_camera_and_share_their_corners():
    one, normal = tilted()
    full = make_mesh(one)
    assert len(full.faces) == 2 * 59 * 79
    few = make_mesh(one, CloudOptions(max_points=400))
    assert len(few.points) <= 400
    for mesh in (full, few):
        a, b, c = np.moveaxis(mesh.points[mesh.faces].astype(np.float64), 1, 0)
        cross = np.cross(b - a, c - a)
        assert (cross @ normal > 0).all()
        edges = np.sort(mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        _, counts = np.unique(edges, axis=0, return_counts=True)
        assert counts.max() == 2


def test_a_decimated_mesh_has_no_cracks_and_keeps_the_edge():
    one, _ = tilted((97, 129), normal=(0.1, -0.2, -1.0))
    depth = one.depth.copy()
    depth[30:60, 40:80] *= 0.5
    one = replace(one, depth=depth)
    full, few = make_mesh(one), make_mesh(one, CloudOptions(max_points=4200))
    assert len(few.points) < 0.4 * len(full.points)

    def area(mesh):
        a, b, c = np.moveaxis(mesh.uv[mesh.faces].astype(np.float64), 1, 0)
        return np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]).sum()

    assert area(few) == pytest.approx(area(full), rel=1e-5)
    border = {tuple(p) for p in np.round(full.uv * [129, 97] - 0.5).astype(int).tolist()}
    kept = {tuple(p) for p in np.round(few.uv * [129, 97] - 0.5).astype(int).tolist()}
    wanted = {(x, y) for x, y in border if 39 <= x <= 80 and y in (29, 30)}
    assert wanted
    assert wanted <= kept


def test_few_points_keep_a_thin_post():
    depth = np.full((120, 160), 5.0)
    depth[20:100, 77] = 2.0
    one = Surface(depth=depth, camera=Camera.from_fov(160, 120, fov_deg=60))
    cloud = make_point_cloud(one, CloudOptions(max_points=1500))
    assert len(cloud.points) <= 1500
    assert (cloud.points[:, 2] == 2).sum() >= 15
    assert (cloud.points[:, 2] == 5).sum() >= 1000


def map_of(values, kind=DepthKind.METRIC_DEPTH, **more):
    values = np.asarray(values, np.float32)
    pixels = np.full((*values.shape, 3), 90, np.uint8)
    camera = Camera.from_fov(values.shape[1], values.shape[0], fov_deg=60)
    return Prediction(
        values=values, kind=kind, **{"camera": camera, "image": Image(pixels=pixels)} | more
    )


def test_what_has_no_shape_says_so_in_one_line():
    wall = np.full((20, 30), 2.0)
    bad = {
        "needs a focal length.*--fov.*--camera.*predicts": map_of(wall, camera=None),
        "no positive depth": map_of(wall * np.nan),
        "no three neighbouring pixels": map_of([[2.0]]),
        "nothing but sky": map_of(wall, sky=np.ones(wall.shape, bool)),
    }
    for text, one in bad.items():
        with pytest.raises(InputError, match=text) as caught:
            one.mesh()
        assert "\n" not in str(caught.value)
    for kind in (DepthKind.AFFINE_DISPARITY, DepthKind.AFFINE_DEPTH, DepthKind.PIXEL_DISPARITY):
        for make in ("mesh", "point_cloud", "surface_normals"):
            with pytest.raises(KindError, match=r"bent.*relief"):
                getattr(map_of(wall, kind), make)()
    with pytest.raises(UnknownNameError, match="cut, keep"):
        map_of(wall).mesh(sky="blue")
    with pytest.raises(InputError, match="4 or more"):
        map_of(wall).mesh(max_points=0)


def test_kinds_and_units():
    wall = np.full((20, 30), 2.0)
    assert map_of(wall).point_cloud().unit == "m"
    inverse = map_of(wall, DepthKind.SCALED_DISPARITY).mesh()
    assert inverse.unit == "1"
    np.testing.assert_allclose(inverse.points[:, 2], 0.5)
    ramp = np.linspace(0, 1, 600).reshape(20, 30)
    for kind in (DepthKind.AFFINE_DISPARITY, DepthKind.AFFINE_DEPTH):
        relief = map_of(ramp, kind, camera=None).mesh(relief=0.25, edges="keep")
        assert relief.unit == "relief"
        assert relief.camera.source == "guess"
        z = relief.points[:, 2].reshape(20, 30)
        assert z.max() / z.min() == pytest.approx(5, rel=1e-3)
        assert (z[-1, -1] < z[0, 0]) == kind.larger_is_nearer
    with pytest.raises(InputError, match="positive"):
        make_relief(wall, wall > 0, larger_is_nearer=True, softness=0)


def test_a_models_own_normals_are_taken():
    one, _ = tilted()
    own = np.zeros((*one.size, 3), np.float32)
    own[..., 2] = -1
    own[0, 0] = np.nan
    made = map_of(one.depth, camera=one.camera, normals=own)
    assert made.surface_normals() is made.normals
    assert np.abs(made.surface_normals(source="depth")[5, 5] - own[5, 5]).max() > 0.1
    cloud = made.point_cloud(normals=True)
    np.testing.assert_array_equal(cloud.normals[5], [0, 0, -1])
    assert np.isfinite(cloud.normals).all()
    with pytest.raises(InputError, match="predicts no normals"):
        map_of(one.depth).surface_normals(source="model")
