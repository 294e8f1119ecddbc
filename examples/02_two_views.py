"""Two pictures of one room: which points they share, how the camera moved, how far things are.

    python examples/02_two_views.py [--out two_views]
    python examples/02_two_views.py FIRST SECOND --fov 60 [--out two_views]

Without pictures it renders two of a room that does not exist, 25 cm apart, and compares what it
finds with the truth. Writes the matches with their epipolar lines, a point cloud and a depth map.

Two pictures tell everything but the scale: a doll's house and a house look alike. Here the distance
between the cameras is known for the rendered pair, so the depths are metres; for your own pictures
they are in units of that distance.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image as PilImage

from leadline import Camera, geometry, read_image
from leadline.image import Image
from leadline.io import write_ply


def rendered_pair() -> tuple[Image, Image, np.ndarray]:
    """Two pictures of a procedural room with their cameras, and the first one's depth."""
    from leadline import world

    scene = world.sample_scene(7, "room")
    first = world.sample_view(scene, 1, size=(480, 640))
    moved = np.array(first.camera.world_from_camera)
    moved[:3, 3] += moved[:3, :3] @ [0.22, 0.02, 0.12]  # right, down, forward
    second = world.render(scene, first.camera.moved(moved), (480, 640), np.random.default_rng(1))
    pictures = [Image(pixels=view.rgb, camera=view.camera) for view in (first, second)]
    return pictures[0], pictures[1], first.depth


def two_views(first: Image, second: Image, baseline: float) -> tuple[geometry.Points, dict]:
    """Match, find the motion, triangulate; the steps one by one."""
    matches = geometry.match(first, second)
    motion = geometry.relative_pose(matches, first.camera, second.camera)
    right = matches.only(motion.inliers)
    start = first.camera.moved(np.eye(4))  # the world begins at the first camera
    cameras = motion.place(start, second.camera, baseline=baseline)
    points = geometry.triangulate((right.first, right.second), cameras, covariance=True)
    return points, {"matches": matches, "right": right, "motion": motion, "cameras": cameras}


def main() -> None:
    """Find out, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="*", type=Path)
    parser.add_argument("--fov", type=float, default=60.0, help="horizontal, in degrees")
    parser.add_argument("--out", type=Path, default=Path("two_views"))
    arguments = parser.parse_args()
    depth = None
    baseline = 1.0
    if len(arguments.pictures) == 2:
        first, second = (read_image(path) for path in arguments.pictures)
        camera = Camera.from_fov(first.size[1], first.size[0], fov_deg=arguments.fov)
        first, second = replace(first, camera=camera), replace(second, camera=camera)
    else:
        first, second, depth = rendered_pair()
        truth = geometry.second_from_first(first.camera, second.camera)
        baseline = float(np.linalg.norm(truth[:3, 3]))
    points, found = two_views(first, second, baseline)
    motion = found["motion"]
    print(f"{len(found['matches'])} matches, {len(found['right'])} agree on one motion")
    way = found["cameras"][1].world_from_camera[:3, 3] / baseline
    print(f"the camera moved towards {way.round(3)} (right, down, forward; direction only)")
    print(f"{points.keep.sum()} points have parallax; median {motion.parallax_deg:.1f} degrees")
    if depth is not None:
        x, y = np.rint(found["right"].first[points.keep]).astype(int).T
        true = depth[y.clip(0, depth.shape[0] - 1), x.clip(0, depth.shape[1] - 1)]
        error = np.abs(points.depths[0][points.keep] / true - 1)
        print(f"median error of their depths: {100 * np.median(error):.1f} %")

    arguments.out.mkdir(parents=True, exist_ok=True)
    F = geometry.fundamental_from_cameras(*found["cameras"])
    drawn = geometry.draw_epipolar(first, second, found["right"], F)
    PilImage.fromarray(drawn).save(arguments.out / "epipolar.png")
    write_ply(arguments.out / "points.ply", points.world[points.keep].astype(np.float32))
    posed = [replace(p, camera=c) for p, c in zip((first, second), found["cameras"], strict=True)]
    near, far = np.percentile(points.depths[0][points.keep], [1, 99]) * [0.6, 1.7]
    dense = geometry.plane_sweep(posed[0], posed[1:], near=near, far=far, metric=depth is not None)
    sure = replace(dense, valid=dense.known & (dense.confidence >= geometry.CONFIDENT))
    print(f"dense {sure.kind}: {100 * sure.known.mean():.0f} % of the pixels are confirmed")
    sure.save(arguments.out / "depth.npz")
    sure.save(arguments.out / "depth.png")
    print(f"results are in {arguments.out}")


if __name__ == "__main__":
    main()
