"""Texture bank: tileable pictures with a MIP pyramid, alpha masks and skies.

A bank is built once per process (or before a fork) and read by every scene. Procedural parts need
no files; `TextureBank.load` adds photographs (CC0) from a folder.
"""

from __future__ import annotations

import base64
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np

from leadline.errors import InputError, MissingDependencyError
from leadline.world import masks as mask_patterns
from leadline.world import patterns, prints
from leadline.world.arrays import take, to_float32, to_int32
from leadline.world.patterns import SIZE
from leadline.world.sky import SKY_HEIGHT, SKY_PATTERNS, SKY_WIDTH

LEVELS = 9
_OFFSETS = np.cumsum([0] + [(SIZE >> k) ** 2 for k in range(LEVELS)])[:LEVELS].astype(np.int32)
_TEXELS = int(sum((SIZE >> k) ** 2 for k in range(LEVELS)))

_OUTDOOR = ("city", "dawn", "forest", "night", "park", "sky", "sunrise", "sunset", "venice")
_SKIES = {
    "dawn": "dusk",
    "park": "day",
    "sky": "day",
    "sunrise": "dusk",
    "sunset": "day",
    "night": "night",
}
_GROUNDS = {
    "park": "grass",
    "sunset": "grass",
    "forest": "litter",
    "city": "stones",
    "venice": "stones",
    "hall": "planks",
    "warehouse": "concrete",
    "apartment": "planks",
}
_FRONTS = {"city": "facade", "venice": "facade", "forest": "leaves"}


def pack(rgb: np.ndarray) -> np.ndarray:
    """RGB uint8 (..., 3) to one uint32 per pixel."""
    wide = rgb.astype(np.uint32)
    return wide[..., 0] | (wide[..., 1] << 8) | (wide[..., 2] << 16)


class TextureBank:
    """Pictures that surfaces refer to by index.

    Attributes:
        texels: packed RGB of every tile and MIP level, (tiles, texels of a pyramid) uint32.
        means: mean linear colour of each tile, (tiles, 3).
        masks: alpha masks, (masks, 256, 256) bool.
        skies: latitude-longitude skies, (skies, 256, 512, 3) uint8, top row = zenith.
    """

    def __init__(
        self,
        tiles: dict[str, list[np.ndarray]],
        masks: dict[str, list[np.ndarray]],
        skies: dict[str, list[np.ndarray]],
    ) -> None:
        self.categories, pictures = _number(tiles)
        self.texels = np.stack([_pyramid(picture) for picture in pictures])
        top = self.texels[:, -1]
        self.means = np.stack([(top >> s) & 255 for s in (0, 8, 16)], axis=1) / np.float32(255)
        self.means = np.maximum(self.means.astype(np.float32) ** 2, 0.01)
        self.mask_categories, pictures = _number(masks)
        self.masks = np.stack(pictures)
        self.sky_categories, pictures = _number(skies)
        self.skies = np.stack(pictures)

    @classmethod
    def procedural(cls, seed: int = 0, *, share: float = 1.0) -> TextureBank:
        """Bank without any file: the same seed and share give the same bank.

        Args:
            seed: of every picture.
            share: fraction of the usual number of pictures (at least one of each category); a
                small bank builds faster.
        """
        return cls(*_procedural_parts(seed, share))

    @classmethod
    def load(cls, folder: str | Path, seed: int = 0) -> TextureBank:
        """Procedural bank plus photographs cropped from environment maps.

        Args:
            folder: an unpacked ``@pmndrs/assets`` npm package (CC0-1.0); its ``hdri/*.exr.js`` are
                read, which needs the OpenEXR package.
            seed: of the procedural part and of the crops.

        Raises:
            InputError: the folder holds no ``hdri/*.exr.js``.
        """
        tiles, masks, skies = _procedural_parts(seed)
        rng = np.random.default_rng(seed + 1)
        for name, panorama in panoramas(folder).items():
            _add_crops(rng, name, panorama, tiles)
            if name in _SKIES:
                skies[_SKIES[name]].append((panorama * 255).astype(np.uint8))
        return cls(tiles, masks, skies)

    def pick(self, rng: np.random.Generator, category: str) -> int:
        """Index of a random tile of the category."""
        return int(rng.choice(self.categories[category]))

    def pick_mask(self, rng: np.random.Generator, category: str) -> int:
        """Index of a random alpha mask of the category."""
        return int(rng.choice(self.mask_categories[category]))

    def pick_sky(self, rng: np.random.Generator, category: str) -> int:
        """Index of a random sky of the category (day, grey, dusk, night)."""
        return int(rng.choice(self.sky_categories[category]))

    def sample(
        self, tile: np.ndarray, u: np.ndarray, v: np.ndarray, level: np.ndarray
    ) -> list[np.ndarray]:
        """Bilinear colours (three float32 planes, 0..255) of flat pixel arrays.

        Args:
            tile: tile index per pixel (int32).
            u: coordinate in tiles (1 = one repeat).
            v: the same, downwards.
            level: MIP level (int32, 0 = finest).
        """
        return sample(np, self.textures, tile, u, v, level)

    @cached_property
    def textures(self) -> Textures:
        """The tiles as `sample` reads them."""
        return Textures(texels=self.texels.ravel(), starts=_OFFSETS, means=self.means)


