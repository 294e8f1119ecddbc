"""DA-2K: a thousand pictures with pairs of points, of which one is nearer.

Source: Yang et al., Depth Anything V2, NeurIPS 2024, sec. 6.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.datasets.frame import Frame, FrameRef, read_json
from leadline.datasets.spec import DatasetSpec
from leadline.errors import InputError
from leadline.io import read_image

if TYPE_CHECKING:
    from pathlib import Path

_KEYS = {"point1", "point2", "closer_point"}


def da2k_refs(root: Path) -> list[FrameRef]:
    """The pictures of ``annotations.json``: no depth, but ``Frame.pairs``.

    Raises:
        InputError: the file is missing, or not of that layout.
    """
    record = read_json(root / "annotations.json")
    found = []
    for file, pairs in record.items():
        if not isinstance(pairs, list) or not all(set(pair) >= _KEYS for pair in pairs):
            raise InputError(
                f"{root / 'annotations.json'}: {file} needs a list of pairs with point1, "
                "point2 and closer_point; download the file again."
            )
        name = file.removeprefix("./").rpartition(".")[0].removeprefix("images/")
        found.append(FrameRef(name=name, read=partial(_frame, root / file, pairs, name)))
    return found


def _frame(path: Path, pairs: list[dict[str, Any]], name: str) -> Frame:
    image = read_image(path)
    return Frame(
        image=image,
        depth=np.zeros(image.size, np.float32),
        max_depth=1.0,
        group="da-2k",
        name=name,
        pairs=tuple(pairs),
    )


SPECS = (
    DatasetSpec(
        name="da-2k",
        summary="DA-2K, 1,000 pictures with 2,000 pairs of points, of which one is nearer",
        layout="annotations.json\nimages/SCENE/NAME.jpg",
        source="huggingface.co/datasets/depth-anything/DA-2K",
        terms="see its page",
        protocol="da-2k",
        open=lambda root, options: da2k_refs(root),
    ),
)
