"""The plan of a job: which pictures each part has, decided once."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from leadline.errors import InputError
from leadline.io.boundary import reading
from leadline.shards.receipts import Receipt, read_receipt, receipt_name
from leadline.shards.sources import (
    SHARD_SUFFIX,
    inside,
    is_address,
    is_readable,
    names_in,
    pictures_of,
    read_bytes,
    write_bytes,
)

PLAN = "plan.jsonl"


@dataclass(frozen=True, kw_only=True)
class Part:
    """Some pictures that become one shard.

    Attributes:
        index: number of the part, and of its shard.
        sources: addresses of pictures, or of one WebDataset shard.
    """

    index: int
    sources: tuple[str, ...]


def plan(
    out: str, sources: Sequence[str], *, per_part: int = 1000, anew: bool = False
) -> list[Part]:
    """Divide ``sources`` into parts, or go on with the division that is in ``out`` already.

    Sources that came since the last run are appended as new parts; those that went stay in theirs
    and are counted as failed if they are still to do. So a part never changes.

    Args:
        out: folder or address of the job's results.
        sources: see :func:`leadline.shards.list_sources`.
        per_part: pictures of a part; a WebDataset shard is a part of its own.
        anew: forget the division that is there; for folders without any map.
    """
    if per_part < 1:
        raise InputError(f"per_part={per_part}: at least 1 picture a part is needed.")
    parts = [] if anew else _read(out)
    known = {source for part in parts for source in part.sources}
    new = [source for source in sources if source not in known]
    shards = [(source,) for source in new if source.endswith(SHARD_SUFFIX)]
    pictures = [source for source in new if not source.endswith(SHARD_SUFFIX)]
    groups = [tuple(pictures[n : n + per_part]) for n in range(0, len(pictures), per_part)]
    for group in (*shards, *groups):
        parts.append(Part(index=len(parts), sources=group))
    if new:
        lines = [json.dumps({"part": part.index, "sources": part.sources}) for part in parts]
        write_bytes(inside(out, PLAN), "".join(f"{line}\n" for line in lines).encode())
    return parts


def todo(
    out: str,
    parts: Sequence[Part],
    suffix: str,
    *,
    on_kept: Callable[[int, str], None] | None = None,
) -> list[Part]:
    """The parts whose shard or receipt is not there yet, or lacks a picture that is readable now.

    A shard that holds maps of pictures which are gone is never done again, whatever was mended;
    nor is that of a WebDataset shard at an address, which had to be brought here to look.

    Args:
        out: folder or address of the job's results.
        parts: from :func:`plan`.
        suffix: of the shards, see :data:`leadline.shards.LAYOUTS`.
        on_kept: called with a part's index and why it is left although a picture was mended.
    """
    names = names_in(out)
    left = []
    for part in parts:
        if not {receipt_name(part.index), shard_name(part.index, suffix)} <= names:
            left.append(part)
            continue
        receipt = read_receipt(out, part.index)
        readable = _readable_by_now(part, receipt)
        lost = would_be_lost(out, part.index, receipt, readable) if readable else ""
        if readable and not lost:
            left.append(part)
        elif lost and on_kept is not None:
            on_kept(part.index, lost)
    return left


def shard_name(index: int, suffix: str) -> str:
    """File name of a part's shard."""
    return f"shard-{index:06d}{suffix}"


def would_be_lost(out: str, index: int, receipt: Receipt, readable: Collection[str]) -> str:
    """Why a part may not be done again: its shard holds maps of pictures that are gone.

    Args:
        out: folder or address of the job's results.
        index: of the part.
        receipt: of the shard that is there.
        readable: the sources that can be read now.

    Returns:
        What would be lost and what to do; empty where nothing would.
    """
    failed = {source for source, _ in receipt.failed}
    lost = receipt.count - sum(source not in failed for source in readable)
    if lost <= 0:
        return ""
    return (
        f"{lost} of the {receipt.count} pictures of {inside(out, receipt_name(index))} cannot be "
        "read any more, so their shard is left as it is; put them back, or give the mended ones "
        "another --out."
    )


def _readable_by_now(part: Part, receipt: Receipt) -> set[str]:
    """All sources of a part that can be read, where one that failed is among them; else none."""
    failed = {source for source, _ in receipt.failed}
    first = part.sources[0]
    if not failed or (first.endswith(SHARD_SUFFIX) and is_address(first)):
        return set()
    try:
        with pictures_of(part.sources, part.index) as pictures:
            if not any(is_readable(picture) for picture in pictures if picture.source in failed):
                return set()
            return {picture.source for picture in pictures if is_readable(picture)}
    except (InputError, OSError):
        return set()  # the shard that held them is not here any more


def _read(out: str) -> list[Part]:
    if PLAN not in names_in(out):
        return []
    with reading(inside(out, PLAN), "the plan of a job is needed; give another output folder."):
        lines = read_bytes(inside(out, PLAN)).decode().splitlines()
        return [_part(json.loads(line)) for line in lines]


def _part(record: dict[str, Any]) -> Part:
    sources = record["sources"]
    if not sources or not all(isinstance(source, str) for source in sources):
        raise ValueError(f"part {record['part']} without addresses of pictures")
    return Part(index=int(record["part"]), sources=tuple(sources))