@dataclass(frozen=True, kw_only=True)
class Textures:
    """Tiles of a bank, in numpy or on a device.

    Attributes:
        texels: packed RGB of all pyramids, one after the other (uint32; torch: int32).
        starts: first texel of every MIP level in its pyramid.
        means: mean linear colour of each tile, (tiles, 3).
    """

    texels: Any
    starts: Any
    means: Any


def sample(xp: ModuleType, textures: Textures, tile: Any, u: Any, v: Any, level: Any) -> list[Any]:
    """Bilinear colours as `TextureBank.sample` gives them, in numpy or torch."""
    side = SIZE >> level
    base = tile * _TEXELS + take(textures.starts, level)
    x = u * side - 0.5
    y = v * side - 0.5
    fx0, fy0 = xp.floor(x), xp.floor(y)
    fx, fy = to_float32(x - fx0), to_float32(y - fy0)
    last = side - 1
    x0, y0 = to_int32(fx0) & last, to_int32(fy0) & last
    x1, y1 = (x0 + 1) & last, ((y0 + 1) & last) * side + base
    y0 = y0 * side + base
    corners = [take(textures.texels, k) for k in (y0 + x0, y0 + x1, y1 + x0, y1 + x1)]
    gx, gy = 1 - fx, 1 - fy
    weights = [gx * gy, fx * gy, gx * fy, fx * fy]
    out = []
    for shift in (0, 8, 16):
        total = xp.zeros_like(fx)
        for corner, weight in zip(corners, weights, strict=True):
            part = to_float32((corner >> shift) & 255)
            part *= weight
            total += part
        out.append(total)
    return out


def _number(
    groups: dict[str, list[np.ndarray]],
) -> tuple[dict[str, list[int]], list[np.ndarray]]:
    """Indices of every category, and all pictures in one list."""
    numbers: dict[str, list[int]] = {}
    flat: list[np.ndarray] = []
    for name, pictures in groups.items():
        numbers[name] = list(range(len(flat), len(flat) + len(pictures)))
        flat += pictures
    return numbers, flat


def _pyramid(picture: np.ndarray) -> np.ndarray:
    image = np.clip(picture * 255.0, 0, 255).astype(np.float32)
    levels = []
    for _ in range(LEVELS):
        levels.append(pack((image + 0.5).astype(np.uint8)).ravel())
        if image.shape[0] > 1:
            n = image.shape[0] // 2
            image = image.reshape(n, 2, n, 2, 3).mean(axis=(1, 3))
    return np.concatenate(levels)


def _procedural_parts(
    seed: int, share: float = 1.0
) -> tuple[dict[str, list[np.ndarray]], dict[str, list[np.ndarray]], dict[str, list[np.ndarray]]]:
    rng = np.random.default_rng(seed)

    def draw(
        table: dict[str, tuple[Callable[[np.random.Generator], np.ndarray], int]],
    ) -> dict[str, list[np.ndarray]]:
        return {
            name: [make(rng) for _ in range(max(1, round(n * share)))]
            for name, (make, n) in table.items()
        }

    tiles = draw(prints.PATTERNS)
    tiles["photo"] = [prints.scene_picture(rng) for _ in range(6)]
    tiles["photo"] += [patterns.noisy(rng) for _ in range(6)]
    tiles["view"] = [prints.scene_picture(rng) for _ in range(6)]
    tiles["any"] = [t for pictures in tiles.values() for t in pictures[:2]]
    return tiles, draw(mask_patterns.MASKS), draw(SKY_PATTERNS)


