"""Receipts: what became of each part, in a small file beside its shard."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from leadline.field_types import check_fields
from leadline.io.boundary import reading
from leadline.shards.sources import inside, names_in, read_bytes, write_bytes


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What became of a part.

    Attributes:
        part: its index.
        count: maps in its shard.
        low, high: least and greatest value of all its maps; None without maps.
        size: bytes of the shard.
        failed: ``[source, why]`` of pictures that could not be read.
        notes: ``[source, note]``: what reading left out or changed.
    """

    part: int
    count: int
    low: float | None
    high: float | None
    size: int
    failed: tuple[tuple[str, str], ...] = ()
    notes: tuple[tuple[str, str], ...] = ()


@dataclass(kw_only=True)
class Tally:
    """Sums over receipts."""

    count: int = 0
    low: float | None = None
    high: float | None = None
    size: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)

    def add(self, receipt: Receipt) -> None:
        """Count one more part."""
        self.count += receipt.count
        self.size += receipt.size
        self.failed += receipt.failed
        if receipt.low is not None and receipt.high is not None:
            self.low = receipt.low if self.low is None else min(self.low, receipt.low)
            self.high = receipt.high if self.high is None else max(self.high, receipt.high)


def receipt_name(index: int) -> str:
    """File name of a part's receipt."""
    return f"shard-{index:06d}.json"


def write_receipt(out: str, receipt: Receipt) -> None:
    """Write the receipt; its shard is there already."""
    text = json.dumps(asdict(receipt), sort_keys=True) + "\n"
    write_bytes(inside(out, receipt_name(receipt.part)), text.encode())


def gather(out: str, indices: Iterable[int]) -> Tally:
    """Sums over the receipts that are there.

    Raises:
        InputError: a receipt that cannot be read.
    """
    names, tally = names_in(out), Tally()
    for index in indices:
        if receipt_name(index) in names:
            tally.add(read_receipt(out, index))
    return tally


def read_receipt(out: str, index: int) -> Receipt:
    """What became of a part.

    Raises:
        InputError: the receipt is damaged.
    """
    address = inside(out, receipt_name(index))
    with reading(address, "delete it, and its part is done again."):
        record = json.loads(read_bytes(address))
        record.setdefault("notes", [])  # of before there were any
        for name in ("failed", "notes"):
            record[name] = tuple((str(source), str(text)) for source, text in record[name])
        check_fields(Receipt, record)
        return Receipt(**record)
