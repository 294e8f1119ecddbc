"""Prediction: a depth map that knows what its numbers mean.

Files: ``FORMATS`` says what each format of :meth:`Prediction.save` holds, and which of them
:func:`read_prediction` reads back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as PilImage

from leadline import notebook, viz
from leadline.alignment import Alignment, Method, fit
from leadline.camera import Camera
from leadline.cloud import (
    CloudOptions,
    Surface,
    estimate_normals,
    make_mesh,
    make_point_cloud,
    make_relief,
    measure_points,
    smooth_normals,
)
from leadline.errors import (
    InputError,
    KindError,
    MissingDependencyError,
    UnknownNameError,
)
from leadline.image import Image
from leadline.io import (
    FORMATS,
    MAPS,
    Mesh,
    PointCloud,
    StoredMap,
    format_of,
    get_format,
    output_suffixes,
)
from leadline.kinds import DepthKind
from leadline.map_files import list_left_out, parse_kind, read_map, write_map
from leadline.metric_scale import (
    Point,
    alignment_from_floor,
    alignment_from_numbers,
    alignment_from_points,
    floor_depth,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from jaxtyping import Bool, Float, UInt8

    from leadline.catalog import DepthError
    from leadline.cloud import Measure, Quantity


__all__ = ["FORMATS", "PointCloud", "Prediction", "output_suffixes", "read_prediction"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Prediction:
    """A map at its picture's size. ``np.asarray(prediction)`` gives the values.

    Attributes:
        values: (h, w) float32; ``kind`` says what they mean.
        kind: DepthKind (its string is accepted too).
        camera: of the picture, or None when nothing tells.
        valid: (h, w) bool, False where there is no value; None when all pixels have one.
        confidence: (h, w) float32, larger = surer; None when the model gives none.
        normals: (h, w, 3) float32 unit vectors in the camera's frame (x right, y down, z forward),
            towards the camera; NaN where there is none. None when the model gives none.
        points: (h, w, 3) float32 in the camera's frame, in the map's unit; None when the model
            gives none.
        sky: (h, w) bool, True where there is sky; None when the model does not say.
        model: name of the model that made it.
        image: the picture it was made from, for the ``side`` format and for colours.
    """

    values: Float[np.ndarray, "h w"]
    kind: DepthKind
    camera: Camera | None = None
    valid: Bool[np.ndarray, "h w"] | None = None
    confidence: Float[np.ndarray, "h w"] | None = None
    normals: Float[np.ndarray, "h w 3"] | None = None
    points: Float[np.ndarray, "h w 3"] | None = None
    sky: Bool[np.ndarray, "h w"] | None = None
    model: str = ""
    image: Image | None = None

    def __post_init__(self) -> None:
        values = np.asarray(self.values)
        if values.ndim != 2 or values.size == 0 or values.dtype.kind not in "fiu":
            raise InputError(
                f"prediction values of shape {values.shape} and type {values.dtype}: one (h, w) "
                "map of real numbers is needed."
            )
        object.__setattr__(self, "values", values.astype(np.float32, copy=False))
        object.__setattr__(self, "kind", parse_kind(self.kind))
        for name, (kind, channels) in MAPS.items():
            array = getattr(self, name)
            if array is not None:
                array, wanted = np.asarray(array), (*values.shape, *channels)
                if array.shape != wanted:
                    raise InputError(
                        f"{name} of shape {array.shape} for a map of {values.shape}: the shape "
                        f"{wanted} is needed."
                    )
                object.__setattr__(self, name, array.astype(kind, copy=False))
        camera, image = self.camera, self.image
        sizes = {
            "camera": self.size if camera is None else (camera.height, camera.width),
            "image": self.size if image is None else image.size,
        }
        for what, size in sizes.items():
            if size != self.size:
                raise InputError(
                    f"{what} of {size[1]}x{size[0]} pixels for a map of "
                    f"{self.size[1]}x{self.size[0]}: the same size is needed."
                )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if dtype is None or np.dtype(dtype) == self.values.dtype:
            return self.values.copy() if copy else self.values
        return self.values.astype(dtype)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.values.shape[0], self.values.shape[1]

    @property
    def known(self) -> Bool[np.ndarray, "h w"]:
        """True where there is a finite value."""
        finite = np.isfinite(self.values)
        return finite if self.valid is None else finite & self.valid

    def __repr__(self) -> str:
        height, width = self.size
        return f"Prediction({width}x{height} {self.kind}, {self._range()}, model={self.model!r})"

    # --- what the numbers mean ------------------------------------------------------------------

    def to_depth(self, *, baseline_m: float | None = None, doffs_px: float = 0.0) -> Prediction:
        """The map as depth.

        Depth of any kind is returned as it is; scaled disparity becomes scaled depth, 1 / values.
        Pixel disparity needs the camera and the distance between the stereo cameras: z = fx *
        baseline / (disparity + doffs).

        Args:
            baseline_m: metres between the two cameras, for pixel disparity.
            doffs_px: x distance of the two principal points (Middlebury's ``doffs``).

        Raises:
            KindError: affine disparity, whose scale and shift must be found first.
            InputError: a baseline that is not positive, or a doffs that is not finite.
        """
        if self.kind is DepthKind.AFFINE_DISPARITY:
            raise KindError(
                "affine_disparity has an unknown scale and shift, so 1/values is not depth, not "
                "even up to a scale. Use a model that predicts metric_depth, or, in Python, fit it "
                "to known depths first: prediction.aligned_to(depth_m)."
            )
        if self.kind is DepthKind.SCALED_DISPARITY:
            return self._invert(DepthKind.SCALED_DEPTH)
        if self.kind is not DepthKind.PIXEL_DISPARITY:
            return self
        if baseline_m is None or self.camera is None:
            raise KindError(
                "pixel_disparity becomes metres only with the camera and baseline_m; give "
                "to_depth(baseline_m=...) on a prediction that has a camera."
            )
        if not (np.isfinite(baseline_m) and baseline_m > 0 and np.isfinite(doffs_px)):
            raise InputError(
                f"baseline_m={baseline_m}, doffs_px={doffs_px}: a positive distance in metres and "
                "a finite number of pixels are needed."
            )
        disparity = self.values + np.float32(doffs_px)
        near = self.known & (disparity > 0)
        depth = np.where(near, self.camera.fx * baseline_m / np.where(near, disparity, 1), np.nan)
        return replace(self, values=depth, kind=DepthKind.METRIC_DEPTH, valid=near, points=None)

    def to_disparity(self) -> Prediction:
        """The map as disparity: 1 / values for metric and scaled depth, disparities as they are.

        What was metric or scaled depth is ``scaled_disparity``, which :meth:`to_depth` inverts.

        Raises:
            KindError: affine depth, whose shift must be found first.
        """
        if self.kind.larger_is_nearer:
            return self
        if self.kind is DepthKind.AFFINE_DEPTH:
            raise KindError(
                "affine_depth has an unknown shift, so it has no inverse. Use a model that "
                "predicts metric_depth, or, in Python, fit it first: "
                "prediction.aligned_to(depth_m)."
            )
        return self._invert(DepthKind.SCALED_DISPARITY)

    def _invert(self, kind: DepthKind) -> Prediction:
        """1 / values as ``kind``; not valid where there is no positive value."""
        positive = self.known & (self.values > 0)
        values = np.where(positive, 1 / np.where(positive, self.values, 1), np.nan)
        return replace(self, values=values, kind=kind, valid=positive, points=None)

    def alignment_to(
        self,
        target: Float[np.ndarray, "h w"],
        valid: Bool[np.ndarray, "h w"] | None = None,
        *,
        method: Method | None = None,
    ) -> Alignment:
        """Scale and shift that take this map to ``target``, a depth map in metres.

        Args:
            target: (h, w) metres along the optical axis; non-positive or non-finite = unknown.
            valid: where ``target`` counts.
            method: see :func:`leadline.alignment.fit`; default: ``least_squares`` for affine
                kinds, ``median`` (a scale alone) for the others.

        Raises:
            InputError: no pixel has both values, or the shapes differ.
        """
        affine = self.kind in (DepthKind.AFFINE_DEPTH, DepthKind.AFFINE_DISPARITY)
        space = "disparity" if self.kind.larger_is_nearer else "depth"
        known = self.known if valid is None else self.known & valid
        if method is None:
            method = "least_squares" if affine else "median"
        return fit(self.values, target, known, space=space, method=method)

    def aligned_to(
        self,
        target: Float[np.ndarray, "h w"],
        valid: Bool[np.ndarray, "h w"] | None = None,
        *,
        method: Method | None = None,
        max_depth: float | None = None,
    ) -> Prediction:
        """The map in metres, fitted to known depths; see :meth:`alignment_to`."""
        alignment = self.alignment_to(target, valid, method=method)
        depth = alignment.apply(self.values, max_depth=max_depth)
        return replace(self, values=depth, kind=DepthKind.METRIC_DEPTH, points=None)

    def to_metric(
        self,
        points: Sequence[Point] | None = None,
        *,
        scale: float | None = None,
        shift: float | None = None,
        camera_height_m: float | None = None,
        pitch_deg: float = 0.0,
        floor: Bool[np.ndarray, "h w"] | None = None,
        max_depth: float | None = None,
    ) -> Prediction:
        """A relative map in metres, by one of three means of your own.

        Args:
            points: known depths [(x, y, metres), ...]: two or more for an affine map, one for a
                scaled one. The fit is robust: of many points a few may be wrong.
            scale: known factor; with ``shift``, metres (for a disparity, 1 / metres) are
                ``scale * value + shift``.
            shift: see ``scale``; affine maps need it.
            camera_height_m: height of the camera above a level floor; needs the camera.
            pitch_deg: how far the camera looks down.
            floor: where the floor is; default: the lower half of what lies below the horizon.
            max_depth: metres; what lies beyond becomes this.

        Returns:
            Metric depth; not valid where the fit leaves no positive depth.

        Raises:
            InputError: none or several means, or values that make no sense together.
            KindError: a map that is metric already.
        """
        means = {"points": points, "scale": scale, "camera_height_m": camera_height_m}
        given = [name for name, value in means.items() if value is not None]
        if len(given) != 1:
            raise InputError(
                f"to_metric was given {' and '.join(given) or 'nothing'}: exactly one of "
                f"{', '.join(means)} is needed."
            )
        if points is not None:
            alignment = alignment_from_points(self.values, self.known, self.kind, points)
        elif scale is not None:
            alignment = alignment_from_numbers(self.kind, scale, shift)
        else:
            depth = self._floor_depth(camera_height_m or 0.0, pitch_deg, floor)
            alignment = alignment_from_floor(self.values, self.known, self.kind, depth)
        metres = alignment.apply(self.values, max_depth=max_depth)
        real = self.known & np.isfinite(metres)
        if alignment.space == "depth":
            real &= alignment.scale * self.values + alignment.shift > 0
        return replace(
            self,
            values=np.where(real, metres, np.nan),
            kind=DepthKind.METRIC_DEPTH,
            valid=None if real.all() else real,
            points=None,
        )

    def _floor_depth(
        self, height_m: float, pitch_deg: float, floor: Bool[np.ndarray, "h w"] | None
    ) -> np.ndarray:
        if self.camera is None:
            raise InputError(
                "camera_height_m needs a camera and the picture's EXIF tells none; give one: --fov "
                "or --camera, in Python replace(prediction, camera=Camera.from_fov(...))."
            )
        depth = floor_depth(self.camera, height_m, pitch_deg=pitch_deg)
        if floor is None:
            rows = np.nonzero(np.isfinite(depth).any(axis=1))[0]
            middle = (rows[0] + rows[-1]) // 2 if len(rows) else 0
            floor = np.broadcast_to(np.arange(self.size[0])[:, None] >= middle, self.size)
        elif np.shape(floor) != self.size:
            raise InputError(
                f"floor of shape {np.shape(floor)} for a map of {self.size}: the same is needed."
            )
        return np.where(floor, depth, np.nan)

    # --- in three dimensions ----------------------------------------------------------------------

    def surface(
        self,
        camera: Camera | None = None,
        *,
        max_depth: float | None = None,
        relief: float | None = None,
    ) -> Surface:
        """The map as :mod:`leadline.cloud` takes it.

        Args:
            camera: intrinsics; default: the prediction's own.
            max_depth: what is farther is left out.
            relief: make a depth up for looks alone, whatever the kind of the map, with this
                softness; see :func:`leadline.cloud.make_relief`. Without a camera it is seen by
                one of 60 degrees.

        Raises:
            KindError: without ``relief``, affine maps and pixel disparity: it would be bent.
            InputError: no camera, or one of another size.
        """
        camera = camera or self.camera
        height, width = self.size
        if relief is not None:
            camera = camera or Camera.from_fov(width, height, fov_deg=60, source="guess")
            depth = make_relief(
                self.values,
                self.known,
                larger_is_nearer=self.kind.larger_is_nearer,
                softness=relief,
            )
        elif self.kind is DepthKind.SCALED_DISPARITY:
            return self.to_depth().surface(camera, max_depth=max_depth)
        elif self.kind not in (DepthKind.METRIC_DEPTH, DepthKind.SCALED_DEPTH):
            raise KindError(
                f"a point cloud from {self.kind} would be bent: its scale and shift are unknown. "
                "Use a model that predicts metric_depth (lite-metric, say), give `leadline stereo` "
                "--focal-px and --baseline-m, or, in Python, fit it to known depths: "
                "prediction.aligned_to(depth_m). For looks alone, relief=0.3 (--relief 0.3)."
            )
        else:
            depth = self.values
        if camera is None:
            raise InputError(
                "a point cloud needs a focal length, and neither the picture's EXIF or XMP nor the "
                "model gives one: take --fov DEGREES, --camera or a model that predicts it; in "
                "Python "
                "point_cloud(Camera.from_fov(width, height, fov_deg=60))."
            )
        known = self.known if max_depth is None else self.known & (depth <= max_depth)
        return Surface(
            depth=depth,
            camera=camera,
            known=known,
            pixels=None if self.image is None else self.image.pixels,
            normals=self.normals if relief is None else None,
            unit=self.kind.unit if relief is None else "relief",
        )

    def point_cloud(
        self,
        camera: Camera | None = None,
        *,
        max_depth: float | None = None,
        relief: float | None = None,
        edges: str = "cut",
        sky: str = "cut",
        max_points: int | None = None,
        normals: bool = False,
    ) -> PointCloud:
        """Points in the camera's frame (x right, y down, z forward), in the map's own unit.

        Args:
            camera: as of :meth:`surface`.
            max_depth: likewise.
            relief: likewise.
            edges: as of :class:`leadline.cloud.CloudOptions`.
            sky: likewise.
            max_points: likewise.
            normals: likewise.

        Raises:
            KindError: as :meth:`surface`.
            InputError: as :meth:`surface`, or no point is left.
            UnknownNameError: another way with edges or sky.
        """
        options = CloudOptions(edges=edges, sky=sky, max_points=max_points, normals=normals)
        surface = self.surface(camera, max_depth=max_depth, relief=relief)
        return make_point_cloud(surface, options, sky=self.sky)

    def mesh(
        self,
        camera: Camera | None = None,
        *,
        max_depth: float | None = None,
        relief: float | None = None,
        edges: str = "cut",
        sky: str = "cut",
        max_points: int | None = None,
        normals: bool = False,
    ) -> Mesh:
        """Triangles in the camera's frame, with the picture as texture; see :meth:`point_cloud`."""
        options = CloudOptions(edges=edges, sky=sky, max_points=max_points, normals=normals)
        surface = self.surface(camera, max_depth=max_depth, relief=relief)
        return make_mesh(surface, options, sky=self.sky)

    def surface_normals(
        self, camera: Camera | None = None, *, edges: str = "cut", source: str = "auto"
    ) -> Float[np.ndarray, "h w 3"]:
        """Unit normals in the camera's frame, towards the camera; NaN where not known.

        Args:
            camera: as of :meth:`surface`.
            edges: as of :class:`leadline.cloud.CloudOptions`.
            source: ``model``: those that the model predicted; ``depth``: of the planes through
                neighbouring pixels, of a network's map smoothed
                (:func:`leadline.cloud.smooth_normals`); ``auto``: the model's where it gives them.

        Raises:
            KindError: as :meth:`surface`.
            InputError: as :meth:`surface`, or the model gives none.
            UnknownNameError: another source or way with edges.
        """
        if source not in ("auto", "model", "depth"):
            raise UnknownNameError("source of normals", source, ("auto", "model", "depth"))
        if source != "depth" and self.normals is not None:
            return self.normals
        if source == "model":
            raise InputError(
                f"{self.model or 'the model'} predicts no normals; take source='depth'."
            )
        found = estimate_normals(self.surface(camera), edges=edges)
        return smooth_normals(found, self.values) if self.model else found

    def measure(
        self,
        points: Sequence[tuple[float, float]],
        *,
        quantity: Quantity = "distance",
        plane: Sequence[tuple[float, float]] | None = None,
        error: DepthError | None = None,
        focal_error: float | None = None,
    ) -> Measure:
        """A distance, area or angle between pixels, with its 90 % interval.

        Args:
            points: x, y of two or more pixels; of three or more for an area, three for an angle.
            quantity: ``distance``, ``area`` or ``angle``.
            plane: x, y of three or more pixels of a plane on which all points lie.
            error: of the depths; default: that of the model on held-out pictures, of
                :data:`leadline.catalog.HELD_OUT`. Without either there is no interval.
            focal_error: relative error of the focal length; default: by the camera's source.

        Raises:
            KindError: a map without metres (angles need it up to a scale only).
            InputError: no camera, or points that cannot be used.
        """
        from leadline import catalog

        scaled = quantity == "angle" and self.kind is DepthKind.SCALED_DEPTH
        if not (self.kind.is_metric or scaled):
            repair = (
                f"{self.model} gives them with a focal length: --fov or --camera."
                if self.kind is DepthKind.SCALED_DEPTH and self.camera is None
                else "Take a metric model (--model lite-metric with --fov), or, in Python, fit the "
                "map to known depths: prediction.to_metric(points=[(x, y, metres), ...])."
            )
            raise KindError(
                f"{quantity} in a map of {self.kind}, whose scale is unknown; metres are needed. "
                f"{repair}"
            )
        if self.camera is None:
            raise InputError(
                "measuring needs a camera and the picture's EXIF tells none; give one: --fov or "
                "--camera, in Python replace(prediction, camera=Camera.from_fov(...))."
            )
        spec = catalog.MODELS.get(self.model)
        return measure_points(
            np.where(self.known, self.values, np.nan),
            self.camera,
            points,
            quantity=quantity,
            plane=plane,
            error=error or catalog.HELD_OUT.get(self.model),
            focal_error=focal_error,
            depth_scales_with_focal=spec is not None and spec.canonical_focal_px is not None,
        )

    # --- pictures and files ---------------------------------------------------------------------

    def colorize(
        self,
        cmap: str = "inferno",
        *,
        limits: tuple[float, float] | None = None,
        legend: bool = False,
    ) -> UInt8[np.ndarray, "h w 3"]:
        """RGB picture with nearer = brighter or warmer; see :func:`leadline.viz.colorize`.

        Args:
            cmap: one of :data:`leadline.viz.CMAPS`.
            limits: of the first and last colour, in the domain of :func:`leadline.viz.nearness`.
            legend: put a colour bar at the right, which makes the picture wider.
        """
        return viz.draw_map(
            self.values, self.kind, valid=self.valid, cmap=cmap, limits=limits, legend=legend
        )

    def show(self, cmap: str = "inferno") -> None:
        """Open the coloured map, with its legend, in the system's viewer of pictures."""
        PilImage.fromarray(self.colorize(cmap, legend=True)).show(title=repr(self))

    def _repr_png_(self) -> bytes:
        return notebook.render_png(self.colorize(legend=True))

    def _repr_html_(self) -> str:
        held = [*self._present(), *(["image"] if self.image is not None else [])]
        camera = self.camera
        rows = {
            "kind": str(self.kind),
            "range": self._range(),
            "size": f"{self.size[1]} x {self.size[0]}, {self.known.mean():.1%} known",
            "model": self.model or "unknown",
            "camera": f"{camera.fov_deg:.0f}° wide ({camera.source})" if camera else "unknown",
            "holds": ", ".join(["values", *held]),
        }
        picture = self.colorize(legend=True)
        return notebook.render_html(picture, self.values[self.known], rows, unit=self.kind.unit)

    def _range(self) -> str:
        """Least, median and largest value, in words."""
        known = self.values[self.known]
        if not known.size:
            return "no known value"
        unit = "" if self.kind.unit == "1" else f" {self.kind.unit}"
        low, middle, high = known.min(), np.median(known), known.max()
        return f"{low:.3g} to {high:.3g}{unit}, median {middle:.3g}{unit}"

    def to_hf(self) -> dict[str, Any]:
        """What transformers' pipeline ``depth-estimation`` returns for one picture.

        Returns:
            ``predicted_depth``: (h, w) float32 tensor of the values, NaN where nothing is known;
            ``depth``: a grey PIL picture of 8 bits, 0 the least value and 255 the largest,
            whatever the kind: as there, metres are white far away.

        Raises:
            MissingDependencyError: torch is not installed.
            InputError: no value is known.
        """
        try:
            import torch
        except ImportError as error:
            raise MissingDependencyError("torch", "Prediction.to_hf()", "torch") from error
        known = self.known
        values = self.values if self.valid is None else np.where(self.valid, self.values, np.nan)
        if not known.any():
            raise InputError("a map without a finite value has no picture; give another.")
        low, high = values[known].min(), values[known].max()
        shares = np.where(known, (values - low) / (high - low if high > low else 1), 0)
        return {
            "predicted_depth": torch.from_numpy(np.array(values)),
            "depth": PilImage.fromarray((shares * 255).astype(np.uint8)),
        }

    def save(
        self,
        path: str | os.PathLike[str],
        format: str | None = None,  # noqa: A002 (numpy's and Pillow's word for it)
        *,
        cmap: str = "inferno",
        legend: bool = False,
        control_side: int | None = None,
    ) -> None:
        """Write the map, whole or not at all.

        ``npz`` keeps all of it; what other formats leave out, :meth:`list_left_out` says, and the
        record inside of PNG, EXR and JPEG.

        Args:
            path: the file.
            format: a name of :data:`FORMATS`; default: what the suffix says, where ``.png`` is
                ``color`` unless it is ``.depth.png``, ``.side.png`` and so on.
            cmap: colour map of ``color`` and ``side``.
            legend: put a colour bar beside ``color`` and ``side``; see :meth:`colorize`.
            control_side: short side of ``controlnet`` in pixels, both sides being multiples of 64;
                None: the map's size.

        Raises:
            InputError: a suffix that says nothing, or a format that this map does not allow.
            KindError: a kind that the format does not hold.
            UnknownNameError: no such format.
        """
        path = Path(path)
        name, shown = format or format_of(path), self
        match get_format(name).stores:
            case "points":
                self.point_cloud().save(path)
                return
            case "depth":
                shown = self.to_depth()
            case "disparity":
                shown = self.to_disparity()
            case "normals":
                shown = replace(self, normals=self.surface_normals())
        stored = shown._to_stored()
        write_map(path, stored, name, cmap=cmap, legend=legend, control_side=control_side)

    def list_left_out(self, format: str) -> tuple[str, ...]:  # noqa: A002
        """What this prediction holds and a file of ``format`` does not; ``npz`` holds all.

        Raises:
            UnknownNameError: no such format.
        """
        return list_left_out(self._to_stored(), format)

    def _to_stored(self) -> StoredMap:
        camera = None if self.camera is None else self.camera.to_dict()
        return StoredMap(
            values=self.values,
            valid=self.valid,
            info={"kind": str(self.kind), "camera": camera, "model": self.model},
            parts={name: getattr(self, name) for name in self._present() if name != "valid"},
            pixels=None if self.image is None else self.image.pixels,
        )

    def _present(self) -> list[str]:
        """Which of :data:`~leadline.io.MAPS` there are."""
        return [name for name in MAPS if getattr(self, name) is not None]


def read_prediction(
    path: str | os.PathLike[str], *, kind: DepthKind | str | None = None
) -> Prediction:
    """Read a map that :meth:`Prediction.save` wrote, or the depth that a phone put into a photo.

    Args:
        path: ``.npz``, 16-bit ``.png``, ``.exr``, ``.jpg`` with GDepth, ``.heic`` with a depth
            picture, ``.npy`` or ``.pfm``.
        kind: what the values mean; needed for ``.npy`` and ``.pfm``, which do not tell, and for
            EXR and HEIC files of others that do not.

    Raises:
        InputError: missing, damaged, or a file that does not say what it holds.
        MissingDependencyError: EXR without OpenEXR, HEIC without pillow-heif.
    """
    path = Path(path)
    stored = read_map(path, kind=kind)
    camera, valid = stored.info.get("camera"), stored.valid
    return Prediction(
        values=stored.values,
        kind=parse_kind(stored.info["kind"]),
        camera=None if camera is None else Camera.from_dict(camera),
        valid=None if valid is None or valid.all() else valid,
        model=str(stored.info.get("model", "")),
        image=None if stored.pixels is None else Image(pixels=stored.pixels, name=str(path)),
        **stored.parts,
    )
