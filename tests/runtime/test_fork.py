"""An estimator that was used works in a process that is forked off, on every runtime."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from leadline.errors import DeviceError

SCRIPT = """
import multiprocessing, sys
import numpy as np
import leadline

model, runtime = sys.argv[1:]
estimator = leadline.load(model, runtime=runtime, threads=2)
picture = np.random.default_rng(0).integers(0, 256, (96, 128, 3)).astype(np.uint8)
wanted = estimator.predict(picture).values

def run(queue):
    queue.put([estimator.predict(picture).values for _ in range(2)])

context = multiprocessing.get_context("fork")
queue = context.Queue()
child = context.Process(target=run, args=(queue,))
child.start()
for given in queue.get(timeout=60):
    np.testing.assert_allclose(given, wanted, rtol=1e-3, atol=1e-3 * np.ptp(wanted))
child.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize(
    ("model", "runtime"), [("tiny", "openvino"), ("tiny", "onnxruntime"), ("lite", "torch")]
)
def test_a_used_estimator_works_in_a_forked_process(
    model: str, runtime: str, tiny_model: Path
) -> None:
    pytest.importorskip(runtime)
    given = str(tiny_model) if model == "tiny" else model
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, given, runtime],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_a_network_on_a_gpu_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from leadline.models.base import DepthModule
    from leadline.runtime.torch import TorchRuntime

    class First(DepthModule):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return batch[:, 0]

    runtime, arrays = TorchRuntime(First()), {"image": np.ones((1, 3, 8, 8), np.float32)}
    assert runtime.run(arrays)["depth"].shape == (1, 8, 8)
    runtime.device = "cuda"
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(DeviceError, match="opened on cuda before the process forked"):
        runtime.run(arrays)
