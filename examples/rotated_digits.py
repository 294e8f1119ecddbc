"""Rotated digits: a spatial transformer against a plain CNN with as many parameters.

    python examples/rotated_digits.py [--steps 1500] [--out rotated_digits.png] [--json FILE]

Draws its own digits (Pillow's font in many sizes, slants and places), turns them by up to 75
degrees, and trains two classifiers on the same batches: convolutions with max-pooling, and the same
kind of network, made smaller, behind an affine spatial transformer. Prints the accuracy by angle
three times on the way, and writes a picture of what the transformer makes of turned digits. 1,500
steps take some minutes on two processor cores; the first table, after 500, shows the difference.

Max-pooling forgives small shifts; it does not forgive a turn. The transformer could turn the digit
back before it looks; see in the picture, and in the angles printed, what it does instead.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

from leadline.models.stn import SpatialTransformer, STNConfig

SIDE = 40
LARGEST_TURN = 75  # degrees; beyond 90 a 6 is a 9
ANGLES = (0, 15, 30, 45, 60, 75)

Tests = dict[float, tuple[Tensor, Tensor]]
"""Angle -> pictures and their digits."""


def draw(digit: int, angle: float, rng: np.random.Generator) -> np.ndarray:
    """(40, 40) float32 in [0, 1]: one digit, turned, with noise."""
    big = 4 * SIDE
    image = Image.new("L", (big, big))
    font = ImageFont.load_default(size=rng.uniform(0.5, 0.75) * big)
    ImageDraw.Draw(image).text(
        (big / 2, big / 2),
        str(digit),
        fill=255,
        font=font,
        anchor="mm",
        stroke_width=int(rng.integers(0, 5)),
    )
    slant = rng.uniform(-0.25, 0.25)
    shear = (1, slant, -slant * big / 2, 0, 1, 0)
    image = image.transform((big, big), Image.Transform.AFFINE, shear, Image.Resampling.BILINEAR)
    shift = tuple(int(s) for s in rng.integers(-12, 13, size=2))
    image = image.rotate(angle, Image.Resampling.BILINEAR, translate=shift)
    pixels = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32) / 255
    return np.clip(pixels + rng.normal(0, 0.08, pixels.shape), 0, 1).astype(np.float32)


def batch(
    count: int, rng: np.random.Generator, angle: float | None = None
) -> tuple[Tensor, Tensor]:
    """Pictures (count, 1, 40, 40) and their digits; ``angle`` None turns each at random."""
    digits = rng.integers(0, 10, count)
    turns = rng.uniform(-LARGEST_TURN, LARGEST_TURN, count)
    if angle is not None:
        turns = angle * rng.choice([-1, 1], count)
    pictures = np.stack([draw(d, a, rng) for d, a in zip(digits, turns, strict=True)])
    return torch.from_numpy(pictures)[:, None], torch.from_numpy(digits)


def classifier(width: int) -> nn.Sequential:
    """Two convolutions with max-pooling, two fully connected layers."""
    side = SIDE // 4
    return nn.Sequential(
        nn.Conv2d(1, width, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, width, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(width * side * side, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def parameters(module: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(p.numel() for p in module.parameters())


def networks() -> dict[str, nn.Module]:
    """Both classifiers, the plain one as wide as the other's parameters allow."""
    transformer = SpatialTransformer(STNConfig(channels=1, width=8))
    with_transformer = nn.Sequential(transformer, classifier(8))
    budget = parameters(with_transformer)
    width = max(w for w in range(4, 64) if parameters(classifier(w)) <= budget)
    plain = classifier(width)
    spare = (budget - parameters(plain)) / budget
    print(
        f"parameters: CNN {parameters(plain)}, with spatial transformer {budget} ({spare:.0%} more)"
    )
    return {"CNN": plain, "ST-CNN": with_transformer}


