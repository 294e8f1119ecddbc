"""Procedural skies: latitude-longitude pictures, zenith in the top row, horizon in the middle."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

SKY_HEIGHT, SKY_WIDTH = 256, 512
Rng = np.random.Generator


def _clouds(rng: Rng, power: float) -> np.ndarray:
    """Noise that repeats around the horizon; flattened near it, as clouds look."""
    n = 512
    fy, fx = np.meshgrid(np.fft.fftfreq(n) * n, np.fft.rfftfreq(n) * n, indexing="ij")
    white = np.fft.rfft2(rng.standard_normal((n, n)))
    field = np.fft.irfft2(white / np.maximum(np.hypot(fx, fy), 1) ** power, s=(n, n))
    field = (field - field.mean()) / field.std()
    elevation = np.clip(np.linspace(np.pi / 2, -np.pi / 2, SKY_HEIGHT), 0.02, None)
    reach = np.clip(1.0 / np.tan(elevation), 0, 14)[:, None]
    azimuth = np.linspace(0, 2 * np.pi, SKY_WIDTH, endpoint=False)[None]
    x = (reach * np.cos(azimuth) * 60 % n).astype(np.float32)
    y = (reach * np.sin(azimuth) * 60 % n).astype(np.float32)
    return cv2.remap(field.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _sky(
    rng: Rng, zenith: np.ndarray, horizon: np.ndarray, cover: float, glow: float
) -> np.ndarray:
    height = np.clip(np.linspace(1, -1, SKY_HEIGHT), 0, 1)[:, None, None]
    out = horizon + (zenith - horizon) * height ** rng.uniform(0.35, 0.7)
    out = np.broadcast_to(out, (SKY_HEIGHT, SKY_WIDTH, 3)).copy()
    field = _clouds(rng, rng.uniform(1.2, 1.8))
    amount = np.clip((field + cover) * rng.uniform(0.4, 1.2), 0, 1)[..., None]
    cloud = horizon * 0.5 + 0.5 * np.array([1.0, 1.0, 1.0]) * horizon.max()
    shade = 1.0 - 0.25 * np.clip(field + cover - 0.8, 0, 1)[..., None]
    out = out * (1 - amount) + cloud * shade * amount
    if glow > 0:
        row = SKY_HEIGHT * rng.uniform(0.2, 0.5)
        y, x = np.mgrid[0:SKY_HEIGHT, 0:SKY_WIDTH]
        distance = np.hypot(np.abs(x - SKY_WIDTH / 2), y - row)
        halo = glow * np.exp(-distance / rng.uniform(15, 60)) + 0.8 * (distance < 4)
        out = out + halo[..., None] * np.array([1.0, 0.92, 0.8])
    return (np.clip(out, 0, 1) * 255).astype(np.uint8)


def day(rng: Rng) -> np.ndarray:
    """Blue sky, clear to cloudy."""
    zenith = np.array([0.28, 0.48, 0.8]) * rng.uniform(0.7, 1.2) + rng.normal(0, 0.03, 3)
    horizon = np.array([0.82, 0.9, 0.98]) * rng.uniform(0.85, 1.02)
    return _sky(rng, zenith, horizon, rng.uniform(-2.0, 1.0), rng.uniform(0, 0.8))


def grey(rng: Rng) -> np.ndarray:
    """Overcast."""
    level = rng.uniform(0.7, 1.0)
    tone = np.array([0.97, 0.99, 1.0]) * level
    return _sky(rng, tone * rng.uniform(0.75, 1.0), tone, rng.uniform(0.0, 2.0), 0.0)


def dusk(rng: Rng) -> np.ndarray:
    """Low sun, warm horizon."""
    zenith = np.array([0.25, 0.3, 0.5]) * rng.uniform(0.5, 1.2)
    horizon = np.array([0.98, rng.uniform(0.55, 0.85), rng.uniform(0.3, 0.75)])
    return _sky(rng, zenith, horizon, rng.uniform(-1, 1), rng.uniform(0.3, 1.0))


def night(rng: Rng) -> np.ndarray:
    """Nearly black."""
    zenith = np.array([0.03, 0.04, 0.09]) * rng.uniform(0.5, 2)
    return _sky(rng, zenith, zenith * rng.uniform(1, 4) + 0.02, rng.uniform(-2, 0.5), 0.0)


SKY_PATTERNS: dict[str, tuple[Callable[[Rng], np.ndarray], int]] = {
    "day": (day, 8),
    "grey": (grey, 6),
    "dusk": (dusk, 4),
    "night": (night, 2),
}
"""Mood -> (generator, how many skies a bank holds)."""
