"""Sequences: what many frames of a moving camera give together."""

from leadline.sequence.motion_metres import (
    KeyframeFit,
    MotionConfig,
    MotionFit,
    metres_from_motion,
    motion_fit,
)
from leadline.sequence.odometry import OdometryConfig, Trajectory, track
from leadline.sequence.posed_frames import (
    dense_map,
    depth_range,
    sources_for,
    sparse_map,
    triangulate_posed,
)
from leadline.sequence.posed_maps import predict_posed
from leadline.sequence.scale import scale_by_baseline, scale_by_height

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
    "predict_posed",
    "scale_by_baseline",
    "scale_by_height",
    "sources_for",
    "sparse_map",
    "track",
    "triangulate_posed",
]
