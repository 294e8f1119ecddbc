"""Decode: what a network's outputs mean, at the picture's size: one table of decoders.

:func:`decode` turns restored arrays into a Prediction. What all decoders share (confidence,
normals, points, sky, a predicted lens) is done here by the outputs' roles; :data:`DECODERS` holds
what differs: how the map gets its values and its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from leadline.camera import Camera
from leadline.errors import InputError
from leadline.kinds import DepthKind
from leadline.point_map import resolve_points
from leadline.prediction import Prediction
from leadline.prepared import Prepared
from leadline.spec import Decoder, ModelSpec, OutputSpec, Role


@dataclass(frozen=True, kw_only=True)
class _Decoded:
    """A map with its meaning, and what came out beside it.

    Attributes:
        values: (h, w) float32.
        kind: what they mean.
        factor: what points of the network are multiplied by to get the map's unit.
        found: fields of the Prediction that the decoder itself found.
    """

    values: np.ndarray
    kind: DepthKind
    factor: float = 1.0
    found: Mapping[str, Any] = field(default_factory=dict)


_Roles = Mapping[Role, np.ndarray]
_Decode = Callable[[_Roles, ModelSpec, Prepared, Camera | None], _Decoded]


def decode(arrays: Mapping[str, np.ndarray], spec: ModelSpec, prepared: Prepared) -> Prediction:
    """What restored arrays say about a picture.

    Args:
        arrays: from :meth:`leadline.preprocess.Preprocess.restore`, by output name.
        spec: what the model is.
        prepared: what the picture was made into.

    Returns:
        The map with its kind; confidence, normals, points and sky where the network gives them; the
        picture's camera, or else the one that the network predicts. Where the network predicts
        poses, its own lens goes with them. At another size than the picture's the prediction holds
        no picture.

    Raises:
        InputError: the decoder needs an output or a camera that is not there.
    """
    roles = {spec.outputs[name].role: array for name, array in arrays.items() if name != "valid"}
    camera = prepared.camera
    if camera is None or "pose" in roles:
        camera = _predict_camera(arrays, spec.outputs, prepared) or camera
    if camera is not None and "pose" in roles:
        camera = camera.moved(_invert_pose(roles["pose"]))
    decoded = DECODERS[spec.decoder](roles, spec, prepared, camera)
    points, normals = roles.get("points"), roles.get("normal")
    fields: dict[str, Any] = {
        "camera": camera,
        "valid": _join_masks(arrays.get("valid"), roles.get("mask")),
        "confidence": roles.get("confidence"),
        "normals": None if normals is None else _normalize(normals),
        "points": None if points is None else points * np.float32(decoded.factor),
        "sky": roles["sky"] > 0.5 if "sky" in roles else None,
        "image": prepared.image,
        **decoded.found,
    }
    height, width = decoded.values.shape
    if (height, width) != prepared.size:
        camera = fields["camera"]
        fields |= {"camera": camera and camera.resized(width, height), "image": None}
    return Prediction(values=decoded.values, kind=decoded.kind, model=spec.name, **fields)


def _decode_depth(
    roles: _Roles, spec: ModelSpec, prepared: Prepared, camera: Camera | None
) -> _Decoded:
    """The map is what it is; without one, the z of the points. A ``scale`` multiplies both."""
    del prepared, camera
    values = roles["depth"] if "depth" in roles else roles["points"][..., 2]
    if "scale" not in roles:
        return _Decoded(values=values, kind=spec.kind)
    factor = float(roles["scale"])
    return _Decoded(values=values * np.float32(factor), kind=spec.kind, factor=factor)


def _decode_canonical_depth(
    roles: _Roles, spec: ModelSpec, prepared: Prepared, camera: Camera | None
) -> _Decoded:
    """Depths of one canonical camera: metres with the picture's own, right up to a scale without.

    z = fy / canonical_focal_px * network, with fy in pixels of the network's input.

    Source: Yin et al., Metric3D, ICCV 2023, section 3.2.
    """
    decoded, seen = _decode_depth(roles, spec, prepared, camera), prepared.input_camera
    return decoded if seen is None else _scale_to_lens(decoded, spec, seen.fy)


def _decode_canonical_depth_of_mean_focal(
    roles: _Roles, spec: ModelSpec, prepared: Prepared, camera: Camera | None
) -> _Decoded:
    """The same by the mean of fx and fy (Depth Anything 3's metric network)."""
    decoded, seen = _decode_depth(roles, spec, prepared, camera), prepared.input_camera
    return decoded if seen is None else _scale_to_lens(decoded, spec, (seen.fx + seen.fy) / 2)


def _scale_to_lens(decoded: _Decoded, spec: ModelSpec, focal_px: float) -> _Decoded:
    if spec.canonical_focal_px is None:
        return decoded
    factor = focal_px / spec.canonical_focal_px
    return _Decoded(
        values=decoded.values * np.float32(factor),
        kind=DepthKind.METRIC_DEPTH,
        factor=decoded.factor * factor,
    )


def _decode_width_disparity(
    roles: _Roles, spec: ModelSpec, prepared: Prepared, camera: Camera | None
) -> _Decoded:
    """Disparities in widths of the network's input become pixels of the map (Monodepth)."""
    del camera
    values = roles["depth"]
    pixels = values * np.float32(values.shape[1] * prepared.seen_width / prepared.size[1])
    return _Decoded(values=pixels, kind=spec.kind)


def _decode_inverse_depth_with_focal(
    roles: _Roles, spec: ModelSpec, prepared: Prepared, camera: Camera | None
) -> _Decoded:
    """Inverse depth C of a camera as wide as it is far: z = fx / (width C), C within 1e-4 .. 1e4.

    Source: Bochkovskii et al., Depth Pro, ICLR 2025, section 3.
    """
    if camera is None:
        raise InputError(
            f"{spec.name} gives inverse depth for a lens of one width, and neither the picture nor "
            "the network says a focal length that can be; give it (--fov DEGREES)."
        )
    inverse = roles["depth"] * np.float32(prepared.size[1] / camera.fx)
    return _Decoded(values=1 / np.clip(inverse, 1e-4, 1e4), kind=spec.kind)


def _decode_point_map(
    roles: _Roles, spec: ModelSpec, prepared: Prepared, camera: Camera | None
) -> _Decoded:
    """Points up to a shift along z become a map, points and a lens (MoGe); see point_map."""
    del camera
    known = prepared.camera
    found = resolve_points(
        roles["points"],
        roles.get("mask"),
        normal=roles.get("normal"),
        metric_scale=float(roles.get("scale", 1.0)),
        fov_x_deg=None if known is None else known.fov_deg,
        apply_mask=False,
    )
    fields = {"points": found.points, "valid": found.valid, "camera": known or found.camera}
    return _Decoded(values=found.depth, kind=spec.kind, found=fields)


DECODERS: Mapping[Decoder, _Decode] = MappingProxyType(
    {
        "depth": _decode_depth,
        "canonical_depth": _decode_canonical_depth,
        "canonical_depth_of_mean_focal": _decode_canonical_depth_of_mean_focal,
        "width_disparity": _decode_width_disparity,
        "inverse_depth_with_focal": _decode_inverse_depth_with_focal,
        "point_map": _decode_point_map,
    }
)
"""Name -> how outputs, by role, become a map with its meaning."""


def _predict_camera(
    arrays: Mapping[str, np.ndarray], outputs: Mapping[str, OutputSpec], prepared: Prepared
) -> Camera | None:
    """The lens that the network predicts, as the picture's camera; None where it says none."""
    height, width = prepared.input_size
    for name, array in arrays.items():
        role = outputs[name].role if name in outputs else None
        if role == "focal" and not 0 < float(array) < (180 if outputs[name].unit == "deg" else 1e9):
            return None  # a failure of the network; what needs the lens asks for it
        if role == "focal" and outputs[name].unit == "deg":
            camera = Camera.from_fov(width, height, fov_deg=float(array), source="predicted")
        elif role == "focal":
            camera = Camera.from_focal(width, height, focal_px=float(array), source="predicted")
        elif role == "intrinsics":
            (fx, _, cx), (_, fy, cy) = array[:2].astype(np.float64).tolist()
            if outputs[name].unit == "input_px_corner":
                cx, cy = cx - 0.5, cy - 0.5
            camera = Camera(
                width=width, height=height, fx=fx, fy=fy, cx=cx, cy=cy, source="predicted"
            )
        else:
            continue
        return prepared.to_picture_camera(camera)
    return None


def _invert_pose(camera_from_world: np.ndarray) -> np.ndarray:
    """4x4 world_from_camera of a (3, 4) or (4, 4) rigid transform."""
    rotation = camera_from_world[:3, :3].astype(np.float64)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation.T, -rotation.T @ camera_from_world[:3, 3]
    return pose


def _join_masks(valid: np.ndarray | None, mask: np.ndarray | None) -> np.ndarray | None:
    if mask is None:
        return valid
    kept = mask > 0.5
    return kept if valid is None else kept & valid


def _normalize(normals: np.ndarray) -> np.ndarray:
    """Unit vectors (h, w, 3); averages and resizing leave shorter ones. NaN where there is none."""
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.where(length > 0, normals / np.where(length > 0, length, 1), np.nan)
