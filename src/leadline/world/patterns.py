"""Procedural tileable textures and alpha masks: functions from a generator to a 256 x 256 picture.

Each pattern returns float32 RGB in 0..1 (sRGB-like); each mask returns bool, True = solid.
"""

from __future__ import annotations

import cv2
import numpy as np

SIZE = 256
Rng = np.random.Generator

_FREQ = np.hypot(
    *np.meshgrid(np.fft.fftfreq(SIZE) * SIZE, np.fft.rfftfreq(SIZE) * SIZE, indexing="ij")
)


def noise(rng: Rng, power: float = 1.0, stretch: float = 1.0) -> np.ndarray:
    """Tileable Gaussian noise with spectrum 1 / f ** power, mean 0, deviation 1."""
    freq = _FREQ
    if stretch != 1.0:
        fy, fx = np.meshgrid(
            np.fft.fftfreq(SIZE) * SIZE, np.fft.rfftfreq(SIZE) * SIZE, indexing="ij"
        )
        freq = np.hypot(fx, fy * stretch)
    white = np.fft.rfft2(rng.standard_normal((SIZE, SIZE), dtype=np.float32))
    out = np.fft.irfft2(white / np.maximum(freq, 1.0) ** power, s=(SIZE, SIZE)).astype(np.float32)
    out -= out.mean()
    return out / (out.std() + 1e-6)


def color(rng: Rng, low: float = 0.15, high: float = 0.9, chroma: float = 0.25) -> np.ndarray:
    """Random colour as things have them: mostly greyish or brown, now and then vivid."""
    value = rng.uniform(low, high)
    warm = rng.random() < 0.6
    hue = rng.normal(0.085, 0.03) if warm else rng.choice([0.0, 0.3, 0.58, rng.random()])
    saturation = min(0.95, 2.2 * chroma * rng.beta(0.7, 1.9))
    if rng.random() < 0.3:
        saturation *= 0.15
    angles = (hue + rng.normal(0, 0.02)) % 1.0 * 6.0 + np.array([5.0, 3.0, 1.0])
    wheel = np.clip(np.minimum(angles % 6.0, 4.0 - angles % 6.0), 0, 1)
    return np.clip(value * (1.0 - saturation * wheel), 0.02, 0.98)


def _tone(base: np.ndarray, field: np.ndarray, amount: float) -> np.ndarray:
    return np.clip(base[None, None, :] * (1.0 + amount * field[..., None]), 0, 1)


