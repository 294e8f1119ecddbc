"""Golden vectors: what the original implementations computed with deterministic weights.

The full files lie beside the repository (``../shared/goldens``) on some machines; a compact extract
of the same numbers is committed under ``tests/models/data``, so that parity is proved anywhere.
Weights are not stored: :func:`fill_value` makes them from their names.

``python -m testing.goldens NAME...`` writes the extract of full files.
"""

from __future__ import annotations

import json
import sys
import zlib
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

ROOT = Path(__file__).resolve().parents[1]
FULL = ROOT.parent / "shared" / "goldens"
COMMITTED = ROOT / "tests" / "models" / "data"

_EMBEDDINGS = ("cls_token", "mask_token", "pos_embed", "dist_token")
_CONSTANTS = ("K_minus_1", "pe")
_VALUES, _OUTPUT_VALUES = 300, 4000  # kept per array by the extract
_OUTPUTS = ("output", "metric_depth")
_SMALLER = {"values": 60, "output_values": 1000}
_EXTRACTS: dict[str, dict[str, Any]] = {  # settings of the extracts that differ from the usual
    **dict.fromkeys(("midas_small", "dpt_large_384", "dpt_hybrid_384"), _SMALLER),
    **dict.fromkeys(("dpt_beit_large_384", "zoed_n_beitl", "zoed_nk_beitl"), _SMALLER),
    **dict.fromkeys(("da1zoe_vits_softplus", "da1zoe_vits_inverse"), _SMALLER),
    **dict.fromkeys(("da1zoe_vitl_nyu", "da1zoe_vitl_nk"), _SMALLER),
    "zoe_attractors": {
        "values": 100,
        "whole": ("x", "prev_b_embedding", "b_prev_normed", "b_prev_unnormed"),
    },
    "zoe_bins": {"values": 200, "whole": ("x", "splitter/b_prev", "splitter/prev_b_embedding")},
    "zoe_dist": {"values": 200, "whole": ("p", "t", "x", "cond", "log_binom_63")},
    "zoe_patch_transformer": {"values": 300, "whole": ("nk/x", "patch3/x")},
    "zoe_infer": {"values": 300, "whole": ("0/input", "1/input")},
    "vda_vits": {"output_values": 2000},
    "depth_pro_tiny": {"values": 200},
    "depth_pro_full": {"values": 200},
    "depth_pro_prep": {
        "values": 200,
        "whole": (
            *("fpx_f64", "exif/table_f64", "post/c48", "boundary/values_f64"),
            *(f"boundary/{what}" for what in ("gt", "pred", "blurred", "mask")),
        ),
    },
    "prompt_depth_anything_vits": {"values": 300, "whole": ("prompt/prompt_depth",)},
    "moge2_vits_normal": {**_SMALLER, "skip": ("tall_batch/*",)},
    "moge1_vits": {**_SMALLER, "skip": ("tall/*",)},
    "metric3d_v2_vits": _SMALLER,
    "unidepth_v2_vits": {**_SMALLER, "skip": ("infer/*", "sizes_f64")},
    "da3_small": {"values": 120},
    "da3_small_eps": {"values": 300},
    "da3mono_large": {"values": 200},
    "da3_geom": {
        "values": 5000,
        "skip": ("nested_nosky/*", "nested_far/*", "ray_pose_noisy/*", "nested_sky/out_metric_*"),
    },
    "da3_prep": {"skip": ("*/out_u8", "*/out_tensor")},
    "losses": {
        "values": 300,
        "whole": ("in/gt", "in/pred", "in/pred_low", "in/inv_gt", "in/rel"),
    },
}


