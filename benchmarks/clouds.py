"""Speed and memory of clouds: a 12-megapixel map to a textured GLB, and its normals.

    python benchmarks/clouds.py [--json FILE] [--rounds 5]

Every number is a ratio of two things timed in turns on the same machine: the whole way from the
map to the file (cleaned, decimated, textured) over trimesh writing the same vertices, faces and
picture; and a loop over pixels over the normals of the map. Peak memory is that of a process of its
own. Needs trimesh.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from leadline.camera import Camera
from leadline.cloud import CloudOptions, Surface, estimate_normals, lift, make_mesh
from leadline.io import Mesh

SIZE = (3000, 4000)
POINTS = 1_000_000
LOOP_PIXELS = 4000


def make_surface() -> Surface:
    """A room with boxes, waves and a picture with detail: nothing in it is easy to store."""
    height, width = SIZE
    camera = Camera.from_fov(width, height, fov_deg=65)
    rng = np.random.default_rng(0)
    y = (np.arange(height, dtype=np.float32) - camera.cy)[:, None] / camera.fy
    depth = np.minimum(1.5 / np.maximum(y, 1e-3), np.float32(6)).repeat(width, axis=1)
    for _ in range(40):
        top, left = rng.integers(0, height - 300), rng.integers(0, width - 300)
        box = np.s_[top : top + rng.integers(40, 300), left : left + rng.integers(40, 300)]
        depth[box] = np.minimum(depth[box], rng.uniform(1.5, 4))
    depth *= 1 + 0.002 * np.sin(np.arange(width, dtype=np.float32) / 60)
    coarse = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    pixels = coarse.repeat(8, axis=0).repeat(8, axis=1)
    pixels ^= rng.integers(0, 16, pixels.shape, dtype=np.uint8)
    return Surface(depth=depth, camera=camera, pixels=pixels)


def write_ours(surface: Surface, path: Path) -> Mesh:
    mesh = make_mesh(surface, CloudOptions(max_points=POINTS))
    mesh.save(path)
    return mesh


def write_trimesh(mesh: Mesh, path: Path) -> None:
    from PIL import Image
    from trimesh import Trimesh
    from trimesh.visual import TextureVisuals
    from trimesh.visual.material import PBRMaterial

    if mesh.uv is None or mesh.faces is None or mesh.texture is None:
        raise ValueError("a textured mesh is needed")
    material = PBRMaterial(baseColorTexture=Image.fromarray(mesh.texture))
    shape = Trimesh(
        vertices=mesh.turn_to("y"),
        faces=mesh.faces,
        visual=TextureVisuals(uv=mesh.uv * [1, -1] + [0, 1], material=material),
        process=False,
    )
    shape.export(path)


def write_vertices(mesh: Mesh, path: Path) -> None:
    """The same without the picture: vertices, faces and places in it alone."""
    from trimesh import Trimesh
    from trimesh.visual import TextureVisuals

    visual = TextureVisuals(uv=mesh.uv)
    Trimesh(mesh.points, mesh.faces, visual=visual, process=False).export(path)


def loop_normals(surface: Surface) -> None:
    """Normals of a few pixels one by one, from the points beside them."""
    points = lift(surface.depth[:66, :66], surface.camera.cropped(0, 0, 66, 66)).reshape(66, 66, 3)
    for n in range(LOOP_PIXELS):
        v, u = 1 + n // 64, 1 + n % 64
        total = np.cross(points[v + 1, u] - points[v - 1, u], points[v, u + 1] - points[v, u - 1])
        total / np.linalg.norm(total)


def time_in_turns(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def measure(rounds: int) -> dict[str, float]:
    surface = make_surface()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        mesh = write_ours(surface, out / "ours.glb")
        seconds = time_in_turns(
            {
                "ours_s": lambda: write_ours(surface, out / "ours.glb"),
                "trimesh_s": lambda: write_trimesh(mesh, out / "trimesh.glb"),
                "trimesh_without_picture_s": lambda: write_vertices(mesh, out / "bare.glb"),
            },
            rounds,
        )
        sizes = {path.stem: path.stat().st_size / 1e6 for path in out.iterdir()}
    loop = time_in_turns(
        {
            "normals_s": lambda: estimate_normals(surface, edges="keep"),
            "loop_s": lambda: loop_normals(surface),
        },
        rounds,
    )
    loop["loop_s"] *= surface.depth.size / LOOP_PIXELS
    return {
        "points": len(mesh.points),
        **seconds,
        "ours_over_trimesh": seconds["ours_s"] / seconds["trimesh_s"],
        "ours_mb": sizes["ours"],
        "trimesh_mb": sizes["trimesh"],
        **loop,
        "loop_over_normals": loop["loop_s"] / loop["normals_s"],
    }


def measure_memory() -> float:
    """Peak megabytes of a process that makes the map and writes the file."""
    run = subprocess.run(
        [sys.executable, __file__, "--alone"], check=True, capture_output=True, text=True
    )
    return float(run.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        with tempfile.TemporaryDirectory() as folder:
            write_ours(make_surface(), Path(folder) / "ours.glb")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
        return
    found = {**measure(arguments.rounds), "peak_mb": measure_memory()}
    for name, value in found.items():
        print(f"{name:28} {value:12.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
