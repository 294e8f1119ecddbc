"""DepthEstimator: from a picture to a Prediction, with any model on any runtime.

```python
estimator = leadline.load()                    # the embedded model
prediction = estimator.predict("photo.jpg")
```
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from leadline.decode import decode
from leadline.errors import InputError, LeadlineWarning, UnknownNameError
from leadline.image import Image
from leadline.io import read_image
from leadline.multi_view import MultiView, cut_alike
from leadline.posed_views import (
    PoseSource,
    bring_to_cameras,
    condition_on_cameras,
    take_poses_from_rays,
)
from leadline.prepared import Prepared, average_mirrored, mirror_inputs, stack
from leadline.preprocess import Preprocess, reflect_margin
from leadline.runtime import Runtime
from leadline.spec import ModelSpec
from leadline.tiles import TileBlend, tile_boxes
from leadline.view_batch import check_distinct

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
        reopen: opens the same again; how copies and other processes get one.
    """

    reopen: Callable[[], DepthEstimator] | None = None
    _most_at_once = 0

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
        if tiles > 1 and "prompt_depth" in spec.inputs:
            raise InputError(
                f"tiles={tiles} for {spec.name}, whose depth prompt goes with the whole picture; "
                "use tiles=1."
            )
        self.preprocess = Preprocess(spec.preprocess, inputs=spec.inputs, outputs=spec.outputs)

    def __repr__(self) -> str:
        runtime = self.runtime
        return (
            f"DepthEstimator({self.spec.name!r}, {self.spec.kind}, {runtime.name} on "
            f"{runtime.device} in {runtime.precision}, policy {self.policy!r}, tiles {self.tiles})"
        )

    def __reduce__(self) -> tuple[Callable[[], DepthEstimator], tuple[()]]:
        """Pickle by what it was opened with: networks stay where they are.

        Raises:
            InputError: it was put together by hand, so that nothing says how to do it again.
        """
        if self.reopen is None:
            raise InputError(
                f"{self!r} was made of a runtime by hand, which no other process has; open it with "
                "leadline.load(...) to pickle or copy it."
            )
        return self.reopen, ()

    def predict(self, source: ImageSource) -> Prediction:
        """Depth of one picture, at the picture's size.

        Args:
            source: a path, the file's bytes, a PIL image, an (h, w, 3) uint8 RGB array, or an
                Image.

        Raises:
            InputError: not a picture that can be read, or one of which the network gives no finite
                value; the message says why.
        """
        return self.predict_prepared(self.prepare(source))

    def predict_unchecked(self, source: ImageSource) -> Prediction:
        """As :meth:`predict`, with all that the network gave: evaluation counts its failures."""
        return self._predict(self.prepare(source))

    def prepare(self, source: ImageSource) -> Prepared:
        """Read a picture and bring it to the network's size; safe to call in other threads."""
        image = read_image(source)
        margin = reflect_margin(*image.size) if "pad" in self.policy else (0, 0)
        return self.preprocess(image, margin=margin)

    def predict_prepared(self, prepared: Prepared, *, resized: bool = True) -> Prediction:
        """The second half of :meth:`predict`: run the network and go back to the picture's size.

        Args:
            prepared: from :meth:`prepare`.
            resized: False leaves the map as :meth:`predict_unresized` does.
        """
        return _keep_finite(self._predict(prepared, resized=resized), prepared.image.name)

    def _predict(self, prepared: Prepared, *, resized: bool = True) -> Prediction:
        outputs = self._run(prepared.arrays)
        if not resized and self.tiles == 1:
            return self._decode(outputs, prepared, 0, resized=False)
        return self._sharpen(self._decode(outputs, prepared, 0), prepared.image)

    def predict_unresized(self, source: ImageSource) -> Prediction:
        """The network's own map at its own size, as the evaluators of papers take it.

        Where it does not cover the picture (a network that sees the middle alone, a margin), or
        tiles follow, this is :meth:`predict_unchecked`.
        """
        return self._predict(self.prepare(source), resized=False)

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
        waiting: dict[object, list[tuple[int, Prepared]]] = {}
        done: dict[int, Prediction] = {}
        for index, source in enumerate(sources):
            prepared = self.prepare(source)
            group = waiting.setdefault(prepared.shapes, [])
            group.append((index, prepared))
            if len(group) == batch_size:
                done.update(self._fill(waiting.pop(prepared.shapes)))
        for group in waiting.values():
            done.update(self._fill(group))
        return [done[index] for index in sorted(done)]

    def predict_many(self, prepared: Sequence[Prepared]) -> list[Prediction]:
        """Depth of pictures from :meth:`prepare` that have one input size, in one run.

        Where memory runs out, the pictures run in smaller batches, now and later; a LeadlineWarning
        says so. A map without a finite value is returned as it is, for the sake of the others.
        """
        most = self._most_at_once or len(prepared)
        parts = [prepared[n : n + most] for n in range(0, len(prepared), most)]
        try:
            return [one for part in parts for one in self._predict_at_once(part)]
        except MemoryError:
            if min(most, len(prepared)) == 1:
                raise
        self._most_at_once = min(most, len(prepared)) // 2
        warnings.warn(
            f"{self.spec.name}: memory ran out with {min(most, len(prepared))} pictures at once on "
            f"{self.runtime.device}; going on with {self._most_at_once}.",
            LeadlineWarning,
            stacklevel=2,
        )
        return self.predict_many(prepared)

    def _predict_at_once(self, prepared: Sequence[Prepared]) -> list[Prediction]:
        outputs = self._run(stack(prepared))
        return [
            self._sharpen(self._decode(outputs, one, place), one.image)
            for place, one in enumerate(prepared)
        ]

    def predict_group(self, prepared: Sequence[Prepared]) -> list[Prediction]:
        """As :meth:`predict_many`, with NaN where the network failed, as :meth:`predict` does.

        Raises:
            InputError: the network gives no finite value of one of them.
        """
        made = self.predict_many(prepared)
        return [
            _keep_finite(prediction, one.image.name)
            for prediction, one in zip(made, prepared, strict=True)
        ]

    def predict_views(
        self, sources: Iterable[ImageSource], *, poses: PoseSource = "predicted"
    ) -> MultiView:
        """Depth of several pictures of one scene, looked at together.

        Args:
            sources: as for :meth:`predict`. Of one size, unless the model's rule cuts others to
                the smallest; see :func:`leadline.multi_view.cut_alike`.
            poses: where the views' poses come from; see :data:`PoseSource`. With ``given`` the
                sources are Images with whole cameras, and depth is in metres as their poses are.

        Returns:
            The views in their order; poses are in their cameras where the network gives them.

        Raises:
            InputError: no picture, more than the network takes together, one picture twice,
                pictures of several sizes, or given poses without cameras.
        """
        if poses not in get_args(PoseSource):
            raise UnknownNameError("source of poses", poses, get_args(PoseSource))
        prepared = [self.prepare(source) for source in sources]
        most = self.spec.max_views
        if not 1 <= len(prepared) <= most or self.policy != "single" or self.tiles > 1:
            raise InputError(
                f"{len(prepared)} views for {self.spec.name} with policy {self.policy!r} and tiles "
                f"{self.tiles}: 1 to {most} views, policy 'single' and one tile are needed. Use "
                "predict_batch for pictures that have nothing to do with each other."
            )
        check_distinct([one.image.pixels for one in prepared])
        prepared = cut_alike(prepared, self.spec.preprocess)
        arrays = {name: array[None] for name, array in stack(prepared).items()}
        if poses == "given":
            arrays |= condition_on_cameras(prepared)
        outputs = {name: array[0] for name, array in self.runtime.run(arrays).items()}
        if poses == "rays":
            outputs = take_poses_from_rays(outputs, prepared[0].input_size)
        views = tuple(self._decode(outputs, one, place) for place, one in enumerate(prepared))
        if poses == "given":
            views = bring_to_cameras(views, prepared)
        return MultiView(predictions=views)

    def _fill(self, group: list[tuple[int, Prepared]]) -> dict[int, Prediction]:
        made = self.predict_group([prepared for _, prepared in group])
        return {index: one for (index, _), one in zip(group, made, strict=True)}

    def _sharpen(self, whole: Prediction, image: Image, *, batch_size: int = 4) -> Prediction:
        """The whole picture's prediction with the detail of its tiles in map and points."""
        if self.tiles == 1:
            return whole
        boxes = tile_boxes(*image.size, self.tiles)
        blend = TileBlend(whole.values)
        for start in range(0, len(boxes), batch_size):
            some = boxes[start : start + batch_size]
            parts = [self.preprocess(box.crop(image)) for box in some]
            outputs = self._run(stack(parts))
            for place, (box, part) in enumerate(zip(some, parts, strict=True)):
                blend.add(box, self._decode(outputs, part, place).values)
        values, points = blend.result(), whole.points
        if points is not None:  # along their rays
            with np.errstate(divide="ignore", invalid="ignore"):
                points = points * (values / whole.values)[..., None]
        return replace(whole, values=values, points=points)

    def _run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        if "flip" not in self.policy:
            return self.runtime.run(arrays)
        count = len(arrays["image"])
        mirrored = mirror_inputs(arrays)
        both = {name: np.concatenate([arrays[name], mirrored[name]]) for name in arrays}
        outputs = self.runtime.run(both)
        return {
            name: average_mirrored(array[:count], array[count:], self.spec.outputs[name])
            for name, array in outputs.items()
            if name in self.spec.outputs
        }

    def _decode(
        self,
        outputs: Mapping[str, np.ndarray],
        prepared: Prepared,
        index: int,
        *,
        resized: bool = True,
    ) -> Prediction:
        arrays = self.preprocess.restore(outputs, prepared, index=index, resized=resized)
        return decode(arrays, self.spec, prepared)


def _keep_finite(prediction: Prediction, name: str) -> Prediction:
    """The prediction with NaN where the network failed, which is said in one line.

    Raises:
        InputError: it failed everywhere.
    """
    finite = np.isfinite(prediction.values)
    failed = ~finite if prediction.valid is None else ~finite & prediction.valid
    of = f"{name or 'the picture'}: {prediction.model or 'the network'} gives"
    if not finite.any():
        raise InputError(
            f"{of} no finite value (NaN or infinity everywhere); its weights or its arithmetic "
            "fail on this picture. Try --precision f32, another --size, or other weights."
        )
    if not failed.any():
        return prediction
    warnings.warn(
        f"{of} NaN or infinity at {np.count_nonzero(failed)} of {failed.size} pixels, which are "
        "NaN in the map.",
        LeadlineWarning,
        stacklevel=2,
    )
    points = prediction.points
    return replace(
        prediction,
        values=np.where(failed, np.nan, prediction.values),
        points=None if points is None else np.where(failed[..., None], np.nan, points),
    )
