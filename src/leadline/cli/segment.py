"""``leadline segment``: cut a picture into superpixels and draw them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadline.cli.options import Json, MaxMegapixels, Tone
from leadline.cli.pictures import Reading
from leadline.errors import InputError

if TYPE_CHECKING:
    import numpy as np


def segment(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="A picture.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Picture to write; default: <stem>.segments.png here."),
    ] = None,
    method: Annotated[
        str, typer.Option(help="felzenszwalb (along a graph) or slic (compact).")
    ] = "felzenszwalb",
    scale: Annotated[float, typer.Option(help="felzenszwalb: larger gives larger segments.")] = 60,
    count: Annotated[int, typer.Option(help="slic: number of segments, about.")] = 300,
    compactness: Annotated[float, typer.Option(help="slic: weight of place against colour.")] = 10,
    sigma: Annotated[float, typer.Option(help="Blur before the cut, pixels.")] = 0.5,
    min_size: Annotated[int, typer.Option(help="Smallest segment, pixels.")] = 40,
    max_side: Annotated[
        int, typer.Option(help="Short side at which larger pictures are cut; 0: as they are.")
    ] = 480,
    paint: Annotated[bool, typer.Option("--paint", help="Paint segments in their mean.")] = False,
    labels: Annotated[
        Path | None, typer.Option(help="Also write each pixel's segment number, .npy.")
    ] = None,
    tone: Tone = "linear",
    max_megapixels: MaxMegapixels = None,
    as_json: Json = False,
) -> None:
    """Draw the segments of IMAGE, as the statistical model (superpixel) sees it."""
    from PIL import Image

    from leadline.cli.naming import check_folder
    from leadline.jobs import atomic_write
    from leadline.superpixel import SegmentConfig, draw_outlines
    from leadline.superpixel import segment as run

    file = out or Path(f"{Path(image).stem}.segments.png")
    if file.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise InputError(f"--out {file}: a name that ends in .png or .jpg is needed.")
    if labels is not None and labels.suffix.lower() != ".npy":
        raise InputError(f"--labels {labels}: a name that ends in .npy is needed.")
    config = SegmentConfig(
        method=method,  # ty: ignore[invalid-argument-type] - checked there
        scale=scale,
        count=count,
        compactness=compactness,
        sigma=sigma,
        min_size=min_size,
    )
    check_folder(file.parent)
    reading = Reading.of(tone, max_megapixels)
    pixels = _shrunk(reading.read_aloud(image).pixels, max_side)
    segments = run(pixels, config)
    drawn = Image.fromarray(draw_outlines(pixels, segments, fill=paint))
    with atomic_write(file) as opened:
        drawn.save(opened, format="PNG" if file.suffix.lower() == ".png" else "JPEG")
    if labels is not None:
        import numpy as np

        with atomic_write(labels) as opened:
            np.save(opened, segments.labels)
    if as_json:
        summary = {
            "input": image,
            "file": str(file),
            "method": config.method,
            "size": list(segments.size),
            "segments": segments.count,
            "smallest": int(segments.areas.min()),
            "largest": int(segments.areas.max()),
        }
        typer.echo(json.dumps(summary, indent=2))
        return
    typer.echo(f"{segments.count} segments of {segments.size[1]}x{segments.size[0]}: {file}")


def _shrunk(pixels: np.ndarray, size: int) -> np.ndarray:
    """The picture with its short side at most ``size``."""
    import numpy as np

    from leadline.resample import resize

    height, width = pixels.shape[:2]
    if size < 0:
        raise InputError(f"--max-side {size}: 0 or more pixels are needed.")
    if size == 0 or min(height, width) <= size:
        return pixels
    factor = size / min(height, width)
    smaller = resize(pixels, (round(height * factor), round(width * factor)), "area_linear")
    return np.clip(np.rint(smaller), 0, 255).astype(np.uint8)
