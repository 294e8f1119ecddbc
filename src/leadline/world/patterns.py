"""Procedural tileable textures and alpha masks: functions from a generator to a 256 x 256 picture.

Each pattern returns float32 RGB in 0..1 (sRGB-like); each mask returns bool, True = solid.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

SIZE = 256
Rng = np.random.Generator

_FREQ = np.hypot(*np.meshgrid(np.fft.fftfreq(SIZE) * SIZE, np.fft.rfftfreq(SIZE) * SIZE, indexing="ij"))


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
    return _tone(np.full(3, 0.6), noise(rng, rng.uniform(0.8, 1.8)), rng.uniform(0.0, 0.06))


def plaster(rng: Rng) -> np.ndarray:
    field = noise(rng, 1.6) * 0.7 + noise(rng, 0.4) * 0.4
    return _tone(np.full(3, 0.7), field, rng.uniform(0.03, 0.15))


def noisy(rng: Rng) -> np.ndarray:
    power = rng.uniform(0.5, 1.8)
    a = noise(rng, power)
    b = noise(rng, power)
    out = _mix(color(rng)[None, None], color(rng)[None, None], np.clip(a * 0.3 + 0.5, 0, 1))
    return np.clip(out * (1 + 0.25 * b[..., None]), 0, 1)


def concrete(rng: Rng) -> np.ndarray:
    field = noise(rng, 1.2) + 0.5 * noise(rng, 0.2)
    out = _tone(np.array([0.55, 0.54, 0.52]), field, rng.uniform(0.08, 0.2))
    cracks = np.abs(noise(rng, 1.6)) < 0.02
    out[cracks] *= rng.uniform(0.5, 1)
    return out


def asphalt(rng: Rng) -> np.ndarray:
    field = 0.5 * noise(rng, 1.3) + noise(rng, 0.0)
    out = _tone(np.array([0.42, 0.42, 0.43]), field, rng.uniform(0.06, 0.15))
    if rng.random() < 0.5:
        out[np.abs(noise(rng, 1.8)) < 0.015] *= 0.55
    return out


def grass(rng: Rng) -> np.ndarray:
    base = np.array([0.36, 0.42, 0.18]) * rng.uniform(0.7, 1.3) + rng.normal(0, 0.03, 3)
    dry = np.array([0.55, 0.48, 0.28])
    fine = noise(rng, 0.4, stretch=rng.uniform(0.4, 1))
    out = _mix(base[None, None], dry[None, None], np.clip(0.3 + 0.3 * noise(rng, 1.5), 0, 1))
    return np.clip(out * (1 + 0.35 * fine[..., None]), 0, 1)


def gravel(rng: Rng) -> np.ndarray:
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
    return _tone(color(rng, 0.2, 0.7), noise(rng, 0.1) + 0.6 * noise(rng, 1.4), rng.uniform(0.1, 0.3))


def wood(rng: Rng) -> np.ndarray:
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
    border = np.minimum(
        np.minimum(fx, SIZE / cols - fx), np.minimum(fy, SIZE / rows - fy)
    )
    return (row * cols + col % cols).astype(np.int64), border


def planks(rng: Rng) -> np.ndarray:
    boards = int(rng.choice([2, 3, 4, 6, 8]))
    cells, border = _cells(rng, boards, int(rng.choice([1, 2])), rng.choice([0.0, 0.5]))
    out = wood(rng)
    out = out * rng.uniform(0.75, 1.2, cells.max() + 1)[cells][..., None]
    out = out * np.where(border < rng.uniform(0.6, 2.5), rng.uniform(0.3, 0.8), 1.0)[..., None]
    return np.clip(out, 0, 1) if rng.random() < 0.5 else np.clip(out, 0, 1).transpose(1, 0, 2)


def tiles(rng: Rng) -> np.ndarray:
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
    out = np.broadcast_to(color(rng, 0.5, 0.9, 0.15), (SIZE, SIZE, 3)).astype(np.float32).copy()
    n = int(rng.choice([2, 4, 8]))
    motif = noise(rng, 1.3)[: SIZE // n, : SIZE // n]
    motif = motif + motif[:, ::-1]
    motif = np.tile(motif, (n, n)) > rng.uniform(0.2, 1.2)
    out[motif] *= rng.uniform(0.6, 1.2)
    return np.clip(out * (1 + 0.02 * noise(rng, 0.8)[..., None]), 0, 1)


def marble(rng: Rng) -> np.ndarray:
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    field = np.sin(2 * np.pi * (x * rng.integers(0, 3) + y * rng.integers(1, 4) + noise(rng, 1.7) * 0.5))
    return np.clip(_mix(color(rng, 0.6, 0.95, 0.1)[None, None], color(rng, 0.1, 0.6, 0.1)[None, None],
                        np.abs(field) ** rng.uniform(2, 6)), 0, 1)  # fmt: skip


def rust(rng: Rng) -> np.ndarray:
    metal = _tone(color(rng, 0.3, 0.7, 0.2), noise(rng, 0.6), 0.05)
    brown = _tone(np.array([0.38, 0.2, 0.1]), noise(rng, 0.8), 0.25)
    return np.clip(_mix(metal, brown, np.clip(noise(rng, 1.4) - rng.uniform(-0.5, 1.2), 0, 1)), 0, 1)


def metal(rng: Rng) -> np.ndarray:
    field = noise(rng, rng.uniform(0.3, 1.5), rng.choice([0.05, 1.0]))
    return _tone(np.full(3, 0.6), field, rng.uniform(0.02, 0.12))


def bark(rng: Rng) -> np.ndarray:
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
        axes = (max(1, int(size * rng.uniform(0.6, 1.3))), max(1, int(size * rng.uniform(0.25, 0.6))))
        cv2.ellipse(out, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, c, -1)
    return np.clip(out * (1 + 0.12 * noise(rng, 0.6)[..., None]), 0, 1)


def litter(rng: Rng) -> np.ndarray:
    return leaves(rng, np.array([0.5, 0.34, 0.18]) * rng.uniform(0.6, 1.2) + rng.normal(0, 0.05, 3))


def flowers(rng: Rng) -> np.ndarray:
    out = leaves(rng)
    c = color(rng, 0.6, 0.95, 0.5)
    for _ in range(int(rng.integers(15, 80))):
        x, y = (int(v) for v in rng.integers(0, SIZE, 2))
        cv2.circle(out, (x, y), int(rng.integers(3, 9)), np.clip(c * rng.uniform(0.8, 1.2), 0, 1).tolist(), -1)
    return out


def _text(rng: Rng, out: np.ndarray, box: tuple[int, int, int, int], ink: list[float]) -> None:
    x0, y0, x1, y1 = box
    step = int(rng.integers(5, 14))
    for y in range(y0 + 3, y1 - step, step):
        x = x0 + 3
        while x < x1 - 6:
            word = int(rng.integers(4, 22))
            cv2.rectangle(out, (x, y), (min(x + word, x1 - 3), y + max(1, step // 2)), ink, -1)
            if step > 6:
                for cut in range(x, min(x + word, x1 - 3), 4):
                    cv2.line(out, (cut, y), (cut, y + step // 2), [0.7] * 3, 1)
            x += word + 4
        if rng.random() < 0.2:
            y0 += step


def poster(rng: Rng) -> np.ndarray:
    """Printed page: blocks of colour, picture-like noise, lines of marks, a headline."""
    out = np.broadcast_to(color(rng, 0.5, 1.0, 0.3), (SIZE, SIZE, 3)).astype(np.float32).copy()
    for _ in range(int(rng.integers(1, 5))):
        x0, y0 = (int(v) for v in rng.integers(0, 180, 2))
        x1, y1 = x0 + int(rng.integers(30, 200)), y0 + int(rng.integers(30, 200))
        kind = rng.random()
        if kind < 0.35:
            cv2.rectangle(out, (x0, y0), (x1, y1), color(rng, 0.1, 0.95, 0.5).tolist(), -1)
        elif kind < 0.6:
            region = out[y0:y1, x0:x1]
            region[:] = noisy(rng)[: region.shape[0], : region.shape[1]]
        elif kind < 0.75:
            cv2.circle(out, (x0, y0), int(rng.integers(15, 90)), color(rng, 0.1, 0.95, 0.5).tolist(), -1)
        else:
            _text(rng, out, (x0, y0, min(x1, 255), min(y1, 255)), color(rng, 0.02, 0.3, 0.1).tolist())
    letters = "".join(rng.choice(list("ABCDEFGHIKLMNOPRSTUVW &"), int(rng.integers(3, 9))))
    ink = (color(rng, 0.05, 0.95, 0.4) * 255).tolist()
    place = (int(rng.integers(0, 60)), int(rng.integers(40, 230)))
    printed = np.ascontiguousarray((np.clip(out, 0, 1) * 255).astype(np.uint8))
    cv2.putText(printed, letters, place, int(rng.integers(0, 5)), float(rng.uniform(1, 3)), ink,
                int(rng.integers(2, 8)))  # fmt: skip
    return printed.astype(np.float32) / 255


def page(rng: Rng) -> np.ndarray:
    out = np.full((SIZE, SIZE, 3), rng.uniform(0.8, 0.98), np.float32)
    _text(rng, out, (10, 10, 246, 246), [rng.uniform(0.05, 0.4)] * 3)
    return out


def books(rng: Rng) -> np.ndarray:
    """A row of book spines."""
    out = np.full((SIZE, SIZE, 3), 0.06, np.float32)
    x = 0
    while x < SIZE:
        width = int(rng.integers(8, 34))
        top = int(rng.integers(0, 70))
        c = color(rng, 0.08, 0.9, 0.45)
        out[top:, x : x + width - 1] = c
        out[top:, x : x + 2] *= 0.6
        if rng.random() < 0.8 and width > 9:
            ink = color(rng, 0.3, 1.0, 0.2).tolist()
            y = int(rng.integers(top + 10, 160))
            cv2.rectangle(out, (x + 3, y), (x + width - 5, y + int(rng.integers(8, 80))), ink, -1)
        x += width
    return np.clip(out * (1 + 0.04 * noise(rng, 0.8)[..., None]), 0, 1)


def facade(rng: Rng) -> np.ndarray:
    """House front: window grid with frames, sills, curtains and reflections on a plain wall."""
    wall = [plaster, bricks, concrete, stones][int(rng.integers(0, 4))](rng)
    tint = color(rng, 0.4, 0.95, 0.18)
    out = np.clip(wall / wall.mean() * tint, 0, 1).astype(np.float32)
    rows, cols = int(rng.choice([1, 2, 2, 3, 4])), int(rng.choice([1, 2, 2, 3, 4]))
    ch, cw = SIZE // rows, SIZE // cols
    wh, ww = int(ch * rng.uniform(0.4, 0.75)), int(cw * rng.uniform(0.3, 0.8))
    frame = color(rng, 0.1, 0.95, 0.1).tolist()
    for r in range(rows):
        if rng.random() < 0.3:
            cv2.rectangle(out, (0, r * ch), (SIZE, r * ch + 3), (tint * 0.7).tolist(), -1)
        for c in range(cols):
            x, y = c * cw + (cw - ww) // 2, r * ch + (ch - wh) // 2
            glass = color(rng, 0.03, 0.35, 0.1) if rng.random() < 0.8 else color(rng, 0.4, 0.9, 0.1)
            cv2.rectangle(out, (x - 3, y - 3), (x + ww + 3, y + wh + 4), frame, -1)
            pane = np.linspace(rng.uniform(0.6, 2.0), 0.7, wh)[:, None, None] * glass
            out[y : y + wh, x : x + ww] = np.clip(pane, 0, 1)
            if rng.random() < 0.4:
                out[y : y + int(wh * rng.uniform(0.2, 0.9)), x : x + ww] = color(rng, 0.5, 0.9, 0.1)
            bar = max(1, ww // 20)
            cv2.rectangle(out, (x + ww // 2, y), (x + ww // 2 + bar, y + wh), frame, -1)
            if rng.random() < 0.5:
                cv2.rectangle(out, (x, y + wh // 3), (x + ww, y + wh // 3 + bar), frame, -1)
            cv2.rectangle(out, (x - 5, y + wh + 3), (x + ww + 5, y + wh + 6), (tint * 0.5).tolist(), -1)
    return np.clip(out * (1 + 0.04 * noise(rng, 1.5)[..., None]), 0, 1)


def scene_picture(rng: Rng) -> np.ndarray:
    """A blurred view: sky, far hills, ground and blobs; for paintings and screens."""
    out = np.zeros((SIZE, SIZE, 3), np.float32)
    sky, land = color(rng, 0.5, 0.95, 0.3), color(rng, 0.15, 0.6, 0.3)
    horizon = SIZE * rng.uniform(0.3, 0.7) + 18 * noise(rng, 2)[0]
    below = np.arange(SIZE)[:, None] > horizon[None]
    out[:] = np.where(below[..., None], land, sky)
    for _ in range(12):
        p = (int(rng.integers(0, SIZE)), int(rng.integers(60, SIZE)))
        axes = (int(rng.integers(5, 60)), int(rng.integers(5, 60)))
        cv2.ellipse(out, p, axes, 0, 0, 360, color(rng, 0.1, 0.9, 0.4).tolist(), -1)
    out = cv2.GaussianBlur(out, (0, 0), float(rng.uniform(0.5, 6)))
    return np.clip(out * (1 + 0.12 * noise(rng, 1.2)[..., None]), 0, 1)


PATTERNS: dict[str, tuple[Callable[[Rng], np.ndarray], int]] = {
    "flat": (flat, 4), "plaster": (plaster, 6), "noise": (noisy, 14), "concrete": (concrete, 5),
    "asphalt": (asphalt, 6), "grass": (grass, 8), "gravel": (gravel, 5), "carpet": (carpet, 7),
    "wood": (wood, 12), "planks": (planks, 10), "tiles": (tiles, 10), "bricks": (bricks, 8),
    "stones": (stones, 6), "fabric": (fabric, 16), "wallpaper": (wallpaper, 6),
    "marble": (marble, 5), "rust": (rust, 4), "metal": (metal, 4), "bark": (bark, 6),
    "leaves": (leaves, 12), "litter": (litter, 4), "flowers": (flowers, 4), "poster": (poster, 24),
    "page": (page, 5), "books": (books, 8), "facade": (facade, 26), "picture": (scene_picture, 10),
}  # fmt: skip
"""Category -> (generator, how many tiles a bank holds)."""
