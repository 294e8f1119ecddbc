"""Parts of a job on a Ray cluster: what :func:`leadline.jobs.run_parts` does, on many machines.

Ray Data hands the parts to a pool of actors. Each actor makes its worker once (a network on its
GPU, say) and keeps it. An actor that dies is started again and its part is worked on again, so a
part may be worked on twice; nothing is lost or doubled because a part's result has a name of its
own and is written as a whole. That is also why Ray Data's own writers are not used: their files are
named at random, and a file that was written by an actor that then died is written again beside it.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from leadline.errors import InputError, JobError, MissingDependencyError
from leadline.jobs import Outcome, attempt

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType

    import numpy as np

Item = TypeVar("Item")
Result = TypeVar("Result")

LOCAL = "local"
"""The address that starts a cluster on this machine, for this run alone."""


def run_parts(
    parts: Iterable[Item],
    make_work: Callable[[], Callable[[Item], Result]],
    *,
    address: str = LOCAL,
    workers: int = 2,
    cpus_per_worker: float = 1.0,
    gpus_per_worker: float = 0.0,
) -> Iterator[Outcome[Item, Result]]:
    """Work on every part on a Ray cluster; outcomes come as they are ready.

    Args:
        parts: what to work on; picklable.
        make_work: makes the callable that works on a part; called once in every actor. Picklable,
            and importable on every machine: they need the same Leadline.
        address: ``local`` starts a cluster here; ``auto``, ``host:port`` or ``ray://host:port``
            joins one.
        workers: number of actors.
        cpus_per_worker: processor cores that an actor reserves.
        gpus_per_worker: GPUs that an actor reserves; below 1, several share one.

    Raises:
        MissingDependencyError: Ray is not installed.
        JobError: the cluster cannot be joined, or the job failed on it; finished parts are kept.
    """
    if workers < 1:
        raise InputError(f"workers={workers}: at least 1 is needed.")
    todo = [pickle.dumps(part) for part in parts]
    if not todo:
        return
    with join_cluster(address, cores=workers * cpus_per_worker) as ray:
        dataset = ray.data.from_items(
            [{"part": part} for part in todo], override_num_blocks=len(todo)
        ).map_batches(
            _Actor,
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=workers),
            fn_constructor_args=(pickle.dumps(make_work),),
            num_cpus=cpus_per_worker,
            num_gpus=gpus_per_worker or None,
        )
        try:
            for row in dataset.iter_rows():
                yield pickle.loads(row["outcome"])  # noqa: S301 - of our own actors
        except ray.exceptions.RayError as error:
            last = [line for line in str(error).splitlines() if line.strip()][-1:]
            raise JobError(
                f"the job failed on the cluster at {address}: {' '.join(last).strip()} Finished "
                "parts are kept; run the same job again to do the rest."
            ) from error


class _Actor:
    """Works on parts; parts and outcomes travel as pickles."""

    def __init__(self, make_work: bytes) -> None:
        self._work = pickle.loads(make_work)()  # noqa: S301 - of whoever started the actor

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[bytes]]:
        parts = [pickle.loads(part) for part in batch["part"]]  # noqa: S301 - as above
        outcomes = [attempt(self._work, part) for part in parts]
        return {"outcome": [pickle.dumps(outcome) for outcome in outcomes]}


@contextmanager
def join_cluster(address: str, *, cores: float) -> Generator[ModuleType]:
    """Ray, connected to a cluster; what was started here ends with the block.

    Args:
        address: as of :func:`run_parts`.
        cores: processor cores of a cluster that is started here, beside one for Ray's own tasks.

    Raises:
        MissingDependencyError: Ray is not installed.
        JobError: no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a library reports nothing on its own
    ray = _ray()
    already = ray.is_initialized()
    if not already:
        _connect(ray, address, cores)
    context = ray.data.DataContext.get_current()
    bars, context.enable_progress_bars = context.enable_progress_bars, False
    try:
        yield ray
    finally:
        context.enable_progress_bars = bars
        if not already:
            ray.shutdown()


def _connect(ray: ModuleType, address: str, cores: float) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        # Room for the reading tasks beside the actors, whatever the number of real cores.
        options |= {"num_cpus": int(cores) + 1, "include_dashboard": False}
        # By default Ray's workers are nicer than the process that asks for them by 15, and starve
        # where others compute too.
        os.environ.setdefault("RAY_worker_niceness", "0")
    try:
        _check_listening(address)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ray.init(address=address, **options)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise JobError(
            f"no Ray cluster answers at {address} ({' '.join(str(error).split())[:200]}). Start "
            "one with `ray start --head` and give its address, or use --cluster local."
        ) from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def _check_listening(address: str) -> None:
    """Raise OSError when nothing listens at ``host:port``; Ray itself waits for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10.0).close()


def _ray() -> ModuleType:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingDependencyError("ray", "--cluster", "cluster") from error
    return ray
