"""A part becomes a shard: read and decode in threads, run in batches, encode, write at once."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from leadline.errors import InputError, LeadlineError, MissingDependencyError, UnknownNameError
from leadline.io import encode_png16, read_image
from leadline.io.tone import Tone, check_tone
from leadline.jobs import run_job
from leadline.load_options import LoadOptions
from leadline.prediction import Prediction
from leadline.resample import resize
from leadline.shards.parts import Part, shard_name, would_be_lost
from leadline.shards.receipts import Receipt, read_receipt, receipt_name, write_receipt
from leadline.shards.sources import (
    Picture,
    inside,
    is_address,
    names_in,
    pictures_of,
    write_bytes,
)
from leadline.version import __version__

if TYPE_CHECKING:
    from leadline.image import Image
    from leadline.prepared import Prepared

LAYOUTS = MappingProxyType({"webdataset": ".tar", "parquet": ".parquet"})
"""Layout of the shards -> suffix."""

MAP = "depth.png"
"""Extension of the 16-bit map in a shard."""


@dataclass(frozen=True, kw_only=True)
class BulkJob:
    """What to make of every part; picklable, so that it travels to other machines.

    Attributes:
        model: which network, and how it is opened.
        out: folder or address of the results.
        layout: of the shards, one of :data:`LAYOUTS`.
        disparity: turn depths into disparities, as students of relative depth want them.
        sky: folder of masks, ``<stem of the picture>.png``, not black where there is sky: there the
            map gets its farthest value.
        side: short side of the maps in pixels, where the picture's is longer; None: the picture's
            size. Most of a map's bytes are finer than the network saw.
        keep_pictures: put the pictures' own files into the shards too.
        batch_size: pictures that the network sees at once.
        tone, max_megapixels: of reading the pictures; see :func:`leadline.io.read_image`.
    """

    model: LoadOptions
    out: str
    layout: str = "webdataset"
    disparity: bool = False
    sky: str | None = None
    side: int | None = None
    keep_pictures: bool = False
    batch_size: int = 8
    tone: Tone = "linear"
    max_megapixels: float | None = None

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise UnknownNameError("layout of shards", self.layout, LAYOUTS)
        check_tone(self.tone)
        if not is_address(self.out):  # other processes may stand in other folders
            object.__setattr__(self, "out", os.path.abspath(self.out))  # noqa: PTH100

    @property
    def suffix(self) -> str:
        """Of the shards."""
        return LAYOUTS[self.layout]

    def read(self, picture: Path | bytes) -> Image:
        """Read a picture from its file or bytes."""
        return read_image(picture, tone=self.tone, max_megapixels=self.max_megapixels)


class Sample(NamedTuple):
    """One map, ready to be written.

    Attributes:
        picture: whose map it is.
        data: the picture's bytes, empty when they are not kept.
        png: the map as 16-bit PNG.
        record: what the PNG's own record says, and the source.
        low, high: of the values.
    """

    picture: Picture
    data: bytes
    png: bytes
    record: dict[str, Any]
    low: float | None
    high: float | None


class ShardWriter:
    """Makes the shard of one part after another; holds the network between them."""

    def __init__(self, job: BulkJob) -> None:
        self.job = job
        self._estimator = job.model.open()

    def __call__(self, part: Part) -> Receipt:
        """Work on a part; its shard and receipt are written, the receipt is returned.

        Raises:
            InputError: none of its pictures gets a map, or fewer do than the shard that is there
                holds; nothing is written.
        """
        job, shard = self.job, shard_name(part.index, self.job.suffix)
        with pictures_of(part.sources, part.index) as pictures:
            samples, failed, notes = self._work(pictures)
        if failed and not samples:
            raise InputError(f"none of {len(failed)} pictures has a map; {': '.join(failed[0])}")
        if {shard, receipt_name(part.index)} <= names_in(job.out):
            before = read_receipt(job.out, part.index)
            readable = [sample.picture.source for sample in samples]
            if lost := would_be_lost(job.out, part.index, before, readable):
                raise InputError(lost)
        data = _WRITERS[job.layout](samples)
        write_bytes(inside(job.out, shard), data)
        receipt = Receipt(
            part=part.index,
            count=len(samples),
            low=min((s.low for s in samples if s.low is not None), default=None),
            high=max((s.high for s in samples if s.high is not None), default=None),
            size=len(data),
            failed=tuple(failed),
            notes=tuple(notes),
        )
        write_receipt(job.out, receipt)
        return receipt

    def _work(
        self, pictures: Sequence[Picture]
    ) -> tuple[list[Sample], list[tuple[str, str]], list[tuple[str, str]]]:
        """The samples of all pictures in order, those that got no map, and reading's notes."""
        step = self.job.batch_size
        chunks = [list(pictures[n : n + step]) for n in range(0, len(pictures), step)]
        failed: list[tuple[str, str]] = []
        notes: list[tuple[str, str]] = []
        report = run_job(
            range(len(chunks)),
            prepare=lambda index: [self._read(picture) for picture in chunks[index]],
            work=lambda index, ready: self._predict(chunks[index], ready, failed, notes),
            finish=lambda _, made: [_sample(*one, self.job) for one in made],
        )
        report.raise_failures()
        return [sample for _, samples in report.results for sample in samples], failed, notes

    def _read(self, picture: Picture) -> tuple[bytes, Prepared] | str:
        try:
            data = picture.read()
            return data, self._estimator.prepare(self.job.read(data))
        except LeadlineError as error:
            return " ".join(str(error).split())

    def _predict(
        self,
        pictures: list[Picture],
        ready: list[tuple[bytes, Prepared] | str],
        failed: list[tuple[str, str]],
        notes: list[tuple[str, str]],
    ) -> list[tuple[Picture, bytes, Prediction]]:
        """Run the pictures of equal inputs together, and give all in their order."""
        groups: dict[object, list[int]] = {}
        readable: dict[int, tuple[bytes, Prepared]] = {}
        for index, one in enumerate(ready):
            if isinstance(one, str):
                failed.append((pictures[index].source, one))
            else:
                readable[index] = one
                notes += [(pictures[index].source, note) for note in one[1].image.notes]
                groups.setdefault(one[1].shapes, []).append(index)
        made: dict[int, Prediction] = {}
        for indices in groups.values():
            maps = self._maps([readable[index][1] for index in indices])
            for index, one in zip(indices, maps, strict=True):
                if isinstance(one, str):
                    failed.append((pictures[index].source, one))
                elif np.isfinite(one.values).any():
                    made[index] = one
                else:
                    line = f"{one.model or 'the network'} gives no finite value for it"
                    failed.append((pictures[index].source, line))
        return [(pictures[index], readable[index][0], made[index]) for index in sorted(made)]

    def _maps(self, prepared: list[Prepared]) -> list[Prediction | str]:
        """The maps of pictures of equal inputs; for one that fails alone, why."""
        try:
            return list(self._estimator.predict_many(prepared))
        except (LeadlineError, MemoryError) as error:
            if len(prepared) == 1:
                return [" ".join(str(error).split()) or "memory ran out"]
            return [one for alone in prepared for one in self._maps([alone])]


