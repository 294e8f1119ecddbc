"""What a model is, takes and gives, as data: PreprocessSpec, OutputSpec, ModelSpec, Sidecar.

All of it is JSON-able, so that an exported file carries its own description beside it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar, get_args

from leadline.errors import InputError, UnknownNameError
from leadline.field_types import check_fields
from leadline.kinds import DepthKind
from leadline.version import __version__

ResizeRule = Literal[
    "lower_bound",
    "upper_bound",
    "minimal",
    "short_side",
    "area",
    "exact",
    "letterbox",
    "keep",
    "pixel_range",
    "upper_bound_twice",
    "lower_bound_twice",
]
"""How a picture meets ``PreprocessSpec.size``, keeping its aspect unless ``exact``:

- ``lower_bound``: scale so that both sides are at least the size (Depth Anything);
- ``upper_bound``: both sides at most the size (MiDaS 2.1);
- ``minimal``: the side whose scale is nearest to 1 decides (DPT, MiDaS 3, ZoeDepth);
- ``short_side``: the short side becomes the size's smaller number;
- ``area``: as many pixels as the size has, so that pictures of every shape take the same time;
- ``exact``: stretch to (height, width), losing the aspect (DenseDepth, Monodepth);
- ``letterbox``: both sides at most the size, and a border around the picture up to it, whose map is
  cut off before the way back (Ultralytics, Metric3D);
- ``keep``: as it is; the network resizes it itself (MoGe);
- ``pixel_range``: as it is within ``PreprocessSpec.pixels``, sides rounded up; where width over
  height is above ``max_aspect`` or below 1/2, a border of the mean is added and its map cut off
  (UniDepth);
- ``upper_bound_twice``, ``lower_bound_twice``: the long or the short side becomes the size's first
  number, and then each side the nearest multiple, in two resamplings of whole grey levels, by area
  where no side grows and cubic elsewhere (Depth Anything 3).
"""

Interpolation = Literal["nearest", "linear", "cubic", "area", "area_linear", "pil_bicubic"]
"""``area_linear``: area when the picture shrinks, linear when it grows. ``pil_bicubic``:
antialiased bicubic on uint8, as transformers' processors do."""


@dataclass(frozen=True, kw_only=True)
class PreprocessSpec:
    """From a picture to the network's input, and back.

    Attributes:
        size: (height, width) that ``resize`` refers to, in pixels.
        resize: see :data:`ResizeRule`.
        multiple_of: both sides of the input are rounded to a multiple of this.
        crop: shares of the picture's height and width, about its middle, that the network sees;
            of the rest the map knows nothing.
        interpolation: of the picture on its way in.
        mean, std: per channel, for RGB in [0, 1]: x = (rgb - mean) / std.
        output_interpolation: of the map on its way back to the picture's size.
        output_align_corners: whether the way back maps corner pixels to corner pixels.
        input_align_corners: the same for the way in; ``nearest`` and ``linear`` only.
        max_aspect: the long side counts as at most this many short sides, so that memory stays
            bounded; None: as it is, as the originals do.
        pixels: fewest and most pixels of the input where ``resize`` is ``pixel_range``.
        letterbox_level: grey level, 0 to 255, around the picture where ``resize`` is ``letterbox``;
            one number, or one per channel.
        nan_is_hole: a NaN of the network says that its map ends there (Eigen 2014 with
            ``full_frame``); otherwise it is a failure, as what is infinite always is.
    """

    size: tuple[int, int]
    resize: ResizeRule = "lower_bound"
    multiple_of: int = 1
    crop: tuple[float, float] = (1.0, 1.0)
    interpolation: Interpolation = "cubic"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    output_interpolation: Literal["linear", "cubic"] = "linear"
    output_align_corners: bool = False
    input_align_corners: bool = False
    max_aspect: float | None = 4.0
    pixels: tuple[int, int] = (200_000, 600_000)
    letterbox_level: float | tuple[float, float, float] = 114
    nan_is_hole: bool = False


_Channels = tuple[float, float, float]

NORMALIZE: Mapping[str, tuple[_Channels, _Channels]] = MappingProxyType(
    {
        "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        "none": ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
    }
)
"""Usual normalisations -> mean and std for RGB in [0, 1]: ImageNet's; to [-1, 1]; to [0, 1]; none,
so that the network gets grey levels 0 to 255 and normalises them itself."""


