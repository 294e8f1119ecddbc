"""Dense depth on real frames, where they are here."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2")

from leadline.datasets.rgbd import seven_scenes_refs
from leadline.datasets.stereo import middlebury_refs
from leadline.geometry import CONFIDENT, plane_sweep, stereo_disparity

DATA = Path(__file__).parents[3] / "shared" / "data"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="the shared data are not here"),
]


def test_stereo_has_fewer_bad_pixels_than_sgbm() -> None:
    import cv2

    frame = next(ref for ref in middlebury_refs(DATA / "stereo") if ref.name == "cones").read()
    assert frame.right is not None
    assert frame.disparity is not None
    known = frame.disparity > 0

    def bad(values: np.ndarray) -> float:
        return float((~(np.abs(values - frame.disparity) <= 2))[known].mean())

    matcher = cv2.StereoSGBM.create(
        0, 64, 3, P1=216, P2=864, disp12MaxDiff=1, preFilterCap=63, uniquenessRatio=10
    )
    theirs = matcher.compute(frame.image.pixels, frame.right.pixels) / 16
    # Holes count as bad here; benchmarks/stereo.py fills them.
    ours = bad(stereo_disparity(frame.image, frame.right).values)
    assert ours < 0.09
    assert ours < 0.5 * bad(np.where(theirs >= 0, theirs, np.nan))


def test_a_sweep_over_five_posed_frames() -> None:
    refs = seven_scenes_refs(DATA / "rgbd_7scenes_kitchen", every=10)
    names = [ref.name for ref in refs]
    middle = names.index("frame-000300")
    first, *others = (refs[middle + step].read() for step in (0, -2, -1, 1, 2))
    found = plane_sweep(first.image, [f.image for f in others], near=0.4, far=6)
    assert found.confidence is not None
    valid = first.valid & found.known
    sure = valid & (found.confidence >= CONFIDENT)
    error = np.abs(found.values - first.depth) / np.maximum(first.depth, 1e-3)
    assert sure.sum() > 0.6 * valid.sum()
    assert error[sure].mean() < 0.05
    assert error[sure].mean() < 0.8 * error[valid].mean()