def fill_value(
    name: str,
    shape: tuple[int, ...],
    gain: float = 1.0,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> np.ndarray | None:
    """The float32 weights called ``name``; None for a constant that stays as constructed."""
    leaf = name.rsplit(".", 1)[-1]
    if leaf in _CONSTANTS:
        return None
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    if name.endswith("running_var"):
        values = 0.5 + rng.random(shape)
    elif name.endswith(("running_mean", "bias")) or leaf in _EMBEDDINGS:
        values = 0.02 * rng.standard_normal(shape)
    elif len(shape) <= 1:
        centre = 0.2 if name.endswith("gamma") else 1.0
        values = centre + 0.02 * rng.standard_normal(shape)
    else:
        values = rng.standard_normal(shape) * (gain * np.sqrt(1.0 / int(np.prod(shape[1:]))))
    change = (overrides or {}).get(name)
    if change:
        values = values * change.get("mul", 1.0) + change.get("add", 0.0)
    return np.asarray(values, dtype=np.float32)


def filled(
    module: torch.nn.Module,
    gain: float = 1.0,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, torch.Tensor]:
    """A state dict for ``module`` with every weight made from its name."""
    import torch

    state = module.state_dict()
    unknown = set(overrides or {}) - set(state)
    if unknown:
        raise KeyError(f"overrides for weights that the module does not have: {unknown}")
    for name, tensor in state.items():
        if tensor.is_floating_point():
            values = fill_value(name, tuple(tensor.shape), gain, overrides)
            if values is not None:
                state[name] = torch.from_numpy(values).to(tensor.dtype)
    return dict(state)


@dataclass(frozen=True, kw_only=True)
class Golden:
    """One golden file, full or extracted.

    Attributes:
        meta: its description; ``every`` maps an extracted array to the stride of its extract.
        arrays: ``case/what`` -> values.
    """

    name: str
    meta: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]

    @property
    def cases(self) -> Mapping[str, Any]:
        return self.meta["cases"]

    def keys(self, case: str) -> list[str]:
        """What is stored of ``case``, all but its input."""
        parts = [key.partition("/") for key in self.arrays]
        inputs = ("input", "input_u8")
        return [what for owner, _, what in parts if owner == case and what not in inputs]

    def weights(self, module: torch.nn.Module, model: str = "model") -> dict[str, torch.Tensor]:
        """The state dict that the original ran with."""
        description = self.meta["models"][model]
        return filled(module, description["gain"], description["overrides"])

    def input(self, case: str) -> np.ndarray:
        """The batch that the original got, stored, as pixels, or made from its seed."""
        stored = self.arrays.get(f"{case}/input")
        if stored is not None:
            return stored
        pixels = self.arrays.get(f"{case}/input_u8")
        if pixels is not None:
            return pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255
        made = self.cases[case]
        rng = np.random.Generator(np.random.PCG64(made["seed"]))
        draw = rng.random if made.get("draw") == "uniform" else rng.standard_normal
        values = draw(made["shape"])
        if "colour offset per view" in made.get("input", ""):
            values += 2 * rng.standard_normal((*made["shape"][:2], 3, 1, 1))
        return values.astype(np.float32)

    def kept(self, key: str, full: np.ndarray) -> np.ndarray:
        """What the file keeps of an array that was computed whole.

        Raises:
            ValueError: ``full`` does not have the original's shape.
        """
        note = self.meta.get("subsampled", {}).get(key)
        if note:
            if list(full.shape) != note["full_shape"]:
                raise ValueError(f"{key}: shape {full.shape}, the original's {note['full_shape']}")
            full = full[_index(note["kept"])]
        every = self.meta.get("every", {}).get(key)
        if not every:
            return full
        if list(full.shape) != every["shape"]:
            raise ValueError(f"{key}: shape {full.shape}, the original's {every['shape']}")
        return full.reshape(-1)[:: every["stride"]]

    def relative_error(self, key: str, full: np.ndarray) -> float:
        """Largest absolute difference over the largest absolute reference value."""
        reference, ours = self.arrays[key], self.kept(key, np.asarray(full))
        if reference.shape != ours.shape:
            raise ValueError(f"{key}: shape {ours.shape}, the original's {reference.shape}")
        return float(np.abs(ours.astype(np.float64) - reference).max() / np.abs(reference).max())


def _index(kept: str) -> tuple[Any, ...]:
    """The index that a note such as ``x[...,5::17,:]`` stands for."""
    parts = kept.removeprefix("x[").removesuffix("]").split(",")
    return tuple(... if part == "..." else _slice(part) for part in parts)


