"""Sequences: what many frames with a moving camera tell together."""

from leadline.sequence.motion_metres import (
    KeyframeFit,
    MotionConfig,
    MotionFit,
    metres_from_motion,
    motion_fit,
)

__all__ = ["KeyframeFit", "MotionConfig", "MotionFit", "metres_from_motion", "motion_fit"]
