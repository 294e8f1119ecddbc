"""The network of a run: built, started, and described for whoever loads it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from leadline import catalog, models
from leadline.errors import InputError
from leadline.resolve import identify

if TYPE_CHECKING:
    from torch import Tensor

    from leadline.models.base import DepthModule
    from leadline.spec import ModelSpec, PreprocessSpec
    from leadline.training.config import TrainConfig


def build_network(config: TrainConfig, **options: Any) -> DepthModule:
    """The config's network in training mode, with the start that the config asks for.

    Args:
        config: of the run.
        options: for ``leadline.models.build``, under those of the config.
    """
    module = models.build(config.model, **{**options, **config.model_options}).train()
    if config.start:
        models.load_weights(module, identify(config.start, prefer="checkpoint").path)
    elif config.imagenet:
        module.start_from_imagenet()
    return module


def catalogue_spec(model: str) -> ModelSpec:
    """The catalogue's entry of a network, whose kind and preprocessing a trained one inherits.

    Raises:
        InputError: a network that no entry has.
    """
    for spec in catalog.MODELS.values():
        if spec.architecture == model:
            return spec
    raise InputError(f"model={model!r}: not in the catalogue, so its preprocessing is unknown.")


def delivered_spec(config: TrainConfig, module: DepthModule, **options: Any) -> ModelSpec:
    """What a trained network is and wants: the catalogue's entry with the run's sizes and options.

    Args:
        config: of the run.
        module: the network.
        options: of ``leadline.models.build`` beside the config's, as the delivered network is
            built by whoever loads it.
    """
    spec = catalogue_spec(config.model)
    everything = {**spec.options, **options, **config.model_options}
    max_depth = everything.get("max_depth", spec.max_depth)
    return replace(
        spec,
        options=everything,
        preprocess=sized(spec.preprocess, config),
        weights=(),
        max_depth=max_depth,
    )


def sized(spec: PreprocessSpec, config: TrainConfig) -> PreprocessSpec:
    """The preprocessing at the size that a run's network is to look at pictures.

    That is ``predict_size``, or follows from the size that most of the run's batches had: all of it
    where the network has one size, or one number of pixels; of others the side that their rule
    looks at. Windows of whole pictures were learned from, so nothing is cropped.
    """
    spec, sizes = replace(spec, crop=(1.0, 1.0)), config.sizes
    if any(config.predict_size):
        return replace(spec, size=config.predict_size)
    if spec.resize in ("exact", "area"):
        return replace(spec, size=max(sizes, key=sizes.count))
    looked_at = [max(size) if spec.resize == "upper_bound" else min(size) for size in sizes]
    side = max(looked_at, key=looked_at.count)
    return replace(spec, size=(side, side))


def normalised(rgb: Tensor, model: str) -> Tensor:
    """(b, 3, h, w) RGB in [0, 1] as the network wants it."""
    spec = catalogue_spec(model).preprocess
    mean, std = rgb.new_tensor(spec.mean), rgb.new_tensor(spec.std)
    return (rgb - mean[:, None, None]) / std[:, None, None]
