"""Pictures and tables of docs/concepts/triangulation.md.

    python -m tools.geometry_figures

tools/figures.py calls :func:`draw_all` and takes :data:`TABLES`. The pictures show a procedural
room, so that the truth is known and nobody else's photo is shown.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from leadline import geometry, viz, world
from leadline.camera import Camera
from leadline.image import Image as Picture
from leadline.sequence import sparse_map, triangulate_posed
from tools.pages import save_picture

SIZE, PAD = (760, 340), 52
COLOURS = ((200, 60, 40), (40, 90, 190), (30, 30, 30))


def room_pictures(moves: list[list[float]]) -> tuple[list[Picture], np.ndarray]:
    """A room from places moved by metres (right, down, forward), and the first one's depth."""
    scene = world.sample_scene(7, "room")
    first = world.sample_view(scene, 1, size=(480, 640))
    pictures = []
    for i, move in enumerate(moves):
        pose = np.array(first.camera.world_from_camera)
        pose[:3, 3] += pose[:3, :3] @ move
        camera = first.camera.moved(pose)
        view = world.render(scene, camera, (480, 640), np.random.default_rng(i + 1))
        pictures.append(Picture(pixels=view.rgb, camera=camera, name=f"room {i}"))
    return pictures, first.depth


def epipolar_lines() -> None:
    """Matches and their lines for a step to the side, and for one forward."""
    rows = []
    for move in ([0.35, 0.0, 0.0], [0.03, 0.02, 0.45]):
        (first, second), _ = room_pictures([[0, 0, 0], move])
        matches = geometry.match(first, second)
        found = geometry.fundamental(matches)
        right = matches.only(found.inliers)
        rows.append(geometry.draw_epipolar(first, second, right, found.matrix, points=14))
    save_picture(
        viz.contact_sheet(rows, columns=1, cell=(290, 780)),
        "triangulation-lines.jpg",
        quality=82,
        optimize=True,
    )


def from_points_to_depth() -> None:
    """A picture, its triangulated points, and the depth that its neighbours confirm."""
    moves = [
        [0.0, 0.0, 0.0],
        [0.15, 0, 0.02],
        [-0.15, 0.02, 0.05],
        [0.05, -0.1, 0.1],
        [0.2, 0.1, 0.15],
    ]
    pictures, _ = room_pictures(moves)
    found = triangulate_posed(pictures, keyframe_parallax_deg=0.5)
    points = sparse_map(found, pictures[0], 0)
    near, far = np.percentile(points.values[points.known], [1, 99]) * [0.6, 1.6]
    dense = geometry.plane_sweep(pictures[0], pictures[1:], near=near, far=far)
    sure = np.ones(dense.size, bool) if dense.confidence is None else dense.confidence >= 0.5
    dense = replace(dense, valid=dense.known & sure)
    limits = (1 / float(far), 1 / float(near))
    fat = replace(points, values=_enlarge(points.values), valid=None)
    tiles = [pictures[0].pixels, fat.colorize(limits=limits), dense.colorize(limits=limits)]
    save_picture(
        viz.contact_sheet(tiles, columns=3, cell=(240, 320)),
        "triangulation-depth.jpg",
        quality=82,
        optimize=True,
    )


def error_curves() -> None:
    """How the relative error of a depth grows with the distance, for three baselines."""
    camera = Camera.from_focal(1242, 375, focal_px=720)
    distances = np.geomspace(1, 100, 60)
    curves = []
    for baseline in (0.1, 0.5, 2.0):
        pose = np.eye(4)
        pose[0, 3] = baseline
        cameras = [camera.moved(np.eye(4)), camera.moved(pose)]
        u1 = np.column_stack([np.full(60, camera.cx), np.full(60, camera.cy)])
        u2 = u1 - np.column_stack([camera.fx * baseline / distances, np.zeros(60)])
        points = geometry.triangulate((u1, u2), cameras, sigma_px=0.5, covariance=True)
        curves.append((f"{baseline:g} m apart", points.depth_sigma(cameras[0]) / distances))
    _draw_logarithmic(distances, curves, "triangulation-error.png")


