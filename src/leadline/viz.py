"""Maps and pictures to look at: colours, side by side, contact sheets.

Nearer is always brighter or warmer, whatever the kind of map: that is what people read off such
pictures without a legend.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from leadline.errors import InputError, UnknownNameError
from leadline.kinds import DepthKind
from leadline.resample import resize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Bool, Float, UInt8

    Picture = UInt8[np.ndarray, "_ _ 3"]

_CONTROL_STEP = 64
"""Sides of the pictures that ControlNet's networks take are multiples of this many pixels."""

NO_VALUE_RGB = (100, 108, 128)
"""Colour of pixels without a value: a slate that no map holds, the grey one neither."""

# 52 colours each, evenly spaced and joined by straight lines: within 1.2/255 of the full tables.
# inferno, magma, viridis: matplotlib, CC0. turbo: Google, Apache-2.0. spectral: ColorBrewer,
# Apache-2.0, its 11 colours reversed so that warm is near.
_TABLES = {
    "inferno": (
        "00000402020c0504170a072210092d160b391e0c45260c512f0a5b380962400a67490b6a510e6c59106e"
        "61136e69166e71196e781c6d801f6c88226a902568982766a02a63a82e5fb0315bb73557bf3952c63d4d"
        "cc4248d34743d94d3ddf5337e45a31e9612bed6925f1711ff47918f78212f98b0bfa9407fb9d07fca60c"
        "fcb014fbba1ffac42af8cd37f6d746f4e156f2ea69f2f27df5f992fcffa4"
    ),
    "magma": (
        "00000402020b0504160907200e0b2b140e361a104221114e29115a311165390f6e420f754a107952137c"
        "5a167e6219806a1c81721f81792282812581892881912b81992d80a1307eaa337db2357bba3878c23b75"
        "ca3e72d2426fd9466be04c67e75263ec5860f1605df4695cf7725cf97b5dfb8560fc8e64fd9869fea16e"
        "feaa74feb47bfebd82fec68afecf92fed89afde2a3fdebacfcf4b6fcfdbf"
    ),
    "viridis": (
        "44015446085c471063481769481d6f482475472a7a46307e453781433d844142873f48893d4e8a3a538b"
        "38598c355e8d33638d31688e2e6d8e2c718e2a768e297b8e27808e25848e23898e218e8d20928c1f978b"
        "1e9c891fa18821a58524aa8328ae802eb37c35b7793dbc7446c06f50c46a5ac86465cb5e70cf577cd250"
        "89d54895d840a2da37b0dd2fbddf26cae11fd8e219e5e419f1e51dfde725"
    ),
    "turbo": (
        "30123b36215f3b2f803f3e9c424bb54559cb4666dd4773eb4680f6458cfd4099ff38a5fb2fb2f427bee9"
        "1fc9dd1ad4d018ddc21ae4b622ebaa2ff19b3ff68a52fa7a65fd6979fe598bff4b9cfe40a9fb39b7f735"
        "c3f134d0ea34dbe236e5d938eecf3af5c53afaba39fdae35fea130fe932afc8423f9751df46617ef5811"
        "e84b0ce14109d83706ce2d04c32503b71d02a916019b0f018b09027a0403"
    ),
    "spectral": "5e4fa23288bd66c2a5abdda4e6f598ffffbffee08bfdae61f46d43d53e4f9e0142",
    "grey": "000000ffffff",
}

CMAPS = tuple(_TABLES)
"""Names of the colour maps."""


def nearness(values: Float[np.ndarray, "h w"], kind: DepthKind) -> Float[np.ndarray, "h w"]:
    """The map with larger = nearer, in the domain that shows most: inverse depth where it exists.

    Disparities stay as they are; metric and scaled depth are inverted (values that are not
    positive become NaN); affine depth, which has no inverse, is negated.
    """
    values = np.asarray(values, dtype=np.float32)
    if kind.larger_is_nearer:
        return values
    if kind is DepthKind.AFFINE_DEPTH:
        return -values
    return np.divide(1, values, out=np.full_like(values, np.nan), where=values > 0)


