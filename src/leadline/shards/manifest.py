"""``manifest.json``: what a folder of maps holds, and which network made it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from leadline.errors import InputError
from leadline.io.boundary import reading
from leadline.kinds import DepthKind
from leadline.shards.sources import inside, names_in, read_bytes, write_bytes
from leadline.version import __version__

if TYPE_CHECKING:
    from leadline.shards.receipts import Tally
    from leadline.shards.worker import BulkJob

MANIFEST = "manifest.json"
_MUST_AGREE = (
    *("kind", "layout", "model", "model_sha256", "policy", "tiles", "size", "max_depth"),
    *("sky", "side", "keep_pictures", "preprocess", "tone"),
)


def describe_maps(job: BulkJob, layout: str) -> dict[str, Any]:
    """What is known of the maps before the first is made.

    Raises:
        InputError: a network whose maps cannot become disparities, when these are asked for.
    """
    model = job.model.describe()
    kind = DepthKind(model["model_kind"])
    if job.disparity and kind is DepthKind.AFFINE_DEPTH:
        raise InputError(
            f"{model['model']} gives affine_depth, which has no inverse; take a teacher of "
            "disparity or metric depth."
        )
    if job.disparity and not kind.larger_is_nearer:
        kind = DepthKind.SCALED_DISPARITY
    return {
        "format": "leadline-maps",
        "schema": 1,
        "kind": str(kind),
        "layout": layout,
        "encoding": "16-bit PNG with its own scale and offset: value = offset + scale * code, "
        "code 0 = no value",
        **model,
        "sky": job.sky,
        "side": job.side,
        "keep_pictures": job.keep_pictures,
        **({} if job.tone == "linear" else {"tone": job.tone}),
        "leadline_version": __version__,
    }


def check_manifest(out: str, wanted: dict[str, Any]) -> None:
    """Refuse to mix maps of two networks, or of two ways of looking, in one folder.

    Raises:
        InputError: there are maps, and the folder's manifest says something else than ``wanted``.
    """
    if MANIFEST not in names_in(out) or not holds_maps(out):
        return
    there = read_manifest(out)
    other = [key for key in _MUST_AGREE if not _agree(key, there, wanted)]
    if other:
        says = ", ".join(f"{key} {there.get(key)!r} (now {wanted.get(key)!r})" for key in other)
        raise InputError(
            f"{inside(out, MANIFEST)} says {says}; maps of two kinds would be mixed. Give another "
            "folder with --out."
        )


def _agree(key: str, there: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a manifest says of ``key`` what is wanted, as far as it says anything.

    Manifests of before ``file_sha256`` say nothing of the preprocessing, and their
    ``model_sha256`` may be that of the file alone, without the weights beside it. Of preprocessing
    the settings count that both know: versions differ in which there are.
    """
    if key == "preprocess":
        old, new = there.get(key) or {}, wanted[key]
        return all(old[name] == new[name] for name in old.keys() & new.keys())
    if key == "model_sha256" and "file_sha256" not in there:
        return there.get(key) in (wanted[key], wanted["file_sha256"])
    return there.get(key) == wanted.get(key)


def holds_maps(out: str) -> bool:
    """Whether there is a map in the folder, as a file or in a shard."""
    names = names_in(out) | names_in(inside(out, "depth"))
    return any(name.endswith((".png", ".tar", ".parquet")) for name in names)


def write_manifest(out: str, record: dict[str, Any], tally: Tally, *, complete: bool) -> None:
    """Write the manifest with what was made so far."""
    limits = None if tally.low is None else [tally.low, tally.high]
    counts = {"count": tally.count, "failed": len(tally.failed), "bytes": tally.size}
    text = json.dumps({**record, "range": limits, **counts, "complete": complete}, indent=2)
    write_bytes(inside(out, MANIFEST), (text + "\n").encode())


def read_manifest(out: str) -> dict[str, Any]:
    """The manifest of a folder of maps.

    Raises:
        InputError: none there, or damaged.
    """
    address = inside(out, MANIFEST)
    needed = (
        "a folder that `leadline label` or `leadline predict --cluster ADDRESS` wrote is needed."
    )
    if MANIFEST not in names_in(out):
        raise InputError(f"{address}: no such file; {needed}")
    with reading(address, needed):
        record = json.loads(read_bytes(address))
        if not isinstance(record, dict):
            raise ValueError("no table")
        return record
