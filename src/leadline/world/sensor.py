"""What lens, sensor and file format do to linear light."""

from __future__ import annotations

import cv2
import numpy as np


def expose(linear: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Auto exposure with random error, white balance, saturation and a tone curve; 0..1 sRGB-like.

    Args:
        linear: (h, w, 3) float32 radiance.
        rng: picture's generator.
    """
    sample = linear[::4, ::4].mean(axis=-1)
    middle = float(np.exp(np.log(sample + 1e-3).mean()))
    bright = float(np.quantile(sample, 0.92))
    key = 0.17 / max(middle, 1e-3)
    cap = 1.1 / max(bright, 1e-3)
    gain = np.exp(0.55 * np.log(key) + 0.45 * np.log(cap) + rng.normal(0, 0.3))
    gain = min(gain, rng.uniform(1.2, 2.6) / max(float(np.quantile(sample, 0.985)), 1e-3))
    balance = np.exp(rng.normal(0, 0.07, 3) + rng.normal(0, 0.09) * np.array([1, 0, -1]))
    out = linear * (gain * balance).astype(np.float32)
    shoulder = rng.uniform(0.0, 0.35)
    out = out * (1 + shoulder * 0.5) / (1 + shoulder * out)
    np.clip(out, 0, 1, out=out)
    np.sqrt(out, out=out)
    black = rng.uniform(0.0, 0.16)
    out = np.maximum((out - black) / (1 - black), 0)
    contrast = rng.normal(0.3, 0.25)
    out += contrast * out * (1 - out) * (2 * out - 1) * 1.5
    grey = out.mean(axis=-1, keepdims=True)
    saturation = max(0.0, rng.normal(1.12, 0.25))
    if rng.random() < 0.02:
        saturation = 0.0
    out = grey + (out - grey) * saturation
    lift = rng.uniform(-0.04, 0.05)
    return np.clip(out * (1 - abs(lift)) + max(lift, 0), 0, 1)


def defocus(image: np.ndarray, depth: np.ndarray, focus: float, strength: float) -> np.ndarray:
    """Blur by distance from the focus depth: strength is the blur sigma in pixels at infinity."""
    amount = np.abs(1.0 / np.minimum(depth, 1e4) - 1.0 / focus) * focus * strength
    near = image
    out = image
    for low, sigma in ((0.6, 1.0), (1.6, 2.2), (3.2, 4.5)):
        if strength < low:
            break
        blurred = cv2.GaussianBlur(near, (0, 0), sigma)
        weight = np.clip((amount - low * 0.6) / (low * 0.8), 0, 1)
        weight = cv2.GaussianBlur(weight, (0, 0), sigma * 0.4)[..., None]
        out = out + (blurred - out) * weight
    return out


def capture(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lens blur, vignetting, noise and JPEG on a 0..1 picture; returns uint8."""
    h, w = image.shape[:2]
    scale = min(h, w) / 192
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.35, 0.9) * max(scale, 0.6)))
    elif rng.random() < 0.3:
        soft = cv2.GaussianBlur(image, (0, 0), 1.0)
        image = image + (image - soft) * float(rng.uniform(0.2, 0.9))
    if rng.random() < 0.06:
        length = int(rng.integers(3, max(4, int(7 * scale))))
        kernel = np.zeros((length, length), np.float32)
        cv2.line(
            kernel, (0, int(rng.integers(0, length))), (length - 1, int(rng.integers(0, length))), 1
        )
        image = cv2.filter2D(image, -1, kernel / kernel.sum())
    if rng.random() < 0.5:
        y = np.linspace(-1, 1, h, dtype=np.float32)[:, None]
        x = np.linspace(-1, 1, w, dtype=np.float32)[None]
        image = image * (1 - np.float32(rng.uniform(0, 0.3)) * (x * x + y * y))[..., None]
    if rng.random() < 0.75:
        sigma = np.float32(rng.uniform(0.001, 0.022) * (2 if rng.random() < 0.1 else 1))
        grain = rng.standard_normal((h, w, 3), dtype=np.float32)
        if rng.random() < 0.4:
            grain = cv2.GaussianBlur(grain, (0, 0), 0.6) * 1.8
        image = image + grain * sigma
    out = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    if rng.random() < 0.4:
        quality = [int(cv2.IMWRITE_JPEG_QUALITY), int(rng.integers(35, 95))]
        done, data = cv2.imencode(".jpg", out, quality)
        if done:
            decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
            out = out if decoded is None else decoded
    return out
