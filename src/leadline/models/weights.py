"""Weights files: read without running anything in them, recognise their layout, load strictly."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from leadline.errors import MissingDependencyError, MissingWeightsError, WeightsError
from leadline.hub import INDEX_SUFFIX, read_index
from leadline.models.base import DepthModule
from leadline.models.signatures import SIGNATURES, Signature
from leadline.whole_files import move_files, working_folder

WRAPPERS = (
    *("state_dict_ema", "model_ema", "ema_state_dict", "ema", "ema_model", "teacher"),
    *("state_dict", "model_state_dict", "model", "module", "params", "net", "network"),
    *("depth_model", "weights", "student", "shadow"),
)
"""Keys under which training scripts put the tensors, tried in this order: of a run's last weights
and their running mean (EMA), the mean is what its authors evaluate."""

PREFIXES = (
    *("module.", "_orig_mod.", "model.", "net.", "network.", "depth_model."),
    *("student.", "teacher.", "ema.", "ema_model."),
)
"""What DataParallel, torch.compile, Lightning and distillation put before every name, in any order
and depth."""

FILES = ("model.safetensors", "pytorch_model.bin")
FILES += tuple(name + INDEX_SUFFIX for name in FILES)
"""What a folder saved by transformers holds."""

_SHOWN = 3  # tensors named in a message


def load_weights(module: nn.Module, source: str | Path | Mapping[str, Any]) -> None:
    """Fill ``module`` with the weights in ``source``; see :func:`leadline.models.load_weights`.

    In a module on the meta device the tensors of a file stay mapped onto it, so that a network
    needs little more memory than its file; another type than the network's is converted, and
    tensors that the caller holds are copied. Nothing changes when the weights do not fit.

    Raises:
        WeightsError: damaged file, a pickle that would run code, or weights of another model.
    """
    if isinstance(source, Mapping):
        label, tensors = "the state dict", unwrap(source, label="the state dict")
    else:
        label, foreign = Path(source).name, None
        if isinstance(module, DepthModule):
            foreign = module.read_foreign(Path(source))
        tensors = read_weights(source) if foreign is None else dict(foreign)
    needed = module.state_dict()
    tensors = _fit(module, tensors, needed, label)
    on_meta = any(tensor.is_meta for tensor in needed.values())
    if on_meta:
        # The mapping is private: who writes to a tensor gets memory of his own, and a file that is
        # replaced or removed (save_weights and the hub never write into one) lives on in it.
        held = isinstance(source, Mapping)
        tensors = {n: tensor.to(needed[n].dtype, copy=held) for n, tensor in tensors.items()}
    module.load_state_dict(tensors, strict=True, assign=on_meta)


def _fit(
    module: nn.Module, tensors: dict[str, Tensor], needed: Mapping[str, Tensor], label: str
) -> dict[str, Tensor]:
    """The tensors by the module's names, with as many prefixes off as make them fit.

    Raises:
        WeightsError: they are those of no such module, whatever is taken off.
    """
    tries: list[tuple[int, str]] = []  # tensors that are missing, and the refusal
    for found in strip_prefixes(tensors):
        named = module.convert_state_dict(found) if isinstance(module, DepthModule) else found
        named = _with_counters(named, needed)
        problems = _differences(named, needed)
        if not problems:
            return named
        extra = [name for name in named if name not in needed]
        own = {name: tensor for name, tensor in named.items() if name in needed}
        kept = not _differences(own, needed) and not _is_of_another(module, found)
        advice = _advice_on_extra(extra) if kept else None
        missing = len(needed) - len(own)
        tries.append((missing, _mismatch(module, label, problems, found, advice)))
    raise WeightsError(min(tries, key=lambda one: one[0])[1])


def strip_prefixes(tensors: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """The tensors as they are, and then with one prefix of :data:`PREFIXES` after another off.

    A prefix is taken off when more than half of the names have it; what training keeps beside the
    network (a loss's own tensors, a counter) stays as it is, to be named where it is refused.
    """
    stripped = dict(tensors)
    yield stripped
    while True:
        found = (p for p in PREFIXES if 2 * sum(n.startswith(p) for n in stripped) > len(stripped))
        prefix = next(found, None)
        names = {name: name.removeprefix(prefix or "") for name in stripped}
        if prefix is None or len(set(names.values())) < len(names):
            return
        stripped = {names[name]: tensor for name, tensor in stripped.items()}
        yield stripped


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a weights file, wrappers taken off, on the CPU.

    Args:
        path: a safetensors or torch file, recognised by content, the index of one in parts, or a
            folder that holds one of these.

    Raises:
        MissingWeightsError: nothing there.
        WeightsError: damaged, not a weights file, or a pickle that would run code.
    """
    path = _weights_file(Path(path))
    if path.name.endswith(INDEX_SUFFIX):
        return {name: t for part in read_index(path) for name, t in read_weights(part).items()}
    kind = _kind_of(path)
    raw = _read_safetensors(path) if kind == "safetensors" else read_torch(path)
    return unwrap(raw, label=path.name)


def save_weights(module: nn.Module, path: str | Path) -> None:
    """Write the module's state dict to ``path`` as safetensors, atomically.

    The name that the module was built as goes into the file's metadata.
    """
    save_file = _safetensors().save_file
    path = Path(path)
    tensors: dict[str, Tensor] = {}
    held = set()
    for tensor_name, t in module.state_dict().items():
        tensor = t.detach().cpu().contiguous()
        # One module under several names: the format takes no two tensors in the same memory.
        tensors[tensor_name] = tensor.clone() if tensor.data_ptr() in held else tensor
        held.add(tensor.data_ptr())
    name = module.name if isinstance(module, DepthModule) else ""
    with working_folder(path.parent) as folder:
        save_file(tensors, folder / path.name, metadata={"format": "pt", "architecture": name})
        move_files(folder, path.parent)


def unwrap(raw: object, *, label: str = "the state dict") -> dict[str, Tensor]:
    """The mapping of tensors inside a training script's checkpoint.

    Raises:
        WeightsError: no tensors under any of :data:`WRAPPERS`.
    """
    tensors = _find_tensors(raw, label)
    if tensors is not None:
        return tensors
    keys = _shown([str(k) for k in raw]) if isinstance(raw, Mapping) else type(raw).__name__
    raise WeightsError(
        f"{label} holds no tensors where they are looked for (it holds {keys or 'nothing'}). A "
        f"state dict is needed, plain or under one of {', '.join(WRAPPERS)}."
    )


def _find_tensors(raw: object, label: str) -> dict[str, Tensor] | None:
    """The first table of tensors, the likeliest wrappers first; None: there is none."""
    if not isinstance(raw, Mapping):
        return None
    for key in WRAPPERS:
        inner = raw.get(key)
        if isinstance(inner, Mapping):
            found = _find_tensors(inner, label)
            if found is not None:
                return found
    tensors = {str(name): _as_tensor(value) for name, value in raw.items()}
    others = [name for name, tensor in tensors.items() if tensor is None]
    if others and len(others) < len(tensors):
        raise WeightsError(
            f"{label} holds values that are not tensors among its tensors: {_shown(others)}. Save "
            "module.state_dict() alone, or under 'state_dict'."
        )
    held = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    return held or None


def _weights_file(path: Path) -> Path:
    if not path.exists():
        raise MissingWeightsError(
            f"{path}: no such weights file. Check the path, or leave it out to use the published "
            "weights."
        )
    if not path.is_dir():
        return path
    for name in FILES:
        if (path / name).is_file():
            return path / name
    suffixes = {".safetensors", ".pth", ".pt", ".bin"}
    files = sorted(file for file in path.iterdir() if file.suffix in suffixes)
    if len(files) == 1:
        return files[0]
    held = f"holds {len(files)} ({_shown([f.name for f in files])})" if files else "holds none"
    raise MissingWeightsError(
        f"{path}: one weights file is needed and this folder {held}. Give the file itself."
    )


def _kind_of(path: Path) -> str:
    """``safetensors`` or ``torch``, by content.

    Raises:
        WeightsError: neither; says what it is where that can be told.
    """
    with path.open("rb") as file:
        head = file.read(64)
    if head[8:9] == b"{" and head[4:8] == bytes(4):  # a header length below 2^32, then JSON
        return "safetensors"
    if head[:2] == b"PK" or head[:1] == b"\x80":
        return "torch"
    if not head:
        what = "is empty; the download broke off"
    elif head.startswith(b"version https://git-lfs"):
        what = "is a Git LFS pointer, not the weights; run `git lfs pull`"
    elif head.lstrip()[:1] == b"<":
        what = "is a web page or XML, not weights; download the file itself"
    elif path.suffix == ".onnx":
        what = "is an exported network; open it with leadline.load instead of load_weights"
    else:
        what = "is neither safetensors nor a torch file, or its beginning is damaged"
    raise WeightsError(f"{path.name} {what}. A .safetensors, .pth or .bin file is needed.")


def _safetensors() -> Any:
    try:
        import safetensors.torch
    except ImportError as error:
        raise MissingDependencyError("safetensors", "a .safetensors file", "torch") from error
    return safetensors.torch


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError

    try:
        return _safetensors().load_file(path, device="cpu")
    except (SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(
            f"{path.name} is damaged or cut short ({_one_line(error)}). Download it again."
        ) from error


def read_torch(path: Path) -> Mapping[str, Any]:
    """What a torch file holds, wrappers and all; nothing in it is run.

    Raises:
        WeightsError: damaged, a pickle that would run code, or no mapping.
    """
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"PK"
        with warnings.catch_warnings():  # of unusual pickle protocols; those are refused anyway
            warnings.simplefilter("ignore")
            raw = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        raise WeightsError(_unsafe_or_damaged(path, str(error))) from error
    except OSError as error:
        raise WeightsError(f"{path.name} cannot be read ({_one_line(error)}).") from error
    except Exception as error:  # a damaged pickle raises anything at all
        raise WeightsError(
            f"{path.name} is damaged or cut short ({_one_line(error)}). Download it again."
        ) from error
    if not isinstance(raw, Mapping):
        raise WeightsError(
            f"{path.name} holds a {type(raw).__name__}; a state dict (names to tensors) is needed."
        )
    return raw


def _unsafe_or_damaged(path: Path, message: str) -> str:
    asked = re.search(r"(?:GLOBAL|global:?|class|function)\s+`?([\w.]+\.[\w.]+)`?", message)
    if asked or "Unsupported" in message:
        wish = f" ({asked.group(1)})" if asked else ""
        return (
            f"{path.name} is refused: it is a pickle that asks for more than tensors{wish}, and "
            "opening it could run code. Leadline opens tensors only. Ask its author for "
            "safetensors, or, if you trust it, save its state_dict() alone with torch.save."
        )
    return f"{path.name} is damaged or not a weights file ({_one_line(message)})."


def _as_tensor(value: Any) -> Tensor | None:
    if isinstance(value, Tensor):
        return value.detach()
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else None


def _with_counters(
    tensors: Mapping[str, Tensor], needed: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Add BatchNorm's step counters, which old checkpoints lack and no output depends on."""
    counters = {
        name: torch.zeros_like(tensor, device="cpu") if tensor.is_meta else tensor
        for name, tensor in needed.items()
        if name.endswith(".num_batches_tracked")
    }
    return {**counters, **tensors}


def _differences(tensors: Mapping[str, Tensor], needed: Mapping[str, Tensor]) -> list[str]:
    """What keeps ``tensors`` from filling ``needed``, in words."""
    missing = [name for name in needed if name not in tensors]
    extra = [name for name in tensors if name not in needed]
    shared = [name for name in needed if name in tensors]
    misshapen = [
        f"{name} {tuple(tensors[name].shape)} in place of {tuple(needed[name].shape)}"
        for name in shared
        if tensors[name].shape != needed[name].shape
    ]
    mistyped = [
        f"{name} {tensors[name].dtype} in place of {needed[name].dtype}"
        for name in shared
        if tensors[name].is_floating_point() != needed[name].is_floating_point()
    ]
    groups = (
        ("missing", missing),
        ("unexpected", extra),
        ("of another shape", misshapen),
        ("of another type", mistyped),
    )
    return [f"{len(names)} {what} ({_shown(names)})" for what, names in groups if names]


def _mismatch(
    module: nn.Module,
    label: str,
    problems: list[str],
    found: Mapping[str, Tensor],
    advice: str | None,
) -> str:
    name = module.name if isinstance(module, DepthModule) else ""
    name = name or type(module).__name__
    wanted = len(module.state_dict())
    return (
        f"{label} ({len(found)} tensors) does not fit {name} ({wanted} tensors): "
        f"{'; '.join(problems)}. {advice or _advice(name, guess(found))}"
    )


def _is_of_another(module: nn.Module, tensors: Mapping[str, Tensor]) -> bool:
    """Whether the tensors are marked as those of a model that was not asked for."""
    signature = guess(tensors)
    name = module.name if isinstance(module, DepthModule) else ""
    return signature is not None and bool(name) and name not in signature.models


def _advice_on_extra(extra: list[str]) -> str:
    return (
        f"All that it needs is there; what training kept beside it ({_shown(extra)}) is not the "
        "network's. Save the file again without these."
    )


def guess(tensors: Mapping[str, Tensor]) -> Signature | None:
    """The first known signature that the tensors carry, or None."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    return next((s for s in SIGNATURES if s.fits(shapes)), None)


def _advice(name: str, signature: Signature | None) -> str:
    if signature is None:
        return (
            "It belongs to no model that this version knows; leadline.models.names() lists those."
        )
    if name in signature.models:
        return (
            f"It is marked as {signature.title}, the model that was built, so it is incomplete or "
            "was made with other options; get it again, or pass its options to build."
        )
    if not signature.models:
        return f"It looks like {signature.title}; {signature.advice}."
    first, *others = (repr(model) for model in signature.models)
    rest = f" (or, with the same tensors, {', '.join(others)})" if others else ""
    return f"It looks like {signature.title}: load it into leadline.models.build({first}){rest}."


def _shown(names: list[str]) -> str:
    more = ", ..." if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _one_line(error: object) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160].rstrip(".") if lines else type(error).__name__
