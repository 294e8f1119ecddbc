"""Where predictions come from: a model, the files of another program, or a blind guess.

A predictor is a function from a Frame to a Prediction at the frame's size, or at any size that the
protocol resizes. A model is one too; a protocol may take its network's own map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from leadline.datasets.frame import Frame, read_depth16
from leadline.errors import InputError, KindError
from leadline.estimator import DepthEstimator
from leadline.evaluation.protocol import Protocol
from leadline.evaluation.sampling import sample
from leadline.kinds import DepthKind
from leadline.prediction import Prediction, read_prediction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leadline.load_options import LoadOptions

Predictor = Callable[[Frame], Prediction]

SUFFIXES = (".npz", ".npy", ".pfm", ".png")
"""Files that predictions are read from, in the order they are looked for."""


def constant(frame: Frame) -> Prediction:
    """The same everywhere: what a map scores that knows nothing."""
    return Prediction(values=np.ones(frame.image.size), kind=DepthKind.AFFINE_DISPARITY)


def vertical_ramp(frame: Frame) -> Prediction:
    """Nearer towards the lower edge, as on a floor or a road."""
    height, width = frame.image.size
    values = np.repeat(np.arange(height, dtype=np.float32)[:, None], width, axis=1)
    return Prediction(values=values, kind=DepthKind.AFFINE_DISPARITY)


BASELINES: Mapping[str, Predictor] = MappingProxyType(
    {"constant": constant, "vertical-ramp": vertical_ramp}
)
"""Guesses by name."""


@dataclass(frozen=True)
class ModelPredictor:
    """A model's maps at the picture's size, or, by a protocol, as its original takes them."""

    estimator: DepthEstimator

    def __call__(self, frame: Frame) -> Prediction:
        """The map at the picture's size."""
        return self.estimator.predict_unchecked(frame.image)

    def adapt(self, protocol: Protocol) -> Predictor:
        """The maps that a protocol is defined on."""
        estimator = self.estimator
        own = protocol.map_source == "network"
        predict = estimator.predict_unresized if own else estimator.predict_unchecked
        return lambda frame: predict(protocol.view(frame.image))


def open_predictor(options: LoadOptions) -> Predictor:
    """Open a model, or a guess of :data:`BASELINES`, which needs nothing but its name.

    Raises:
        InputError: a guess of a kind that it is not.
    """
    guess = BASELINES.get(str(options.model))
    if guess is not None and options.kind not in (None, DepthKind.AFFINE_DISPARITY):
        raise InputError(
            f"kind={options.kind} for {options.model}, which is affine_disparity; leave it out."
        )
    return ModelPredictor(options.open()) if guess is None else guess


def adapt_to_protocol(predict: Predictor, protocol: Protocol) -> Predictor:
    """The predictor whose maps the protocol compares; only models can give another map."""
    return predict.adapt(protocol) if isinstance(predict, ModelPredictor) else predict


def open_folder(
    folder: Path, *, kind: DepthKind | str | None = None, per_metre: float | None = None
) -> Predictor:
    """Predictions of another program: one file per frame, found by the frame's name.

    A frame ``drive/image_02/5`` is looked for as ``drive/image_02/5.npz``, ``drive_image_02_5.npz``
    and ``5.npz``, and so on for ``.npy``, ``.pfm`` and ``.png``.

    Args:
        folder: of the files.
        kind: what they hold; default ``metric_depth``. Files that Leadline wrote say it
            themselves, and another kind is refused.
        per_metre: codes per metre of 16-bit PNGs that other programs wrote; refused for other
            files, whose numbers are not codes.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder of the predictions.")
    meant = None if kind is None else DepthKind(kind)

    def predict(frame: Frame) -> Prediction:
        path = find_file(folder, frame.name)
        found = _read(path, meant, per_metre)
        _check(found, path)
        return found

    return predict


def _read(path: Path, kind: DepthKind | None, per_metre: float | None) -> Prediction:
    """A file; a NaN in another program's is not said to be a hole, so it is a failure."""
    if path.suffix in (".npy", ".pfm"):
        plain = read_prediction(path, kind=kind or DepthKind.METRIC_DEPTH)
        found = replace(plain, valid=None)
    elif path.suffix == ".png" and per_metre is not None:
        values = read_depth16(path, per_unit=per_metre)
        values = np.where(values > 0, values, np.nan)
        return Prediction(values=values, kind=kind or DepthKind.METRIC_DEPTH)
    else:
        found = read_prediction(path, kind=kind)
    if per_metre is not None:
        raise InputError(
            f"{path} holds numbers as they are, but codes per metre were given "
            f"({per_metre:g}), which only 16-bit PNGs have; leave --pred-per-metre out, and give "
            "metres."
        )
    return found


def find_file(folder: Path, name: str) -> Path:
    """The file of a frame's prediction.

    Raises:
        InputError: there is none; the message says which names were tried.
    """
    stems = list(dict.fromkeys((name, name.replace("/", "_"), name.rpartition("/")[2])))
    tried = [folder / f"{stem}{suffix}" for stem in stems for suffix in SUFFIXES]
    path = next((path for path in tried if path.is_file()), None)
    if path is None:
        raise InputError(
            f"{folder} holds no prediction for the frame {name}: none of "
            f"{', '.join(f'{stem}.*' for stem in stems)} with {', '.join(SUFFIXES)}. Name the "
            "files after the frames, or leave frames out with --skip-bad."
        )
    return path


def refuse_disparity(pred: Prediction, frame: Frame) -> None:
    """Refuse depth that falls where the truth rises: it is a disparity.

    Raises:
        KindError: the logarithms of both correlate below -.5.
    """
    if pred.kind.larger_is_nearer:
        return
    pixels = np.flatnonzero(frame.valid)
    p = sample(pred.values, frame.depth.shape, pixels, "nearest")
    keep = np.isfinite(p) & (p > 0)
    if np.count_nonzero(keep) < 100:
        return
    p, t = np.log(p[keep]), np.log(frame.depth.reshape(-1)[pixels[keep]])
    if p.std() < 1e-6 or t.std() < 1e-6:
        return
    correlation = float(np.corrcoef(p, t)[0, 1])
    if correlation < -0.5:
        raise KindError(
            f"{frame.name}: the prediction is said to be {pred.kind}, but it falls where the truth "
            f"rises (correlation {correlation:.2f}): it looks like a disparity. Say so with "
            "--kind affine_disparity, and take a protocol that aligns it."
        )


def _check(pred: Prediction, path: Path) -> None:
    if not pred.known.any():
        raise InputError(f"{path} holds no finite value; predict that picture again.")
    if pred.kind in (DepthKind.METRIC_DEPTH, DepthKind.SCALED_DEPTH):
        negative = np.count_nonzero(pred.values[pred.known] < 0)
        if negative:
            raise InputError(
                f"{path} holds {negative} negative values where {pred.kind} is meant; depths are "
                "positive. Say what it holds with --kind."
            )
