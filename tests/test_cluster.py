"""A real Ray cluster of two workers on this machine, and a real kill."""

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline.cluster import join_cluster, run_parts
from leadline.errors import InputError, JobError
from leadline.load_options import LoadOptions
from leadline.shards import BulkJob, Where, list_sources, run_bulk

pytest.importorskip("ray.data", exc_type=ImportError)

_WHERE = Where(address="local", workers=2)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Forty pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(5)
    for index in range(40):
        pixels = rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)
        PilImage.fromarray(pixels).save(folder / f"{index}.jpg")
    return folder


def _actors() -> list[int]:
    """Process ids of the actors that work on parts for this process."""
    parents: dict[int, int] = {}
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            title = (entry / "cmdline").read_bytes()
            after_name = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(entry.name)] = int(after_name[1])
        if title.startswith(b"ray::") and b"_Actor" in title:
            found.append(int(entry.name))
    return [pid for pid in found if os.getpid() in _above(pid, parents)]


def _above(pid: int, parents: dict[int, int]) -> list[int]:
    """The processes above one."""
    chain = []
    while pid in parents:
        pid = parents[pid]
        chain.append(pid)
    return chain


def _kill_one(out: Path, killed: list[int]) -> None:
    """Kill an actor as soon as two shards are there."""
    for _ in range(3000):
        if len(list(out.glob("shard-*.tar"))) >= 2 and (actors := _actors()):
            os.kill(actors[0], signal.SIGKILL)
            killed.append(actors[0])
            return
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the actors in /proc")
def test_a_killed_worker_loses_and_doubles_nothing(photos: Path, tmp_path: Path) -> None:
    alone = BulkJob(model=LoadOptions(threads=1), out=str(tmp_path / "alone"), batch_size=4)
    job = replace(alone, out=str(tmp_path / "cluster"))
    sources = list_sources([photos])
    run_bulk(alone, sources, per_part=2)

    with join_cluster("local", cores=2):  # one cluster for both runs
        _killed_and_rerun(job, sources, alone)


def _killed_and_rerun(job: BulkJob, sources: list[str], alone: BulkJob) -> None:
    killed: list[int] = []
    killer = threading.Thread(target=_kill_one, args=(Path(job.out), killed))
    killer.start()
    report = run_bulk(job, sources, where=_WHERE, per_part=2)
    killer.join()
    assert killed
    assert (report.parts, report.made, report.errors) == (20, 40, ())
    shards = sorted(Path(job.out).glob("shard-*.tar"))
    assert [shard.name for shard in shards] == [f"shard-{n:06d}.tar" for n in range(20)]
    for shard in shards:  # as one process made them alone, byte for byte
        assert shard.read_bytes() == (Path(alone.out) / shard.name).read_bytes()

    shards[4].unlink()
    again = run_bulk(job, sources, where=_WHERE, per_part=2)
    assert (again.skipped, again.made) == (19, 2)


def test_refusals() -> None:
    with pytest.raises(InputError, match="workers"):
        list(run_parts([1], dict, workers=0))
    assert list(run_parts([], dict)) == []


@pytest.mark.slow
def test_no_cluster_there() -> None:
    with pytest.raises(JobError, match="no Ray cluster"):
        list(run_parts([1], dict, address="127.0.0.1:1", workers=1))
