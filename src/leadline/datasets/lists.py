"""The field's lists of frames, shipped with the package: which frames belong to which split.

Test lists keep their order; training lists are sorted. KITTI lines are ``date/drive frame side``,
NYU lines of the synchronised set ``scene number``, of the labelled set an index from 0.

Source: Eigen et al. 2014 (KITTI test), Zhou et al. 2017 (static frames removed), monodepth2's
repository (full, benchmark), Silberman et al. 2012 (NYU), BTS's repository (synchronised NYU).
"""

from __future__ import annotations

import lzma
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from leadline.errors import UnknownNameError

KITTI_LISTS = (
    *("kitti-eigen-test", "kitti-eigen-benchmark-test", "kitti-eigen-zhou-train"),
    *("kitti-eigen-zhou-val", "kitti-eigen-full-train", "kitti-eigen-full-val", "kitti-bts-train"),
)
"""Lists of KITTI's frames."""

NYU_LISTS = ("nyu-labelled-test", "nyu-labelled-train", "nyu-sync-test", "nyu-sync-train")
LISTS = (*KITTI_LISTS, *NYU_LISTS)
"""Every list by name."""


@dataclass(frozen=True, kw_only=True)
class KittiFrame:
    """A frame of a KITTI raw drive.

    Attributes:
        date: of the drive, ``2011_09_26``.
        drive: four digits.
        number: of the frame.
        side: ``l`` or ``r``.
    """

    date: str
    drive: str
    number: int
    side: str

    @property
    def sync(self) -> str:
        """Name of the drive's folder."""
        return f"{self.date}_drive_{self.drive}_sync"

    @property
    def camera(self) -> int:
        """2 left, 3 right."""
        return 2 if self.side == "l" else 3

    @property
    def name(self) -> str:
        """Unique name: drive, side and number."""
        return f"{self.sync}/image_{self.camera:02d}/{self.number:010d}"


@lru_cache(maxsize=len(LISTS))
def read_list(name: str) -> tuple[str, ...]:
    """The lines of a list.

    Raises:
        UnknownNameError: no such list.
    """
    if name not in LISTS:
        raise UnknownNameError("list of frames", name, LISTS)
    packed = resources.files("leadline.datasets").joinpath("lists", f"{name}.txt.xz").read_bytes()
    return tuple(lzma.decompress(packed).decode().splitlines())


def kitti_frames(name: str) -> list[KittiFrame]:
    """The frames of a KITTI list, one of :data:`KITTI_LISTS`."""
    if name not in KITTI_LISTS:
        raise UnknownNameError("list of KITTI frames", name, KITTI_LISTS)
    found = []
    for line in read_list(name):
        place, number, side = line.split()
        date, _, drive = place.partition("/")
        found.append(KittiFrame(date=date, drive=drive, number=int(number), side=side))
    return found
