"""Ports: what a graph takes and gives, and our arrays in that form.

Files that others export differ in names, layouts, types and batches. The graph states all of these,
so that a description need not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from leadline.errors import InputError, WeightsError
from leadline.spec import NORMALIZE, ModelSpec, OutputSpec, PreprocessSpec

TYPES = ("float32", "float16", "float64", "uint8", "int32", "int64")
"""What a port may hold, by numpy's names; floats are what arrays become on their way out."""

Sides = tuple[int | None, ...]

_SIZES = "Take another --size, or correct multiple_of in its sidecar."


@dataclass(frozen=True, kw_only=True)
class Port:
    """A tensor that a graph takes or gives.

    Attributes:
        name: the file's own.
        shape: its sides, None where the file leaves one open; None when even their number is open.
        type: of its numbers, in numpy's words; another text where numpy has no such type.
    """

    name: str
    shape: Sides | None
    type: str

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.name} of {self.type}"
        return f"{self.name} ({', '.join(str(n or '?') for n in self.shape)}) of {self.type}"

    @property
    def channels_last(self) -> bool:
        """Whether a picture goes in as (h, w, 3); what leaves both open is (3, h, w)."""
        shape = self.shape
        return shape is not None and len(shape) in (3, 4) and shape[-1] == 3 and shape[-3] != 3

    @property
    def sides(self) -> tuple[int | None, int | None]:
        """(height, width) of the picture that goes in, None where open."""
        if self.shape is None or len(self.shape) < 3:
            return None, None
        first = -3 if self.channels_last else -2
        return self.shape[first], self.shape[first + 1]

    @property
    def channels(self) -> int | None:
        """Of the picture that goes in; None where open."""
        if self.shape is None or len(self.shape) < 3:
            return None
        return self.shape[-1 if self.channels_last else -3]

    def takes(self, shape: Sequence[int]) -> bool:
        """Whether an array of ``shape`` can go in."""
        wanted = self.shape
        return wanted is None or (
            len(wanted) == len(shape)
            and all(own in (None, n) for own, n in zip(wanted, shape, strict=True))
        )

    def may_be_map(self) -> bool:
        """Whether it can hold one value per pixel: one channel, and two sides."""
        shape = self.shape
        if shape is None:
            return True
        if not 2 <= len(shape) <= 4 or (
            len(shape) == 4 and {shape[1], shape[3]}.isdisjoint({1, None})
        ):
            return False
        return sum(side != 1 for side in shape) >= 2