def _slice(part: str) -> slice:
    return slice(*(int(number) if number else None for number in part.split(":")))


def load_golden(name: str, *, extract: bool = False) -> Golden:
    """The golden file ``name``: its committed extract, or the full one (else the test skips)."""
    path = (COMMITTED if extract else FULL) / f"{name}.npz"
    if not extract and not path.is_file():
        pytest.skip(f"the full golden file {name} is not on this machine")
    with np.load(path) as stored:
        arrays = {key: stored[key] for key in stored.files if key != "meta"}
        return Golden(name=name, meta=json.loads(str(stored["meta"])), arrays=arrays)


def write_extract(
    name: str,
    *,
    values: int = _VALUES,
    output_values: int = _OUTPUT_VALUES,
    whole: tuple[str, ...] = (),
    skip: tuple[str, ...] = (),
) -> Path:
    """Write the committed extract of a full file: seeds, and evenly strided values of each array.

    Inputs that their seed gives again are left out, and what a pattern of ``skip`` names; arrays in
    ``whole``, small ones and integers stay whole.
    """
    full = _with_draws(load_golden(name))
    arrays: dict[str, np.ndarray] = {}
    every: dict[str, dict[str, Any]] = {}
    for key, array in full.arrays.items():
        case, _, what = key.partition("/")
        if any(fnmatch(key, pattern) for pattern in skip):
            continue
        if what == "input" and _seeded(full, case, array):
            continue
        limit = output_values if what in _OUTPUTS else values
        stride = 1 if array.dtype.kind in "iub" or key in whole else -(-array.size // limit)
        if stride > 1:
            every[key] = {"shape": list(array.shape), "stride": stride}
            array = array.reshape(-1)[::stride]
        arrays[key] = array
    meta = {key: value for key, value in full.meta.items() if key not in ("stats", "fill_rule")}
    subsampled = {k: v for k, v in meta.get("subsampled", {}).items() if k in arrays}
    meta |= {"every": every, "subsampled": subsampled, "models": _without_tensor_lists(meta)}
    path = COMMITTED / f"{name}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, meta=np.array(json.dumps(meta)), **arrays)  # ty: ignore[invalid-argument-type]
    return path


def _with_draws(golden: Golden) -> Golden:
    """The file with the kind of draw noted for every case whose input its seed gives again."""
    cases = {}
    for case, made in golden.meta.get("cases", {}).items():
        cases[case] = made
        if "seed" not in made or not (
            f"{case}/input" in golden.arrays or {"seed", "shape"} <= set(made)
        ):
            continue
        for note in ({"draw": "uniform"}, {"input": "one colour offset per view"}):
            meta = {"cases": {case: {**made, **note}}}
            trial = Golden(name=golden.name, meta=meta, arrays=golden.arrays)
            if _seeded(trial, case, golden.input(case)):
                cases[case] = {**made, **note}
    meta = {**golden.meta, "cases": cases} if cases else golden.meta
    return Golden(name=golden.name, meta=meta, arrays=golden.arrays)


def _seeded(golden: Golden, case: str, stored: np.ndarray) -> bool:
    """Whether the case's seed gives the stored input again."""
    if "seed" not in golden.meta.get("cases", {}).get(case, {}):
        return False
    others = {key: a for key, a in golden.arrays.items() if key != f"{case}/input"}
    made = Golden(name=golden.name, meta=golden.meta, arrays=others).input(case)
    return np.array_equal(made, stored)


def _without_tensor_lists(meta: Mapping[str, Any]) -> dict[str, Any]:
    return {
        model: {key: value for key, value in description.items() if key != "state_dict"}
        for model, description in meta.get("models", {}).items()
    }


if __name__ == "__main__":
    for golden_name in sys.argv[1:]:
        written = write_extract(golden_name, **_EXTRACTS.get(golden_name, {}))
        print(f"{written.relative_to(ROOT)}  {written.stat().st_size / 1e3:.0f} kB")
