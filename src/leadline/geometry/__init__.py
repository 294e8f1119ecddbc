"""Depth from motion: what two or more pictures of one scene say about it.

Pixels are (n, 2) arrays of x and y with centres of pixels at integers; cameras look along z, x
right, y down; poses are ``world_from_camera``; depth is z. See docs/conventions.md. Two pictures
alone give everything up to one scale: metres come from poses in metres, a known baseline, or the
height of the camera above the ground.

Needs OpenCV: ``pip install 'leadline[geometry]'``.
"""

from leadline.geometry.drawing import draw_epipolar
from leadline.geometry.epipolar import (
    epipolar_lines,
    fundamental_from_cameras,
    line_ends,
    sampson_error,
    second_from_first,
)
from leadline.geometry.filling import complete, fill
from leadline.geometry.flow import FLOW_SIDE, Flow, is_cut
from leadline.geometry.fusion import Box, Volume, fuse
from leadline.geometry.matching import DETECTORS, Features, Matches, detect, match, match_features
from leadline.geometry.pose import RelativePose, decompose_essential, relative_pose
from leadline.geometry.pose_alignment import Similarity, fit_similarity, normalise_poses
from leadline.geometry.pose_refinement import (
    RefinementConfig,
    SparseDepth,
    refine_poses,
    sparse_depth,
)
from leadline.geometry.ray_pose import camera_from_rays
from leadline.geometry.rectification import RectifiedPair, depth_from_pair, rectify
from leadline.geometry.stereo_matching import (
    CONFIDENT,
    StereoConfig,
    check_rectified,
    stereo_disparity,
)
from leadline.geometry.sweep import SweepConfig, check_poses, plane_sweep
from leadline.geometry.triangulation import Points, triangulate
from leadline.geometry.two_view import TwoView, fundamental, homography

__all__ = [
    "CONFIDENT",
    "DETECTORS",
    "FLOW_SIDE",
    "Box",
    "Features",
    "Flow",
    "Matches",
    "Points",
    "RectifiedPair",
    "RefinementConfig",
    "RelativePose",
    "Similarity",
    "SparseDepth",
    "StereoConfig",
    "SweepConfig",
    "TwoView",
    "Volume",
    "camera_from_rays",
    "check_poses",
    "check_rectified",
    "complete",
    "decompose_essential",
    "depth_from_pair",
    "detect",
    "draw_epipolar",
    "epipolar_lines",
    "fill",
    "fit_similarity",
    "fundamental",
    "fundamental_from_cameras",
    "fuse",
    "homography",
    "is_cut",
    "line_ends",
    "match",
    "match_features",
    "normalise_poses",
    "plane_sweep",
    "rectify",
    "refine_poses",
    "relative_pose",
    "sampson_error",
    "second_from_first",
    "sparse_depth",
    "stereo_disparity",
    "triangulate",
]
