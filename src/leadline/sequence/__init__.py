"""Sequences: what many frames with a moving camera tell together."""

from leadline.sequence.motion_metres import (
    KeyframeFit,
    MotionConfig,
    MotionFit,
    metres_from_motion,
    motion_fit,
)
from leadline.sequence.odometry import OdometryConfig, Trajectory, track
from leadline.sequence.posed import (
    dense_map,
    depth_range,
    sources_for,
    sparse_map,
    triangulate_posed,
)
from leadline.sequence.scale import scaled_by_baseline, scaled_by_height

__all__ = [
    "KeyframeFit",
    "MotionConfig",
    "MotionFit",
    "OdometryConfig",
    "Trajectory",
    "dense_map",
    "depth_range",
    "metres_from_motion",
    "motion_fit",
    "scaled_by_baseline",
    "scaled_by_height",
    "sources_for",
    "sparse_map",
    "track",
    "triangulate_posed",
]
