"""Golden files of the convolutional models: which seeds made their inputs, and their extracts.

``python -m testing.convolutional [NAME...]`` writes the committed extracts of the full files.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from testing.goldens import COMMITTED, ROOT, Golden, fill_value, load_golden

if TYPE_CHECKING:
    import torch

Seeds = dict[str, tuple[int, tuple[int, ...]]]


@dataclass(frozen=True, kw_only=True)
class Extract:
    """What is kept of one full file.

    Attributes:
        seeds: input -> (seed, shape): ``Generator(PCG64(seed)).random(shape)``, not stored again.
        values: at most about this many values of each other array; None for all.
        skip: patterns of the names of arrays that are left out.
    """

    seeds: Seeds
    values: int | None = 300
    skip: tuple[str, ...] = ()


EXTRACTS: dict[str, Extract] = {
    "fastdepth_skipadd": Extract(
        seeds={"a/input": (601, (1, 3, 224, 224)), "b/input": (602, (2, 3, 64, 96))}
    ),
    "fastdepth_nnconv5dw": Extract(
        seeds={"a/input": (601, (1, 3, 224, 224)), "b/input": (602, (2, 3, 64, 96))}
    ),
    "md2_nets": Extract(
        seeds={
            "a/input": (501, (1, 3, 96, 160)),
            "a/input2": (551, (1, 3, 96, 160)),
            "b/input": (502, (2, 3, 64, 128)),
            "b/input2": (552, (2, 3, 64, 128)),
        }
    ),
    "md2_layers": Extract(seeds={}, values=None, skip=("errors/*",)),
    "md2_loss": Extract(
        seeds={},
        values=None,
        skip=(
            *(f"in/{what}_{scale}" for what in ("K", "inv_K", "disp") for scale in (0, 1)),
            *(f"in/color_{frame}_{scale}" for frame in (0, -1, 1) for scale in (0, 1)),
            *(f"{v}/*" for v in ("default", "no_automask", "avg", "no_ssim")),
        ),
    ),
    "monodepth_vgg": Extract(
        seeds={"a/input": (961, (1, 128, 256, 3)), "b/input": (962, (1, 128, 256, 3))}
    ),
    "monodepth_ops": Extract(
        seeds={"left": (931, (2, 64, 128, 3))},
        values=None,
        skip=(
            *("right", "*_est0", "*_est1", "ssim0", "upsample_nn"),
            *("ssim_left0", "ssim_left1", "disp0", "disp1"),
            *("*_disp0", "*_disp1", "smoothness_left*", "*_pyramid1"),
        ),
    ),
    "densedepth_keras": Extract(
        seeds={"a/input": (921, (1, 96, 128, 3)), "b/input": (922, (2, 64, 64, 3))}
    ),
    "densedepth_pytorch": Extract(
        seeds={"a/input": (971, (1, 3, 96, 128)), "b/input": (972, (2, 3, 64, 64))}
    ),
    "densedepth_loss": Extract(seeds={}, values=None),
    "losses": Extract(
        seeds={},
        values=None,
        skip=(
            *("in/inv_gt", "in/rel", "*midas/*", "grad/zoe*", "f64/zoe_G*", "f64/zoe_SSI*"),
            *("zoe_G*", "zoe_SSI*", "zoe_scale", "zoe_shift", "zoe_grad*", "zoe_quantize_depth"),
            *("grad/da2_SiLogLoss_0.85", "grad/bts_silog_0.5"),
        ),
    ),
}


def uniform(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """The original's input: float32 in [0, 1)."""
    rng = np.random.Generator(np.random.PCG64(seed))
    return rng.random(shape).astype(np.float32)


def network_input(name: str, key: str) -> np.ndarray:
    """The input ``key`` (``case/what``) of the golden file ``name``."""
    return uniform(*EXTRACTS[name].seeds[key])


def tensorflow_weights(golden: Golden) -> dict[str, np.ndarray]:
    """The weights that a Keras or TensorFlow original ran with, under its names and layout.

    Needs the full file: the extract does not list the tensors.
    """
    about = golden.meta["models"]["model"]
    arrays: dict[str, np.ndarray] = {}
    for name, (shape, _) in about["state_dict"].items():
        kernel = len(shape) == 4  # (h, w, in, out), made as (out, in, h, w)
        made = tuple(shape[i] for i in (3, 2, 0, 1)) if kernel else tuple(shape)
        values = fill_value(about["fill_name"][name], made, about["gain"], about["overrides"])
        if values is not None:
            arrays[name] = values.transpose(2, 3, 1, 0).copy() if kernel else values
    return arrays


def outputs_of_layers(
    module: torch.nn.Module, layers: Sequence[str], batch: torch.Tensor
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """What some submodules give while ``module`` sees ``batch``, and what it gives itself."""
    import torch

    seen: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda _module, _inputs, output: seen.__setitem__(name, output)

    handles = [module.get_submodule(n).register_forward_hook(keep(n)) for n in layers]
    with torch.no_grad():
        output = module(batch)
    for handle in handles:
        handle.remove()
    return seen, output


def write_extract(name: str) -> Path:
    """Write the committed extract of the full file ``name``.

    Raises:
        ValueError: a stored input is not what its seed gives.
    """
    plan, full = EXTRACTS[name], load_golden(name)
    arrays: dict[str, np.ndarray] = {}
    every: dict[str, Any] = {}
    for key, stored in full.arrays.items():
        if key in plan.seeds:
            if not np.array_equal(network_input(name, key), stored):
                raise ValueError(f"{name} {key}: seed {plan.seeds[key]} does not give it")
            continue
        if any(fnmatch(key, pattern) for pattern in plan.skip):
            continue
        kept, stride = stored, -(-stored.size // (plan.values or stored.size or 1))
        if stride > 1:
            every[key] = {"shape": list(stored.shape), "stride": stride}
            kept = stored.reshape(-1)[::stride]
        arrays[key] = kept
    path = COMMITTED / f"{name}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = np.array(json.dumps(_meta(full, set(arrays), every)))
    np.savez_compressed(path, meta=text, **arrays)  # ty: ignore[invalid-argument-type]
    return path


def _meta(full: Golden, arrays: set[str], every: dict[str, Any]) -> dict[str, Any]:
    meta = {k: v for k, v in full.meta.items() if k not in ("stats", "fill_rule")}
    models = {
        model: {k: v for k, v in about.items() if k not in ("state_dict", "layers", "fill_name")}
        for model, about in full.meta.get("models", {}).items()
    }
    strided = {k: v for k, v in full.meta.get("subsampled", {}).items() if k in arrays}
    return meta | {"every": every, "subsampled": strided, "models": models}


if __name__ == "__main__":
    for golden_name in sys.argv[1:] or EXTRACTS:
        written = write_extract(golden_name)
        print(f"{written.relative_to(ROOT)}  {written.stat().st_size / 1e3:.0f} kB")