@dataclass(frozen=True, kw_only=True)
class Ports:
    """All tensors that a graph takes and gives."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Ports:
        """From the tables of ``dataclasses.asdict``, also as JSON gives them back."""
        return cls(
            inputs=tuple(map(_port_of, data["inputs"])),
            outputs=tuple(map(_port_of, data["outputs"])),
        )

    def __str__(self) -> str:
        given, made = (", ".join(map(str, ports)) for ports in (self.inputs, self.outputs))
        return f"inputs {given} and outputs {made}"


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """A network in a file that describes its own graph (``.onnx``, ``.xml``).

    Attributes:
        path: the file.
        inputs, outputs: the file's tensor name -> ours (``image``; ``depth`` ...).
        output_specs: ours -> what it is; only maps change their layout on the way out.
    """

    path: Path
    inputs: Mapping[str, str] = field(default_factory=lambda: {"image": "image"})
    outputs: Mapping[str, str] = field(default_factory=lambda: {"depth": "depth"})
    output_specs: Mapping[str, OutputSpec] = field(default_factory=dict)


class Exchange:
    """Our arrays as a graph takes them, and what it gives as ours.

    Args:
        model: the file and its tensor names.
        ports: what its graph says.
        one_by_one: every picture of a batch is a run of its own, where the file allows that.

    Raises:
        WeightsError: the file has other tensors, or takes what no picture is.
    """

    def __init__(self, model: ModelFile, ports: Ports, *, one_by_one: bool = False) -> None:
        self._model = model
        self._one_by_one = one_by_one
        self._inputs = {p.name: p for p in ports.inputs if p.name in model.inputs}
        made = {port.name for port in ports.outputs}
        missing = sorted((set(model.inputs) - set(self._inputs)) | (set(model.outputs) - made))
        if missing:
            raise WeightsError(
                f"{model.path} has {ports}, but its description names {missing}; it is the "
                "description of another file. Correct the names, or export the model again with "
                "`leadline export`."
            )
        for port in self._inputs.values():
            if port.type not in TYPES:
                raise WeightsError(
                    f"{model.path} takes {port}; one of {', '.join(TYPES)} is needed. Export it "
                    "again with such an input."
                )

    def split(self, arrays: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
        """Our arrays under the file's names, in its layout and types: one table for each run.

        A file for one batch size runs as often as it takes; the last batch is filled up.

        Raises:
            InputError: an input that the network needs is not among ``arrays``.
        """
        missing = sorted(set(self._model.inputs.values()) - set(arrays))
        if missing:
            raise InputError(
                f"arrays {sorted(arrays)} were given; {self._model.path.name} also needs {missing}."
            )
        count = len(next(iter(arrays.values())))
        step = self._batch(arrays) or count
        return [self._feed(arrays, start, step) for start in range(0, count, step)]

    def join(
        self, runs: Sequence[Mapping[str, np.ndarray]], arrays: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """What the runs of :meth:`split` gave, by our names, in float32, maps as (b, 1, h, w).

        Args:
            runs: by the file's names.
            arrays: what was split.

        Raises:
            InputError: a runtime gave nothing.
        """
        count, step = len(next(iter(arrays.values()))), self._batch(arrays)
        joined = {}
        for theirs, ours in self._model.outputs.items():
            parts = [np.asarray(run[theirs]).astype(np.float32) for run in runs]
            if step == 1:  # a file for one picture may leave the batch's axis out
                parts = [part if part.ndim and len(part) == 1 else part[None] for part in parts]
            array = parts[0] if len(parts) == 1 else np.concatenate(parts)
            if not array.size:  # OpenVINO on one thread, where layers do not fit one another
                given = ", ".join(f"{name} {one.shape}" for name, one in arrays.items())
                raise InputError(
                    f"{self._model.path.name} gives an empty {theirs} for {given}: its layers do "
                    f"not fit that size. {_SIZES}"
                )
            spec = self._model.output_specs.get(ours)
            array = array if step is None else array[:count]
            joined[ours] = array if spec is None else _channels_first(array, spec)
        return joined

    def explain(self, feeds: Mapping[str, np.ndarray], said: str) -> str:
        """Why a run failed: the graph's own shapes, where they rule its arrays out, or ``said``."""
        wanted = [str(p) for n, p in self._inputs.items() if not p.takes(feeds[n].shape)]
        if wanted:
            return (
                f"a network exported for one size needs exactly that size, {' and '.join(wanted)}. "
                "Export it with dynamic sizes, or correct its sidecar."
            )
        return f"the runtime says: {said}. If that is about shapes: {_SIZES}"

    def _batch(self, arrays: Mapping[str, np.ndarray]) -> int | None:
        """Pictures of one run, where the file or the runtime fixes that."""
        sizes = set()
        for port in self._inputs.values():
            if port.shape is None:
                continue
            alone = len(port.shape) == arrays[self._model.inputs[port.name]].ndim - 1
            sizes.add(1 if alone else port.shape[0] if port.shape else None)
        fixed = min((size for size in sizes if size is not None), default=None)
        return 1 if fixed is None and self._one_by_one else fixed

    def _feed(
        self, arrays: Mapping[str, np.ndarray], start: int, step: int
    ) -> dict[str, np.ndarray]:
        feed = {}
        for theirs, ours in self._model.inputs.items():
            port, part = self._inputs[theirs], arrays[ours][start : start + step]
            if len(part) < step:
                part = np.concatenate([part, np.repeat(part[-1:], step - len(part), axis=0)])
            if port.shape is not None and len(port.shape) == part.ndim - 1:
                part = part[0]
            if ours == "image" and port.channels_last:
                part = np.moveaxis(part, -3, -1)
            feed[theirs] = _convert(part, port.type)
        return feed


