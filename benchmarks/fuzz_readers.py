"""Damages small files of every kind and reads them: nothing but a LeadlineError may come of it.

A campaign guided by coverage: a damaged file on which a reader takes a line of Leadline that none
before it took becomes a seed itself. Each reader runs in a process of its own with a limit on time
and memory; what ends that process is a finding too, and the next one goes on behind it.

    python -m benchmarks.fuzz_readers --cases 200000 --json benchmarks/results/fuzz_readers.json
    python -m benchmarks.fuzz_readers --target camera --cases 5000 --keep found
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from benchmarks.fuzz_damage import damage
from benchmarks.fuzz_targets import TARGETS, Target, find_shared_seeds
from leadline.errors import LeadlineError

ROOT = Path(__file__).resolve().parents[1]
SECONDS, MEGABYTES = 10, 600
"""What reading one damaged file may take, above what the process takes at its start."""

_INSIDE = f"{os.sep}leadline{os.sep}"
_MOST_SEEDS, _ARM_EVERY = 400, 20


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A file that should have been read, or refused in one line.

    Attributes:
        target: the reader.
        kind: ``exception``, ``time``, ``memory`` or ``crash`` (the process ended).
        what: the exception and where it was raised.
        case: number of the damaged file.
    """

    target: str
    kind: str
    what: str
    case: int


@dataclass(kw_only=True)
class Result:
    """What came of one reader."""

    target: str
    cases: int = 0
    refused: int = 0
    read: int = 0
    lines: int = 0
    seeds: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)


class _TooSlowError(BaseException):
    """A reader took more than its time."""


# ---- one reader, in this process ------------------------------------------------------------


class Fuzzer:
    """Damages the seeds of one target, and keeps what leads to new lines.

    Args:
        target: what is read.
        folder: to work in.
        seed: of all chance.
    """

    def __init__(self, target: Target, folder: Path, seed: int) -> None:
        self.target, self.folder, self.seed = target, folder, seed
        self.seeds: list[tuple[Path, dict[str, bytes]]] = []
        self.lines: set[tuple[str, int]] = set()
        for number in range(target.seeds):
            place = folder / f"seed-{number}"
            place.mkdir(parents=True)
            target.write(place, number)
            target.read(place)  # what is whole must be read, or its damage proves nothing
            self._add(place)
        for number, path in enumerate(find_shared_seeds(target)):
            place = folder / f"shared-{number}"
            if path.is_dir():
                shutil.copytree(path, place)
            else:
                place.mkdir()
                shutil.copyfile(path, place / path.name)
            self._add(place)

    def _add(self, place: Path) -> None:
        files = {
            str(path.relative_to(place)): path.read_bytes()
            for path in sorted(place.rglob("*"))
            if path.is_file()
        }
        self.seeds.append((place, files))

    def make(self, case: int) -> tuple[Path, dict[str, bytes]]:
        """The damaged folder of a case, on disk and in memory."""
        rng = np.random.default_rng([self.seed, case])
        _, files = self.seeds[int(rng.integers(len(self.seeds)))]
        _, others = self.seeds[int(rng.integers(len(self.seeds)))]
        name = sorted(files)[int(rng.integers(len(files)))]
        lent = others[sorted(others)[int(rng.integers(len(others)))]]
        changed = {**files, name: damage(files[name], lent, rng)}
        place = self.folder / "case"
        if place.exists():
            shutil.rmtree(place)
        for inner, data in changed.items():
            (place / inner).parent.mkdir(parents=True, exist_ok=True)
            (place / inner).write_bytes(data)
        return place, changed

    def run(self, case: int) -> tuple[str, Finding | None]:
        """Read one damaged folder: ``read`` or ``refused``, and what is wrong about that."""
        place, files = self.make(case)
        before, known = _peak(), len(self.lines)
        outcome, finding = self._read(place, case)
        grown = _peak() - before
        if finding is None and grown > MEGABYTES:
            finding = self._finding("memory", f"{grown} MB", case)
        if len(self.lines) > known and len(self.seeds) < _MOST_SEEDS:
            self.seeds.append((place, files))
        return outcome, finding

    def _read(self, place: Path, case: int) -> tuple[str, Finding | None]:
        if case % _ARM_EVERY == 0:  # ends native code that never returns
            faulthandler.dump_traceback_later(_ARM_EVERY * SECONDS, exit=True, file=2)
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        sys.settrace(self._trace)
        try:
            self.target.read(place)
        except LeadlineError:
            return "refused", None
        except _TooSlowError:
            return "refused", self._finding("time", f"more than {SECONDS} s", case)
        except Exception as error:
            return "refused", self._finding("exception", _describe(error), case)
        finally:
            sys.settrace(None)
            signal.setitimer(signal.ITIMER_REAL, 0)
        return "read", None

    def _finding(self, kind: str, what: str, case: int) -> Finding:
        return Finding(target=self.target.name, kind=kind, what=what, case=case)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:
        if _INSIDE not in frame.f_code.co_filename:
            return None
        self.lines.add((frame.f_code.co_filename, frame.f_lineno))
        return self._trace


