"""LoadOptions: how a model is opened, in one place for the library and every command.

```python
estimator = leadline.load("depth-anything-v2-vits", device="cuda")
```
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from leadline.errors import InputError
from leadline.estimator import DepthEstimator, Policy
from leadline.hub import sha256_of, sha256_of_model, weights_beside
from leadline.resolve import GRAPH_ALONE, Form, Origin, identify
from leadline.runtime import (
    Choice,
    FunctionRuntime,
    ModelFile,
    Runtime,
    fit_to_ports,
    open_file,
    open_superpixel,
    open_transformers,
    open_weights,
    read_ports,
    select,
)
from leadline.spec import NORMALIZE, ModelSpec, PreprocessSpec


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How a model is opened; every command that runs a model takes all of it.

    Attributes:
        model: a name of ``leadline.list_models()``, an exported network (``.onnx``, ``.xml``), a
            checkpoint (``.pth``, ``.safetensors``), a folder that holds one, or a hub id
            ``hf:owner/name`` or ``hf:folder``; these also open any depth network of transformers.
            Ids in the catalogue need no ``hf:``. None takes the embedded model.
        weights: a file, folder or hub id to take in place of the published weights of ``model``.
        runtime: ``auto``, ``openvino``, ``onnxruntime``, ``torch`` or ``transformers``.
        device: ``auto``, ``cpu``, ``cuda`` (``gpu`` means it too) or ``mps``.
        precision: ``auto``, ``f32``, ``bf16`` or ``f16``; ``auto`` takes the fastest that the model
            is known to be right in and the device is built for.
        policy: ``single``, ``flip``, ``pad`` or ``pad-flip``; see :data:`Policy`.
        tiles: tiles along the short side that are looked at after the whole picture, for sharper
            maps of large pictures; 1 looks at the whole alone.
        size: the short side of the network's usual input in pixels, in place of the model's own;
            larger is sharper and slower. See :func:`resize_input`.
        max_depth: metres at full output, for metric checkpoints that do not say it.
        threads: number of threads; None takes one per physical core.
        kind: a :class:`~leadline.kinds.DepthKind`: what the map of an exported network means, where
            no description lies beside its file, or that of a network of transformers, where its
            config.json does not say it.
        normalize: ``imagenet``, ``half``, ``unit`` or ``none``: what such a network takes; see
            :data:`~leadline.spec.NORMALIZE`.
    """

    model: str | os.PathLike[str] | None = None
    weights: str | os.PathLike[str] | None = None
    runtime: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    policy: Policy = "single"
    tiles: int = 1
    size: int | None = None
    max_depth: float | None = None
    threads: int | None = None
    kind: str | None = None
    normalize: str | None = None

    def __post_init__(self) -> None:
        if self.device == "gpu":
            object.__setattr__(self, "device", "cuda")

    @classmethod
    def of(cls, model: LoadOptions | str | os.PathLike[str] | None) -> LoadOptions:
        """Options as they are; a model's name or file with everything else as it comes."""
        return model if isinstance(model, LoadOptions) else cls(model=model)

    def identify(self, prefer: Form | None = None) -> Origin:
        """Find the model and its file, and give it the input size that is asked for.

        Args:
            prefer: which of the catalogue's files to take where there are both; None: what the
                runtime and the device can use.

        Raises:
            LeadlineError: as :func:`leadline.resolve.identify` does.
        """
        if prefer is None and self.runtime in ("openvino", "onnxruntime"):
            prefer = "graph"
        elif prefer is None and (self.runtime == "torch" or self.device in ("cuda", "mps")):
            prefer = "checkpoint"
        origin = identify(
            self.model,
            weights=self.weights,
            max_depth=self.max_depth,
            prefer=prefer,
            kind=self.kind,
            normalize=self.normalize,
        )
        if origin.is_graph and not origin.complete:
            origin = self._fit(origin)
        if self.size is None:
            return origin
        spec = origin.spec.preprocess
        if origin.told_by == GRAPH_ALONE and spec.resize != "exact":
            # Networks halve their input five times, or cut it into patches of 14 pixels.
            spec = replace(spec, multiple_of=math.gcd(self.size, math.lcm(14, 32)))
        return replace(origin, spec=replace(origin.spec, preprocess=resize_input(spec, self.size)))

    def _fit(self, origin: Origin) -> Origin:
        """The model with what the graph of its file says.

        Raises:
            InputError: ``size`` or ``normalize`` is what the file cannot take.
        """
        ports = read_ports(origin.path)
        spec, inputs, outputs = fit_to_ports(origin.spec, origin.inputs, origin.outputs, ports)
        fitted, asked = spec.preprocess, NORMALIZE.get(self.normalize or "")
        if asked not in (None, (fitted.mean, fitted.std)):
            raise InputError(
                f"normalize={self.normalize} for {origin.path.name}, which takes whole grey levels "
                "and normalises them itself; leave it out, or say none."
            )
        fixed = fitted.resize in ("exact", "letterbox") and fitted != origin.spec.preprocess
        if self.size not in (None, min(fitted.size)) and fixed:
            raise InputError(
                f"size={self.size} for {origin.path.name}, which takes {fitted.size[0]}x"
                f"{fitted.size[1]} alone; leave it out, or export it with dynamic sides."
            )
        return replace(origin, spec=spec, inputs=inputs, outputs=outputs)

    def select(self, origin: Origin) -> Choice:
        """What will run the model here, and why.

        Raises:
            DeviceError: the runtime or device is not here.
            MissingDependencyError: an optional package is missing; the message names it.
        """
        return select(
            origin.path,
            runtime=self.runtime,
            device=self.device,
            precision=self.precision,
            fastest_safe=origin.spec.precision,
            only=origin.spec.runtime,
        )

    def open(self) -> DepthEstimator:
        """Make the model ready to predict.

        Raises:
            UnknownNameError: neither a name, nor a file, nor a hub id.
            MissingWeightsError: the weights are not here; the message says where to get them.
            WeightsError: damaged weights, or weights that do not say whose they are.
            DeviceError: the runtime or device is not here.
            MissingDependencyError: an optional package is missing; the message names it.
        """
        origin = self.identify()
        network = _open(origin, self.select(origin), self.threads)
        made = DepthEstimator(network, origin.spec, policy=self.policy, tiles=self.tiles)
        made.reopen = self.open
        return made

    def describe(self) -> dict[str, Any]:
        """What makes the maps: name, kind, hashes of the weights, and all that changes values."""
        origin = self.identify()
        model = sha256_of_model(origin.path)
        alone = sha256_of(origin.path) if weights_beside(origin.path) else model
        return {**self._settings(origin), "model_sha256": model, "file_sha256": alone}

    def stamp(self) -> dict[str, Any]:
        """As :meth:`describe`, by sizes and times of the weights' files, without reading them."""
        origin = self.identify()
        files = (origin.path, *weights_beside(origin.path))
        states = [file.stat() for file in files if file.is_file()]
        stamps = [[state.st_size, state.st_mtime_ns] for state in states]
        return {**self._settings(origin), "path": str(origin.path), "stamps": stamps}

    def _settings(self, origin: Origin) -> dict[str, Any]:
        """The network's name and kind, and all but its weights that changes values."""
        spec = origin.spec
        return {
            "model": spec.name,
            "model_kind": str(spec.kind),
            "precision": self.precision,
            "policy": self.policy,
            "tiles": self.tiles,
            "size": self.size,
            "max_depth": spec.max_depth,
            "preprocess": json.loads(json.dumps(asdict(spec.preprocess))),  # as it is read
            **{file.name: sha256_of(file) for file in origin.settings},
        }


