"""Measure: contenders in turn, each in its process, on a machine that is quiet.

One round asks every contender for one picture, always in the same order, with a short pause
between two, so that no thread pool still spins when the next one starts. A round during which other
processes took more than their share is thrown away and repeated.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from leadline.errors import InputError, JobError, UnknownNameError
from leadline.preprocess import Preprocess
from leadline.runtime.openvino import precisions
from leadline.speed import rates, worker
from leadline.speed.contenders import CONTENDERS, GROUPS, OURS, check_installed
from leadline.speed.inputs import Setup, prepare, spec_of
from leadline.speed.machine import Load, facts, load_between, load_over, peak_memory_mb, ticks
from leadline.speed.worker import Worker

QUIET = 0.05
"""Largest share of the machine that others may take."""

PAUSE_S = 0.05
WARM_UPS = 3


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to measure.

    Attributes:
        model: name in the catalogue.
        against: groups of :data:`~leadline.speed.contenders.GROUPS`.
        size: (height, width) of the network's input; None takes the model's own.
        runs: rounds that count.
        reference: the contender that ratios are to; None takes the first.
        threads: of every contender; None leaves each its default.
        device: ``cpu`` or ``cuda``.
        busy: measure although other processes are at work; the result says so.
        policies: measure the policies of the estimator too.
        weights: a checkpoint in place of random weights.
        only: contenders in place of all of ours and those of ``against``.
    """

    model: str = "depth-anything-v2-vits"
    against: tuple[str, ...] = ("transformers", "onnxruntime", "openvino-default")
    size: tuple[int, int] | None = None
    runs: int = 15
    reference: str | None = None
    threads: int | None = None
    device: str = "cpu"
    busy: bool = False
    policies: bool = False
    weights: Path | None = None
    only: tuple[str, ...] = ()


def contenders_of(options: Options) -> tuple[str, ...]:
    """Who takes part, in the order of the rounds.

    Raises:
        UnknownNameError: a group or contender that does not exist.
        InputError: none that runs on the device, or a reference that takes no part.
    """
    for group in options.against:
        if group not in GROUPS:
            raise UnknownNameError("contender", group, GROUPS)
    for name in options.only:
        if name not in CONTENDERS:
            raise UnknownNameError("contender", name, CONTENDERS)
    if options.device not in OURS:
        raise UnknownNameError("device", options.device, OURS)
    theirs = [name for group in options.against for name in GROUPS[group]]
    wanted = options.only or (*theirs, *OURS[options.device])
    native = options.device != "cpu" or "bf16" in precisions()
    names = tuple(
        name
        for name in wanted
        if options.device in CONTENDERS[name].devices
        and (native or not CONTENDERS[name].needs_bf16)
    )
    if not names:
        why = "" if native else ", whose processor has no bf16 of its own"
        raise InputError(f"none of {', '.join(wanted)} runs on {options.device} here{why}.")
    if options.reference is not None and options.reference not in names:
        raise InputError(
            f"the reference {options.reference!r} takes no part; choose one of {', '.join(names)}."
        )
    return names


