"""Pseudo labels as single files: a teacher's maps of pictures that nobody measured.

Source: Yang et al., Depth Anything, CVPR 2024, section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from leadline.errors import InputError
from leadline.io import Ledger, encode_png16, read_png16_record
from leadline.jobs import Failure, JobReport, Progress, atomic_write, run_job
from leadline.shards.manifest import MANIFEST, check_manifest, describe_maps, write_manifest
from leadline.shards.receipts import Receipt, Tally
from leadline.shards.worker import BulkJob, label_of, label_record

if TYPE_CHECKING:
    from leadline.prediction import Prediction
    from leadline.prepared import Prepared

FOLDER = "folder"
"""The layout of single files: ``depth/<stem>.png`` and ``manifest.json``."""


def label_files(
    job: BulkJob,
    files: Mapping[Path, Path],
    *,
    on_progress: Callable[[Progress], None] | None = None,
    on_failure: Callable[[Failure[Path]], None] | None = None,
    on_foreign: Callable[[int], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> JobReport[Path, Path]:
    """Write one 16-bit label per picture, and the manifest; those of the same pictures are kept.

    Args:
        job: the teacher, and what to make; ``out`` is a local folder.
        files: picture -> its label, all in the folder ``depth``.
        on_progress: see :func:`leadline.jobs.run_job`.
        on_failure: see :func:`leadline.jobs.run_job`.
        on_foreign: called with the number of labels that are there and are made anew, because they
            are of other pictures, or it is unknown of which.
        on_note: called with a line about what reading a picture left out.

    Raises:
        InputError: the folder holds the labels of another teacher.
    """
    record = describe_maps(job, FOLDER)
    check_manifest(job.out, record)
    estimator = job.model.open()
    folder = Path(job.out) / "depth"
    way = {key: value for key, value in record.items() if key != "leadline_version"}
    outputs = {source: [file] for source, file in files.items()}
    adopt = partial(_is_label_of, files) if (Path(job.out) / MANIFEST).is_file() else None
    ledger = Ledger(folder, outputs, way, resume=True, adopt=adopt)
    if ledger.foreign and on_foreign is not None:
        on_foreign(ledger.foreign)
    write_manifest(job.out, record, Tally(), complete=False)

    def write(picture: Path, prediction: Prediction) -> Path:
        label = label_of(prediction, str(picture), job)
        info = label_record(label, prediction, str(picture.absolute()))
        data = encode_png16(label.values, valid=label.valid, info=info)
        with atomic_write(files[picture]) as file:
            file.write(data)
        ledger.add(picture)
        return files[picture]

    def predict(picture: Path, prepared: Prepared) -> Prediction:
        if on_note is not None:
            for note in prepared.image.notes:
                on_note(f"{picture}: {note}.")
        return estimator.predict_prepared(prepared)

    report = run_job(
        list(files),
        prepare=lambda picture: estimator.prepare(job.read(picture)),
        work=predict,
        finish=write,
        is_done=ledger.done.__contains__,
        on_progress=on_progress,
        on_failure=on_failure,
    )
    tally = _tally(folder, len(report.failures))
    write_manifest(job.out, record, tally, complete=not report.failures)
    return report


def _is_label_of(files: Mapping[Path, Path], picture: Path) -> bool:
    """Whether the label says that it was made of the picture, which was not changed since then.

    So the labels of folders are kept that were written before there were notes.
    """
    label = files[picture]
    try:
        source = read_png16_record(label).get("source")
        unchanged = picture.stat().st_mtime_ns <= label.stat().st_mtime_ns
    except (InputError, OSError):
        return False
    return unchanged and source == str(picture.absolute())


def _tally(folder: Path, failed: int) -> Tally:
    """Counts and the range of all values, from the files' own records."""
    tally = Tally()
    for index, path in enumerate(sorted(folder.glob("*.png"))):
        record = read_png16_record(path)
        scale, offset = float(record["scale"]), float(record["offset"])
        tally.add(
            Receipt(
                part=index,
                count=1,
                low=offset + scale,
                high=offset + scale * 65535,
                size=path.stat().st_size,
            )
        )
    tally.failed += [("", "")] * failed
    return tally