def value_range(
    values: Float[np.ndarray, "h w"],
    valid: Bool[np.ndarray, "h w"] | None = None,
    *,
    percentiles: tuple[float, float] = (2.0, 98.0),
) -> tuple[float, float]:
    """Percentiles of the finite values; (0, 0) when there are none."""
    known = np.isfinite(values) if valid is None else np.isfinite(values) & valid
    found = values if known.all() else values[known]
    if not found.size:
        return 0.0, 0.0
    low, high = np.percentile(found, percentiles)
    if high <= low:  # a few distinct values in a constant map
        low, high = found.min(), found.max()
    return float(low), float(high)


def colorize(
    values: Float[np.ndarray, "h w"],
    *,
    cmap: str = "inferno",
    valid: Bool[np.ndarray, "h w"] | None = None,
    limits: tuple[float, float] | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """Colour a map, larger = brighter or warmer; a constant map gets the middle colour.

    Args:
        values: the map; see :func:`nearness`.
        cmap: one of :data:`CMAPS`.
        valid: False where there is no value; those pixels and non-finite ones become slate.
        limits: the values of the first and last colour; default: :func:`value_range`. Give the
            same limits to several maps (the frames of a video, say) to make them comparable.
    """
    values = np.asarray(values, dtype=np.float32)
    if values.ndim != 2:
        raise InputError(f"map of shape {values.shape} to colour: (h, w) is needed.")
    known = np.isfinite(values) if valid is None else np.isfinite(values) & valid
    whole = bool(known.all())
    low, high = value_range(values, None if whole else valid) if limits is None else limits
    if high > low:
        level = values - np.float32(low)
        level *= np.float32(255.0 / (high - low))
        np.clip(np.rint(level, out=level), 0, 255, out=level)
        with np.errstate(invalid="ignore"):  # NaN gets its colour below
            index = level.astype(np.uint8)
    else:
        index = np.full(values.shape, 128, dtype=np.uint8)
    paletted = PilImage.fromarray(index)
    paletted.putpalette(_table(cmap).tobytes())
    picture = np.array(paletted.convert("RGB"))  # thrice as fast as indexing the table
    if not whole:
        picture[~known] = NO_VALUE_RGB
    return picture


def draw_map(
    values: Float[np.ndarray, "h w"],
    kind: DepthKind,
    *,
    valid: Bool[np.ndarray, "h w"] | None = None,
    cmap: str = "inferno",
    limits: tuple[float, float] | None = None,
    photo: Picture | None = None,
    legend: bool = False,
) -> Picture:
    """A map in colours, nearer = brighter or warmer, see :func:`colorize`.

    Args:
        values: the map.
        kind: what its values mean.
        valid: as of :func:`colorize`.
        cmap: likewise.
        limits: likewise, in the domain of :func:`nearness`.
        photo: stands at the left.
        legend: put a colour bar at the right.
    """
    near = nearness(values, kind)
    picture = colorize(near, cmap=cmap, valid=valid, limits=limits)
    if photo is not None:
        picture = side_by_side(photo, picture)
    if not legend:
        return picture
    return add_legend(picture, limits or value_range(near, valid), kind, cmap=cmap)


def near_white(
    values: Float[np.ndarray, "h w"],
    *,
    valid: Bool[np.ndarray, "h w"] | None = None,
    side: int | None = None,
) -> UInt8[np.ndarray, "h2 w2"]:
    """The grey map that ControlNet's depth networks take: 0 the farthest value, 255 the nearest.

    Args:
        values: the map, larger = nearer; see :func:`nearness`.
        valid: False where there is no value; that becomes 0.
        side: resize so that the short side is about this, and both are multiples of 64.

    Raises:
        InputError: no finite value, or a side below 64.
    """
    known = np.isfinite(values) if valid is None else np.isfinite(values) & valid
    if not known.any():
        raise InputError(
            "a map without any finite value has no nearest and farthest; see it whole."
        )
    low, high = values[known].min(), values[known].max()
    shares = np.where(known, (values - low) / (high - low if high > low else 1), 0)
    check_control_side(side)
    if side is not None:
        scale = side / min(values.shape) / _CONTROL_STEP
        height, width = (max(1, round(n * scale)) * _CONTROL_STEP for n in values.shape)
        shares = resize(shares.astype(np.float32), (height, width), "area_linear")
    return np.clip(np.rint(shares * 255), 0, 255).astype(np.uint8)


def check_control_side(side: int | None) -> None:
    """Raise InputError for a side that :func:`near_white` cannot make."""
    if side is not None and not _CONTROL_STEP <= side <= 64 * _CONTROL_STEP:
        raise InputError(
            f"control side {side}: {_CONTROL_STEP} to {64 * _CONTROL_STEP} pixels are needed."
        )


def add_legend(
    picture: Picture, limits: tuple[float, float], kind: DepthKind, *, cmap: str = "inferno"
) -> Picture:
    """A picture with a colour bar at its right: metres or pixels where known, else near and far.

    Args:
        picture: of :func:`colorize`.
        limits: :func:`nearness` of the last and the first colour, as :func:`colorize` takes them.
        kind: of the map.
        cmap: of the picture.
    """
    font_px = int(np.clip(picture.shape[0] / 28, 11, 64))
    font = ImageFont.load_default(font_px)
    height = max(picture.shape[0], 6 * font_px)
    top, bottom = font_px, height - font_px
    ticks = _ticks(limits, kind, (bottom - top) / (1.5 * font_px))
    text_width = max(math.ceil(font.getlength(text)) for _, text in ticks)
    left = picture.shape[1] + font_px
    canvas = PilImage.new("RGB", (left + 2 * font_px + text_width + font_px // 2, height), "white")
    canvas.paste(PilImage.fromarray(picture), (0, 0))
    bar = np.rint(np.linspace(255, 0, bottom - top)).astype(np.uint8)
    colors = np.repeat(_table(cmap)[bar][:, None], font_px, axis=1)
    canvas.paste(PilImage.fromarray(colors), (left, top))
    pen = ImageDraw.Draw(canvas)
    for share, text in ticks:  # 1: the nearest, at the top
        y = bottom - share * (bottom - top)
        pen.line([(left + font_px, y), (left + 1.25 * font_px, y)], fill="black")
        pen.text((left + 1.5 * font_px, y), text, fill="black", font=font, anchor="lm")
    return np.asarray(canvas)


def _ticks(limits: tuple[float, float], kind: DepthKind, most: float) -> list[tuple[float, str]]:
    """Places along the bar, 0 the farthest, and what to write there: ends, round numbers between.

    Numbers stand at kinds with a unit only; ``most`` is how many fit.
    """
    low, high = limits
    if kind.unit == "1" or not high > low:
        return [(0.0, "far"), (1.0, "near")]
    ends = (1 / high, 1 / low) if kind.is_metric else (low, high)
    powers = 10.0 ** np.arange(math.floor(math.log10(max(ends[0], 1e-6))), 7)
    round_ones = (np.outer(powers, (1, 1.5, 2, 3, 4, 5, 6, 8))).reshape(-1)
    places: list[tuple[float, float]] = []
    for value in (*ends, *round_ones[(round_ones > ends[0]) & (round_ones < ends[1])]):
        near = 1 / value if kind.is_metric else value
        share = float((near - low) / (high - low))
        if all(abs(share - other) > 1 / most for other, _ in places):
            places.append((share, float(value)))
    return [(share, f"{value:.3g} {kind.unit}") for share, value in places]


def side_by_side(left: Picture, right: Picture, *, gap: int = 8) -> Picture:
    """Two pictures of one height next to each other; the right one is resized when it differs."""
    if left.shape[0] != right.shape[0]:
        width = max(1, round(right.shape[1] * left.shape[0] / right.shape[0]))
        right = _fit(right, left.shape[0], width)
    bar = np.full((left.shape[0], gap, 3), 255, dtype=np.uint8)
    return np.concatenate([left, bar, right], axis=1)


def contact_sheet(
    pictures: Sequence[Picture], *, columns: int = 4, cell: tuple[int, int] | None = None
) -> Picture:
    """Pictures in a white grid, row by row, each fitted into its cell without distortion.

    Args:
        pictures: at least one.
        columns: pictures a row.
        cell: (height, width) of a cell in pixels; default: the largest sides, at most 480.
    """
    if not pictures or columns < 1:
        raise InputError(f"{len(pictures)} pictures in {columns} columns: at least 1 of each.")
    if cell is None:
        cell = (
            min(480, max(p.shape[0] for p in pictures)),
            min(480, max(p.shape[1] for p in pictures)),
        )
    columns, gap = min(columns, len(pictures)), 6
    rows = -(-len(pictures) // columns)
    height, width = cell[0] + gap, cell[1] + gap
    sheet = np.full((rows * height + gap, columns * width + gap, 3), 255, dtype=np.uint8)
    for i, picture in enumerate(pictures):
        scale = min(cell[0] / picture.shape[0], cell[1] / picture.shape[1])
        h = min(cell[0], max(1, round(picture.shape[0] * scale)))
        w = min(cell[1], max(1, round(picture.shape[1] * scale)))
        top = gap + (i // columns) * height + (cell[0] - h) // 2
        left = gap + (i % columns) * width + (cell[1] - w) // 2
        sheet[top : top + h, left : left + w] = _fit(picture, h, w)
    return sheet


def draw_marks(
    picture: Picture,
    points: Float[np.ndarray, "n 2"],
    colors: UInt8[np.ndarray, "n 3"],
    *,
    segments: Float[np.ndarray, "n 2 2"] | None = None,
) -> Picture:
    """A picture with rings around points and straight lines, one colour for each row.

    Args:
        picture: is not changed.
        points: x and y in pixels.
        colors: RGB of every row.
        segments: both ends of a line for every row; NaN: none.
    """
    canvas = PilImage.fromarray(picture)
    pen = ImageDraw.Draw(canvas)
    size = max(1, round(max(picture.shape[:2]) / 640))
    for i, (x, y) in enumerate(points):
        color = tuple(int(c) for c in colors[i])
        if segments is not None and np.isfinite(segments[i]).all():
            pen.line([(float(u), float(v)) for u, v in segments[i]], fill=color, width=size)
        for radius, fill in ((4 * size + 1, (0, 0, 0)), (4 * size, color)):
            box = (float(x - radius), float(y - radius), float(x + radius), float(y + radius))
            pen.ellipse(box, outline=fill, width=2 * size)
    return np.asarray(canvas)


def _fit(picture: Picture, height: int, width: int) -> Picture:
    if picture.shape[:2] == (height, width):
        return picture
    resized = resize(picture, (height, width), "area_linear")
    return np.clip(np.rint(resized), 0, 255).astype(np.uint8)


@lru_cache(maxsize=len(_TABLES))
def _table(name: str) -> UInt8[np.ndarray, "256 3"]:
    if name not in _TABLES:
        raise UnknownNameError("colour map", name, CMAPS)
    colors = np.frombuffer(bytes.fromhex(_TABLES[name]), dtype=np.uint8).reshape(-1, 3)
    at = np.linspace(0, 255, len(colors))
    channels = [np.interp(np.arange(256), at, colors[:, c]) for c in range(3)]
    return np.rint(np.stack(channels, 1)).astype(np.uint8)