def load(model: str | os.PathLike[str] | None = None, **options: Any) -> DepthEstimator:
    """Make a model ready to predict.

    Args:
        model: a name of ``leadline.list_models()``, a file, a folder or a hub id
            ``hf:owner/name``. None takes the embedded model.
        **options: the other fields of :class:`LoadOptions`: ``weights``, ``runtime``, ``device``,
            ``precision``, ``policy``, ``tiles``, ``size``, ``max_depth``, ``threads``, ``kind``,
            ``normalize``.

    Raises:
        TypeError: an option of another name.
        LeadlineError: as :meth:`LoadOptions.open` does.
    """
    return LoadOptions(model=model, **options).open()


def wrap(
    function: Callable[[Any], Any], spec: ModelSpec, *, policy: Policy = "single", tiles: int = 1
) -> DepthEstimator:
    """Make any Python function that runs a network ready to predict.

    Args:
        function: takes the pictures as ``spec.preprocess`` makes them, a (b, 3, h, w) float32
            array; where ``spec.inputs`` names more than the image, a dict of arrays by these names.
            Returns the map, (b, h, w) or (b, 1, h, w), or a dict of arrays by the names of
            ``spec.outputs``.
        spec: what the network is, takes and gives; ``name``, ``kind`` and ``preprocess`` are
            enough for a picture that becomes a map.
        policy: see :data:`~leadline.estimator.Policy`.
        tiles: as in :class:`LoadOptions`.

    Raises:
        InputError: the policy or the tiles do not fit the model.

    >>> import numpy as np
    >>> from leadline.kinds import DepthKind
    >>> from leadline.spec import NORMALIZE, ModelSpec, PreprocessSpec
    >>> mean, std = NORMALIZE["unit"]
    >>> preprocess = PreprocessSpec(size=(28, 28), multiple_of=14, mean=mean, std=std)
    >>> spec = ModelSpec(name="red", kind=DepthKind.AFFINE_DISPARITY, preprocess=preprocess)
    >>> estimator = wrap(lambda images: images[:, 0], spec)  # red is near
    >>> estimator.predict(np.full((60, 80, 3), 255, np.uint8)).values.shape
    (60, 80)
    """
    return DepthEstimator(FunctionRuntime(function, spec), spec, policy=policy, tiles=tiles)


