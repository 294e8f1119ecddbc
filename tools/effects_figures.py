"""Pictures of docs/stereo-view.md, docs/measure.md and docs/fuse.md.

    python -m tools.effects_figures

tools/figures.py calls :func:`draw_all`. Photographs are those of examples/; rooms are procedural.
"""

from __future__ import annotations

import numpy as np
from PIL import Image as PilImage
from PIL import ImageDraw

import leadline
from leadline import effects, geometry, viz
from leadline.camera import Camera
from leadline.io import Mesh, encode_normals, read_image
from leadline.sequence import predict_posed
from tools.dense_figures import views
from tools.pages import ROOT, save_picture

PAIR = ((211, 321), (401, 313))
"""Pixels of the room between which the page measures: the feet of the table."""


def stereo_sheet() -> None:
    """A room as anaglyph, in fog and refocused, and as a pair."""
    prediction = leadline.load().predict(ROOT / "examples" / "room.jpg")
    pair = effects.render_pair(prediction, divergence=3)
    tiles = [
        effects.pack_pair(*pair, "anaglyph"),
        effects.refocus(prediction, (595, 270), aperture=1.5),
        effects.add_fog(prediction, 0.8),
    ]
    save_picture(
        viz.contact_sheet(tiles, columns=3, cell=(300, 400)), "stereo-view.jpg", quality=88
    )


def measured_room() -> None:
    """A distance on the floor of the room, and the room's normals."""
    image = read_image(ROOT / "examples" / "room.jpg")
    height, width = image.size
    camera = Camera.from_fov(width, height, fov_deg=65)
    estimator = leadline.load("lite-metric")
    photo = leadline.Image(pixels=image.pixels, camera=camera)
    prediction = estimator.predict(photo)
    found = prediction.measure(PAIR)
    canvas = PilImage.fromarray(image.pixels)
    pen = ImageDraw.Draw(canvas)
    pen.line(PAIR, fill=(255, 230, 0), width=3)
    middle = np.mean(PAIR, axis=0)
    text = f"{found.value:.2f} m  ({found.low:.2f} to {found.high:.2f})"
    pen.text((middle[0] - 110, middle[1] + 24), text, fill=(20, 20, 20), font_size=22)
    normals = encode_normals(prediction.surface_normals())
    save_picture(viz.side_by_side(np.asarray(canvas), normals), "measure.jpg", quality=88)


def fused_room() -> None:
    """One frame of a room, and the mesh of twelve from two places."""
    moves = [[0.12 * n - 0.7, 0.02 * (n % 3), 0.03 * n] for n in range(12)]
    frames, _ = views(29, moves)
    maps = predict_posed(frames, leadline.load().predict)
    mesh = geometry.fuse(maps, max_depth=6)
    middle = np.asarray(frames[6].camera and frames[6].camera.world_from_camera)
    tiles = [frames[6].pixels]
    tiles += [draw_mesh(mesh, middle, yaw_deg) for yaw_deg in (0.0, 35.0)]
    save_picture(viz.contact_sheet(tiles, columns=3, cell=(300, 400)), "fuse.jpg", quality=88)


def draw_mesh(
    mesh: Mesh, world_from_camera: np.ndarray, yaw_deg: float, size: tuple[int, int] = (480, 640)
) -> np.ndarray:
    """A mesh seen by a camera that goes around its middle, as dots on its faces."""
    rng = np.random.default_rng(0)
    corners, shares = mesh.faces, rng.dirichlet([1, 1, 1], 6)
    if corners is None or mesh.colors is None:
        raise ValueError("a coloured mesh is needed")
    triangles, colors = mesh.points[corners], mesh.colors[corners].mean(axis=1)
    points = np.concatenate([np.einsum("fij,i->fj", triangles, share) for share in shares])
    local = (points - world_from_camera[:3, 3]) @ world_from_camera[:3, :3]
    centre = np.median(local, axis=0)
    c, s = np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))
    turned = (local - centre) @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) + centre
    depth = turned[:, 2] + 0.8
    focal = 0.8 * size[1]
    u = np.rint(focal * turned[:, 0] / np.maximum(depth, 0.1) + size[1] / 2).astype(int)
    v = np.rint(focal * turned[:, 1] / np.maximum(depth, 0.1) + size[0] / 2).astype(int)
    inside = (depth > 0.1) & (u >= 0) & (u < size[1] - 1) & (v >= 0) & (v < size[0] - 1)
    order = np.flatnonzero(inside)[np.argsort(-depth[inside])]
    picture = np.full((*size, 3), 255, np.uint8)
    dots = np.tile(colors, (len(shares), 1))[order].astype(np.uint8)
    for down in (0, 1):
        for right in (0, 1):
            picture[v[order] + down, u[order] + right] = dots
    return picture


def draw_all() -> None:
    """Every picture of these pages."""
    stereo_sheet()
    measured_room()
    fused_room()


if __name__ == "__main__":
    draw_all()
