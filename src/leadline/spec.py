"""What a model is and what it wants, as data: PreprocessSpec, WeightsFile, ModelSpec, Sidecar.

All of it is JSON-able, so that an exported file carries its own description beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from leadline.errors import InputError
from leadline.kinds import DepthKind

ResizeRule = Literal["lower_bound", "upper_bound", "minimal", "short_side", "area", "exact"]
"""How a picture meets ``PreprocessSpec.size``, keeping its aspect unless ``exact``:

- ``lower_bound``: scale so that both sides are at least the size (Depth Anything);
- ``upper_bound``: both sides at most the size (MiDaS 2.1);
- ``minimal``: the side whose scale is nearest to 1 decides (DPT, MiDaS 3, ZoeDepth);
- ``short_side``: the short side becomes the size's smaller number;
- ``area``: as many pixels as the size has, so that pictures of every shape take the same time;
- ``exact``: stretch to (height, width), losing the aspect (DenseDepth, Monodepth).
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
        canonical_focal_px: focal length, in pixels of the network's input, of the one camera whose
            depths the network gives (Yin et al., Metric3D, ICCV 2023, section 3.2). With the
            picture's own camera they become metres on the way back; without, they stay right up to
            a scale. None: the network does not ask for the camera.
        in_widths: the network gives disparities in widths of its input; those that are
            ``pixel_disparity`` become pixels on the way back.
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
    canonical_focal_px: float | None = None
    in_widths: bool = False
    nan_is_hole: bool = False


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """One file of weights: where it is, how big, and under which terms.

    Attributes:
        file: file name inside the package (``embedded``) or on the hub.
        repo: hub id ``owner/name``; None when the file ships inside the package.
        size_mb: size on disk in 10^6 bytes.
        sha256: digest of the file, or None when the authors do not publish one.
        licence: SPDX name or short words.
    """

    file: str
    repo: str | None = None
    size_mb: float | None = None
    sha256: str | None = None
    licence: str = "unknown"

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
    horizontal_flip_safe: bool = True
    precision: Literal["f32", "bf16"] = "f32"
    runtime: Literal["superpixel"] | None = None


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """``<model file>.json``: what an exported or trained network needs to be run rightly.

    ``inputs`` and ``outputs`` map the file's tensor names to ours (``image``, ``intrinsics``;
    ``depth``, ``confidence``). ``digest`` is the sha256 of the exported file. ``architecture`` and
    ``options`` build the network of trained weights, where the name is no catalogue entry's.
    """

    name: str
    kind: DepthKind
    preprocess: PreprocessSpec
    inputs: Mapping[str, str] = field(default_factory=lambda: {"image": "image"})
    outputs: Mapping[str, str] = field(default_factory=lambda: {"depth": "depth"})
    max_depth: float | None = None
    precision: Literal["f32", "bf16"] = "f32"
    licence: str = "unknown"
    leadline_version: str = ""
    digest: str | None = None
    architecture: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    schema: int = 1

    def to_json(self) -> str:
        """The sidecar's text."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str, *, where: str = "sidecar") -> Sidecar:
        """Read :meth:`to_json`'s text.

        Raises:
            InputError: not JSON, unknown or missing keys, or an unknown kind.
        """
        try:
            data = json.loads(text)
            data["kind"] = DepthKind(data["kind"])
            data["preprocess"] = _preprocess_from(data["preprocess"])
            data["options"] = _with_tuples(data.get("options", {}))
            return cls(**data)
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            known = ", ".join(f.name for f in fields(cls))
            raise InputError(
                f"{where} cannot be read as a model description ({error}). It needs the keys "
                f"{known}; export the model again with `leadline export`."
            ) from error


def sidecar_path(model_file: str | Path) -> Path:
    """Where the sidecar of ``model_file`` lies: its name with ``.json`` in place of the suffix."""
    return Path(model_file).with_suffix(".json")


def _with_tuples(value: Any) -> Any:
    """Lists as tuples, which JSON does not have and configs are made of."""
    if isinstance(value, list):
        return tuple(_with_tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: _with_tuples(item) for key, item in value.items()}
    return value


def _preprocess_from(data: dict[str, Any]) -> PreprocessSpec:
    given: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
    }
    return PreprocessSpec(**given)