def fit_to_ports(
    spec: ModelSpec, inputs: Mapping[str, str], outputs: Mapping[str, str], ports: Ports
) -> tuple[ModelSpec, Mapping[str, str], Mapping[str, str]]:
    """A description completed by what the graph says.

    One image input and one map output need no names; sides that the file fixes are the size of its
    input; what takes whole grey levels normalises them itself.

    Args:
        spec: what is known of the model.
        inputs: the file's tensor name -> ours, as described.
        outputs: the same for outputs.
        ports: of the graph.

    Returns:
        The same three, for this file.

    Raises:
        WeightsError: no picture can go in, or the description leaves open which tensor is which.
    """
    pictures = [port for port in ports.inputs if _may_be_picture(port)]
    inputs = _name_only(inputs, ports.inputs, pictures)
    outputs = _name_only(outputs, ports.outputs, [p for p in ports.outputs if p.may_be_map()])
    image = next((port for port in ports.inputs if inputs.get(port.name) == "image"), None)
    names = {port.name for port in (*ports.inputs, *ports.outputs)}
    if image is None or not names.issuperset((*inputs, *outputs)):
        raise WeightsError(
            f"{spec.name} has {ports}, and its description names {', '.join((*inputs, *outputs))}: "
            "which tensor is the picture and which the map must be said. Name them in the sidecar "
            "(docs/bring-your-own-onnx.md)."
        )
    if image.channels not in (3, None):
        raise WeightsError(
            f"{spec.name} takes {image}: an input of three channels, RGB, is needed for pictures."
        )
    return replace(spec, preprocess=_fit_preprocess(spec.preprocess, image)), inputs, outputs


def find_image(ports: Ports) -> Port | None:
    """The one input that can take a picture; None when there is none, or several."""
    pictures = [port for port in ports.inputs if _may_be_picture(port)]
    return pictures[0] if len(pictures) == 1 else None


def _fit_preprocess(spec: PreprocessSpec, image: Port) -> PreprocessSpec:
    if not image.type.startswith("float"):
        mean, std = NORMALIZE["none"]
        spec = replace(spec, mean=mean, std=std)
    height, width = image.sides
    if height is None and width is None:
        return spec
    size = height or spec.size[0], width or spec.size[1]
    rule: Literal["letterbox", "exact"] = "letterbox" if spec.resize == "letterbox" else "exact"
    return replace(spec, size=size, resize=rule, multiple_of=1)


def _name_only(
    names: Mapping[str, str], ports: Sequence[Port], candidates: Sequence[Port]
) -> Mapping[str, str]:
    """The names, or that of the only candidate where they are but the usual ones."""
    usual = all(theirs == ours for theirs, ours in names.items())
    if set(names) <= {port.name for port in ports} or not usual or len(names) != 1:
        return names
    return {candidates[0].name: next(iter(names.values()))} if len(candidates) == 1 else names


def _may_be_picture(port: Port) -> bool:
    return port.shape is None or (len(port.shape) in (3, 4, 5) and port.channels in (3, None))


def _port_of(data: Mapping[str, Any]) -> Port:
    shape = data["shape"]
    return Port(name=data["name"], shape=None if shape is None else tuple(shape), type=data["type"])


def _convert(array: np.ndarray, type_: str) -> np.ndarray:
    if not type_.startswith("float"):
        limits = np.iinfo(type_)
        array = np.clip(np.rint(array), max(limits.min, -(2**31)), min(limits.max, 2**31 - 1))
    return np.ascontiguousarray(array, dtype=type_)


def _channels_first(array: np.ndarray, spec: OutputSpec) -> np.ndarray:
    """A map of (b, h, w, c) as (b, c, h, w)."""
    count = {"map": 1, "vector_map": 3}.get(spec.shape)
    last = array.ndim == 4 and array.shape[3] == count != array.shape[1]
    return np.moveaxis(array, 3, 1) if last else array
