"""``leadline triangulate`` and ``leadline views`` on the same rendered frames, against the truth.

    python benchmarks/views_and_triangulate.py [--json FILE]
        [--model da3-small [--weights FILE]] [--scenes 4] [--frames 5]

A camera walks sideways through rendered rooms, 8 cm a frame, turning a little. Both commands write
their folder and are read back from it, so that what is measured is what users get. The network runs
with --model alone: it needs its published weights, and without them its numbers mean nothing.
Poses are brought to the true ones by one similarity; depths by the median ratio of all maps of a
scene, since both commands promise one shared scale.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PilImage

from leadline import world
from leadline.camera import Camera
from leadline.geometry import fit_similarity
from leadline.io import read_poses
from leadline.prediction import read_prediction

STEP_M, TURN_DEG = 0.08, 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Walk:
    """Frames on disk, their cameras and true depths."""

    files: list[Path]
    cameras: list[Camera]
    depths: list[np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, help="where the results go")
    parser.add_argument("--model", help="of several views; needs its weights")
    parser.add_argument("--weights", help="file of the model's weights")
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--frames", type=int, default=5)
    arguments = parser.parse_args()
    rows = []
    for seed in range(arguments.scenes):
        with tempfile.TemporaryDirectory() as folder:
            walk = render_walk(seed, arguments.frames, Path(folder))
            rows += [{"scene": seed, **row} for row in measure_scene(walk, arguments, Path(folder))]
            print(*rows[-2 if arguments.model else -1 :], sep="\n", flush=True)
    if arguments.json is not None:
        record = {"frames": arguments.frames, "step_m": STEP_M, "rows": rows}
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def render_walk(seed: int, count: int, folder: Path) -> Walk:
    """Frames of a room, written as PNG, and their camera as JSON."""
    scene = world.sample_scene(seed=seed, kind="room")
    start = world.sample_view(scene, seed=1, size=(360, 480)).camera
    walk = Walk(files=[], cameras=[], depths=[])
    for number in range(count):
        angle = np.deg2rad(TURN_DEG * number)
        move = np.eye(4)  # camera x and z: sideways, turning about the vertical
        move[0, 0] = move[2, 2] = np.cos(angle)
        move[0, 2], move[2, 0] = np.sin(angle), -np.sin(angle)
        move[0, 3] = STEP_M * number
        camera = start.moved(np.asarray(start.world_from_camera) @ move)
        view = world.render(scene, camera, rng=seed)
        file = folder / f"{number}.png"
        PilImage.fromarray(view.rgb).save(file)
        walk.files.append(file)
        walk.cameras.append(view.camera)
        walk.depths.append(view.depth)
    (folder / "camera.json").write_text(json.dumps(walk.cameras[0].moved(None).to_dict()))
    return walk


def measure_scene(walk: Walk, arguments: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    words = ["triangulate", *map(str, walk.files), "--camera", str(folder / "camera.json")]
    commands = {"triangulate": [*words, "--maps", str(len(walk.files))]}
    if arguments.model:
        words = ["views", *map(str, walk.files), "--model", arguments.model]
        words += ["--weights", arguments.weights] if arguments.weights else []
        commands[f"views, {arguments.model}"] = words
    return [
        {"command": name} | run(walk, words, folder / name.replace(" ", ""))
        for name, words in commands.items()
    ]


def run(walk: Walk, words: list[str], out: Path) -> dict[str, Any]:
    """A command's poses and maps against the truth, or why it gave none."""
    command = [sys.executable, "-m", "leadline", *words, "--out", str(out), "--format", "npz"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"refused": done.stderr.strip().splitlines()[-1].replace(f"{out.parent}/", "")}
    poses = np.stack(read_poses(out / "poses.txt", [file.name for file in walk.files]))
    true = np.stack([np.asarray(camera.world_from_camera) for camera in walk.cameras])
    moved = fit_similarity(poses, true).move_poses(poses)
    turns = np.trace(moved[:, :3, :3].swapaxes(1, 2) @ true[:, :3, :3], axis1=1, axis2=2)
    away = np.linalg.norm(moved[:, :3, 3] - true[:, :3, 3], axis=1)
    return {
        "rotation_deg": float(np.rad2deg(np.arccos(np.clip((turns - 1) / 2, -1, 1))).mean()),
        "position_mm": float(1000 * away.mean()),
        **score_depths(walk, out),
    }


def score_depths(walk: Walk, out: Path) -> dict[str, float]:
    """abs_rel and delta1 after one scale for the scene, and the share of pixels with a depth."""
    ratios, total = [], 0
    for file, depth in zip(walk.files, walk.depths, strict=True):
        total += int(np.isfinite(depth).sum())
        found = out / f"{file.stem}.npz"
        if not found.is_file():
            continue
        view = read_prediction(found)
        keep = view.known & np.isfinite(depth) & (view.values > 0)
        ratios.append(view.values[keep] / depth[keep])
    ratio = np.concatenate(ratios)
    ratio = ratio / np.median(ratio)
    return {
        "abs_rel": float(np.abs(ratio - 1).mean()),
        "delta1": float((np.maximum(ratio, 1 / ratio) < 1.25).mean()),
        "pixels": len(ratio) / total,
    }


if __name__ == "__main__":
    main()