def _mix(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> np.ndarray:
    w = weight[..., None] if weight.ndim == 2 else weight
    return a * (1 - w) + b * w


def flat(rng: Rng) -> np.ndarray:
    """Plain paint."""
    return _tone(np.full(3, 0.6), noise(rng, rng.uniform(0.8, 1.8)), rng.uniform(0.0, 0.06))


def plaster(rng: Rng) -> np.ndarray:
    """Rough wall."""
    field = noise(rng, 1.6) * 0.7 + noise(rng, 0.4) * 0.4
    return _tone(np.full(3, 0.7), field, rng.uniform(0.03, 0.15))


def noisy(rng: Rng) -> np.ndarray:
    """Two colours mixed by 1/f noise of a random power."""
    power = rng.uniform(0.5, 1.8)
    a = noise(rng, power)
    b = noise(rng, power)
    out = _mix(color(rng)[None, None], color(rng)[None, None], np.clip(a * 0.3 + 0.5, 0, 1))
    return np.clip(out * (1 + 0.25 * b[..., None]), 0, 1)


def concrete(rng: Rng) -> np.ndarray:
    """Grey with stains and hairline cracks."""
    field = noise(rng, 1.2) + 0.5 * noise(rng, 0.2)
    out = _tone(np.array([0.55, 0.54, 0.52]), field, rng.uniform(0.08, 0.2))
    cracks = np.abs(noise(rng, 1.6)) < 0.02
    out[cracks] *= rng.uniform(0.5, 1)
    return out


def asphalt(rng: Rng) -> np.ndarray:
    """Road surface, some with cracks."""
    field = 0.5 * noise(rng, 1.3) + noise(rng, 0.0)
    out = _tone(np.array([0.42, 0.42, 0.43]), field, rng.uniform(0.06, 0.15))
    if rng.random() < 0.5:
        out[np.abs(noise(rng, 1.8)) < 0.015] *= 0.55
    return out


def grass(rng: Rng) -> np.ndarray:
    """Lawn, partly dry."""
    base = np.array([0.36, 0.42, 0.18]) * rng.uniform(0.7, 1.3) + rng.normal(0, 0.03, 3)
    dry = np.array([0.55, 0.48, 0.28])
    fine = noise(rng, 0.4, stretch=rng.uniform(0.4, 1))
    out = _mix(base[None, None], dry[None, None], np.clip(0.3 + 0.3 * noise(rng, 1.5), 0, 1))
    return np.clip(out * (1 + 0.35 * fine[..., None]), 0, 1)


def gravel(rng: Rng) -> np.ndarray:
    """Pebbles."""
    out = np.full((SIZE, SIZE, 3), 0.25, np.float32)
    base = color(rng, 0.35, 0.65, 0.1)
    for _ in range(int(rng.integers(300, 900))):
        x, y = rng.integers(0, SIZE, 2)
        r = int(rng.integers(2, 12))
        c = np.clip(base * rng.uniform(0.5, 1.4) + rng.normal(0, 0.03, 3), 0, 1)
        axes = (r, max(1, int(r * rng.uniform(0.5, 1))))
        cv2.ellipse(out, (int(x), int(y)), axes, float(rng.uniform(0, 180)), 0, 360, c.tolist(), -1)
    return np.clip(out * (1 + 0.15 * noise(rng, 0.5)[..., None]), 0, 1)


def carpet(rng: Rng) -> np.ndarray:
    """Fine pile."""
    return _tone(
        color(rng, 0.2, 0.7), noise(rng, 0.1) + 0.6 * noise(rng, 1.4), rng.uniform(0.1, 0.3)
    )


def wood(rng: Rng) -> np.ndarray:
    """Grain and rings."""
    stretch = rng.uniform(0.03, 0.12)
    x = np.linspace(0, 1, SIZE, endpoint=False)[None]
    warp = noise(rng, 1.8, stretch)
    rings = np.sin(2 * np.pi * (x * rng.integers(2, 14) + warp * rng.uniform(0.1, 0.6)))
    grain = noise(rng, 0.7, stretch * 0.6)
    base = np.array([0.55, 0.38, 0.22]) * rng.uniform(0.45, 1.45) + rng.normal(0, 0.03, 3)
    field = 0.12 * rings * rng.uniform(0.2, 1.2) + 0.14 * grain + 0.06 * noise(rng, 1.5)
    out = np.clip(base[None, None] * (1 + field[..., None]), 0, 1).astype(np.float32)
    return out if rng.random() < 0.7 else np.ascontiguousarray(out.transpose(1, 0, 2))


def _cells(rng: Rng, rows: int, cols: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Cell index picture and distance to the cell border in pixels."""
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    row = np.floor(y * rows / SIZE)
    xx = x * cols / SIZE + shift * row
    col = np.floor(xx)
    fx = (xx - col) * SIZE / cols
    fy = (y * rows / SIZE - row) * SIZE / rows
    border = np.minimum(np.minimum(fx, SIZE / cols - fx), np.minimum(fy, SIZE / rows - fy))
    return (row * cols + col % cols).astype(np.int64), border


def planks(rng: Rng) -> np.ndarray:
    """Boards of differing tone with joints."""
    boards = int(rng.choice([2, 3, 4, 6, 8]))
    cells, border = _cells(rng, boards, int(rng.choice([1, 2])), rng.choice([0.0, 0.5]))
    out = wood(rng)
    out = out * rng.uniform(0.75, 1.2, cells.max() + 1)[cells][..., None]
    out = out * np.where(border < rng.uniform(0.6, 2.5), rng.uniform(0.3, 0.8), 1.0)[..., None]
    return np.clip(out, 0, 1) if rng.random() < 0.5 else np.clip(out, 0, 1).transpose(1, 0, 2)


def tiles(rng: Rng) -> np.ndarray:
    """Square tiles, some chequered."""
    n = int(rng.choice([1, 2, 2, 4, 8]))
    cells, border = _cells(rng, n, n, 0.0)
    shade = rng.uniform(1 - rng.uniform(0.02, 0.2), 1.05, cells.max() + 1)[cells]
    base = color(rng, 0.3, 0.9, 0.15)
    if rng.random() < 0.25 and n > 1:
        shade = np.where((cells // n + cells % n) % 2 == 0, shade, shade * rng.uniform(0.2, 0.8))
    out = _tone(base, noise(rng, 1.3), rng.uniform(0.01, 0.12)) * shade[..., None]
    joint = color(rng, 0.2, 0.8, 0.05)
    return np.clip(np.where((border < rng.uniform(1, 4))[..., None], joint, out), 0, 1)


def bricks(rng: Rng) -> np.ndarray:
    """Brickwork with mortar."""
    rows = int(rng.choice([4, 8, 12, 16]))
    cells, border = _cells(rng, rows, max(1, rows // int(rng.choice([2, 3]))), 0.5)
    base = np.array([0.55, 0.3, 0.22]) if rng.random() < 0.6 else color(rng, 0.4, 0.8, 0.15)
    shade = rng.normal(1, rng.uniform(0.05, 0.2), cells.max() + 1)[cells]
    out = _tone(base, noise(rng, 0.8), 0.12) * shade[..., None]
    joint = color(rng, 0.4, 0.8, 0.05)
    mortar = np.clip((rng.uniform(1.0, 2.5) - border + 0.5), 0, 1)
    return np.clip(_mix(out, joint[None, None], mortar), 0, 1)


def stones(rng: Rng) -> np.ndarray:
    """Random polygons (paving, rubble) from a tiled nearest-seed map."""
    count = int(rng.integers(12, 90))
    seeds = rng.uniform(0, SIZE, (count, 2)).astype(np.float32)
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    first = np.full((SIZE, SIZE), 1e9, np.float32)
    second = first.copy()
    index = np.zeros((SIZE, SIZE), np.int64)
    for k, (sx, sy) in enumerate(seeds):
        dx = np.abs(x - sx)
        dy = np.abs(y - sy)
        d = np.hypot(np.minimum(dx, SIZE - dx), np.minimum(dy, SIZE - dy))
        closer = d < first
        second = np.where(closer, first, np.minimum(second, d))
        first = np.where(closer, d, first)
        index[closer] = k
    base = color(rng, 0.3, 0.7, 0.12)
    out = _tone(base, noise(rng, 1.0), 0.15) * rng.uniform(0.7, 1.25, count)[index][..., None]
    out[(second - first) < rng.uniform(2, 5)] *= rng.uniform(0.4, 0.9)
    return np.clip(out, 0, 1)


def fabric(rng: Rng) -> np.ndarray:
    """Stripes, checks, spots or plain weave."""
    x = np.arange(SIZE)
    a, b, c = color(rng), color(rng), color(rng)
    out = np.broadcast_to(a, (SIZE, SIZE, 3)).copy()
    style = rng.integers(0, 4)
    period = int(rng.choice([8, 16, 32, 64, 128]))
    stripe = (x % period) < period * rng.uniform(0.2, 0.6)
    if style == 0:
        out[:, stripe] = b
    elif style == 1:
        out[:, stripe] = (out[:, stripe] + b) / 2
        out[stripe] = (out[stripe] + c) / 2
    elif style == 2:
        spots = noise(rng, 1.2) > rng.uniform(0.5, 1.4)
        out[spots] = b
        out[noise(rng, 1.2) > 1.3] = c
    weave = noise(rng, 0.1) * 0.06 + noise(rng, 1.5) * 0.06
    return np.clip(out * (1 + weave[..., None]), 0, 1).astype(np.float32)


def wallpaper(rng: Rng) -> np.ndarray:
    """A mirrored motif that repeats."""
    out = np.broadcast_to(color(rng, 0.5, 0.9, 0.15), (SIZE, SIZE, 3)).astype(np.float32).copy()
    n = int(rng.choice([2, 4, 8]))
    motif = noise(rng, 1.3)[: SIZE // n, : SIZE // n]
    motif = motif + motif[:, ::-1]
    motif = np.tile(motif, (n, n)) > rng.uniform(0.2, 1.2)
    out[motif] *= rng.uniform(0.6, 1.2)
    return np.clip(out * (1 + 0.02 * noise(rng, 0.8)[..., None]), 0, 1)


def marble(rng: Rng) -> np.ndarray:
    """Veined stone."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    field = np.sin(
        2 * np.pi * (x * rng.integers(0, 3) + y * rng.integers(1, 4) + noise(rng, 1.7) * 0.5)
    )
    return np.clip(
        _mix(
            color(rng, 0.6, 0.95, 0.1)[None, None],
            color(rng, 0.1, 0.6, 0.1)[None, None],
            np.abs(field) ** rng.uniform(2, 6),
        ),
        0,
        1,
    )


def rust(rng: Rng) -> np.ndarray:
    """Paint eaten by rust."""
    metal = _tone(color(rng, 0.3, 0.7, 0.2), noise(rng, 0.6), 0.05)
    brown = _tone(np.array([0.38, 0.2, 0.1]), noise(rng, 0.8), 0.25)
    return np.clip(
        _mix(metal, brown, np.clip(noise(rng, 1.4) - rng.uniform(-0.5, 1.2), 0, 1)), 0, 1
    )


def metal(rng: Rng) -> np.ndarray:
    """Brushed or cast metal."""
    field = noise(rng, rng.uniform(0.3, 1.5), rng.choice([0.05, 1.0]))
    return _tone(np.full(3, 0.6), field, rng.uniform(0.02, 0.12))


def bark(rng: Rng) -> np.ndarray:
    """Furrows along v."""
    field = noise(rng, 0.9, rng.uniform(3.0, 9.0))
    return _tone(color(rng, 0.2, 0.45, 0.12), field, rng.uniform(0.2, 0.5))


def leaves(rng: Rng, base: np.ndarray | None = None) -> np.ndarray:
    """Overlapping leaves, darker below."""
    if base is None:
        base = np.array([0.3, 0.42, 0.14]) * rng.uniform(0.6, 1.3) + rng.normal(0, 0.04, 3)
    out = np.broadcast_to(base * 0.25, (SIZE, SIZE, 3)).astype(np.float32).copy()
    size = rng.uniform(3, 16)
    for k in range(500):
        x, y = (int(v) for v in rng.integers(0, SIZE, 2))
        shade = (0.4 + 0.8 * k / 500) * rng.uniform(0.7, 1.3)
        c = np.clip(base * shade + rng.normal(0, 0.03, 3), 0, 1).tolist()
        axes = (
            max(1, int(size * rng.uniform(0.6, 1.3))),
            max(1, int(size * rng.uniform(0.25, 0.6))),
        )
        cv2.ellipse(out, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, c, -1)
    return np.clip(out * (1 + 0.12 * noise(rng, 0.6)[..., None]), 0, 1)


def litter(rng: Rng) -> np.ndarray:
    """Fallen leaves."""
    return leaves(rng, np.array([0.5, 0.34, 0.18]) * rng.uniform(0.6, 1.2) + rng.normal(0, 0.05, 3))


def flowers(rng: Rng) -> np.ndarray:
    """Leaves with blossoms."""
    out = leaves(rng)
    c = color(rng, 0.6, 0.95, 0.5)
    for _ in range(int(rng.integers(15, 80))):
        x, y = (int(v) for v in rng.integers(0, SIZE, 2))
        cv2.circle(
            out,
            (x, y),
            int(rng.integers(3, 9)),
            np.clip(c * rng.uniform(0.8, 1.2), 0, 1).tolist(),
            -1,
        )
    return out
