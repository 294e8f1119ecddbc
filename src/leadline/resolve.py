"""Whose network a file is: decided by what is known about it, never by guessing.

A relative and a metric checkpoint of Depth Anything have the same tensors, so do versions 1 and 2.
What decides is, in this order: the name that the user gave, the hub id, the sidecar, the
``config.json``, the file's SHA-256, and the tensors where only one model has them. When none of
these tells, the user is asked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from leadline import catalog, hub
from leadline.errors import InputError, MissingWeightsError, UnknownNameError, WeightsError
from leadline.kinds import DepthKind
from leadline.spec import ModelSpec, PreprocessSpec, Sidecar, WeightsFile, sidecar_path

GRAPH_SUFFIXES = (".onnx", ".xml")
"""Files that hold a whole network."""

CHECKPOINT_SUFFIXES = (".pth", ".pt", ".bin", ".safetensors")
"""Files that hold only the weights of a network."""

_FOLDER_FILES = (
    "model.safetensors",
    "pytorch_model.bin",
    "onnx/model.onnx",
    "model.onnx",
    "encoder.pth",
)


Form = Literal["graph", "checkpoint"]
"""A file holds a whole network, or only its weights."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A model, the file that holds it, and how we know that they belong together.

    Attributes:
        spec: what the model is and wants.
        path: the file on this machine.
        inputs, outputs: the file's tensor name -> ours, for files that hold a whole network.
        told_by: what decided, for people.
    """

    spec: ModelSpec
    path: Path
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    told_by: str

    @property
    def is_graph(self) -> bool:
        """Whether the file holds a whole network."""
        return self.path.suffix.lower() in GRAPH_SUFFIXES


def identify(
    model: str | os.PathLike[str] | None = None,
    *,
    weights: str | os.PathLike[str] | None = None,
    max_depth: float | None = None,
    prefer: Form | None = None,
) -> Origin:
    """Find the model and its file, downloading the file when it has to come from the hub.

    Args:
        model: a name of the catalogue, a file, a folder, or a hub id ``owner/name``; None takes
            ``weights``, or the embedded model.
        weights: a file, folder or hub id to take in place of the catalogue's.
        max_depth: metres at the network's full output; says that a checkpoint is metric.
        prefer: which of the catalogue's files to take where there are both: one that holds the
            whole network, or one that holds its weights for PyTorch. None takes the first that is
            here.

    Raises:
        UnknownNameError: neither a name, nor a file, nor a hub id.
        MissingWeightsError: the weights are not here and cannot be had.
        WeightsError: the file does not tell whose it is, or is another model's.
        InputError: ``max_depth`` for a model that has none.
    """
    if max_depth is not None and not max_depth > 0:
        raise InputError(f"max_depth={max_depth}: a positive number of metres is needed.")
    if model is None:
        model, weights = (weights, None) if weights is not None else (catalog.DEFAULT, None)
    if isinstance(model, str):
        model = catalog.expand_alias(model)
    if isinstance(model, str) and model in catalog.MODELS:
        spec = catalog.get(model)
        found = _published(spec, prefer) if weights is None else _named(spec, weights)
    elif weights is not None:
        raise UnknownNameError("model", model, catalog.names())
    else:
        found = _unnamed(model, max_depth)
    return found if max_depth is None else _with_max_depth(found, max_depth)


def _published(spec: ModelSpec, prefer: Form | None) -> Origin:
    """The catalogue's own weights, preferred ones first: those that are here, else the first."""
    if not spec.weights:
        why = spec.advice or "its authors have published no weights. Give your own"
        raise MissingWeightsError(
            f"{spec.name}: {why} with --weights FILE "
            "(in Python: leadline.load(name, weights=FILE))."
        )
    files = [file for file in spec.weights if prefer is None or _form(file.file) == prefer]
    files = files or list(spec.weights)
    here = next((path for file in files if (path := hub.locate(file))), None)
    path = here or hub.fetch(files[0], needed_by=spec.name)
    if sidecar_path(path).is_file() and _form(path.name) == "graph":
        return _from_sidecar(path)
    return _origin(spec, path, "its name in the catalogue")


def _named(spec: ModelSpec, weights: str | os.PathLike[str]) -> Origin:
    """The weights that the user says are ``spec``'s, unless something tells otherwise."""
    path = _find(weights)
    known = _recognise(path)
    if known is None:
        return _origin(spec, path, "the name that was given")
    if known.spec.architecture != spec.architecture:
        raise WeightsError(
            f"{path.name} holds {known.spec.name} ({known.spec.kind}), as {known.told_by} says, "
            f"but {spec.name} ({spec.kind}) was asked for. Load it as {known.spec.name!r}."
        )
    return known


