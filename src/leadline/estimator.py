"""DepthEstimator: from a picture to a Prediction, with any model on any runtime.

```python
estimator = leadline.load()                    # the embedded model
prediction = estimator.predict("photo.jpg")
```
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from leadline.errors import InputError, UnknownNameError
from leadline.image import Image
from leadline.io import read_image
from leadline.preprocess import Prepared, Preprocess, reflect_margin, stack
from leadline.resolve import Origin, identify
from leadline.runtime import (
    Choice,
    DeviceName,
    ModelFile,
    Precision,
    Runtime,
    RuntimeName,
    open_file,
    open_superpixel,
    open_weights,
    select,
)
from leadline.spec import ModelSpec, PreprocessSpec
from leadline.tiles import TileBlend, tile_boxes

if TYPE_CHECKING:
    from leadline.io.images import ImageSource
    from leadline.prediction import Prediction

Policy = Literal["single", "flip", "pad", "pad-flip"]
"""How the network looks at a picture:

- ``single``: once;
- ``flip``: at the picture and its mirror image, averaged; twice the cost, a little more accurate;
- ``pad``: once, with a mirrored margin that is cut off afterwards; better at the border;
- ``pad-flip``: both, as ZoeDepth's authors do.
"""

POLICIES: tuple[Policy, ...] = get_args(Policy)


class DepthEstimator:
    """A model, the preprocessing that belongs to it, and the runtime that runs it.

    Args:
        runtime: a network that is ready to run.
        spec: what the model is and wants.
        policy: see :data:`Policy`.
        tiles: tiles along the picture's short side. Above 1 the network looks at the whole picture
            and then at every overlapping tile; see :mod:`leadline.tiles`.

    Attributes:
        preprocess: what the network wants of a picture.
    """

    def __init__(
        self, runtime: Runtime, spec: ModelSpec, *, policy: Policy = "single", tiles: int = 1
    ) -> None:
        tile_boxes(1, 1, tiles)  # refuses impossible numbers
        if policy not in POLICIES:
            raise UnknownNameError("policy", policy, POLICIES)
        if "flip" in policy and not spec.horizontal_flip_safe:
            raise InputError(
                f"policy {policy!r} for {spec.name}: its output for a mirrored picture is not the "
                "mirrored output. Use policy 'single'."
            )
        self.runtime = runtime
        self.spec = spec
        self.policy: Policy = policy
        self.tiles = tiles
        self.preprocess = Preprocess(spec.preprocess)

    def __repr__(self) -> str:
        runtime = self.runtime
        return (
            f"DepthEstimator({self.spec.name!r}, {self.spec.kind}, {runtime.name} on "
            f"{runtime.device} in {runtime.precision}, policy {self.policy!r}, tiles {self.tiles})"
        )

    def predict(self, source: ImageSource) -> Prediction:
        """Depth of one picture, at the picture's size.

        Args:
            source: a path, the file's bytes, a PIL image, an (h, w, 3) uint8 RGB array, or an
                Image.

        Raises:
            InputError: not a picture that can be read; the message says why.
        """
        return self.predict_prepared(self.prepare(source))

    def prepare(self, source: ImageSource) -> Prepared:
        """Read a picture and bring it to the network's size; safe to call in other threads."""
        image = read_image(source)
        margin = reflect_margin(*image.size) if "pad" in self.policy else (0, 0)
        return self.preprocess(image, margin=margin)

    def predict_prepared(self, prepared: Prepared) -> Prediction:
        """The second half of :meth:`predict`: run the network and go back to the picture's size."""
        outputs = self._run(prepared.arrays)
        return self._sharpened(self._restore(outputs, prepared, 0), prepared.image)

    def predict_unresized(self, source: ImageSource) -> Prediction:
        """The network's own map at its own size, as the evaluators of papers take it.

        Where it does not cover the picture (a network that sees the middle alone, a margin), or
        tiles follow, this is :meth:`predict`.
        """
        prepared = self.prepare(source)
        if self.tiles > 1:
            return self.predict_prepared(prepared)
        return self._restore(self._run(prepared.arrays), prepared, 0, resized=False)

    def predict_batch(
        self, sources: Iterable[ImageSource], *, batch_size: int = 8
    ) -> list[Prediction]:
        """Depth of several pictures, in their order; those of one input size run together.

        Args:
            sources: as for :meth:`predict`.
            batch_size: the most pictures that run at once; bounds the memory.

        Raises:
            InputError: a picture that cannot be read, or ``batch_size`` below 1.
        """
        if batch_size < 1:
            raise InputError(f"batch_size={batch_size}: at least 1 is needed.")
        waiting: dict[tuple[int, int], list[tuple[int, Prepared]]] = {}
        done: dict[int, Prediction] = {}
        for index, source in enumerate(sources):
            prepared = self.prepare(source)
            group = waiting.setdefault(prepared.input_size, [])
            group.append((index, prepared))
            if len(group) == batch_size:
                done.update(self._predict_group(waiting.pop(prepared.input_size)))
        for group in waiting.values():
            done.update(self._predict_group(group))
        return [done[index] for index in sorted(done)]

    def predict_many(self, prepared: Sequence[Prepared]) -> list[Prediction]:
        """Depth of pictures from :meth:`prepare` that have one input size, in one run."""
        outputs = self._run(stack(prepared))
        return [
            self._sharpened(self._restore(outputs, one, place), one.image)
            for place, one in enumerate(prepared)
        ]

    def _predict_group(self, group: list[tuple[int, Prepared]]) -> dict[int, Prediction]:
        made = self.predict_many([prepared for _, prepared in group])
        return {index: one for (index, _), one in zip(group, made, strict=True)}

    def _sharpened(self, whole: Prediction, image: Image, *, batch_size: int = 4) -> Prediction:
        """The whole picture's map with the detail of its tiles."""
        if self.tiles == 1:
            return whole
        boxes = tile_boxes(*image.size, self.tiles)
        blend = TileBlend(whole.values)
        for start in range(0, len(boxes), batch_size):
            some = boxes[start : start + batch_size]
            parts = [self.preprocess(Image(pixels=box.of(image.pixels))) for box in some]
            outputs = self._run(stack(parts))
            for place, (box, part) in enumerate(zip(some, parts, strict=True)):
                blend.add(box, self._restore(outputs, part, place).values)
        return replace(whole, values=blend.result())

    def _run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        if "flip" not in self.policy:
            return self.runtime.run(arrays)
        count = len(arrays["image"])
        both = {name: np.concatenate([array, array]) for name, array in arrays.items()}
        both["image"][count:] = arrays["image"][..., ::-1]
        outputs = self.runtime.run(both)
        return {name: (maps[:count] + maps[count:, :, ::-1]) / 2 for name, maps in outputs.items()}

    def _restore(
        self,
        outputs: Mapping[str, np.ndarray],
        prepared: Prepared,
        index: int,
        *,
        resized: bool = True,
    ) -> Prediction:
        return self.preprocess.restore(
            outputs,
            prepared,
            kind=self.spec.kind,
            model=self.spec.name,
            index=index,
            resized=resized,
        )


