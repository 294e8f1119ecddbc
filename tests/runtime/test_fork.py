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
if runtime == "torch":
    import torch
    from leadline.models.base import DepthModule
    from leadline.runtime.torch import TorchRuntime

    class Convolutions(DepthModule):
        def __init__(self):
            super().__init__()
            self.first, self.last = torch.nn.Conv2d(3, 64, 3), torch.nn.Conv2d(64, 1, 3)

        def forward(self, batch):
            return self.last(self.first(batch).relu())[:, 0]

    torch.set_num_threads(2)
    spec = leadline.load(model).spec
    estimator = leadline.DepthEstimator(TorchRuntime(Convolutions()), spec)
else:
    estimator = leadline.load(model, runtime=runtime, threads=2)
picture = np.random.default_rng(0).integers(0, 256, (96, 128, 3)).astype(np.uint8)
wanted = estimator.predict(picture).values

def run(queue):
    queue.put([estimator.predict(picture).values for _ in range(2)])

context = multiprocessing.get_context("fork")
queue = context.Queue()
child = context.Process(target=run, args=(queue,), daemon=True)
child.start()
for given in queue.get(timeout=30):
    np.testing.assert_allclose(given, wanted, rtol=1e-3, atol=1e-3 * np.ptp(wanted))
child.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime", "torch"])
def test_a_used_estimator_works_in_a_forked_process(runtime: str, tiny_model: Path) -> None:
    pytest.importorskip(runtime)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, str(tiny_model), runtime],
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