# fmt: off
Role = Literal[
    "depth", "confidence", "normal", "points", "sky", "mask",
    "focal", "scale", "intrinsics", "pose", "rays",
]
# fmt: on
"""What an output is for. ``depth``: the map itself, of the model's kind; ``sky`` and ``mask``:
probabilities (of sky; of a value that counts); ``scale``: a factor on depth and points."""

ShapeClass = Literal["map", "vector_map", "per_picture"]
"""``map``: (b, h, w); ``vector_map``: (b, 3, h, w); ``per_picture``: (b,) or (b, ...). A network of
several views gives each with an axis of views behind the batch: (b, v, ...). A pose is (3, 4) or
(4, 4), camera_from_world."""

MirrorRule = Literal["mirror", "mirror_negate_x", "same", "first"]
"""What mirroring the picture does to an output, so that two looks can be averaged: its columns are
mirrored; so are they, and x changes its sign; nothing changes; or no average makes sense, and the
output of the picture itself is taken."""


@dataclass(frozen=True, kw_only=True)
class OutputSpec:
    """One output of a network.

    Attributes:
        role: what it is for.
        shape: its shape class.
        mirror: what mirroring the picture does to it.
        unit: of its values: ``"kind"`` (what the model's DepthKind says), ``"m"``, ``"1"``,
            ``"input_px"`` (pixels of the network's input), ``"input_px_corner"`` (of a matrix K
            whose origin is the picture's corner, half a pixel from ours), ``"deg"`` (horizontal
            field of view).
    """

    role: Role
    shape: ShapeClass = "map"
    mirror: MirrorRule = "mirror"
    unit: str = "1"


_VECTORS: dict[str, Any] = {"shape": "vector_map", "mirror": "mirror_negate_x"}
_NUMBER: dict[str, Any] = {"shape": "per_picture", "mirror": "same"}

OUTPUTS: Mapping[str, OutputSpec] = MappingProxyType(
    {
        "depth": OutputSpec(role="depth", unit="kind"),
        "canonical_inverse_depth": OutputSpec(role="depth"),
        "confidence": OutputSpec(role="confidence"),
        "depth_conf": OutputSpec(role="confidence"),
        "normal": OutputSpec(role="normal", **_VECTORS),
        "points": OutputSpec(role="points", unit="kind", **_VECTORS),
        "rays": OutputSpec(role="rays", **_VECTORS),
        "sky": OutputSpec(role="sky"),
        "mask": OutputSpec(role="mask"),
        "focal_px": OutputSpec(role="focal", unit="input_px", **_NUMBER),
        "fov_deg": OutputSpec(role="focal", unit="deg", **_NUMBER),
        "metric_scale": OutputSpec(role="scale", **_NUMBER),
        "intrinsics": OutputSpec(
            role="intrinsics", shape="per_picture", mirror="first", unit="input_px"
        ),
        "extrinsics": OutputSpec(role="pose", shape="per_picture", mirror="first", unit="m"),
    }
)
"""The outputs that the networks of this field give, by the names used here."""

InputName = Literal["image", "intrinsics", "focal_px", "prompt_depth"]
"""What a network can ask for: ``image`` (b, 3, h, w); ``intrinsics`` (b, 3, 3), K in pixels of the
input; ``focal_px`` (b,), fx in pixels of the input; ``prompt_depth`` (b, h, w), sparse or coarse
metres, 0 where unknown."""

# fmt: off
Decoder = Literal[
    "depth", "canonical_depth", "canonical_depth_of_mean_focal", "width_disparity",
    "inverse_depth_with_focal", "point_map",
]
# fmt: on
"""How outputs become a Prediction; see :mod:`leadline.decode`."""


