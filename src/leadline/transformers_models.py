"""Depth networks of transformers: where their files are, and what their config.json says.

Nothing here needs transformers, but for families that are not in the tables.

Source: the configurations and processors of transformers 5.24.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from leadline import hub
from leadline.errors import InputError, WeightsError
from leadline.hub_config import is_published, read_json
from leadline.kinds import DepthKind
from leadline.runtime import families
from leadline.spec import NORMALIZE, ModelSpec, PreprocessSpec, name_outputs

_PROCESSORS = ("preprocessor_config.json", "processor_config.json")

_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)

_KINDS: Mapping[str, DepthKind] = MappingProxyType(
    {
        "depth_pro": DepthKind.METRIC_DEPTH,
        "dpt": DepthKind.AFFINE_DISPARITY,
        "glpn": DepthKind.METRIC_DEPTH,
        "prompt_depth_anything": DepthKind.METRIC_DEPTH,
        "tipsv2_dpt": DepthKind.METRIC_DEPTH,
        "zoedepth": DepthKind.METRIC_DEPTH,
    }
)
"""Families whose maps all mean the same; fine-tunes of ``dpt`` may differ."""

_MIDAS_BACKBONES = (None, "bit", "beit", "swin", "swinv2", "levit")
"""Those of MiDaS 3 and 3.1; a ``dpt`` with another one is none of them."""

_ESTIMATION_TYPES = {"relative": DepthKind.AFFINE_DISPARITY, "metric": DepthKind.METRIC_DEPTH}
"""``depth_estimation_type`` of ``depth_anything``."""

_MAX_DEPTHS = {"depth_anything": 1.0, "glpn": 10.0, "tipsv2_dpt": 10.0}
"""``max_depth`` where a config leaves it out, as transformers does at its default."""

_PREPROCESS = PreprocessSpec(
    size=(384, 512),  # of no effect
    resize="keep",
    mean=NORMALIZE["none"][0],
    std=NORMALIZE["none"][1],
    max_aspect=None,
)
"""The picture goes through as it is: the processor beside the weights does the rest."""


def find_network(given: str, kind: DepthKind | None = None) -> tuple[ModelSpec, Path] | None:
    """The network of transformers in a folder or a repository of the hub, downloading the latter.

    Args:
        given: a folder, or ``owner/name`` or ``owner/name@revision`` of the hub. All files of a
            repository are taken from one commit.
        kind: what the values mean, where config.json does not decide it.

    Returns:
        What the network is, and the file of its weights, whose folder holds the rest; None where no
        ``model_type`` says that it is of transformers, or Leadline has the network itself.

    Raises:
        InputError: a network that gives no depth, or of which nothing says what its values mean.
        WeightsError: files are missing or damaged.
    """
    folder, (repo, _, revision) = Path(given).expanduser(), given.partition("@")
    _refuse_moge_3(repo)
    if folder.is_dir():
        repo, name = "", folder.resolve().name
        path: Path | None = folder / "config.json"
    else:
        name, path = repo, hub.fetch_file(repo, "config.json", revision=revision or None)
    config = None if path is None else read_json(path)
    if path is None or config is None or not config.get("model_type") or is_published(config):
        return None
    spec = describe_network(config, name, kind)
    return spec, _find_weights(path.parent, repo)


def describe_network(
    config: Mapping[str, Any], name: str, kind: DepthKind | None = None
) -> ModelSpec:
    """What a ``config.json`` says about its network.

    Args:
        config: its table.
        name: of the model.
        kind: what the values mean, where the config does not decide it.

    Raises:
        InputError: see :func:`find_network`.
    """
    family = str(config["model_type"])
    known = _find_kind(config, name)
    if known is None or family == "dpt":
        known = kind or known
    if known is None:
        raise InputError(
            f"{name} is a {family} of transformers, and nothing says what its values mean. Say it: "
            f"--kind {'|'.join(DepthKind)} (in Python kind=)."
        )
    spec = ModelSpec(
        name=name,
        kind=known,
        preprocess=_PREPROCESS,
        summary=f"{family} of transformers",
        max_depth=_find_max_depth(config) if known.is_metric else None,
        runtime="transformers",
    )
    if family == "prompt_depth_anything":
        return replace(spec, inputs=("image", "prompt_depth"))
    if family == "depth_pro":
        lens = ("fov_deg",) if config.get("use_fov_model") else ()
        outputs = name_outputs("canonical_inverse_depth", *lens)
        return replace(spec, outputs=outputs, decoder="inverse_depth_with_focal")
    return spec


def _find_kind(config: Mapping[str, Any], name: str) -> DepthKind | None:
    """What a config says that the values mean; None: nothing.

    Raises:
        InputError: no depth, or no network for it.
    """
    family = str(config["model_type"])
    if family == "chmv2":
        raise InputError(
            f"{name} is a chmv2, which gives the height of plants above the ground in pictures "
            "from satellites. Leadline needs depth from a camera; load another model."
        )
    if family == "dpt":
        backbone = (config.get("backbone_config") or {}).get("model_type")
        return _KINDS[family] if backbone in _MIDAS_BACKBONES else None
    if family == "depth_anything":
        return _ESTIMATION_TYPES.get(config.get("depth_estimation_type") or "relative")
    if family not in _KINDS and family not in families():
        raise InputError(
            f"{name} is a {family} (config.json), and the installed transformers has no depth "
            f"network of that family, only {', '.join(families())}. Load another model, or a "
            "newer transformers."
        )
    return _KINDS.get(family)


def _find_max_depth(config: Mapping[str, Any]) -> float | None:
    """The largest metres that the network can give; None where nothing bounds them."""
    family = str(config["model_type"])
    if family == "zoedepth":
        bins = config.get("bin_configurations") or [{"max_depth": 10.0}]
        return max(float(one["max_depth"]) for one in bins)
    usual = _MAX_DEPTHS.get(family)
    return None if usual is None else float(config.get("max_depth") or usual)


def _find_weights(folder: Path, repo: str) -> Path:
    """The file of the weights in a folder, after those that ``repo`` has are fetched into it.

    Raises:
        WeightsError: the processor or the weights are nowhere.
    """
    found = []
    for names in (_PROCESSORS, _WEIGHTS):
        here = next((folder / name for name in names if (folder / name).is_file()), None)
        for name in names:
            here = here or (hub.fetch_file(repo, name, revision=folder.name) if repo else None)
        if here is None:
            raise WeightsError(
                f"{repo or folder} has a config.json of transformers, but no "
                f"{' or '.join(names)}. Copy all of its files, or save model and processor there "
                "with save_pretrained."
            )
        found.append(here)
    for part in hub.weights_beside(found[-1]):
        if repo:
            hub.fetch_file(repo, part.name, revision=folder.name)
    return found[-1]


def _refuse_moge_3(given: str) -> None:
    """MoGe-3's config has no ``model_type``, and its weights are large: its name says it first."""
    if re.search(r"moge-?3", Path(given).name.lower()):
        raise WeightsError(
            f"{given} is a MoGe-3, which Leadline does not have; load moge-2-vitl-normal or "
            "another of `leadline models`."
        )
