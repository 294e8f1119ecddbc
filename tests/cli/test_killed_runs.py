"""A command that is killed and run again ends with what one that ran undisturbed made."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from testing.tiny import write_tiny_model

pytest.importorskip("torch")
pytest.importorskip("onnx")
load_file = pytest.importorskip("safetensors.numpy").load_file

KILLS = 3
COMMANDS = {
    "predict": ("predict", "photos", "-m", "tiny.onnx", "--format", "npz", "--resume", "--out"),
    "label": ("label", "photos", "-m", "tiny.onnx", "--out"),
    "shards": (
        *("label", "photos", "-m", "tiny.onnx", "--layout", "webdataset", "--shard", "4", "--out"),
    ),
    "evaluate": (
        *("evaluate", "--dataset", "folder", "--root", "set", "-m", "constant"),
        *("-p", "depth-anything-zero-shot", "--out"),
    ),
    "leaderboard": ("leaderboard", "sets.toml", "-m", "constant", "--out"),
    "export": ("export", "-m", "tiny.onnx", "--out"),
    "train": (
        *("train", "fastdepth-plain", "--data", "folder=set", "--resume", "--set", "steps=4"),
        *("--set", "batch=2", "--set", "sizes=[[32,32]]", "--set", "threads=1"),
        *("--set", "validate_every=-1", "--set", "checkpoint_every=1", "--set", "log_every=1"),
        *("--set", "model_options.widths=[4,4,4,4,4,4,4,4,4,4,4,4,4,4]"),
        *("--set", "model_options.decoder_widths=[4,4,4,4,4]", "--out"),
    ),
}
FILES = {"export": "net.xml"}
"""What --out names, where it is a file."""
UNLIKE = ("seconds", "samples_per_s", "digest")
"""Keys of JSON files in which two runs differ."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, a set with depth, the tiny network."""
    root = tmp_path_factory.mktemp("killed")
    rng = np.random.default_rng(0)
    for folder in ("photos", "set/rgb", "set/depth"):
        (root / folder).mkdir(parents=True)
    for number in range(12):
        pixels = PilImage.fromarray(rng.integers(0, 256, (64, 96, 3)).astype(np.uint8))
        pixels.save(root / f"photos/p{number:02d}.png")
        pixels.save(root / f"set/rgb/p{number:02d}.png")
        np.save(root / f"set/depth/p{number:02d}.npy", rng.uniform(1, 5, (64, 96)))
    sets = '[[set]]\nname = "s"\ndataset = "folder"\nroot = "set"\n'
    (root / "sets.toml").write_text(sets + 'protocol = "depth-anything-zero-shot"\n')
    write_tiny_model(root / "tiny.onnx")
    return root


def start(place: Path, words: tuple[str, ...], out: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "leadline", *words, out],
        cwd=place,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(place: Path, words: tuple[str, ...], out: str) -> float:
    began = time.monotonic()
    with start(place, words, out) as process:
        _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return time.monotonic() - began


def hash_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def contents(folder: Path) -> dict[str, object]:
    """Name -> digest of every file, of JSON what does not tell the time."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix in (".html", ".txt", ".md", ".pt", ".sha256"):
            continue
        name = str(path.relative_to(folder))
        if path.name == "log.jsonl":
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            found[name] = [[line["step"], line["loss"]] for line in lines if "loss" in line]
        elif path.name == "made.jsonl":
            found[name] = sorted(json.loads(line)["source"] for line in path.open())
        elif path.suffix == ".safetensors":  # whose header lists its metadata in any order
            tensors = load_file(path)
            found[name] = {key: hash_bytes(tensors[key].tobytes()) for key in sorted(tensors)}
        elif path.suffix == ".json":
            record = json.loads(path.read_text())
            keep = record if isinstance(record, dict) else {}
            found[name] = {key: value for key, value in keep.items() if key not in UNLIKE}
        else:
            found[name] = hash_bytes(path.read_bytes())
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_killed_run_is_completed_by_the_next(place: Path, command: str) -> None:
    words, file = COMMANDS[command], FILES.get(command, "")
    seconds = finish(place, words, f"{command}-calm/{file}".rstrip("/"))
    moments = random.Random(command)
    for _ in range(KILLS):
        with start(place, words, f"{command}/{file}".rstrip("/")) as process:
            time.sleep(seconds * moments.uniform(0.3, 1.0))
            process.kill()
    finish(place, words, f"{command}/{file}".rstrip("/"))
    calm, killed = place / f"{command}-calm", place / command
    assert contents(calm)
    assert contents(killed) == json.loads(
        json.dumps(contents(calm)).replace(f"{command}-calm", command)
    )
    assert not [path for path in killed.rglob("*") if path.name.endswith(".part")]
