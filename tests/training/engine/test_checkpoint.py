"""Checkpoints: two are kept, a damaged one is passed over, a full disk loses nothing."""

import errno
import io
import json
from contextlib import contextmanager
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("cv2")

from safetensors.torch import load_file  # noqa: E402

import leadline  # noqa: E402
from leadline import models  # noqa: E402
from leadline.catalog import get  # noqa: E402
from leadline.errors import InputError, JobError  # noqa: E402
from leadline.training.engine import checkpoint  # noqa: E402
from leadline.training.engine.checkpoint import (  # noqa: E402
    MovingAverage,
    average_networks,
    checkpoints,
    load_state,
    save_network,
    save_state,
    trim_log,
)


def state(step):
    return {"step": step, "module": {"weight": torch.full((64,), float(step))}}


@pytest.fixture
def run(tmp_path):
    for step in (2, 4, 6):
        save_state(tmp_path, step, state(step))
    return tmp_path


def test_the_newest_two_are_kept(run):
    assert [path.stem for path in checkpoints(run)] == ["step-00000006", "step-00000004"]
    assert len(list((run / "checkpoints").iterdir())) == 4
    assert load_state(run)["step"] == 6


def test_no_checkpoint_is_no_error(tmp_path):
    assert load_state(tmp_path) is None


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text"])
def test_damaged_newest_falls_back_with_a_warning(run, damage):
    newest = checkpoints(run)[0]
    raw = bytearray(newest.read_bytes())
    if damage == "flip":
        raw[len(raw) // 2] ^= 255
    found = {"cut": raw[:-200], "flip": raw, "empty": b"", "text": b"no checkpoint"}[damage]
    newest.write_bytes(bytes(found))
    with pytest.warns(UserWarning, match="step-00000006"):
        assert load_state(run)["step"] == 4


@pytest.mark.parametrize("raw", [b"", b"no checkpoint", b"PK\x03\x04 half a zip"])
def test_damage_shows_without_the_digest_too(run, raw):
    newest = checkpoints(run)[0]
    newest.write_bytes(raw)
    newest.with_suffix(".sha256").unlink()  # killed between the two files
    with pytest.warns(UserWarning, match="step-00000006"):
        assert load_state(run)["step"] == 4


def test_whole_checkpoint_without_its_digest_counts(run):
    checkpoints(run)[0].with_suffix(".sha256").unlink()
    assert load_state(run)["step"] == 6


def test_all_damaged_is_an_error_that_says_what_to_do(run):
    for path in checkpoints(run):
        path.write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="damaged"),
        pytest.raises(InputError, match=r"model\.safetensors"),
    ):
        load_state(run)


def test_full_disk_says_so_and_keeps_what_was_saved(run, monkeypatch):
    def full(state, file):
        file.write(b"some")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint.torch, "save", full)
    with pytest.raises(JobError, match=r"disk is full.*step-00000006.*--resume"):
        save_state(run, 8, state(8))
    assert load_state(run)["step"] == 6
    assert not [p for p in (run / "checkpoints").iterdir() if p.name.endswith(".part")]


def test_torch_s_own_error_of_a_full_disk_is_known(run, monkeypatch):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    @contextmanager
    def full(path):
        yield Full()

    monkeypatch.setattr(checkpoint, "atomic_write", full)
    with pytest.raises(JobError, match=r"disk is full.*step-00000006"):
        save_state(run, 8, state(8))


def test_other_errors_of_the_disk_are_not_renamed(run, monkeypatch):
    def broken(state, file):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(checkpoint.torch, "save", broken)
    with pytest.raises(OSError, match="Input/output"):
        save_state(run, 8, state(8))


def test_log_is_cut_back_to_the_checkpoint(tmp_path):
    log = tmp_path / "log.jsonl"
    lines = [json.dumps({"step": step, "loss": 1.0}) for step in (2, 4, 6)]
    log.write_text("\n".join(lines) + '\n{"step": 8, "lo')
    trim_log(log, 4)
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == [2, 4]
    trim_log(Path(tmp_path / "none.jsonl"), 4)


def test_moving_average_follows_faster_early_on():
    net = torch.nn.BatchNorm1d(1)
    average = MovingAverage(net, 0.9)
    torch.nn.init.constant_(net.weight, 2.0)
    net.num_batches_tracked.fill_(7)
    average.update(net, 0)
    assert average.state["weight"].item() == pytest.approx(1.9)  # decay 1/10 at step 0
    average.update(net, 1000)
    assert average.state["weight"].item() == pytest.approx(1.9 * 0.9 + 2 * 0.1)
    assert average.state["num_batches_tracked"] == 7


def test_the_mean_of_runs_loads_like_a_run(tmp_path):
    runs = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        module = models.build("fastdepth-pruned")
        runs.append(tmp_path / str(seed))
        spec = get("fastdepth-pruned")
        save_network(runs[-1], module.state_dict(), spec, step=seed)
    path = average_networks(runs, tmp_path / "mean")
    first, second, mean = (load_file(run / "model.safetensors") for run in (*runs, path.parent))
    for name, tensor in mean.items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, (first[name] + second[name]) / 2)
    assert leadline.load(tmp_path / "mean").spec.architecture == "fastdepth-pruned"
    with pytest.raises(InputError, match="at least two"):
        average_networks(runs[:1], tmp_path / "mean")


def test_different_networks_have_no_mean(tmp_path):
    for name in ("fastdepth", "fastdepth-pruned"):
        save_network(tmp_path / name, models.build(name).state_dict(), get(name), step=1)
    with pytest.raises(InputError, match="no mean"):
        average_networks([tmp_path / "fastdepth", tmp_path / "fastdepth-pruned"], tmp_path / "x")
