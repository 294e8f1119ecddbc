"""What unlabelled photographs are worth to the embedded model: an ablation of self-training.

    python benchmarks/lite_photos.py --data ../shared/data --textures package --free FOLDER \
        [--study ../shared/data/photos] [--seeds 1] [--steps 250] [--threads 1] [--json FILE]

``lite`` looks at every picture at a larger size and mirrored too, and its labels teach a student
that starts from ``lite``'s weights (recipe `depth-anything`: a third of a batch is rendered, two
thirds are photographs in strong colours). The arms differ in the photographs:

- rendered: none, the same steps on rendered pictures alone;
- free: views out of the CC0 environment maps in ``--textures``, and the pictures in ``--free``,
  whose terms allow that weights learned from them ship;
- study: every third photograph of ``--study`` (WebDataset shards), whose terms do not. It says
  what a user with photographs of his own may expect.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tarfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import lite_accuracy
from benchmarks.harness import CACHE, Settings, machine, predictor, run_arm, shared_world
from leadline import catalog, hub, world
from leadline.io import list_images
from leadline.load_options import LoadOptions
from leadline.shards import BulkJob, label_files
from leadline.training import TrainConfig

VIEWS = 12
"""Pictures out of each environment map."""


def free_pictures(textures: str, folder: Path | None) -> Path:
    """Views out of the environment maps, and the pictures of a folder, in one folder."""
    out = CACHE / "photos-free"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    rng = np.random.default_rng(0)
    maps = world.panoramas(textures)
    for name in sorted(set(maps) - {"sky", "studio"}):  # nothing but clouds, nothing but lamps
        for n in range(VIEWS):
            yaw = 2 * np.pi * n / VIEWS
            picture = view_of(maps[name], yaw, rng.uniform(-0.3, 0.15), rng.uniform(55, 85))
            Image.fromarray(picture).save(out / f"{name}-{n:02d}.png")
    for path in list_images(folder) if folder else []:
        picture = Image.open(path).convert("RGB")
        scale = 288 / min(picture.size)
        small = picture.resize((round(scale * picture.width), round(scale * picture.height)))
        small.save(out / f"{path.stem}.png")
    return out


def view_of(
    panorama: np.ndarray,
    yaw: float,
    pitch: float,
    fov_deg: float,
    size: tuple[int, int] = (192, 256),
) -> np.ndarray:
    """What a camera sees in an environment map: (h, w, 3) uint8.

    Args:
        panorama: (rows, columns, 3) in [0, 1], straight up in the first row.
        yaw: of the camera, radians.
        pitch: likewise, up.
        fov_deg: across.
        size: (height, width) of the picture.
    """
    h, w = size
    focal = 0.5 * w / np.tan(np.deg2rad(fov_deg) / 2)
    x, y = np.meshgrid((np.arange(w) - (w - 1) / 2) / focal, ((h - 1) / 2 - np.arange(h)) / focal)
    forward, up = np.cos(pitch) - y * np.sin(pitch), np.sin(pitch) + y * np.cos(pitch)
    azimuth, elevation = yaw + np.arctan2(x, forward), np.arctan2(up, np.hypot(x, forward))
    rows, columns = panorama.shape[:2]
    wrapped = np.concatenate([panorama, panorama[:, :1]], axis=1).astype(np.float32)
    seen = cv2.remap(
        wrapped,
        (azimuth % (2 * np.pi) / (2 * np.pi) * columns).astype(np.float32),
        ((0.5 - elevation / np.pi) * rows - 0.5).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return (seen.clip(0, 1) * 255).round().astype(np.uint8)


def study_pictures(folder: Path) -> Path:
    """Every third photograph of the shards of a folder."""
    out = CACHE / "photos-study"
    out.mkdir(parents=True, exist_ok=True)
    for shard in sorted(folder.glob("*.tar")):
        with tarfile.open(shard) as tar:
            for member in [m for m in tar.getmembers() if m.name.endswith(".jpg")][::3]:
                tar.extract(member, out, filter="data")
    return out


def version() -> str:
    """Tells the embedded model from those before, whose labels and students may lie about."""
    path = hub.locate(catalog.get("lite").weights[0])
    return hub.sha256_of(path.with_suffix(".safetensors"))[:8] if path else ""


def labels_of(pictures: Path, threads: int) -> str:
    """Labels by the embedded model, at a larger size and mirrored; those that are there stay."""
    out = CACHE / "labels" / f"{pictures.name}-{version()}"
    choice = LoadOptions(model="lite", policy="flip", size=320, threads=threads or None)
    job = BulkJob(model=choice, out=str(out), disparity=True)
    files = {path: out / "depth" / f"{path.stem}.png" for path in list_images(pictures)}
    label_files(job, files).raise_failures()
    return str(out)


def student(settings: Settings, textures: str) -> TrainConfig:
    """What all arms share."""
    shared = shared_world(settings, kinds=(), name="world-all", textures=textures)
    own = {
        "init_from": "lite",
        "imagenet": False,
        "sizes": [[192, 256], [256, 320], [256, 320]],
        "batch": 12,
        "lr": 2e-4,
        "encoder_lr": 5e-5,
        "warmup": 20,
        "ema": 0.98,
        "device": settings.device,
        "threads": settings.threads,
        "validate_every": -1,
        "options.settle": 0,
        "options.gradient_weight": 0.5,
        "options.feature_weight": 0.0,
        "steps": settings.steps,
    }
    return TrainConfig.from_toml("depth-anything").updated(own | shared)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the real frames")
    parser.add_argument("--textures", required=True, help="unpacked npm package @pmndrs/assets")
    parser.add_argument("--free", type=Path, help="folder of pictures with free terms")
    parser.add_argument("--study", type=Path, help="folder of shards of other photographs")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    settings = Settings(steps=given.steps, threads=given.threads)
    if given.threads:
        torch.set_num_threads(given.threads)
    sources = {"rendered": None, "free": free_pictures(given.textures, given.free)}
    if given.study:
        sources["study"] = study_pictures(given.study)
    config = student(settings, given.textures)
    groups = [name for name in lite_accuracy.GROUPS if (given.data / name).is_dir()]
    results = {"lite": lite_accuracy.run(lite_accuracy.open_model("lite"), given.data, groups)}
    for name, pictures in sources.items():
        options: dict[str, Any] = {"options.pseudo_share": 0.0}
        if pictures is not None:
            options = {"options.labels": labels_of(pictures, given.threads)}
        for seed in range(given.seeds):
            arm = f"lite {version()} photos {name}"
            predict = predictor(run_arm(arm, config.updated(options), seed=seed)[1])
            results[f"{name} {seed}"] = lite_accuracy.run(
                lambda frame, predict=predict: predict(frame).to_disparity(),
                given.data,
                groups,
            )
    print(lite_accuracy.table(results))
    counts = {name: len(list_images(found)) for name, found in sources.items() if found}
    record = {
        "machine": machine(settings),
        "steps": settings.steps,
        "pictures": counts,
        "mean": {name: asdict(lite_accuracy.macro_mean(found)) for name, found in results.items()},
        "groups": {name: [asdict(group) for group in found] for name, found in results.items()},
    }
    if given.json:
        given.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