def run(options: Options, *, say: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Measure, and return the result as plain data; :mod:`leadline.speed.report` prints it.

    Args:
        options: what to measure.
        say: called with a line of text at every step.

    Raises:
        JobError: the machine is busy, before or throughout.
        MissingDependencyError: a contender's package is not here.
    """
    if options.runs < 1:
        raise InputError(f"runs={options.runs}: at least 1 is needed.")
    names = contenders_of(options)
    for name in names:
        check_installed(name)
    before = _check_quiet(options, say)
    with tempfile.TemporaryDirectory(prefix="leadline-benchmark-") as folder:
        setup = _setup(options, Path(folder))
        say(f"preparing {options.model} at {setup.size[0]}x{setup.size[1]}")
        with _start_worker("preparation") as helper:
            network = helper.ask(prepare, setup, names)
            rate = helper.ask(rates.matmul_gflops, setup)
        measured, disturbed = _measure(names, setup, options, say)
        extra = _extras(names, setup, options, say)
    return {
        "schema": 1,
        "model": options.model,
        "weights": "random" if options.weights is None else options.weights.name,
        "input": [1, 3, *setup.size],
        "device": options.device,
        "machine": facts(options.threads),
        "load_before": before.others,
        "disturbed_rounds": disturbed,
        "matmul_gflops": rate,
        **network,
        "contenders": summarise(names, measured, options, network["gflop"], rate),
        **extra,
    }


def summarise(
    names: Sequence[str],
    measured: dict[str, dict[str, Any]],
    options: Options,
    gflop: float,
    rate: dict[str, float],
) -> list[dict[str, Any]]:
    """Medians, spreads and pairwise ratios of what was measured."""
    reference = options.reference or names[0]
    base = np.array(measured[reference]["seconds"])
    found = []
    for name in names:
        one = measured[name]
        times = np.array(one["seconds"])
        low, middle, high = np.percentile(times, (25, 50, 75))
        ratios = np.percentile(base / times, (25, 50, 75))
        precision = CONTENDERS[name].precision
        floor = gflop / rate[precision] if precision in rate else None
        found.append(
            {
                "name": name,
                "summary": CONTENDERS[name].summary,
                "median_s": float(middle),
                "quartiles_s": [float(low), float(high)],
                "faster_than": {
                    "reference": reference,
                    "median": float(ratios[1]),
                    "quartiles": [float(ratios[0]), float(ratios[2])],
                },
                "relative_error": one["error"],
                "peak_memory_mb": one["memory"],
                "open_s": one["open"],
                "share_of_rate": None if floor is None else floor / float(middle),
                "seconds": [round(float(t), 5) for t in times],
            }
        )
    return found


def _setup(options: Options, folder: Path) -> Setup:
    setup = Setup(
        model=options.model,
        folder=folder,
        size=options.size or (1, 1),
        threads=options.threads,
        device=options.device,
        weights=options.weights,
    )
    if options.size:
        return setup
    preprocess = spec_of(setup).preprocess
    return replace(setup, size=Preprocess(preprocess).input_size(*preprocess.size))


def _check_quiet(options: Options, say: Callable[[str], None]) -> Load:
    load = load_over(2.0)
    if load.others is not None and load.others > QUIET:
        others = f"other processes take {load}"
        if not options.busy:
            raise JobError(
                f"{others}; at most {QUIET:.0%} is allowed, because timings from a busy machine "
                "are wrong by unequal factors. End them, wait, or measure all the same with --busy."
            )
        say(f"BUSY: {others}; do not quote these timings")
    return load


def _measure(
    names: Sequence[str], setup: Setup, options: Options, say: Callable[[str], None]
) -> tuple[dict[str, dict[str, Any]], int]:
    workers: dict[str, Worker] = {}
    try:
        measured: dict[str, dict[str, Any]] = {}
        for name in names:
            workers[name] = Worker(name)
            opened = workers[name].ask(worker.open_contender, name, setup)
            measured[name] = {"open": opened, "seconds": []}
            measured[name]["error"] = workers[name].ask(worker.relative_error, setup.folder)
            say(f"{name} is ready after {opened:.1f} s, error {measured[name]['error']:.1e}")
        disturbed = _rounds(workers, measured, options, say)
        for name, process in workers.items():
            measured[name]["memory"] = process.ask(peak_memory_mb)
    finally:
        for process in workers.values():
            process.close()
    return measured, disturbed


def _rounds(
    workers: dict[str, Worker],
    measured: dict[str, dict[str, Any]],
    options: Options,
    say: Callable[[str], None],
) -> int:
    """Fill in the seconds of ``options.runs`` quiet rounds; returns how many were thrown away."""
    own = [process.process_id for process in workers.values()]
    for number in range(WARM_UPS):
        _one_round(workers, number, own)
    kept = disturbed = number = 0
    while kept < options.runs:
        times, load = _one_round(workers, number, own)
        number += 1
        if load.others is not None and load.others > QUIET and not options.busy:
            disturbed += 1
            say(f"round thrown away: other processes took {load}")
            if disturbed > 5 * options.runs:
                raise JobError(
                    f"{disturbed} rounds were disturbed by other processes (the last by {load}) "
                    f"and {kept} were not; {options.runs} quiet ones are needed. End them, or "
                    "measure all the same with --busy."
                )
            continue
        for name, seconds in times.items():
            measured[name]["seconds"].append(seconds)
        kept += 1
        say(f"round {kept} of {options.runs}, others took {load}")
    return disturbed


def _one_round(
    workers: dict[str, Worker], number: int, own: Sequence[int]
) -> tuple[dict[str, float], Load]:
    """Seconds by contender, and the load that others made during the calls."""
    times, loads = {}, []
    for name, process in workers.items():
        time.sleep(PAUSE_S)
        before = ticks()
        times[name] = process.ask(worker.time_call, number)
        loads.append(load_between(before, ticks(), own))
    return times, _mean(loads, list(times.values()))


def _mean(loads: Sequence[Load], seconds: Sequence[float]) -> Load:
    known = [(load, s) for load, s in zip(loads, seconds, strict=True) if load.others is not None]
    if not known:
        return Load(others=None)
    total = sum(s for _, s in known)
    worst = max(known, key=lambda pair: pair[0].others or 0.0)[0]
    return Load(
        others=sum((load.others or 0.0) * s for load, s in known) / total, busiest=worst.busiest
    )


def _extras(
    names: Iterable[str], setup: Setup, options: Options, say: Callable[[str], None]
) -> dict[str, Any]:
    """Parts of a prediction and the policies; they need the export for every size."""
    if "leadline-bf16-any-size" not in names:
        return {}
    found = {}
    repeats = max(3, options.runs // 2)
    with _start_worker("a prediction's parts") as helper:
        say("measuring what surrounds the network")
        found["prediction"] = helper.ask(rates.steps_of_a_prediction, setup, repeats)
        if options.policies:
            say("measuring the policies")
            found["policies"] = helper.ask(rates.policies, setup, repeats)
    return found


@contextmanager
def _start_worker(name: str) -> Generator[Worker]:
    process = Worker(name)
    try:
        yield process
    finally:
        process.close()
