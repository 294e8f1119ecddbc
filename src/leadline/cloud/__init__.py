"""From a depth map and a camera to points, normals and meshes; numpy only."""

from leadline.cloud.measures import (
    FOCAL_ERRORS,
    QUANTITIES,
    Measure,
    Quantity,
    lift_pixels,
    measure_points,
)

__all__ = [
    "FOCAL_ERRORS",
    "QUANTITIES",
    "Measure",
    "Quantity",
    "lift_pixels",
    "measure_points",
]