def train(
    nets: dict[str, nn.Module], steps: int, rng: np.random.Generator, tests: Tests
) -> list[dict[str, Any]]:
    """The same batches for all networks; accuracy by angle after each third of the steps."""
    pool, labels = batch(8000, rng)
    optimisers = {n: torch.optim.Adam(net.parameters(), lr=1e-3) for n, net in nets.items()}
    reports = []
    for step in range(1, steps + 1):
        chosen = torch.from_numpy(rng.integers(0, len(pool), 64))
        for name, net in nets.items():
            optimisers[name].zero_grad()
            loss = F.cross_entropy(net.train()(pool[chosen]), labels[chosen])
            loss.backward()
            optimisers[name].step()
        if step == steps or step % max(1, steps // 3) == 0:
            reports.append(report(nets, step, tests))
    return reports


@torch.no_grad()
def accuracy(net: nn.Module, pictures: Tensor, digits: Tensor) -> float:
    """Share of digits that are named rightly."""
    return (net.eval()(pictures).argmax(1) == digits).float().mean().item()


def report(nets: dict[str, nn.Module], step: int, tests: Tests) -> dict[str, Any]:
    """Print and return the accuracy by angle, on digits that no network has seen."""
    print(f"step {step}, turned by" + "".join(f"{a:>8}°" for a in tests))
    found: dict[str, Any] = {"step": step}
    for name, net in nets.items():
        found[name] = [accuracy(net, *tests[angle]) for angle in tests]
        print(f"{name:20}" + "".join(f"{a:>9.1%}" for a in found[name]), flush=True)
    return found


@torch.no_grad()
def turned_back(net: nn.Sequential, rng: np.random.Generator) -> dict[int, float]:
    """By how many degrees the transformer turns digits, on average, by the angle they stand at.

    From the rotation that is nearest to its matrix; -60 at 60 would be upright.
    """
    found = {}
    for angle in (-LARGEST_TURN, -45, 0, 45, LARGEST_TURN):
        pictures = np.stack([draw(i % 10, angle, rng) for i in range(100)])
        theta = net[0].forward_all(torch.from_numpy(pictures)[:, None]).theta
        turns = torch.atan2(theta[:, 3] - theta[:, 1], theta[:, 0] + theta[:, 4])
        found[angle] = round(float(turns.rad2deg().mean()), 1)
    print("turned by the transformer: " + ", ".join(f"{a}°: {t}°" for a, t in found.items()))
    return found


@torch.no_grad()
def show(net: nn.Sequential, path: str, rng: np.random.Generator) -> None:
    """Write turned digits above what the transformer makes of them."""
    rows = []
    for angle in (-LARGEST_TURN, 0, LARGEST_TURN):
        pictures = torch.from_numpy(np.stack([draw(d, angle, rng) for d in range(10)]))[:, None]
        rows += [torch.cat(list(p[:, 0]), dim=1) for p in (pictures, net[0](pictures))]
    sheet = (torch.cat(rows).clamp(0, 1) * 255).to(torch.uint8).numpy()
    Image.fromarray(sheet).resize((sheet.shape[1] * 2, sheet.shape[0] * 2)).save(path)
    print(f"wrote {path}: digits turned by -75, 0 and 75 degrees, each above its transformed row")


def main() -> None:
    """Train, compare, show."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--out", default="rotated_digits.png")
    parser.add_argument("--json", type=Path, help="where the accuracies go")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    rng = np.random.default_rng(arguments.seed)
    nets = networks()
    tests = {angle: batch(500, rng, angle) for angle in ANGLES}
    reports = train(nets, arguments.steps, rng, tests)
    st_cnn = nets["ST-CNN"]
    if not isinstance(st_cnn, nn.Sequential):
        raise TypeError("the transformer and its classifier are needed in turn")
    turns = turned_back(st_cnn.eval(), rng)
    if arguments.json is not None:
        counts = {name: parameters(net) for name, net in nets.items()}
        result = {"angles": ANGLES, "parameters": counts, "digits": 500, "reports": reports}
        text = json.dumps(result | {"turned_back": turns}, indent=2)
        arguments.json.write_text(text + "\n", encoding="utf-8")
    show(st_cnn, arguments.out, rng)


if __name__ == "__main__":
    main()
