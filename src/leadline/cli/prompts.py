"""``leadline predict --prompt-depth``: depth files that a network sees beside the pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float

    from leadline.spec import ModelSpec


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """Depth of the pictures from other sensors.

    Attributes:
        place: the file of the only picture, or a folder of files with the pictures' stems.
        per_metre: numbers of the files per metre.
        holes: codes that stand for "nothing is known"; None: nobody said which.
    """

    place: Path
    per_metre: float
    holes: tuple[float, ...] | None = None

    def check_network(self, spec: ModelSpec) -> None:
        """Raise InputError for a network that asks for no depth."""
        if "prompt_depth" not in spec.inputs:
            raise InputError(
                f"--prompt-depth with {spec.name}, which asks for none; leave it out, or take a "
                "network that completes depth."
            )

    def find(self, pictures: Sequence[Path]) -> None:
        """Raise InputError when a picture has none, before anything is done."""
        if not self.place.is_dir() and len(pictures) > 1:
            raise InputError(
                f"--prompt-depth {self.place} is one file for {len(pictures)} pictures; give a "
                "folder with a depth file of each picture's stem."
            )
        for picture in pictures:
            self.file_of(picture)

    def file_of(self, picture: Path) -> Path:
        """The depth file of a picture.

        Raises:
            InputError: none, or several.
        """
        if not self.place.is_dir():
            return self.place
        from leadline.io import DEPTH_SUFFIXES

        found = [
            file
            for file in sorted(self.place.glob("*"))
            if file.stem == picture.stem and file.suffix.lower() in DEPTH_SUFFIXES
        ]
        if len(found) != 1:
            raise InputError(
                f"--prompt-depth {self.place} holds {len(found)} depth files of the stem "
                f"{picture.stem}; one for every picture is needed."
            )
        return found[0]

    def read(self, picture: Path) -> Float[np.ndarray, "h w"]:
        """Metres, float32, 0 where unknown.

        Raises:
            InputError: missing, damaged, or a median that no usual scene has.
        """
        from leadline.datasets.folder import DepthUnits, check_median

        file = self.file_of(picture)
        depth = DepthUnits(per_metre=self.per_metre, holes=self.holes).read(file)
        if not (depth > 0).any():
            raise InputError(f"{file}: no depth is above 0, and 0 means unknown; leave it out.")
        check_median(file, float(np.median(depth[depth > 0])), self.per_metre)
        return depth

    @property
    def way(self) -> dict[str, Any]:
        """All that decides what the files say; JSON-able."""
        files = sorted(self.place.glob("*")) if self.place.is_dir() else [self.place]
        stamps = [[file.name, file.stat().st_mtime_ns] for file in files if file.is_file()]
        return {"prompts": stamps, "prompt_per_metre": self.per_metre, "prompt_holes": self.holes}


def make_prompts(
    file: Path | None, per_metre: float | None, holes: tuple[float, ...] | None
) -> Prompts:
    """What --prompt-depth, --prompt-per-metre and --hole say together.

    Raises:
        InputError: one of the first two without the other, or no scale.
    """
    if file is None or per_metre is None:
        raise InputError(
            "--prompt-depth FILE and --prompt-per-metre N belong together, since no file says its "
            "unit: 1 for metres, 1000 for millimetres. Give both or neither."
        )
    if not 0 < per_metre < float("inf"):
        raise InputError(f"--prompt-per-metre {per_metre:g}: a number above 0 is needed.")
    return Prompts(place=file, per_metre=per_metre, holes=holes)
