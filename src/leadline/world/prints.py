"""Printed and built pictures (posters, books, house fronts, views) and the table of tiles."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from leadline.world import patterns
from leadline.world.patterns import SIZE, Rng, color, noise


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
            region[:] = patterns.noisy(rng)[: region.shape[0], : region.shape[1]]
        elif kind < 0.75:
            cv2.circle(
                out, (x0, y0), int(rng.integers(15, 90)), color(rng, 0.1, 0.95, 0.5).tolist(), -1
            )
        else:
            _text(
                rng, out, (x0, y0, min(x1, 255), min(y1, 255)), color(rng, 0.02, 0.3, 0.1).tolist()
            )
    letters = "".join(rng.choice(list("ABCDEFGHIKLMNOPRSTUVW &"), int(rng.integers(3, 9))))
    ink = (color(rng, 0.05, 0.95, 0.4) * 255).tolist()
    place = (int(rng.integers(0, 60)), int(rng.integers(40, 230)))
    printed = np.ascontiguousarray((np.clip(out, 0, 1) * 255).astype(np.uint8))
    cv2.putText(
        printed,
        letters,
        place,
        int(rng.integers(0, 5)),
        float(rng.uniform(1, 3)),
        ink,
        int(rng.integers(2, 8)),
    )
    return printed.astype(np.float32) / 255


def page(rng: Rng) -> np.ndarray:
    """White page of text lines."""
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
    wall = (patterns.plaster, patterns.bricks, patterns.concrete, patterns.stones)[
        int(rng.integers(0, 4))
    ](rng)
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
            cv2.rectangle(
                out, (x - 5, y + wh + 3), (x + ww + 5, y + wh + 6), (tint * 0.5).tolist(), -1
            )
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
    "flat": (patterns.flat, 4),
    "plaster": (patterns.plaster, 6),
    "noise": (patterns.noisy, 14),
    "concrete": (patterns.concrete, 5),
    "asphalt": (patterns.asphalt, 6),
    "grass": (patterns.grass, 8),
    "gravel": (patterns.gravel, 5),
    "carpet": (patterns.carpet, 7),
    "wood": (patterns.wood, 12),
    "planks": (patterns.planks, 10),
    "tiles": (patterns.tiles, 10),
    "bricks": (patterns.bricks, 8),
    "stones": (patterns.stones, 6),
    "fabric": (patterns.fabric, 16),
    "wallpaper": (patterns.wallpaper, 6),
    "marble": (patterns.marble, 5),
    "rust": (patterns.rust, 4),
    "metal": (patterns.metal, 4),
    "bark": (patterns.bark, 6),
    "leaves": (patterns.leaves, 12),
    "litter": (patterns.litter, 4),
    "flowers": (patterns.flowers, 4),
    "poster": (poster, 24),
    "page": (page, 5),
    "books": (books, 8),
    "facade": (facade, 26),
    "picture": (scene_picture, 10),
}
"""Category -> (generator, how many tiles a bank holds)."""