def label_of(prediction: Prediction, source: str, job: BulkJob) -> Prediction:
    """The map as it is written: a disparity if that is asked for, the sky far away, not too big."""
    label = prediction.to_disparity() if job.disparity else prediction
    if job.sky is not None:
        label = _add_sky(label, Path(job.sky) / f"{PurePosixPath(source).stem}.png")
    if job.side is not None and min(label.size) > job.side:
        label = _shrink(label, job.side)
    return label


def _add_sky(label: Prediction, mask: Path) -> Prediction:
    if not mask.is_file():
        return label
    sky = read_image(mask).pixels.any(axis=2)
    if sky.shape != label.size:
        raise InputError(
            f"{mask} has {sky.shape} pixels, its picture {label.size}; the same size is needed."
        )
    known = label.values[label.known]
    far = known.min() if label.kind.larger_is_nearer else known.max()
    return replace(label, values=np.where(sky, far, label.values), valid=label.known | sky)


def _shrink(label: Prediction, side: int) -> Prediction:
    """The map with a shorter short side; a pixel is known where all that it is made of are."""
    scale = side / min(label.size)
    size = (round(label.size[0] * scale), round(label.size[1] * scale))
    known = label.known
    values = resize(np.where(known, label.values, 0), size, "area")
    whole = resize(known.astype(np.float32), size, "area") > 1 - 1e-4
    return Prediction(
        values=values,
        kind=label.kind,
        camera=None if label.camera is None else label.camera.resized(size[1], size[0]),
        valid=None if whole.all() else whole,
        model=label.model,
    )


def label_record(label: Prediction, prediction: Prediction, source: str) -> dict[str, Any]:
    """What a map's file says about it, and about the picture that it was made from."""
    camera = label.camera
    return {
        "kind": str(label.kind),
        "camera": None if camera is None else camera.to_dict(),
        "model": label.model,
        "version": __version__,
        "source": source,
        "picture_size": list(prediction.size),
    }


def _sample(picture: Picture, data: bytes, prediction: Prediction, job: BulkJob) -> Sample:
    label = label_of(prediction, picture.source, job)
    record = label_record(label, prediction, picture.source)
    known = label.values[label.known]
    return Sample(
        picture,
        data if job.keep_pictures else b"",
        encode_png16(label.values, valid=label.valid, info=record),
        {**record, "height": label.size[0], "width": label.size[1]},
        float(known.min()) if known.size else None,
        float(known.max()) if known.size else None,
    )


def _tar(samples: Sequence[Sample]) -> bytes:
    """A WebDataset shard: KEY.depth.png, KEY.json and, when kept, KEY.jpg (or its own suffix)."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as shard:
        for sample in samples:
            text = json.dumps(sample.record, sort_keys=True).encode()
            members = {MAP: sample.png, "json": text}
            if sample.data:
                members = {sample.picture.suffix[1:] or "jpg": sample.data, **members}
            for extension, data in members.items():
                info = tarfile.TarInfo(f"{sample.picture.key}.{extension}")
                info.size = len(data)  # every other field is constant: same part, same bytes
                shard.addfile(info, io.BytesIO(data))
    return file.getvalue()


def _parquet(samples: Sequence[Sample]) -> bytes:
    """One row a map: key, source, kind, height, width, depth (PNG bytes), picture (bytes)."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingDependencyError("pyarrow", "the layout parquet", "cluster") from error
    columns: dict[str, tuple[Any, Callable[[Sample], Any]]] = {
        "key": (pa.string(), lambda s: s.picture.key),
        "source": (pa.string(), lambda s: s.picture.source),
        "kind": (pa.string(), lambda s: s.record["kind"]),
        "height": (pa.int32(), lambda s: s.record["height"]),
        "width": (pa.int32(), lambda s: s.record["width"]),
        "depth": (pa.binary(), lambda s: s.png),
        "picture": (pa.binary(), lambda s: s.data or None),
    }
    arrays = {
        name: pa.array([value(sample) for sample in samples], type=kind)
        for name, (kind, value) in columns.items()
    }
    file = io.BytesIO()
    pq.write_table(pa.table(arrays), file, compression="none")
    return file.getvalue()


_WRITERS: dict[str, Callable[[Sequence[Sample]], bytes]] = {"webdataset": _tar, "parquet": _parquet}
