"""The fits find what made the data, and resist outliers."""

import numpy as np
import pytest

from leadline.errors import InputError
from leadline.superpixel import regression as r


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    rng = np.random.default_rng(3)
    return np.c_[rng.normal(size=(3000, 4)), np.ones(3000)].astype(np.float32)


def test_huber_resists_outliers(features):
    rng = np.random.default_rng(4)
    truth = np.array([1.0, -2.0, 0.5, 0.0, 3.0])
    target = features @ truth + rng.normal(0, 0.05, len(features))
    target[::5] += 20
    weight = np.ones(len(features))
    found = r.fit_huber(features, target, weight, penalty=np.zeros(5), delta=0.1, rounds=12)
    squares = np.linalg.lstsq(features, target, rcond=None)[0]
    assert np.abs(found - truth).max() < 0.1
    assert np.abs(squares - truth).max() > 1


def test_a_penalty_shrinks_only_what_it_names(features):
    target = features @ np.array([1.0, 1.0, 0, 0, 2.0])
    penalty = np.array([100.0, 0, 0, 0, 0])
    found = r.fit_huber(features, target, np.ones(len(features)), penalty=penalty, delta=10)
    assert abs(found[0]) < 0.05
    assert found[1] == pytest.approx(1, abs=0.05)


def test_weights_leave_samples_out(features):
    target = features @ np.ones(5)
    target[:1000] = 99
    weight = np.r_[np.zeros(1000), np.ones(2000)]
    found = r.fit_huber(features, target, weight, penalty=np.zeros(5), delta=1)
    np.testing.assert_allclose(found, 1, atol=1e-3)
    with pytest.raises(InputError, match="weight"):
        r.fit_huber(features, target, np.zeros(3000), penalty=np.zeros(5), delta=1)
    with pytest.raises(InputError, match="weight"):
        r.fit_logistic(features, target, np.zeros(3000), penalty=1)


def test_logistic_finds_the_odds(features):
    rng = np.random.default_rng(5)
    truth = np.array([2.0, -1.0, 0, 0, -0.5])
    target = (rng.random(len(features)) < r.sigmoid(features @ truth)).astype(float)
    found = r.fit_logistic(features, target, np.ones(len(features)), penalty=1e-4)
    np.testing.assert_allclose(found, truth, atol=0.25)


def test_logistic_stays_finite_where_classes_part(features):
    target = (features[:, 0] > 0).astype(float)
    found = r.fit_logistic(features, target, np.ones(len(features)), penalty=1e-3)
    assert np.isfinite(found).all()
    assert ((features @ found > 0) == (target > 0.5)).mean() > 0.97
    nothing = r.fit_logistic(features, np.zeros(3000), np.ones(3000), penalty=1e-3)
    assert r.sigmoid(features @ nothing).max() < 0.05


def test_each_height_has_weights_of_its_own(features):
    height = np.linspace(-1.4, 1.4, len(features))
    target = np.where(height > 0, 2.0, -1.0) * features[:, 0]
    bands = r.fit_banded(
        features,
        height,
        target,
        np.ones(len(features)),
        penalty=np.full(5, 1e-4),
        band_penalty=np.full(5, 1e-4),
        delta=5.0,
    )
    assert bands.shape == (len(r.BANDS), 5)
    np.testing.assert_allclose(bands[r.BANDS > 0.3, 0], 2, atol=0.1)
    np.testing.assert_allclose(bands[r.BANDS < -0.3, 0], -1, atol=0.1)
    error = np.abs(r.predict_banded(features, height, bands) - target)
    assert np.median(error) < 0.05


def test_shares_sum_to_one_and_do_not_jump():
    height = np.linspace(-3, 3, 601)
    shares = r.band_shares(height)
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-6)
    assert np.abs(np.diff(shares, axis=0)).max() < 0.05


def test_scaling_cuts_off_and_keeps_what_never_varies():
    rng = np.random.default_rng(6)
    samples = np.c_[rng.normal(5, 2, 1000), np.full(1000, 7.0)]
    scaling = r.Scaling.of(samples)
    scaled = scaling.apply(samples)
    assert scaled[:, 0].std() == pytest.approx(1, abs=0.02)
    assert np.abs(scaled[:, 1]).max() < 1e-5
    assert np.all(scaled[:, 2] == 1)
    assert scaling.apply(np.array([[1e9, np.nan]]))[0].tolist() == [4.0, 0.0, 1.0]
