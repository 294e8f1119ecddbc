"""Results as text: for a terminal, and as the tables of docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Row = Sequence[str]


def as_text(result: dict[str, Any]) -> str:
    """A result for people, as plain lines."""
    head = [
        f"{result['model']} on {result['machine']['processor']}, "
        f"{result['machine']['cores']} cores, input {'x'.join(map(str, result['input'][2:]))}",
        _work(result),
        f"others on the machine: {_percent(result['load_before'])} before, "
        f"{result['disturbed_rounds']} disturbed rounds thrown away",
    ]
    parts = ["\n".join(head), _align(contender_rows(result))]
    if "prediction" in result:
        parts.append(_align(prediction_rows(result)))
    if "policies" in result:
        parts.append(_align(policy_rows(result)))
    return "\n\n".join(parts)


def as_markdown(rows: Iterable[Row]) -> str:
    """Rows, the first of them the header, as a Markdown table."""
    header, *body = rows
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def contender_rows(result: dict[str, Any]) -> list[Row]:
    """One row per contender, under a header."""
    reference = result["contenders"][0]["faster_than"]["reference"]
    rows: list[Row] = [
        (
            "contender",
            "ms",
            "quartiles",
            f"times {reference}",
            "quartiles",
            "error",
            "of the rate",
            "peak MB",
        )
    ]
    for one in result["contenders"]:
        ratio = one["faster_than"]
        rows.append(
            (
                one["name"],
                f"{1e3 * one['median_s']:.0f}",
                _range(1e3 * s for s in one["quartiles_s"]),
                f"{ratio['median']:.2f}",
                _range(ratio["quartiles"], digits=2),
                _error(one["relative_error"]),
                _percent(one["share_of_rate"]),
                "?" if one["peak_memory_mb"] is None else f"{one['peak_memory_mb']:.0f}",
            )
        )
    return rows


def prediction_rows(result: dict[str, Any]) -> list[Row]:
    """What surrounds the network, per size of picture, under a header."""
    rows: list[Row] = [
        ("picture", "network sees", "before ms", "network ms", "after ms", "outside")
    ]
    for one in result["prediction"]:
        (height, width), (h, w) = one["picture"], one["network_input"]
        times = (f"{1e3 * one[key]:.1f}" for key in ("before_s", "network_s", "after_s"))
        share = f"{100 * one['outside_share']:.1f} %"
        rows.append((f"{width}x{height}", f"{w}x{h}", *times, share))
    return rows


def policy_rows(result: dict[str, Any]) -> list[Row]:
    """Cost of the policies, under a header."""
    rows: list[Row] = [("policy", "ms", "times single")]
    for one in result["policies"]:
        rows.append((one["policy"], f"{1e3 * one['seconds']:.0f}", f"{one['cost']:.2f}"))
    return rows


def _work(result: dict[str, Any]) -> str:
    rates = result["matmul_gflops"]
    shown = ", ".join(
        f"{name} {rate:.0f} GFLOP/s (so at least {1e3 * result['gflop'] / rate:.0f} ms)"
        for name, rate in rates.items()
    )
    return f"{result['gflop']:.1f} GFLOP a picture; this machine's matrix products: {shown}"


def _align(rows: Sequence[Row]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _range(values: Iterable[float], *, digits: int = 0) -> str:
    return "-".join(f"{value:.{digits}f}" for value in values)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


def _error(error: float) -> str:
    return f"{100 * error:.2f} %" if error >= 1e-3 else f"{error:.0e}"
