"""Whose network a file is: decided by what is known about it, never by guessing.

A relative and a metric checkpoint of Depth Anything have the same tensors, so do versions 1 and 2.
What decides is, in this order: the name that the user gave, the hub id, the sidecar, the
``config.json``, the file's SHA-256, and the tensors where only one model has them. When none of
these tells, the user is asked.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from leadline import catalog, hub
from leadline.errors import InputError, MissingWeightsError, UnknownNameError, WeightsError
from leadline.hub_config import describe_config, describe_preprocessor, read_config, read_text
from leadline.kinds import DepthKind
from leadline.runtime import find_image, read_ports
from leadline.spec import (
    NORMALIZE,
    ModelSpec,
    PreprocessSpec,
    Sidecar,
    WeightsFile,
    sidecar_path,
)
from leadline.transformers_models import find_network

GRAPH_SUFFIXES = (".onnx", ".xml")
"""Files that hold a whole network."""

CHECKPOINT_SUFFIXES = (".pth", ".pt", ".bin", ".safetensors")
"""Files that hold only the weights of a network."""

_FOLDER_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "onnx/model.onnx",
    "model.onnx",
    "encoder.pth",
)


HUB = "hf:"
"""Before a hub id, so that no missing folder is looked for elsewhere."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")

GRAPH_ALONE = "its graph"
"""``Origin.told_by`` of an exported network that nothing else describes."""

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
        settings: other files that change what the network gives.
        complete: the description was written with the file, so that the graph need not be asked.
    """

    spec: ModelSpec
    path: Path
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    told_by: str
    settings: tuple[Path, ...] = ()
    complete: bool = False

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
    kind: str | None = None,
    normalize: str | None = None,
) -> Origin:
    """Find the model and its file, downloading the file when it has to come from the hub.

    Args:
        model: a name of the catalogue, a file, a folder, or a hub id ``hf:owner/name``; None takes
            ``weights``, or the embedded model.
        weights: a file, folder or hub id to take in place of the catalogue's.
        max_depth: metres at the network's full output; says that a checkpoint is metric.
        prefer: which of the catalogue's files to take where there are both: one that holds the
            whole network, or one that holds its weights for PyTorch. None takes the first that is
            here.
        kind: what the values of an exported network mean, where nothing beside it says so.
        normalize: name of :data:`~leadline.spec.NORMALIZE`: what such a network takes.

    Raises:
        UnknownNameError: neither a name, nor a file, nor a hub id.
        MissingWeightsError: the weights are not here and cannot be had.
        WeightsError: the file does not tell whose it is, or is another model's.
        InputError: ``max_depth`` for a model that has none, or a kind or normalisation that
            contradicts what is known.
    """
    _check_words(kind, normalize)
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
        found = _of_transformers(model, kind) or _unnamed(model, max_depth, kind, normalize)
    found = _with_words(found, kind, normalize)
    return found if max_depth is None else _with_max_depth(found, max_depth)


def _check_words(kind: str | None, normalize: str | None) -> None:
    if kind is not None and kind not in list(DepthKind):
        raise UnknownNameError("depth kind", kind, list(DepthKind))
    if normalize is not None and normalize not in NORMALIZE:
        raise UnknownNameError("normalisation", normalize, NORMALIZE)


def _with_words(found: Origin, kind: str | None, normalize: str | None) -> Origin:
    """The model with the kind and normalisation that the user gives, where nothing else does.

    A name does not say whether an export by others normalises inside.

    Raises:
        InputError: the catalogue or a file beside the network says something else.
    """
    spec, told = found.spec, {}
    if kind is not None and kind != spec.kind:
        told["kind"] = (kind, str(spec.kind))
    own = spec.preprocess.mean, spec.preprocess.std
    graph_alone = found.is_graph and not sidecar_path(found.path).is_file()
    if normalize is not None and not graph_alone and NORMALIZE[normalize] != own:
        told["normalize"] = (normalize, f"mean {spec.preprocess.mean}, std {spec.preprocess.std}")
    for name, (given, known) in told.items():
        raise InputError(
            f"{name}={given} for {found.path.name}, but {found.told_by} says {known}; leave "
            f"--{name} out, which is for exported networks without a description."
        )
    if normalize is not None:
        mean, std = NORMALIZE[normalize]
        spec = replace(spec, preprocess=replace(spec.preprocess, mean=mean, std=std))
    return replace(found, spec=spec if kind is None else replace(spec, kind=DepthKind(kind)))


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


def _of_transformers(model: str | os.PathLike[str], kind: str | None) -> Origin | None:
    """A network that transformers has and we have not, behind ``hf:``; None: no such one."""
    given = os.fspath(model)
    repo = given.removeprefix(HUB)
    if repo == given or catalog.by_repo(repo) is not None:
        return None
    if not Path(repo).expanduser().is_dir() and _HUB_ID.fullmatch(repo.partition("@")[0]) is None:
        return None
    found = find_network(repo, None if kind is None else DepthKind(kind))
    if found is None:
        return None
    settings = tuple(sorted(found[1].parent.glob("*config.json")))
    return replace(_origin(*found, "its config.json"), settings=settings)


def _unnamed(
    model: str | os.PathLike[str],
    max_depth: float | None,
    kind: str | None,
    normalize: str | None,
) -> Origin:
    path = _find(model)
    known = _recognise(path)
    if known is not None:
        return known
    if path.suffix.lower() in GRAPH_SUFFIXES:
        return _from_graph(path, kind, normalize)
    return _from_tensors(path, max_depth)


def _from_graph(path: Path, kind: str | None, normalize: str | None) -> Origin:
    """An exported network of which only the user and its own graph say anything."""
    if kind is not None and normalize is None:
        image = find_image(read_ports(path))
        if image is not None and not image.type.startswith("float"):
            normalize = "none"  # whole grey levels go in, so that it normalises them itself
    if kind is None or normalize is None:
        raise WeightsError(
            f"{path} has no description beside it ({sidecar_path(path).name}), so its "
            "preprocessing and the kind of its output are unknown. Say both, "
            f"--kind {'|'.join(DepthKind)} and --normalize {'|'.join(NORMALIZE)} (in Python kind= "
            "and normalize=), or which model it is: --model depth-anything-v2-vits --weights "
            f"{path.name}. docs/bring-your-own-onnx.md shows how to describe it once for all."
        )
    mean, std = NORMALIZE[normalize]
    preprocess = PreprocessSpec(size=(518, 518), multiple_of=14, mean=mean, std=std)
    spec = ModelSpec(name=path.stem, kind=DepthKind(kind), preprocess=preprocess)
    return _origin(spec, path, GRAPH_ALONE)


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
    repo = text.removeprefix(HUB)
    if repo not in (text, "") and Path(repo).expanduser().exists():
        return _find(Path(repo).expanduser())
    if repo != text or catalog.by_repo(repo) is not None:
        return _find_on_hub(repo)
    if path.suffix.lower() in (*GRAPH_SUFFIXES, *CHECKPOINT_SUFFIXES):
        raise MissingWeightsError(f"{path}: no such file; check the path.")
    if path.name != text:
        hint = f" A repository of the hub is {HUB}{text}." if _HUB_ID.fullmatch(text) else ""
        raise MissingWeightsError(f"no file or folder {text} here; check the path.{hint}")
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
    repo, _, revision = repo.partition("@")
    if _HUB_ID.fullmatch(repo) is None:
        raise InputError(f"{HUB}{repo}: the hub's ids read owner/name; write {HUB}owner/name.")
    spec = catalog.by_repo(repo)
    if spec is not None:
        file = next(weights for weights in spec.weights if weights.repo == repo)
        return hub.fetch(replace(file, revision=revision or file.revision), needed_by=spec.name)
    at = revision or None
    cached = (hub.locate(WeightsFile(repo=repo, file=name, revision=at)) for name in _FOLDER_FILES)
    here = next((path for path in cached if path is not None), None)
    if here is not None:
        return here
    if hub.fetch_file(repo, "config.json", revision=at) is not None:
        hub.fetch_file(repo, "preprocessor_config.json", revision=at)
        for name in _FOLDER_FILES:
            path = hub.fetch_file(repo, name, revision=at)
            if path is not None:
                for beside in hub.weights_beside(path):
                    other = Path(name).with_name(beside.name).as_posix()
                    hub.fetch_file(repo, other, revision=at)
                return path
    raise WeightsError(
        f"the hub's {repo} holds no config.json with {' or '.join(_FOLDER_FILES)}; give a file of "
        "it instead."
    )


def _recognise(path: Path) -> Origin | None:
    """What the surroundings of a file tell, or None."""
    graph = path.suffix.lower() in GRAPH_SUFFIXES
    if sidecar_path(path).is_file() and sidecar_path(path) != path:
        return _from_sidecar(path)
    repo = hub.repo_of(path)
    spec = catalog.by_repo(repo) if repo else None
    if spec is not None and not graph:
        return _origin(spec, path, f"the hub id {repo}")
    config = read_config(path)
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
    sidecar = Sidecar.from_json(read_text(beside), where=str(beside))
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
        told_by=beside.name,
        complete=bool(sidecar.leadline_version),
    )


def _from_config(path: Path, config: Mapping[str, Any]) -> Origin:
    """Depth Anything as transformers and its ONNX exports describe it."""
    spec, max_depth = describe_config(config, path)
    graph = path.suffix.lower() in GRAPH_SUFFIXES
    if graph or config["preprocessor"] is not None:
        spec = replace(spec, preprocess=describe_preprocessor(config["preprocessor"]))
    found = _origin(spec, path, "config.json")
    if graph:
        names = {"inputs": {"pixel_values": "image"}, "outputs": {"predicted_depth": "depth"}}
        found = replace(found, **names)
    same = max_depth is None or max_depth == spec.max_depth
    return found if same else _with_max_depth(found, max_depth or 1)


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
    if not path.name.endswith((*CHECKPOINT_SUFFIXES, hub.INDEX_SUFFIX)):
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
    fixed = found.is_graph or spec.runtime == "transformers"
    if fixed and max_depth != spec.max_depth:
        raise InputError(
            f"max_depth={max_depth:g} for {found.path.name}, whose depth limit is part of the "
            "network; export it again with the limit you need, or leave max_depth out."
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
