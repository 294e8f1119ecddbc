"""Evaluation: how right a model's maps are on frames with known depth."""

from leadline.evaluation.disparity import (
    GroupScore,
    Score,
    macro_mean,
    score_disparity,
    score_group,
)

__all__ = ["GroupScore", "Score", "macro_mean", "score_disparity", "score_group"]