def resize_input(spec: PreprocessSpec, size: int) -> PreprocessSpec:
    """The preprocessing with another input size.

    Args:
        spec: the model's own.
        size: short side in pixels; the long side keeps its ratio to it. Where the model's rule
            counts pixels, it is that of a picture of the model's own shape; a wider one gets as
            many pixels and a shorter short side.

    Raises:
        InputError: smaller than the network's step, so large that memory would run out, or of a
            network that resizes the picture itself.
    """
    if spec.resize == "keep":
        raise InputError(
            f"size={size} for a network that gets the picture as it is and resizes it itself; "
            "leave it out."
        )
    largest = 4096
    if not spec.multiple_of <= size <= largest:
        raise InputError(
            f"size={size}: between {spec.multiple_of} and {largest} pixels are needed; the model's "
            f"own is {min(spec.size)}."
        )
    scale = size / min(spec.size)
    return replace(spec, size=(round(spec.size[0] * scale), round(spec.size[1] * scale)))


def _open(origin: Origin, choice: Choice, threads: int | None) -> Runtime:
    if origin.spec.runtime == "superpixel":
        return open_superpixel(origin.path)
    if origin.spec.runtime == "transformers":
        return open_transformers(choice, origin.path.parent, threads=threads)
    if origin.is_graph:
        model = ModelFile(
            path=origin.path,
            inputs=origin.inputs,
            outputs=origin.outputs,
            output_specs=origin.spec.outputs,
        )
        return open_file(choice, model, threads=threads)
    if origin.spec.architecture is None:
        raise InputError(
            f"{origin.path.name}: the ModelSpec of {origin.spec.name} names no architecture of "
            "leadline.models, which weights need; give its exported file, or name one."
        )
    return open_weights(
        choice, origin.spec.architecture, origin.spec.options, origin.path, threads=threads
    )
