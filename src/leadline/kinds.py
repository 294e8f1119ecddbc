"""DepthKind: what the numbers of a depth map mean."""

from __future__ import annotations

from enum import StrEnum


class DepthKind(StrEnum):
    """What the values of a map mean; the string is stored in every file and catalogue entry.

    ``depth`` is always z, the distance along the optical axis, never the range along the ray.
    ``affine`` means known up to one scale and one shift; ``scaled``, up to one scale.
    """

    METRIC_DEPTH = "metric_depth"
    """Metres along the optical axis."""
    SCALED_DEPTH = "scaled_depth"
    """Depth times one unknown positive scale."""
    AFFINE_DEPTH = "affine_depth"
    """Depth times an unknown positive scale plus an unknown shift."""
    AFFINE_DISPARITY = "affine_disparity"
    """Inverse depth times an unknown positive scale plus an unknown shift; larger = nearer."""
    SCALED_DISPARITY = "scaled_disparity"
    """Inverse depth times one unknown positive scale; larger = nearer."""
    PIXEL_DISPARITY = "pixel_disparity"
    """Horizontal offset in pixels between a rectified stereo pair; larger = nearer."""

    @property
    def larger_is_nearer(self) -> bool:
        """True for disparities, False for depths."""
        return self in (
            DepthKind.AFFINE_DISPARITY,
            DepthKind.SCALED_DISPARITY,
            DepthKind.PIXEL_DISPARITY,
        )

    @property
    def is_metric(self) -> bool:
        """True when the values are metres."""
        return self is DepthKind.METRIC_DEPTH

    @property
    def unit(self) -> str:
        """Unit to print beside a value: ``"m"``, ``"px"``, or ``"1"`` when unknown by a scale."""
        return {DepthKind.METRIC_DEPTH: "m", DepthKind.PIXEL_DISPARITY: "px"}.get(self, "1")