def panoramas(folder: str | Path) -> dict[str, np.ndarray]:
    """The environment maps of an unpacked ``@pmndrs/assets`` package, by name.

    Returns:
        (SKY_HEIGHT, SKY_WIDTH, 3) in [0, 1] each: all around, straight up in the first row.

    Raises:
        InputError: the folder holds no ``hdri/*.exr.js``.
    """
    files = sorted(Path(folder).glob("hdri/*.exr.js"))
    if not files:
        raise InputError(
            f"{folder}: no hdri/*.exr.js in it; an unpacked @pmndrs/assets package is needed "
            "(npm pack @pmndrs/assets@1.7.0), or use TextureBank.procedural."
        )
    return {file.name.split(".")[0]: _tone_map(_read_exr_module(file)) for file in files}


def _read_exr_module(file: Path) -> np.ndarray:
    """Linear RGB (h, w, 3) of a JavaScript module that holds a base64 EXR."""
    try:
        import OpenEXR  # ty: ignore[import-not-found]
    except ImportError as error:
        raise MissingDependencyError("OpenEXR", "reading environment maps", "train") from error

    found = re.search(r"base64,([A-Za-z0-9+/=]+)", file.read_text())
    if found is None:
        raise InputError(f"{file}: no base64 data in it; an EXR module is needed.")
    with tempfile.NamedTemporaryFile(suffix=".exr") as handle:
        handle.write(base64.b64decode(found.group(1)))
        handle.flush()
        channels = OpenEXR.File(handle.name).channels()
        if "RGB" in channels:
            return np.array(channels["RGB"].pixels, np.float32)
        return np.stack([np.array(channels[c].pixels, np.float32) for c in "RGB"], axis=-1)


def _tone_map(linear: np.ndarray) -> np.ndarray:
    """Linear radiance to 0..1 with a square-root gamma, size of a sky."""
    linear = np.nan_to_num(np.maximum(linear, 0), posinf=100.0)
    scaled = linear / max(float(np.median(linear)), 1e-4) * 0.25
    mapped = np.sqrt(np.clip(scaled / (1 + 0.5 * scaled), 0, 1))
    return cv2.resize(mapped, (SKY_WIDTH, SKY_HEIGHT), interpolation=cv2.INTER_AREA)


def _tile_from(crop: np.ndarray, mirror: bool) -> np.ndarray:
    if mirror:
        half = cv2.resize(crop, (SIZE // 2, SIZE // 2), interpolation=cv2.INTER_LINEAR)
        half = np.concatenate([half, half[:, ::-1]], axis=1)
        return np.concatenate([half, half[::-1]], axis=0)
    return cv2.resize(crop, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC).clip(0, 1)


def _add_crops(
    rng: np.random.Generator,
    name: str,
    panorama: np.ndarray,
    tiles: dict[str, list[np.ndarray]],
) -> None:
    def cut(low: int, high: int, smallest: int, largest: int) -> np.ndarray:
        size = int(rng.integers(smallest, largest))
        y = int(rng.integers(low, max(low + 1, high - size)))
        x = int(rng.integers(0, SKY_WIDTH - size))
        crop = panorama[y : y + size, x : x + size]
        crop = crop + (crop.mean(axis=-1, keepdims=True) - crop) * rng.uniform(0, 0.5)
        gain = rng.uniform(0.35, 0.55) / max(float(crop.mean()), 0.05)
        grain = 1 + 0.05 * rng.standard_normal((size, size, 1))
        return np.clip(crop * gain * grain, 0, 1).astype(np.float32)

    for _ in range(3):
        if name in _GROUNDS:
            tiles[_GROUNDS[name]].append(_tile_from(cut(160, 250, 50, 90), True))
        if name in _FRONTS:
            tiles[_FRONTS[name]].append(_tile_from(cut(60, 140, 40, 70), True))
    for _ in range(3):
        tiles["photo"].append(_tile_from(cut(70, 200, 60, 110), bool(rng.random() < 0.7)))
        tiles["picture"].append(_tile_from(cut(60, 190, 70, 120), False))
        if name in _OUTDOOR:
            tiles["view"].append(_tile_from(cut(70, 175, 60, 100), False))
    tiles["any"].append(_tile_from(cut(70, 200, 60, 110), True))