def load(
    model: str | os.PathLike[str] | None = None,
    *,
    weights: str | os.PathLike[str] | None = None,
    runtime: RuntimeName | Literal["auto"] = "auto",
    device: DeviceName | Literal["auto"] = "auto",
    precision: Precision | Literal["auto"] = "auto",
    policy: Policy = "single",
    tiles: int = 1,
    size: int | None = None,
    max_depth: float | None = None,
    threads: int | None = None,
) -> DepthEstimator:
    """Make a model ready to predict.

    Args:
        model: a name of ``leadline.list_models()``, an exported network (``.onnx``, ``.xml``), a
            checkpoint (``.pth``, ``.safetensors``), a folder that holds one, or a hub id
            ``owner/name``. None takes the embedded model.
        weights: a file, folder or hub id to take in place of the published weights of ``model``.
        runtime: ``auto``, ``openvino``, ``onnxruntime`` or ``torch``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        precision: ``auto``, ``f32``, ``bf16`` or ``f16``; ``auto`` takes the fastest that the model
            is known to be right in and the device is built for.
        policy: ``single``, ``flip``, ``pad`` or ``pad-flip``; see :data:`Policy`.
        tiles: tiles along the short side that are looked at after the whole picture, for sharper
            maps of large pictures; 1 looks at the whole alone.
        size: the short side of the network's usual input in pixels, in place of the model's own;
            larger is sharper and slower. See :func:`resized`.
        max_depth: metres at full output, for metric checkpoints that do not tell it.
        threads: number of threads; None takes one per physical core.

    Raises:
        UnknownNameError: neither a name, nor a file, nor a hub id.
        MissingWeightsError: the weights are not here; the message says where to get them.
        WeightsError: damaged weights, or weights that do not tell whose they are.
        DeviceError: the runtime or device is not here.
        MissingDependencyError: an optional package is missing; the message names it.
    """
    prefer = "checkpoint" if runtime == "torch" or device in ("cuda", "mps") else None
    if runtime in ("openvino", "onnxruntime"):
        prefer = "graph"
    origin = identify(model, weights=weights, max_depth=max_depth, prefer=prefer)
    choice = select(
        origin.path,
        runtime=runtime,
        device=device,
        precision=precision,
        fastest_safe=origin.spec.precision,
        only=origin.spec.runtime,
    )
    network = _open(origin, choice, threads)
    spec = origin.spec
    if size is not None:
        spec = replace(spec, preprocess=resized(spec.preprocess, size))
    return DepthEstimator(network, spec, policy=policy, tiles=tiles)


def resized(spec: PreprocessSpec, size: int) -> PreprocessSpec:
    """The preprocessing with another input size.

    Args:
        spec: the model's own.
        size: short side in pixels; the long side keeps its ratio to it. Where the model's rule
            counts pixels, it is that of a picture of the model's own shape; a wider one gets as
            many pixels and a shorter short side.

    Raises:
        InputError: smaller than the network's step, or so large that memory would run out.
    """
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
    if origin.is_graph:
        model = ModelFile(path=origin.path, inputs=origin.inputs, outputs=origin.outputs)
        return open_file(choice, model, threads=threads)
    if origin.spec.architecture is None:
        raise InputError(
            f"{origin.path.name}: {origin.spec.name} is no torch network; give its exported file."
        )
    return open_weights(
        choice, origin.spec.architecture, origin.spec.options, origin.path, threads=threads
    )