def name_outputs(*names: str) -> Mapping[str, OutputSpec]:
    """The entries of :data:`OUTPUTS` with these names, in this order.

    Raises:
        UnknownNameError: no such output.
    """
    for name in names:
        if name not in OUTPUTS:
            raise UnknownNameError("output", name, OUTPUTS)
    return MappingProxyType({name: OUTPUTS[name] for name in names})


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """One file of weights: where it is, how big, and under which terms.

    Attributes:
        file: file name inside the package (``embedded``) or on the hub.
        repo: hub id ``owner/name``; None when the file ships inside the package.
        revision: the hub's commit to take; None: the newest at the first download.
        size_mb: size on disk in 10^6 bytes.
        sha256: digest of the file, or None when the authors do not publish one.
        licence: SPDX name or short words.
    """

    file: str
    repo: str | None = None
    size_mb: float | None = None
    sha256: str | None = None
    licence: str = "unknown"
    revision: str | None = None

    @property
    def embedded(self) -> bool:
        """Whether the file ships inside the package."""
        return self.repo is None


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """One entry of the catalogue: everything but the weights' numbers.

    Attributes:
        name: the name that ``leadline.load`` takes.
        architecture: key of ``leadline.models``, or None when no torch module exists (superpixel).
        options: arguments of ``leadline.models.build`` that make this variant.
        kind: what the output means.
        preprocess: what the network wants.
        weights: where weights are, best first; empty when nobody publishes any, or when Leadline
            cannot fetch them.
        advice: without ``weights``: how to come by some, in a sentence or two.
        summary: one line for people.
        paper: where the method was published.
        max_depth: metres; for metric models.
        inputs: what the network asks for.
        outputs: what it gives, by name. The map is the one whose role is ``depth``, or else
            ``points``.
        decoder: how the outputs become a Prediction.
        canonical_focal_px: for ``canonical_depth``: focal length, in pixels of the network's
            input, of the one camera whose depths the network gives.
        max_views: how many pictures of one scene the network takes together.
        clip_frames: how many frames of a film the network takes together; see
            :mod:`leadline.video`.
        horizontal_flip_safe: whether averaging with the mirrored picture makes sense.
        precision: the fastest arithmetic at which the model is known to be right; ``bf16`` is
            then chosen by itself where the processor has it.
        runtime: the only runtime that runs it; None where the file's suffix tells.
    """

    name: str
    kind: DepthKind
    preprocess: PreprocessSpec
    architecture: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    weights: tuple[WeightsFile, ...] = ()
    advice: str = ""
    summary: str = ""
    paper: str = ""
    max_depth: float | None = None
    inputs: tuple[InputName, ...] = ("image",)
    outputs: Mapping[str, OutputSpec] = field(default_factory=lambda: name_outputs("depth"))
    decoder: Decoder = "depth"
    canonical_focal_px: float | None = None
    max_views: int = 1
    clip_frames: int = 1
    horizontal_flip_safe: bool = True
    precision: Literal["f32", "bf16"] = "f32"
    runtime: Literal["superpixel", "transformers"] | None = None