def _enlarge(values: np.ndarray) -> np.ndarray:
    """Every known pixel as a square of 5, so that it can be seen."""
    out = np.full_like(values, np.nan)
    for y, x in zip(*np.nonzero(np.isfinite(values)), strict=True):
        block = out[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
        block[:] = np.fmin(block, values[y, x])
    return out


def _draw_logarithmic(x: np.ndarray, curves: list[tuple[str, np.ndarray]], name: str) -> None:
    picture = Image.new("RGB", SIZE, "white")
    pen = ImageDraw.Draw(picture)
    x_range, y_range = (0.0, 2.0), (-4.0, 0.0)  # 1 to 100 m, 0.01 to 100 %

    def place(u: float, v: float) -> tuple[float, float]:
        across = (u - x_range[0]) / (x_range[1] - x_range[0])
        up = (v - y_range[0]) / (y_range[1] - y_range[0])
        return PAD + across * (SIZE[0] - 2 * PAD), SIZE[1] - PAD - up * (SIZE[1] - 2 * PAD)

    for metres in (1, 2, 5, 10, 20, 50, 100):
        u = math.log10(metres)
        pen.line([place(u, y_range[0]), place(u, y_range[1])], fill=(230, 230, 230))
        pen.text((place(u, y_range[0])[0] - 6, SIZE[1] - PAD + 5), str(metres), fill=(110,) * 3)
    for percent in (0.01, 0.1, 1, 10, 100):
        v = math.log10(percent / 100)
        pen.line([place(x_range[0], v), place(x_range[1], v)], fill=(230, 230, 230))
        pen.text((8, place(x_range[0], v)[1] - 6), f"{percent:g} %", fill=(110,) * 3)
    for i, (label, values) in enumerate(curves):
        line = [place(math.log10(a), math.log10(b)) for a, b in zip(x, values, strict=True)]
        pen.line([p for p in line if p[1] >= PAD], fill=COLOURS[i], width=3)
        pen.text((SIZE[0] - 170, SIZE[1] - PAD - 60 + 16 * i), label, fill=COLOURS[i])
    pen.text((SIZE[0] // 2 - 40, SIZE[1] - 20), "metres away", fill=(90,) * 3)
    pen.text((8, 8), "standard deviation of the depth, share of it", fill=(90,) * 3)
    save_picture(picture, name, optimize=True)


def pose_table(results: dict[str, Any]) -> str:
    """Errors of rotation and direction beside OpenCV's."""
    names = {
        "seven_scenes": "7-Scenes, neighbours",
        "kitti_grey": "KITTI, 1 to 3 frames apart",
        "forward": "random points, forward",
        "sideways": "random points, sideways",
    }
    lines = [
        "| pairs | n | rotation, ours | OpenCV | direction, ours | OpenCV | 9 in 10 below, ours "
        "| OpenCV |",
        "| --- " * 8 + "|",
    ]
    for key, name in names.items():
        row = results[key]
        cells = [name, str(row["pairs"])]
        for what in ("rotation_deg", "direction_deg"):
            cells += [f"{row[who][what]['median']:.2g}" for who in ("leadline", "opencv_magsac")]
        cells += [
            f"{row[who]['direction_deg']['p90']:.3g}" for who in ("leadline", "opencv_magsac")
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def speed_table(results: dict[str, Any]) -> str:
    """Seconds for all points."""
    names = {
        "leadline_optimal": "`optimal`",
        "leadline_linear": "`linear`",
        "leadline_midpoint": "`midpoint`",
        "opencv": "`cv2.triangulatePoints`, all at once",
        "loop": "`cv2.triangulatePoints`, point by point",
    }
    millions = results["points"] / 1e6
    lines = [f"| {millions:g} million points | seconds |", "| --- | --- |"]
    lines += [f"| {name} | {results['seconds'][key]:.2g} |" for key, name in names.items()]
    return "\n".join(lines)


def odometry_table(results: dict[str, Any]) -> str:
    """One street, in metres by the camera's height."""
    rows = {
        "frames": f"{results['frames']}",
        "error of the scale, per step, median": f"{100 * results['scale_error_median']:.1f} %",
        "... nine in ten below": f"{100 * results['scale_error_p90']:.1f} %",
        "rotation per step, median": f"{results['rotation_deg_per_step_median']:.2f} degrees",
        "direction per step, median": f"{results['direction_deg_per_step_median']:.2f} degrees",
        "... scatter about a constant": f"{results['direction_scatter_deg_median']:.2f} degrees",
        "error of the end, share of the way": f"{100 * results['end_error_share_of_way']:.1f} %",
    }
    return "\n".join(["| | |", "| --- | --- |", *(f"| {k} | {v} |" for k, v in rows.items())])


TABLES = {
    "two_view_pose": pose_table,
    "triangulation_speed": speed_table,
    "odometry_scale": odometry_table,
}


def draw_all() -> None:
    """All three pictures."""
    epipolar_lines()
    from_points_to_depth()
    error_curves()


if __name__ == "__main__":
    draw_all()
