"""Decode: what a network's outputs mean, at the picture's size: one table of decoders.

:func:`decode` turns restored arrays into a Prediction. What all decoders share (confidence,
normals, points, sky, a predicted lens) is done here by the outputs' roles; :data:`DECODERS` holds
what differs: how the map gets its values and its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from leadline.camera import Camera
from leadline.errors import InputError
from leadline.kinds import DepthKind
from leadline.prediction import Prediction
from leadline.preprocess import Prepared
from leadline.spec import Decoder, ModelSpec, OutputSpec, Role


@dataclass(frozen=True, kw_only=True)
class _Decoded:
    """A map with its meaning.

    Attributes:
        values: (h, w) float32.
        kind: what they mean.
        factor: what points of the network are multiplied by to get the map's unit.
    """

    values: np.ndarray
    kind: DepthKind
    factor: float = 1.0


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
        picture's camera, or else the one that the network predicts. At another size than the
        picture's the prediction holds no picture.

    Raises:
        InputError: the decoder needs an output or a camera that is not there.
    """
    roles = {spec.outputs[name].role: array for name, array in arrays.items() if name != "valid"}
    camera = prepared.camera or _predict_camera(arrays, spec.outputs, prepared)
    if camera is not None and "pose" in roles:
        camera = camera.moved(_invert_pose(roles["pose"]))
    decoded = DECODERS[spec.decoder](roles, spec, prepared, camera)
    values, image = decoded.values, prepared.image
    if values.shape != prepared.size:
        camera, image = camera and camera.resized(values.shape[1], values.shape[0]), None
    points = roles.get("points")
    return Prediction(
        values=values,
        kind=decoded.kind,
        camera=camera,
        valid=_join_masks(arrays.get("valid"), roles.get("mask")),
        confidence=roles.get("confidence"),
        normals=_normalize(roles["normal"]) if "normal" in roles else None,
        points=None if points is None else points * np.float32(decoded.factor),
        sky=roles["sky"] > 0.5 if "sky" in roles else None,
        model=spec.name,
        image=image,
    )


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
    decoded = _decode_depth(roles, spec, prepared, camera)
    seen = prepared.input_camera
    if spec.canonical_focal_px is None or seen is None:
        return decoded
    factor = seen.fy / spec.canonical_focal_px
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
            "the network says the focal length; give it (--fov DEGREES)."
        )
    inverse = roles["depth"] * np.float32(prepared.size[1] / camera.fx)
    return _Decoded(values=1 / np.clip(inverse, 1e-4, 1e4), kind=spec.kind)


DECODERS: Mapping[Decoder, _Decode] = MappingProxyType(
    {
        "depth": _decode_depth,
        "canonical_depth": _decode_canonical_depth,
        "width_disparity": _decode_width_disparity,
        "inverse_depth_with_focal": _decode_inverse_depth_with_focal,
    }
)
"""Name -> how outputs, by role, become a map with its meaning."""


def _predict_camera(
    arrays: Mapping[str, np.ndarray], outputs: Mapping[str, OutputSpec], prepared: Prepared
) -> Camera | None:
    """The lens that the network predicts, as the picture's camera; None where it does not."""
    height, width = prepared.input_size
    for name, array in arrays.items():
        role = outputs[name].role if name in outputs else None
        if role == "focal" and outputs[name].unit == "deg":
            camera = Camera.from_fov(width, height, fov_deg=float(array), source="predicted")
        elif role == "focal":
            camera = Camera.from_focal(width, height, focal_px=float(array), source="predicted")
        elif role == "intrinsics":
            (fx, _, cx), (_, fy, cy) = array[:2].astype(np.float64).tolist()
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
