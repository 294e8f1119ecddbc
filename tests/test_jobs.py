import errno
import multiprocessing
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from leadline.errors import InputError, JobError
from leadline.jobs import Progress, run_job, run_parts
from leadline.whole_files import atomic_write


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_run_job_keeps_order_and_goes_past_failures(ahead: int) -> None:
    def prepare(item: int) -> int:
        if item == 3:
            raise OSError("cannot read 3")
        time.sleep(0.002 * (item % 3))
        return item * 10

    def work(item: int, ready: int) -> int:
        if item == 5:
            raise InputError("cannot use 5")
        return ready + 1

    def finish(item: int, made: int) -> str:
        if item == 2:
            raise OSError("cannot write 2")
        time.sleep(0.002 * (-item % 3))
        return str(made)

    seen: list[Progress] = []
    failed: list[int] = []
    report = run_job(
        range(8),
        prepare=prepare,
        work=work,
        finish=finish,
        is_done=lambda item: item in (0, 1),
        on_progress=seen.append,
        on_failure=lambda failure: failed.append(failure.item),
        ahead=ahead,
    )
    assert report.results == [(4, "41"), (6, "61"), (7, "71")]
    assert report.skipped == [0, 1]
    assert [(f.item, str(f.error)) for f in report.failures] == [
        (2, "cannot write 2"),
        (3, "cannot read 3"),
        (5, "cannot use 5"),
    ]
    assert sorted(failed) == [2, 3, 5]
    assert [p.finished for p in seen] == [2, 3, 4, 5, 6, 7, 8]
    with pytest.raises(JobError, match=r"3 of 6 items failed; the first, 2: cannot write 2"):
        report.raise_failures()


@pytest.mark.parametrize("step", ["prepare", "work", "finish"])
def test_run_job_ends_on_any_other_exception(step: str) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    steps = {"prepare": lambda x: x, "work": lambda x, _: x, "finish": lambda x, _: x}
    with pytest.raises(ZeroDivisionError):
        run_job([1, 2, 3], **{**steps, step: broken})


@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_run_job_holds_no_more_than_it_may(ahead: int) -> None:
    held, most = 0, 0
    lock = threading.Lock()

    def prepare(item: int) -> int:
        nonlocal held, most
        with lock:
            held += 1
            most = max(most, held)
        return item

    def finish(item: int, made: int) -> None:
        nonlocal held
        time.sleep(0.001)
        with lock:
            held -= 1

    run_job(range(60), prepare=prepare, work=lambda x, _: x, finish=finish, ahead=ahead)
    assert held == 0
    assert most <= 2 * ahead + 1


def test_run_job_works_in_the_calling_thread() -> None:
    threads: set[int] = set()
    run_job(
        range(5),
        prepare=lambda item: item,
        work=lambda item, _: threads.add(threading.get_ident()),
        finish=lambda item, _: None,
    )
    assert threads == {threading.get_ident()}


def test_progress_tells_rate_and_time_left() -> None:
    progress = Progress(total=10, done=3, skipped=2, failed=1, seconds=2.0)
    assert progress.rate == 2.0
    assert progress.eta_s == 2.0
    assert Progress(total=10, skipped=4, seconds=1.0).eta_s is None


class _Counting:
    """Work that says which process did it, and fails on one part."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, part: int) -> tuple[int, int]:
        self.calls += 1
        if part == 3:
            raise InputError("part 3 is bad")
        return self.calls, os.getpid()


def test_parts_are_worked_on_by_one_worker_that_is_made_once() -> None:
    outcomes = list(run_parts(range(5), _Counting))
    assert [outcome.result and outcome.result[0] for outcome in outcomes] == [1, 2, 3, None, 5]
    assert outcomes[3].error == "InputError: part 3 is bad"
    assert {outcome.result[1] for outcome in outcomes if outcome.result} == {os.getpid()}


@pytest.mark.slow
def test_parts_in_processes() -> None:
    outcomes = list(run_parts(range(5), _Counting, workers=2))
    assert sorted(outcome.item for outcome in outcomes) == [0, 1, 2, 3, 4]
    assert os.getpid() not in {outcome.result[1] for outcome in outcomes if outcome.result}
    assert [outcome.item for outcome in outcomes if outcome.error] == [3]


class _Dying:
    def __call__(self, part: int) -> int:
        os._exit(9)


@pytest.mark.slow
def test_a_process_that_dies_is_told() -> None:
    with pytest.raises(JobError, match="run the same job again"):
        list(run_parts(range(3), _Dying, workers=1))


class _Sleeping:
    """Writes its process's number and works for minutes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, part: int) -> int:
        with atomic_write(self.folder / "result"):
            (self.folder / f"{os.getpid()}.pid").touch()
            time.sleep(300)
        return part


def _start_sleeping(folder: str) -> None:
    def end(number: int, frame: object) -> None:
        sys.exit(143)

    signal.signal(signal.SIGTERM, end)
    list(run_parts(range(4), partial(_Sleeping, Path(folder)), workers=2))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_the_process_that_started_them(tmp_path: Path, number: int) -> None:
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_start_sleeping, args=(str(tmp_path),))
    process.start()
    workers: list[int] = []
    while len(workers) < 2 and process.is_alive():
        workers = [int(file.stem) for file in tmp_path.glob("*.pid")]
        time.sleep(0.05)
    assert process.pid is not None
    os.kill(process.pid, number)
    process.join(30)
    assert process.exitcode == (143 if number == signal.SIGTERM else -9)
    limit = time.monotonic() + 15
    while any(_is_alive(worker) for worker in workers) and time.monotonic() < limit:
        time.sleep(0.05)
    assert not [worker for worker in workers if _is_alive(worker)]
    assert not list(tmp_path.glob(".*.part"))


def _is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("ahead", [0, 2])
@pytest.mark.parametrize("chained", [False, True])
def test_a_full_disk_ends_the_job_at_the_first_item(
    tmp_path: Path, ahead: int, chained: bool
) -> None:
    tried: list[int] = []

    def finish(item: int, made: int) -> None:
        tried.append(item)
        if item == 3:
            full = OSError(errno.ENOSPC, "No space left on device", "out/3.npz")
            if not chained:
                raise full
            raise InputError("cannot write out/3.npz: No space left on device.") from full
        with atomic_write(tmp_path / f"{item}.bin") as file:
            file.write(bytes(2_000_000))

    with pytest.raises(JobError) as caught:
        run_job(
            range(57),
            prepare=lambda item: item,
            work=lambda item, ready: ready,
            finish=finish,
            catch=(Exception,),
            ahead=ahead,
        )
    assert len(tried) <= 4 + 2 * ahead
    said = str(caught.value)
    assert "out/3.npz" in said
    assert "No space left on device" in said
    found = re.search(r"3 items are done, and 54 are left, which take about (\S+) MB", said)
    assert found is not None
    most = 3 + 2 * ahead  # written, of which some are not counted as done yet
    assert 108 <= float(found[1]) <= 108 * most / 3
    assert "--resume" in said


def test_a_full_disk_ends_parts_too() -> None:
    def make() -> Callable[[int], None]:
        def work(part: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device", "out/a.tar")

        return work

    with pytest.raises(JobError, match=r"a.tar: No space left on device\. What is done"):
        list(run_parts(range(3), make))


def test_memory_that_runs_out_fails_one_item() -> None:
    def work(item: int, ready: int) -> int:
        if item == 1:
            raise MemoryError
        return ready

    report = run_job(range(3), prepare=int, work=work, finish=lambda item, made: made)
    assert [item for item, _ in report.results] == [0, 2]