def _peak() -> int:
    """The most memory that this process held so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _describe(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if _INSIDE in frame.filename] or frames
    where = f"{Path(ours[-1].filename).name}:{ours[-1].name}"
    return f"{type(error).__name__} at {where}: {' '.join(str(error).split())[:120]}"


def _stop(number: int, frame: FrameType | None) -> None:
    raise _TooSlowError


def work(target: Target, cases: Sequence[int], seed: int, keep: Path | None) -> None:
    """Run the cases in this process; a line of JSON for each that is finished or begins."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _stop)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what libraries print
    with tempfile.TemporaryDirectory(prefix="leadline-fuzz-") as name:
        fuzzer = Fuzzer(target, Path(name), seed)
        limit = 4 << 30
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        counts = {"read": 0, "refused": 0}
        for case in cases:
            print(json.dumps({"begin": case}), file=out, flush=True)
            outcome, finding = fuzzer.run(case)
            counts[outcome] += 1
            if finding is not None:
                print(json.dumps({"finding": asdict(finding)}), file=out, flush=True)
                if keep is not None:
                    place = keep / f"{target.name}-{case}"
                    shutil.copytree(Path(name) / "case", place, dirs_exist_ok=True)
                if finding.kind == "memory":  # the peak hides the next one
                    break
        done = {**counts, "lines": len(fuzzer.lines), "seeds": len(fuzzer.seeds)}
        print(json.dumps({"done": done}), file=out, flush=True)


# ---- the campaign ---------------------------------------------------------------------------


def run_target(target: Target, cases: int, seed: int, keep: Path | None) -> Result:
    """Run a target's cases in processes, one after another."""
    result, start, first = Result(target=target.name), time.perf_counter(), 0
    while first < cases:
        last = first - 1
        for line in _worker(target, range(first, cases), seed, keep):
            if "begin" in line:
                last = line["begin"]
            elif "finding" in line:
                result.findings.append(Finding(**line["finding"]))
            elif "done" in line:
                done = line["done"]
                result.read += done["read"]
                result.refused += done["refused"]
                result.lines = max(result.lines, done["lines"])
                result.seeds = max(result.seeds, done["seeds"])
            elif last < first:
                raise RuntimeError(f"{target.name}: its seeds cannot be read: {line['said']}")
            else:
                what = f"the process ended with {line['ended']}: {line['said']}"
                finding = Finding(target=target.name, kind="crash", what=what, case=last)
                result.findings.append(finding)
        first = last + 1
    result.cases, result.seconds = cases, round(time.perf_counter() - start, 1)
    return result


def _worker(target: Target, cases: range, seed: int, keep: Path | None) -> Iterator[dict[str, Any]]:
    words = [sys.executable, "-m", "benchmarks.fuzz_readers", "--worker", target.name]
    words += ["--seed", str(seed), "--from", str(cases.start), "--cases", str(cases.stop)]
    words += [] if keep is None else ["--keep", str(keep.absolute())]
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            words, cwd=ROOT, stdout=subprocess.PIPE, stderr=said, text=True
        ) as process,
    ):
        assert process.stdout is not None
        whole = False
        for line in process.stdout:
            found = json.loads(line)
            whole = whole or "done" in found
            yield found
        code = process.wait()
        if code or not whole:
            said.seek(0)
            yield {"ended": code, "said": said.read().decode(errors="replace")[-300:]}


def share_cases(targets: Sequence[Target], cases: int) -> dict[str, int]:
    """How many cases each target gets of all."""
    whole = sum(target.weight for target in targets)
    return {target.name: max(1, round(cases * target.weight / whole)) for target in targets}


def run_campaign(
    targets: Sequence[Target], cases: int, *, seed: int = 0, keep: Path | None = None
) -> list[Result]:
    """Run every target; a line to standard error after each."""
    results = []
    for target in targets:
        result = run_target(target, share_cases(targets, cases)[target.name], seed, keep)
        results.append(result)
        print(
            f"{result.target}: {result.cases} cases, {result.read} read, {len(result.findings)} "
            f"findings, {result.lines} lines, {result.seconds} s",
            file=sys.stderr,
            flush=True,
        )
    return results


def main() -> None:
    """Run the campaign, or a worker of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cases", type=int, default=20_000, help="of all targets together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", action="append", help="of these alone")
    parser.add_argument("--json", type=Path, help="write the result here")
    parser.add_argument("--keep", type=Path, help="folder for the files of findings")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--from", dest="first", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    by_name = {target.name: target for target in TARGETS}
    if given.worker:
        work(by_name[given.worker], range(given.first, given.cases), given.seed, given.keep)
        return
    targets = [by_name[name] for name in given.target] if given.target else list(TARGETS)
    results = run_campaign(targets, given.cases, seed=given.seed, keep=given.keep)
    findings = [finding for result in results for finding in result.findings]
    for finding in findings:
        print(f"{finding.target} {finding.case}: {finding.kind}: {finding.what}")
    print(f"{sum(result.cases for result in results)} cases, {len(findings)} findings")
    if given.json:
        plain = {
            "cases": sum(result.cases for result in results),
            "findings": len(findings),
            "seed": given.seed,
            "targets": [asdict(result) for result in results],
        }
        given.json.write_text(json.dumps(plain, indent=2) + "\n")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