SCHEMA = 2
"""Version of the sidecar's keys. 1 kept the decoder's settings in ``preprocess``."""


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """``<model file>.json``: what an exported or trained network needs to be run rightly.

    ``inputs`` and ``outputs`` map the file's tensor names to ours; ``output_specs`` says what ours
    are. ``digest`` is the sha256 of the exported file. ``architecture`` and ``options`` build the
    network of trained weights, where the name is no catalogue entry's. The other fields are those
    of :class:`ModelSpec`.
    """

    name: str
    kind: DepthKind
    preprocess: PreprocessSpec
    inputs: Mapping[str, str] = field(default_factory=lambda: {"image": "image"})
    outputs: Mapping[str, str] = field(default_factory=lambda: {"depth": "depth"})
    output_specs: Mapping[str, OutputSpec] = field(default_factory=dict)
    decoder: Decoder = "depth"
    canonical_focal_px: float | None = None
    max_views: int = 1
    max_depth: float | None = None
    horizontal_flip_safe: bool | None = None
    precision: Literal["f32", "bf16"] = "f32"
    licence: str = "unknown"
    leadline_version: str = ""
    digest: str | None = None
    architecture: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    @classmethod
    def of(
        cls,
        spec: ModelSpec,
        *,
        inputs: Mapping[str, str] | None = None,
        outputs: Mapping[str, str] | None = None,
        digest: str | None = None,
        licence: str | None = None,
    ) -> Sidecar:
        """The description of a file that holds ``spec``'s network.

        Args:
            spec: what the model is.
            inputs: the file's tensor name -> ours; default: they are the same.
            outputs: the same for outputs.
            digest: sha256 of the file, where it must not change.
            licence: of the weights; default: of the spec's first weights.
        """
        if licence is None:
            licence = spec.weights[0].licence if spec.weights else "unknown"
        return cls(
            **{name: getattr(spec, name) for name in _SHARED},
            inputs=inputs or {name: name for name in spec.inputs},
            outputs=outputs or {name: name for name in spec.outputs},
            output_specs=spec.outputs,
            licence=licence,
            leadline_version=__version__,
            digest=digest,
        )

    def to_spec(self, file: str, known: ModelSpec | None = None) -> ModelSpec:
        """The model that this describes.

        Args:
            file: name of the described file.
            known: the catalogue's entry of that name, for what the description leaves open.
        """
        shared = {name: getattr(self, name) for name in _SHARED}
        if known is not None:
            shared["architecture"] = self.architecture or known.architecture
            shared["options"] = self.options or known.options
        if shared["horizontal_flip_safe"] is None:
            shared["horizontal_flip_safe"] = known.horizontal_flip_safe if known else True
        return ModelSpec(
            **shared,
            inputs=_known_inputs(self.inputs.values()),
            outputs=self.output_specs or name_outputs(*self.outputs.values()),
            weights=(WeightsFile(file=file, licence=self.licence),),
            summary=known.summary if known else "",
            paper=known.paper if known else "",
            runtime=known.runtime if known else None,
        )

    def to_json(self) -> str:
        """The sidecar's text."""
        specs = {name: asdict(spec) for name, spec in self.output_specs.items()}
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        plain |= {"preprocess": asdict(self.preprocess), "output_specs": specs}
        plain |= {name: dict(plain[name]) for name in ("inputs", "outputs", "options")}
        return json.dumps(plain, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, *, where: str = "sidecar") -> Sidecar:
        """Read :meth:`to_json`'s text.

        Raises:
            InputError: not JSON, unknown or missing keys, or an unknown kind.
        """
        try:
            data = freeze_lists(_upgrade(json.loads(text)))
            data["kind"] = DepthKind(data["kind"])
            data["preprocess"] = _make(PreprocessSpec, data["preprocess"])
            specs = data.get("output_specs", {})
            data["output_specs"] = {name: _make(OutputSpec, spec) for name, spec in specs.items()}
            return _make(cls, data)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            known = ", ".join(f.name for f in fields(cls))
            raise InputError(
                f"{where} cannot be read as a model description ({' '.join(str(error).split())}). "
                f"name, kind and preprocess are needed; {known} are known, and preprocess knows "
                f"{', '.join(f.name for f in fields(PreprocessSpec))}. Correct it "
                "(docs/bring-your-own-onnx.md), or export the model again with `leadline export`."
            ) from error


_T = TypeVar("_T")

_SHARED = (
    *("name", "kind", "preprocess", "architecture", "options", "decoder", "canonical_focal_px"),
    *("max_views", "max_depth", "horizontal_flip_safe", "precision"),
)
"""What a ModelSpec and a Sidecar both have."""


def sidecar_path(model_file: str | Path) -> Path:
    """Where the sidecar of ``model_file`` lies: its name with ``.json`` in place of the suffix."""
    return Path(model_file).with_suffix(".json")


def _upgrade(data: dict[str, Any]) -> dict[str, Any]:
    """A description of schema 1 in the keys of today."""
    if data.get("schema", 1) != 1:
        return data
    preprocess = dict(data["preprocess"])
    focal_px = preprocess.pop("canonical_focal_px", None)
    in_widths = preprocess.pop("in_widths", False)
    decoder = "depth"
    if focal_px:
        decoder = "canonical_depth"
    elif in_widths and data["kind"] == DepthKind.PIXEL_DISPARITY:
        decoder = "width_disparity"
    said_before = {"decoder": decoder, "canonical_focal_px": focal_px}
    return said_before | data | {"preprocess": preprocess, "schema": SCHEMA}


def _make(cls: type[_T], values: Any) -> _T:
    check_fields(cls, values)
    return cls(**values)


def _known_inputs(names: Collection[str]) -> tuple[InputName, ...]:
    known: dict[str, InputName] = {name: name for name in get_args(InputName)}
    for name in names:
        if name not in known:
            raise UnknownNameError("input", name, known)
    return tuple(known[name] for name in names)


def freeze_lists(value: Any) -> Any:
    """Lists as tuples, at any depth: JSON and TOML have no tuples, and configs no lists."""
    if isinstance(value, (list, tuple)):
        return tuple(freeze_lists(item) for item in value)
    if isinstance(value, Mapping):
        return {key: freeze_lists(item) for key, item in value.items()}
    return value