def _unnamed(model: str | os.PathLike[str], max_depth: float | None) -> Origin:
    path = _find(model)
    known = _recognise(path)
    if known is not None:
        return known
    if path.suffix.lower() in GRAPH_SUFFIXES:
        raise WeightsError(
            f"{path} has no description beside it ({sidecar_path(path).name}), so its "
            "preprocessing and the kind of its output are unknown. Export it again with `leadline "
            "export`, or say which model it is: "
            f"--model depth-anything-v2-vits --weights {path.name}, say."
        )
    return _from_tensors(path, max_depth)


def _find(given: str | os.PathLike[str]) -> Path:
    """The file that a path or a hub id means; folders and repositories may hold several."""
    path = Path(given)
    if path.is_file():
        return path
    if path.is_dir():
        for name in _FOLDER_FILES:
            if (path / name).is_file():
                return path / name
        return _only_one(path)
    text = os.fspath(given)
    if path.suffix.lower() in (*GRAPH_SUFFIXES, *CHECKPOINT_SUFFIXES):
        raise MissingWeightsError(f"{path}: no such file; check the path.")
    if text.count("/") == 1 and not text.startswith((".", "/", "~")):
        return _find_on_hub(text)
    raise UnknownNameError("model", text, catalog.names())


def _only_one(folder: Path) -> Path:
    """The one model file of a folder whose files have other names than usual."""
    suffixes = (*GRAPH_SUFFIXES, *CHECKPOINT_SUFFIXES)
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes)
    if len(files) == 1:
        return files[0]
    what = f"holds {len(files)} model files" if files else "holds no weights"
    raise WeightsError(
        f"{folder} {what}; one, or one of {', '.join(_FOLDER_FILES)}, is needed. Give the file."
    )


def _form(file: str) -> Form:
    return "graph" if Path(file).suffix.lower() in GRAPH_SUFFIXES else "checkpoint"


def _find_on_hub(repo: str) -> Path:
    spec = catalog.by_repo(repo)
    if spec is not None:
        file = next(weights for weights in spec.weights if weights.repo == repo)
        return hub.fetch(file, needed_by=spec.name)
    cached = (hub.locate(WeightsFile(repo=repo, file=name)) for name in _FOLDER_FILES)
    here = next((path for path in cached if path is not None), None)
    if here is not None:
        return here
    if hub.fetch_file(repo, "config.json") is not None:
        hub.fetch_file(repo, "preprocessor_config.json")
        for name in _FOLDER_FILES:
            path = hub.fetch_file(repo, name)
            if path is not None:
                return path
    raise WeightsError(
        f"the hub's {repo} holds no config.json with {' or '.join(_FOLDER_FILES)}; give a file of "
        "it instead."
    )


def _recognise(path: Path) -> Origin | None:
    """What the surroundings of a file tell, or None."""
    graph = path.suffix.lower() in GRAPH_SUFFIXES
    if sidecar_path(path).is_file():
        return _from_sidecar(path)
    repo = hub.repo_of(path)
    spec = catalog.by_repo(repo) if repo else None
    if spec is not None and not graph:
        return _origin(spec, path, f"the hub id {repo}")
    config = _config_beside(path)
    if config is not None:
        return _from_config(path, config)
    spec = catalog.MODELS.get(_architecture_in(path))
    if spec is not None:
        return _origin(spec, path, "its own header")
    stated = [w.sha256 for s in catalog.MODELS.values() for w in s.weights if w.sha256]
    spec = catalog.by_digest(hub.sha256_of(path)) if stated else None
    return _origin(spec, path, "its SHA-256") if spec is not None else None


def _from_sidecar(path: Path) -> Origin:
    beside = sidecar_path(path)
    sidecar = Sidecar.from_json(beside.read_text(encoding="utf-8"), where=str(beside))
    stale = sidecar.digest is not None and hub.sha256_of(path) != sidecar.digest
    if stale and _form(path.name) == "graph":
        raise WeightsError(
            f"{path} is not the file that {beside.name} describes (their SHA-256 differ): it was "
            "cut short, changed, or exported without its description. Copy or export both again."
        )
    spec = sidecar.to_spec(path.name, catalog.MODELS.get(sidecar.name))
    return Origin(
        spec=spec,
        path=path,
        inputs=sidecar.inputs,
        outputs=sidecar.outputs,
        told_by=f"{beside.name}",
    )


def _config_beside(path: Path) -> dict[str, Any] | None:
    """The ``config.json`` of a folder in transformers' layout that holds ``path``, or None."""
    folders = [path.parent, path.parent.parent] if path.parent.name == "onnx" else [path.parent]
    for folder in folders:
        config = _read_json(folder / "config.json")
        if config is not None and config.get("model_type") == "depth_anything":
            return config | {"preprocessor": _read_json(folder / "preprocessor_config.json")}
    return None


