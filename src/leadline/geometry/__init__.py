"""Depth from motion: what two or more pictures of one scene tell about it.

Pixels are (n, 2) arrays of x and y with centres of pixels at integers; cameras look along z, x
right, y down; poses are ``world_from_camera``; depth is z. See docs/conventions.md. Two pictures
alone give everything up to one scale: metres come from poses in metres, a known baseline, or the
height of the camera above the ground.

Needs OpenCV: ``pip install 'leadline[geometry]'``.
"""

from leadline.geometry.epipolar import (
    epipolar_lines,
    epipoles,
    fundamental_from_cameras,
    line_ends,
    sampson_error,
    second_from_first,
)
from leadline.geometry.matching import DETECTORS, Features, Matches, detect, match, match_features
from leadline.geometry.triangulation import Points, triangulate

__all__ = [
    "DETECTORS",
    "Features",
    "Matches",
    "Points",
    "detect",
    "epipolar_lines",
    "epipoles",
    "fundamental_from_cameras",
    "line_ends",
    "match",
    "match_features",
    "sampson_error",
    "second_from_first",
    "triangulate",
]
