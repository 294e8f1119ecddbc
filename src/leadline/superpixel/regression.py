"""Linear models with a robust or a logistic loss, and a regression that differs from row to row.

Everything is a few weighted normal equations: no gradient descent, no random start.

Source: Huber, Robust Estimation of a Location Parameter, 1964 (iteratively reweighted); Saxena et
al., Make3D, TPAMI 2009: one weight vector for each row of the picture, here for each height above
or below the horizon, drawn towards the weights that all heights share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float

BANDS = np.arange(-1.5, 1.75, 0.25)
"""Heights (y minus the horizon's, in half pictures, downwards) that have weights of their own;
those between take the mean of the two nearest, weighed by distance."""

_LIMIT = 4.0  # standard deviations beyond which a feature counts no further


@dataclass(frozen=True, kw_only=True, eq=False)
class Scaling:
    """Mean and spread of features, measured once on the training pictures.

    Attributes:
        mean, spread: of each feature.
    """

    mean: Float[np.ndarray, " f"]
    spread: Float[np.ndarray, " f"]

    @classmethod
    def of(cls, features: Float[np.ndarray, "n f"]) -> Scaling:
        """Of these samples; a feature that never varies keeps the spread 1."""
        spread = features.std(axis=0, dtype=np.float64)
        spread[spread < 1e-6] = 1.0
        mean = features.mean(axis=0, dtype=np.float64)
        return cls(mean=mean.astype(np.float32), spread=spread.astype(np.float32))

    def apply(self, features: Float[np.ndarray, "n f"]) -> Float[np.ndarray, "n f1"]:
        """Features of mean 0 and spread 1, cut off at 4, and a last column of ones."""
        out = np.ones((len(features), features.shape[1] + 1), dtype=np.float32)
        scaled = (features - self.mean) / self.spread
        out[:, :-1] = np.clip(np.nan_to_num(scaled), -_LIMIT, _LIMIT)
        return out


def fit_huber(
    features: Float[np.ndarray, "n f"],
    target: Float[np.ndarray, " n"],
    weight: Float[np.ndarray, " n"],
    *,
    penalty: Float[np.ndarray, " f"],
    delta: float,
    rounds: int = 4,
) -> Float[np.ndarray, " f"]:
    """Weights of a linear model under Huber's loss and a quadratic penalty.

    Args:
        features: scaled, with a column of ones.
        target: what to predict.
        weight: of each sample, not negative.
        penalty: of each weight's square, against the mean loss.
        delta: error up to which the loss is quadratic.
        rounds: reweightings.

    Raises:
        InputError: no sample has weight.
    """
    if not weight.sum() > 0:
        raise InputError("no training sample has weight; give pictures with known depth.")
    current, found = weight, np.zeros(features.shape[1])
    for _ in range(rounds):
        found = _ridge(features, target, current, penalty)
        error = np.abs(target - features @ found.astype(np.float32))
        current = weight * np.minimum(1, delta / np.maximum(error, 1e-9))
    return found


def fit_logistic(
    features: Float[np.ndarray, "n f"],
    target: Float[np.ndarray, " n"],
    weight: Float[np.ndarray, " n"],
    *,
    penalty: float,
    rounds: int = 6,
) -> Float[np.ndarray, " f"]:
    """Weights of a logistic classifier, by Newton's method.

    Args:
        features: scaled, with a last column of ones.
        target: 0 or 1.
        weight: of each sample.
        penalty: of each weight's square, but the last's.
        rounds: Newton steps.

    Raises:
        InputError: no sample has weight.
    """
    total = weight.sum()
    if not total > 0:
        raise InputError("no training sample has weight; give labelled pictures.")
    penalties = np.full(features.shape[1], penalty)
    penalties[-1] = 1e-6
    share = np.clip((weight * target).sum() / total, 1e-3, 1 - 1e-3)
    found = np.zeros(features.shape[1])
    found[-1] = np.log(share / (1 - share))
    for _ in range(rounds):
        chance = sigmoid(features @ found.astype(np.float32))
        curvature = np.maximum(chance * (1 - chance), 1e-3) * weight
        pull = features.T @ (weight * (chance - target)).astype(np.float32) / total
        normal = _normal(features, curvature) / total
        normal[np.diag_indices_from(normal)] += penalties
        found = found - np.linalg.solve(normal, pull + penalties * found)
    return found


def fit_banded(
    features: Float[np.ndarray, "n f"],
    height: Float[np.ndarray, " n"],
    target: Float[np.ndarray, " n"],
    weight: Float[np.ndarray, " n"],
    *,
    penalty: Float[np.ndarray, " f"],
    band_penalty: Float[np.ndarray, " f"],
    delta: float,
) -> Float[np.ndarray, "bands f"]:
    """One weight vector for each of :data:`BANDS`, each drawn towards the one that all share.

    Args:
        features: scaled, with a column of ones.
        height: y minus the horizon's.
        target: as :func:`fit_huber`'s, and so are the next.
        weight: of each sample.
        penalty: of the shared weights' squares.
        band_penalty: of the squared difference to the shared weights.
        delta: error up to which the loss is quadratic.
    """
    shared = fit_huber(features, target, weight, penalty=penalty, delta=delta)
    rest = target - features @ shared.astype(np.float32)
    shares = band_shares(height)
    bands = np.tile(shared, (len(BANDS), 1))
    for band in range(len(BANDS)):
        inside = shares[:, band] > 0
        own = weight[inside] * shares[inside, band]
        if own.sum() < features.shape[1]:
            continue  # too few to differ
        bands[band] += fit_huber(
            features[inside], rest[inside], own, penalty=band_penalty, delta=delta, rounds=2
        )
    return bands


def predict_banded(
    features: Float[np.ndarray, "n f"],
    height: Float[np.ndarray, " n"],
    bands: Float[np.ndarray, "bands f"],
) -> Float[np.ndarray, " n"]:
    """What :func:`fit_banded`'s weights say."""
    each = features @ bands.astype(np.float32).T
    return (each * band_shares(height)).sum(axis=1)


def band_shares(height: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n bands"]:
    """How much each sample takes of each band; rows sum to 1."""
    place = np.clip((height - BANDS[0]) / (BANDS[1] - BANDS[0]), 0, len(BANDS) - 1)
    low = np.minimum(place.astype(np.int64), len(BANDS) - 2)
    shares = np.zeros((len(height), len(BANDS)), dtype=np.float32)
    rows = np.arange(len(height))
    shares[rows, low] = 1 - (place - low)
    shares[rows, low + 1] = place - low
    return shares


def sigmoid(values: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-values)), without overflow."""
    return 1 / (1 + np.exp(-np.clip(values, -30, 30)))


def _ridge(
    features: np.ndarray, target: np.ndarray, weight: np.ndarray, penalty: np.ndarray
) -> np.ndarray:
    total = weight.sum()
    normal = _normal(features, weight) / total
    normal[np.diag_indices_from(normal)] += penalty + 1e-9
    pull = features.T @ (weight * target).astype(np.float32) / total
    return np.linalg.solve(normal, pull.astype(np.float64))


def _normal(features: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """features.T @ diag(weight) @ features, in float64 from float32 products."""
    return ((features * weight[:, None].astype(np.float32)).T @ features).astype(np.float64)
