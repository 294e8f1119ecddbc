"""Where the documents, their pictures and the measured results lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
IMAGES = DOCS / "images"
RESULTS = ROOT / "benchmarks" / "results"


def save_picture(picture: Image.Image | np.ndarray, name: str, **options: Any) -> None:
    """Write docs/images/``name``; ``options`` go to Pillow."""
    IMAGES.mkdir(exist_ok=True)
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(IMAGES / name, **options)
