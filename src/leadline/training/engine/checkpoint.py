"""Checkpoints: what a run needs to go on exactly, and what it delivers.

```
RUN/config.json, log.jsonl          what was asked for; a line every few steps
RUN/checkpoints/step-00000200.pt    weights, average, optimiser, scaler, step, config; the last two
RUN/checkpoints/step-00000200.sha256
RUN/model.safetensors, model.json   the network that predicts: `leadline predict --model RUN`
RUN/best/model.safetensors, ...     the same at its best validation
RUN/pictures/step-00000200.png
```

Every file is written atomically, and an older checkpoint goes only when a newer one is on disk.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from leadline.errors import InputError, JobError
from leadline.hub import sha256_of
from leadline.jobs import atomic_write, write_text
from leadline.models.weights import read_weights
from leadline.resolve import identify
from leadline.spec import Sidecar
from leadline.whole_files import is_disk_full

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leadline.spec import ModelSpec

KEPT = 2
"""Checkpoints that a run keeps."""


class MovingAverage:
    """Exponential moving average of a module's weights; integer buffers are copied.

    Args:
        module: whose weights.
        decay: 0 follows the weights at once.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {key: value.detach().clone() for key, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Take in the weights after ``step``; early on the average follows faster."""
        decay = min(self.decay, (1 + step) / (10 + step))
        averages, values = [], []
        for key, value in module.state_dict().items():
            if value.is_floating_point():
                averages.append(_own_part(self.state[key]))
                values.append(_own_part(value))
            else:
                self.state[key].copy_(value)
        if averages:  # all at once: hundreds of small kernels otherwise
            get_ema_multi_avg_fn(decay)(averages, values, None)


def _own_part(value: Tensor) -> Tensor:
    """What this process holds of a tensor that is divided among several."""
    return value.to_local() if isinstance(value, DTensor) else value


def save_state(run: Path, step: int, state: dict[str, Any]) -> Path:
    """Write the checkpoint of ``step`` and let all but the newest go.

    Raises:
        JobError: the disk is full; what was saved before is still there.
    """
    path = _path(run, step)
    with disk(run, step):
        with atomic_write(path) as file:
            torch.save(state, file)
        write_text(path.with_suffix(".sha256"), sha256_of(path) + "\n")
    for old in checkpoints(run)[KEPT:]:
        old.unlink(missing_ok=True)
        old.with_suffix(".sha256").unlink(missing_ok=True)
    return path


def checkpoints(run: Path) -> list[Path]:
    """The checkpoints of a run, newest first."""
    return sorted((run / "checkpoints").glob("step-*.pt"), reverse=True)


def load_state(run: Path) -> dict[str, Any] | None:
    """The newest state that is whole, or None when the folder holds none; warns of damaged ones.

    Raises:
        InputError: there are checkpoints, all of them damaged.
    """
    found = checkpoints(run)
    for path in found:
        try:
            return _read(path)
        except InputError as error:
            warnings.warn(f"{error} Trying the checkpoint before it.", stacklevel=2)
    if found:
        raise InputError(
            f"{run / 'checkpoints'}: none of the {len(found)} checkpoints can be read. Move the "
            "folder away to start anew, or begin with model.safetensors (--set init_from=FILE)."
        )
    return None


def _read(path: Path) -> dict[str, Any]:
    stated = path.with_suffix(".sha256")
    if stated.exists() and stated.read_text().strip() != sha256_of(path):
        raise InputError(f"{path} is damaged (its SHA-256 is not the one written with it).")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}).") from error
    except Exception as error:  # pickle's own errors have no common base
        raise InputError(f"{path} cannot be read ({type(error).__name__}: {error}).") from error


def save_network(
    folder: Path, weights: Mapping[str, Tensor], spec: ModelSpec, *, step: int
) -> Path:
    """Write ``model.safetensors`` and its description, which :func:`leadline.load` reads.

    Args:
        folder: where to.
        weights: of the delivered network, in its own names.
        spec: what it is and wants.
        step: that it is of.
    """
    path = folder / "model.safetensors"
    tensors = {key: value.detach().cpu().contiguous() for key, value in weights.items()}
    sidecar = Sidecar.of(spec, licence="unknown")
    with disk(folder, step):
        metadata = {"architecture": str(spec.architecture), "step": str(step)}
        with atomic_write(path) as file:
            file.write(save(tensors, metadata=metadata))
        write_text(path.with_suffix(".json"), sidecar.to_json())
    return path


def average_networks(runs: Sequence[str | Path], out: str | Path) -> Path:
    """Write the mean of the weights that several runs delivered, which often beats each of them.

    The runs need to share a beginning (one started from another, or all from one), or the mean of
    their weights is no network. Source: Wortsman et al., Model soups, ICML 2022, section 3.

    Args:
        runs: folders of runs, or weights of the same network.
        out: folder that the mean is written to; it loads as a run's does.

    Returns:
        The path of the weights, ``out/model.safetensors``.

    Raises:
        InputError: fewer than two runs, or of different networks.
    """
    if len(runs) < 2:
        raise InputError(f"{len(runs)} runs to average: at least two are needed.")
    origins = [identify(run, prefer="checkpoint") for run in runs]
    states = [read_weights(origin.path) for origin in origins]
    shapes = [{name: tuple(tensor.shape) for name, tensor in state.items()} for state in states]
    for run, own in zip(runs, shapes, strict=True):
        if own != shapes[0]:
            raise InputError(f"{run} and {runs[0]} hold different networks, which have no mean.")
    mean = {
        name: torch.stack([state[name].float() for state in states]).mean(dim=0)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in states[0].items()
    }
    return save_network(Path(out), mean, origins[0].spec, step=0)


@contextmanager
def disk(folder: Path, step: int) -> Generator[None]:
    """Say what to do when the disk is full while something of ``step`` is written.

    Raises:
        JobError: it is.
    """
    try:
        yield
    except (OSError, RuntimeError, InputError) as error:  # torch.save ends in one of its own
        if not is_disk_full(error):
            raise
        kept = checkpoints(folder if (folder / "checkpoints").is_dir() else folder.parent)
        last = f"the newest is {kept[0].name}" if kept else "there is none yet"
        raise JobError(
            f"{folder}: the disk is full, so nothing of step {step} was written. Checkpoints "
            f"written before are kept; {last}. Free some space and go on with --resume."
        ) from error


def trim_log(path: Path, step: int) -> None:
    """Drop the log's lines after ``step``: a resumed run writes them again."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            break  # cut short when the run was killed
        if entry.get("step", 0) <= step:
            kept.append(line)
    write_text(path, "".join(f"{line}\n" for line in kept))


def _path(run: Path, step: int) -> Path:
    return run / "checkpoints" / f"step-{step:08d}.pt"
