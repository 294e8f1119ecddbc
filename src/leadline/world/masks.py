"""Alpha masks (256 x 256 bool, True = solid): foliage, fences, lattices and cut-out silhouettes."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import cv2
import numpy as np

from leadline.world.patterns import SIZE, Rng, noise


def _canvas() -> np.ndarray:
    return np.zeros((SIZE, SIZE), np.uint8)


def foliage(rng: Rng) -> np.ndarray:
    """Leaf clusters with holes, tileable enough for crowns."""
    out = _canvas()
    size = rng.uniform(4, 12)
    for _ in range(int(rng.uniform(0.7, 1.3) * 16000 / size**1.7)):
        x, y = (int(v) for v in rng.integers(0, SIZE, 2))
        axes = (
            max(2, int(size * rng.uniform(0.6, 1.3))),
            max(1, int(size * rng.uniform(0.3, 0.6))),
        )
        angle = float(rng.uniform(0, 180))
        for dx in (0, SIZE if x < 40 else -SIZE):
            cv2.ellipse(out, (x + dx, y), axes, angle, 0, 360, 1, -1)
    return (out > 0) & (noise(rng, 1.5) > -1.0)


def clump(rng: Rng) -> np.ndarray:
    """A branch full of leaves: dense in the middle, ragged at the rim."""
    out = _canvas()
    size = rng.uniform(3.5, 11)
    lobes = rng.uniform(0, 6.28, 3)
    for _ in range(int(rng.uniform(0.8, 1.6) * 20000 / size**1.7)):
        angle = rng.uniform(0, 6.28)
        rim = 96 * (1 + 0.16 * sum(np.sin((k + 2) * angle + lobes[k]) for k in range(3)))
        reach = min(rim * np.sqrt(rng.random()) + rng.exponential(4), 122)
        x, y = SIZE / 2 + reach * np.cos(angle), SIZE / 2 + reach * np.sin(angle)
        axes = (
            max(2, int(size * rng.uniform(0.6, 1.3))),
            max(1, int(size * rng.uniform(0.3, 0.6))),
        )
        cv2.ellipse(out, (int(x), int(y)), axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    return (out > 0) & (noise(rng, 1.3) > -1.3)


def patches(rng: Rng) -> np.ndarray:
    """Irregular patches that join."""
    return noise(rng, rng.uniform(1.0, 1.7)) > rng.uniform(-0.5, 0.2)


def grass_tuft(rng: Rng) -> np.ndarray:
    """Blades from the bottom edge; row 255 is the ground."""
    out = _canvas()
    for _ in range(int(rng.integers(25, 90))):
        x = rng.uniform(0, SIZE)
        lean = rng.normal(0, 40)
        top = SIZE * rng.beta(1.5, 2.5)
        t = np.linspace(0, 1, 8)
        points = np.stack([x + lean * t**2, SIZE - (SIZE - top) * t], axis=1).astype(np.int32)
        cv2.polylines(out, [points], False, 1, int(rng.integers(1, 5)))
    return out > 0


def branches(rng: Rng) -> np.ndarray:
    """A bare or leafy twig that grows from the bottom centre."""
    out = _canvas()
    leafy = rng.random() < 0.6

    def grow(x: float, y: float, angle: float, length: float, depth: int) -> None:
        if depth == 0 or length < 4:
            return
        x1, y1 = x + length * np.sin(angle), y - length * np.cos(angle)
        cv2.line(out, (int(x), int(y)), (int(x1), int(y1)), 1, max(1, depth))
        if leafy and depth <= 3:
            axes = (int(rng.integers(4, 12)), int(rng.integers(2, 6)))
            cv2.ellipse(out, (int(x1), int(y1)), axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
        for _ in range(int(rng.integers(2, 4))):
            grow(x1, y1, angle + rng.normal(0, 0.5), length * rng.uniform(0.6, 0.9), depth - 1)

    grow(SIZE / 2, SIZE, rng.normal(0, 0.1), rng.uniform(40, 70), 6)
    return out > 0


def bars(rng: Rng) -> np.ndarray:
    """Railings: upright bars and rails."""
    out = _canvas()
    period = int(rng.choice([16, 32, 64]))
    width = max(2, int(period * rng.uniform(0.12, 0.6)))
    for x in range(0, SIZE, period):
        out[:, x : x + width] = 1
    for y in rng.choice([0, 20, 120, 200, 236], int(rng.integers(1, 4)), replace=False):
        out[y : y + int(rng.integers(8, 20))] = 1
    return out > 0


def lattice(rng: Rng) -> np.ndarray:
    """Wire mesh, straight or diagonal."""
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    period = int(rng.choice([16, 32, 64]))
    width = period * rng.uniform(0.1, 0.3)
    if rng.random() < 0.5:
        return ((x % period) < width) | ((y % period) < width)
    return (((x + y) % period) < width) | (((x - y) % period) < width)


def perforated(rng: Rng) -> np.ndarray:
    """Panel with a grid of holes."""
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    period = int(rng.choice([32, 64, 128]))
    dx = x % period - period / 2
    dy = y % period - period / 2
    power = float(rng.choice([2, 8]))
    reach = period * rng.uniform(0.25, 0.42)
    return np.abs(dx / reach) ** power + np.abs(dy / reach) ** power > 1


def superformula(rng: Rng) -> np.ndarray:
    """Leaf, star, flower or blob outline (Gielis' superformula), sometimes with a stalk."""
    y, x = (np.mgrid[0:SIZE, 0:SIZE] - SIZE / 2) / (SIZE / 2)
    theta = np.arctan2(x, -y)
    m = float(rng.choice([1, 2, 3, 4, 5, 6, 8, 12]))
    n1, n2, n3 = rng.uniform(0.3, 3), rng.uniform(0.4, 4), rng.uniform(0.4, 4)
    r = (np.abs(np.cos(m * theta / 4)) ** n2 + np.abs(np.sin(m * theta / 4)) ** n3 + 1e-6) ** (
        -1 / n1
    )
    wobble = sum(
        rng.normal(0, 0.06) * np.sin(k * theta + rng.uniform(0, 6.28)) for k in range(2, 9)
    )
    r = r / r.max() * (1 + wobble)
    out = np.hypot(x / rng.uniform(0.5, 1), y) < r * 0.95
    if rng.random() < 0.3:
        out |= (np.abs(x) < 0.03) & (y > 0)
    return out


def blot(rng: Rng) -> np.ndarray:
    """One irregular patch: thresholded noise inside a disc."""
    y, x = (np.mgrid[0:SIZE, 0:SIZE] - SIZE / 2) / (SIZE / 2)
    return (np.hypot(x, y) + 0.28 * noise(rng, rng.uniform(1.2, 2.0))) < 0.65


def _strokes(out: np.ndarray, points: list[tuple[float, float]], width: float) -> None:
    p = [(int(a * SIZE), int(b * SIZE)) for a, b in points]
    for a, b in itertools.pairwise(p):
        cv2.line(out, a, b, 1, max(2, int(width * SIZE)))


def person(rng: Rng) -> np.ndarray:
    """Standing figure from strokes; feet on the bottom edge."""
    out = _canvas()
    lean = rng.normal(0, 0.03)
    cv2.ellipse(out, (int((0.5 + lean) * SIZE), 24), (15, 20), 0, 0, 360, 1, -1)
    shoulder, hip = rng.uniform(0.14, 0.2), rng.uniform(0.1, 0.15)
    body = [(0.5 - shoulder, 0.2), (0.5 + shoulder, 0.2), (0.5 + hip, 0.55), (0.5 - hip, 0.55)]
    cv2.fillPoly(out, [np.array([(int(a * SIZE), int(b * SIZE)) for a, b in body])], 1)
    _strokes(out, [(0.5 + lean, 0.1), (0.5, 0.25)], 0.08)
    for side in (-1, 1):
        knee = 0.5 + side * hip * 0.6 + rng.normal(0, 0.05)
        foot = knee + rng.normal(0, 0.07)
        _strokes(out, [(0.5 + side * hip * 0.5, 0.52), (knee, 0.76), (foot, 0.98)], 0.1)
        elbow = 0.5 + side * (shoulder + rng.uniform(0, 0.12))
        hand = elbow + rng.normal(0, 0.1)
        _strokes(
            out, [(0.5 + side * shoulder, 0.23), (elbow, 0.4), (hand, rng.uniform(0.3, 0.6))], 0.07
        )
    return out > 0


def animal(rng: Rng) -> np.ndarray:
    """Side view of a quadruped; feet on the bottom edge."""
    out = _canvas()
    height = rng.uniform(0.3, 0.5)
    girth = int(rng.uniform(0.09, 0.17) * SIZE)
    cv2.ellipse(
        out,
        (120, int(height * SIZE)),
        (int(rng.integers(60, 85)), girth),
        rng.normal(0, 4),
        0,
        360,
        1,
        -1,
    )
    neck = (rng.uniform(0.78, 0.9), rng.uniform(0.08, 0.3))
    _strokes(out, [(0.68, height), neck], rng.uniform(0.08, 0.16))
    head = (int(neck[0] * SIZE), int(neck[1] * SIZE))
    cv2.ellipse(
        out,
        head,
        (int(rng.integers(18, 34)), int(rng.integers(12, 18))),
        float(rng.uniform(0, 40)),
        0,
        360,
        1,
        -1,
    )
    for side in (-6, 10):
        cv2.line(out, (head[0] + side, head[1]), (head[0] + side - 4, head[1] - 26), 1, 8)
    for x in (0.24, 0.32, 0.6, 0.68):
        _strokes(
            out,
            [(x, height), (x + rng.normal(0, 0.04), 0.7), (x + rng.normal(0, 0.04), 0.99)],
            0.06,
        )
    _strokes(out, [(0.2, height - 0.05), (0.08, height + rng.uniform(-0.25, 0.2))], 0.04)
    return out > 0


def wheel(rng: Rng) -> np.ndarray:
    """Spoked wheel."""
    out = _canvas()
    cv2.circle(out, (128, 128), 118, 1, int(rng.integers(8, 20)))
    cv2.circle(out, (128, 128), int(rng.integers(8, 20)), 1, -1)
    count = int(rng.integers(6, 28))
    for k in range(count):
        a = 2 * np.pi * k / count
        cv2.line(out, (128, 128), (int(128 + 118 * np.cos(a)), int(128 + 118 * np.sin(a))), 1, 2)
    return out > 0


def frame(rng: Rng) -> np.ndarray:
    """Frame with slats: chair backs, crates, ladders."""
    out = _canvas()
    edge = int(rng.integers(14, 40))
    out[:edge], out[-edge:], out[:, :edge], out[:, -edge:] = 1, 1, 1, 1
    count = int(rng.integers(1, 6))
    for k in range(1, count + 1):
        c = k * SIZE // (count + 1)
        half = int(rng.integers(5, 16))
        if rng.random() < 0.5:
            out[c - half : c + half] = 1
        else:
            out[:, c - half : c + half] = 1
    return out > 0


def dashes(rng: Rng) -> np.ndarray:
    """Lane mark: solid, then nothing, along v; a little worn."""
    out = np.zeros((SIZE, SIZE), bool)
    out[: int(SIZE * rng.uniform(0.35, 0.7))] = True
    return out & (noise(rng, 0.6) > -1.8)


def net(rng: Rng) -> np.ndarray:
    """Knotted net, a little pulled out of shape."""
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(float)
    x = x + 5 * noise(rng, 1.8)
    y = y + 5 * noise(rng, 1.8)
    period = float(rng.choice([16, 32, 64]))
    return (((x + y) % period) < 4) | (((x - y) % period) < 4)


MASKS: dict[str, tuple[Callable[[Rng], np.ndarray], int]] = {
    "clump": (clump, 8),
    "foliage": (foliage, 12),
    "patches": (patches, 4),
    "grass": (grass_tuft, 6),
    "branches": (branches, 6),
    "bars": (bars, 6),
    "lattice": (lattice, 6),
    "perforated": (perforated, 4),
    "shape": (superformula, 14),
    "blot": (blot, 8),
    "person": (person, 10),
    "animal": (animal, 8),
    "wheel": (wheel, 4),
    "frame": (frame, 8),
    "net": (net, 3),
    "dashes": (dashes, 3),
}
"""Category -> (generator, how many masks a bank holds)."""
