"""Killed and resumed, or spread over processes: the run is the same."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("cv2")

import leadline  # noqa: E402
from leadline.export import export  # noqa: E402
from leadline.training import train  # noqa: E402
from leadline.training.engine.checkpoint import load_state  # noqa: E402
from tools.bundle import bundle_run  # noqa: E402

pytestmark = pytest.mark.slow


def settings_file(config, path):
    """The config as JSON for the script below: TOML has no writer in the standard library."""
    path.write_text(json.dumps(config.to_dict()))
    return path


SCRIPT = """
import json, sys
from leadline.training import TrainConfig, train
if __name__ == "__main__":
    config = TrainConfig.from_dict(json.load(open(sys.argv[1])))
    train(config, sys.argv[2], resume=True, report=lambda line: print(line, flush=True))
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "run.py"
    path.write_text(SCRIPT)
    return path


def test_killed_five_times_it_ends_bit_equal(tiny, tmp_path, script):
    config = tiny.updated(
        {"steps": 60, "checkpoint_every": 3, "log_every": 1, "validate_every": 20}
    )
    train(config, tmp_path / "whole", report=lambda line: None)
    arguments = [
        sys.executable,
        script,
        settings_file(config, tmp_path / "c.json"),
        tmp_path / "run",
    ]
    rng, kills = random.Random(0), 0
    for wanted in sorted(rng.sample(range(2, 55), 5)):
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                if line.startswith("step=") and int(line.split()[0][5:]) >= wanted:
                    time.sleep(rng.uniform(0, 0.05))
                    process.send_signal(signal.SIGKILL)
                    kills += 1
                    break
        assert process.returncode == -signal.SIGKILL
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
    assert kills == 5
    whole, parts = load_state(tmp_path / "whole"), load_state(tmp_path / "run")
    for part in ("module", "average"):
        for key, value in whole[part].items():
            assert torch.equal(value, parts[part][key]), key
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("whole", "run")]
    losses = [[json.loads(line).get("loss") for line in log] for log in logs]
    assert losses[0] == losses[1]


def on_processes(count, config, out, tmp_path, script):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count)]
    own = ["--master-port", str(29500 + os.getpid() % 400 + count)]
    file = settings_file(config, tmp_path / f"{out.name}.json")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*torchrun, *own, script, file, out],
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line)["loss"] for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_processes_give_the_curve_of_one(tiny, tmp_path, script, parallel):
    # By seed 0, rounding grows to five times the tolerance; by this one, to a thousandth of it.
    plain = {"optimizer": "sgd", "steps": 8, "log_every": 1, "checkpoint_every": 4, "seed": 1}
    config = tiny.updated({**plain, "accumulate": 2})
    train(config, tmp_path / "one", report=lambda line: None)
    one = [json.loads(x)["loss"] for x in (tmp_path / "one" / "log.jsonl").read_text().splitlines()]
    both = config.updated({"accumulate": 1, "parallel": parallel})
    two = on_processes(2, both, tmp_path / "two", tmp_path, script)
    final = [load_state(tmp_path / name)["module"] for name in ("one", "two")]
    assert two == pytest.approx(one, rel=1e-4)
    train(both.updated({"steps": 9}), tmp_path / "two", resume=True, report=lambda line: None)
    assert load_state(tmp_path / "two")["step"] == 9  # alone, from what two processes saved
    for key, value in final[0].items():
        if value.is_floating_point() and "running" not in key:  # statistics are of rank 0's parts
            assert torch.allclose(value, final[1][key], rtol=1e-3, atol=1e-5), key


def test_trained_run_exports(tiny, tmp_path, pictures):
    pytest.importorskip("onnxscript")
    train(tiny.updated({"steps": 2}), tmp_path / "run", report=lambda line: None)
    exported = export(tmp_path / "run", tmp_path / "net.onnx")
    one = leadline.load(tmp_path / "run").predict(pictures / "rgb" / "1.png")
    two = leadline.load(exported.path).predict(pictures / "rgb" / "1.png")
    assert two.kind is one.kind
    assert abs(two.values - one.values).max() <= 1e-4 * abs(one.values).max() + 1e-6


def test_trained_run_becomes_a_bundle(tiny, tmp_path, pictures):
    pytest.importorskip("onnxscript")
    train(tiny.updated({"steps": 2}), tmp_path / "run", report=lambda line: None)
    path = bundle_run(tmp_path / "run", tmp_path / "mine.onnx", licence="Apache-2.0")
    estimator = leadline.load(path)
    assert estimator.spec.name == "mine"
    assert estimator.spec.max_depth == 10
    one = leadline.load(tmp_path / "run").predict(pictures / "rgb" / "1.png")
    two = estimator.predict(pictures / "rgb" / "1.png")
    assert abs(two.values - one.values).max() <= 0.02 * abs(one.values).max() + 1e-3  # fp16