def _from_config(path: Path, config: dict[str, Any]) -> Origin:
    """Depth Anything as transformers and its ONNX exports describe it."""
    backbone = config.get("backbone_config") or {}
    size = {384: "vits", 768: "vitb", 1024: "vitl", 1536: "vitg"}.get(backbone.get("hidden_size"))
    taps = backbone.get("out_indices") or [
        int(stage.removeprefix("stage")) for stage in backbone.get("out_features", [])
    ]
    if size is None or len(taps) != 4:
        raise WeightsError(
            f"the config.json beside {path} says depth_anything, but its backbone (hidden_size "
            f"{backbone.get('hidden_size')}, out_indices {taps}) is none of the published ones."
        )
    version = "v1" if taps[3] - taps[0] == 3 else "v2"
    metric = config.get("depth_estimation_type", "relative") == "metric"
    max_depth = float(config.get("max_depth") or 1) if metric else None
    place = "" if max_depth is None else "metric-outdoor-" if max_depth > 40 else "metric-indoor-"
    spec = catalog.get(f"depth-anything-{version}-{place}{size}")
    if path.suffix.lower() not in GRAPH_SUFFIXES:
        found = _origin(spec, path, "config.json")
    else:
        spec = replace(spec, preprocess=_preprocess_of(config["preprocessor"]))
        found = Origin(
            spec=spec,
            path=path,
            inputs={"pixel_values": "image"},
            outputs={"predicted_depth": "depth"},
            told_by="config.json",
        )
    same = max_depth is None or max_depth == spec.max_depth
    return found if same else _with_max_depth(found, max_depth or 1)


def _preprocess_of(config: dict[str, Any] | None) -> PreprocessSpec:
    """The settings of transformers' DPTImageProcessor as a PreprocessSpec."""
    usual = catalog.PREPROCESS["depth-anything-transformers"]
    if config is None:
        return usual
    size = config.get("size") or {}
    return replace(
        usual,
        size=(int(size.get("height", usual.size[0])), int(size.get("width", usual.size[1]))),
        resize="minimal" if config.get("keep_aspect_ratio", True) else "exact",
        multiple_of=int(config.get("ensure_multiple_of", usual.multiple_of)),
        mean=tuple(config.get("image_mean", usual.mean)),
        std=tuple(config.get("image_std", usual.std)),
    )


def _architecture_in(path: Path) -> str:
    """The architecture that our own training writes into a safetensors header, or ''."""
    if path.suffix.lower() != ".safetensors":
        return ""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = file.read(min(size, 100_000_000))
    try:
        return str(json.loads(header).get("__metadata__", {}).get("architecture", ""))
    except (ValueError, AttributeError):
        return ""  # damaged: whoever reads the tensors says so


def _from_tensors(path: Path, max_depth: float | None) -> Origin:
    """The model whose tensors these are, when only one has them or ``max_depth`` decides."""
    fitting = _fitting(path)
    specs = [catalog.get(name) for name in fitting if name in catalog.MODELS]
    if max_depth is not None:
        specs = [spec for spec in specs if spec.kind is DepthKind.METRIC_DEPTH][:1]
    if len(specs) == 1:
        return _origin(specs[0], path, "its tensors" if max_depth is None else "max_depth=")
    if not fitting:
        raise WeightsError(
            f"{path} holds tensors of no model that we know. Say which model it is: "
            f"--model NAME --weights {path.name} (in Python leadline.load(NAME, weights=...)); "
            "`leadline models` lists the names."
        )
    raise WeightsError(
        f"{path} fits {', '.join(fitting)}, which have the same tensors, and nothing beside it "
        "tells which it is. If it is metric, say --max-depth METRES (in Python max_depth=METRES; "
        "20 for the published indoor and 80 for the outdoor weights); if not, name the model: "
        f"--model {fitting[0]} --weights {path.name}."
    )


def _fitting(path: Path) -> tuple[str, ...]:
    """Names of the models that have exactly this file's tensors."""
    if path.suffix.lower() not in CHECKPOINT_SUFFIXES:
        raise WeightsError(
            f"{path} is not a model file that Leadline knows; one that ends in "
            f"{', '.join((*GRAPH_SUFFIXES, *CHECKPOINT_SUFFIXES))} is needed."
        )
    from leadline.runtime.torch import models_that_fit

    return models_that_fit(path)


def _with_max_depth(found: Origin, max_depth: float) -> Origin:
    spec = found.spec
    if spec.kind is not DepthKind.METRIC_DEPTH:
        raise InputError(
            f"max_depth={max_depth:g} for {spec.name}, which gives {spec.kind} without a unit; "
            "leave max_depth out, or load a metric model."
        )
    if found.is_graph and max_depth != spec.max_depth:
        raise InputError(
            f"max_depth={max_depth:g} for {found.path.name}, whose depth limit is part of the "
            "exported network; export it again with the limit you need."
        )
    options = {**spec.options, "max_depth": max_depth}
    return replace(found, spec=replace(spec, options=options, max_depth=max_depth))


def _origin(spec: ModelSpec, path: Path, told_by: str) -> Origin:
    return Origin(
        spec=spec,
        path=path,
        inputs={name: name for name in spec.inputs},
        outputs={name: name for name in spec.outputs},
        told_by=told_by,
    )


def _read_json(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read as JSON ({error}); copy it again.") from error
    return data if isinstance(data, dict) else None
