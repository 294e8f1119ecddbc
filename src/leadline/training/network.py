"""The network of a run: built, started, and described for whoever loads it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from leadline import catalog, models
from leadline.errors import InputError
from leadline.models.base import DepthModule
from leadline.resolve import identify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from leadline.spec import ModelSpec, PreprocessSpec
    from leadline.training.config import TrainConfig


Part = TypeVar("Part", bound=Hashable)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What a run hands over: the network that predicts, and what it is and wants.

    Attributes:
        spec: with ``architecture`` and ``options``, from which the same network is built again.
        module: a part of the built module, or all of it.
    """

    spec: ModelSpec
    module: DepthModule


def build_network(config: TrainConfig, **options: Any) -> DepthModule:
    """The config's network in training mode, with the start that the config asks for.

    Args:
        config: of the run.
        options: for ``leadline.models.build``, under those of the config.
    """
    module = models.build(config.model, **{**options, **config.model_options}).train()
    if config.init_from:
        models.load_weights(module, identify(config.init_from, prefer="checkpoint").path)
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


def describe_network(config: TrainConfig, **options: Any) -> ModelSpec:
    """What a trained network is and wants: the catalogue's entry with the run's sizes and options.

    Args:
        config: of the run.
        options: of ``leadline.models.build`` beside the config's, as the delivered network is
            built by whoever loads it.
    """
    spec = catalogue_spec(config.model)
    everything = {**spec.options, **options, **config.model_options}
    max_depth = everything.get("max_depth", spec.max_depth)
    return replace(
        spec,
        options=everything,
        preprocess=fit_preprocess(spec.preprocess, config),
        weights=(),
        max_depth=max_depth,
    )


def fit_preprocess(spec: PreprocessSpec, config: TrainConfig) -> PreprocessSpec:
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


def normalize_rgb(rgb: Tensor, spec: PreprocessSpec) -> Tensor:
    """(b, 3, h, w) RGB in [0, 1] as the network wants it."""
    mean, std = rgb.new_tensor(spec.mean), rgb.new_tensor(spec.std)
    return (rgb - mean[:, None, None]) / std[:, None, None]


def group_parameters(module: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """Groups for the optimiser: encoders learn slower; vectors (norms, biases) do not decay.

    Args:
        module: a :class:`~leadline.models.base.DepthModule`, or one that holds some.
        config: of the run.
    """
    encoder = encoder_parameters(module)
    rates = {"encoder": config.encoder_lr, "rest": config.lr}
    parts = {
        parameter: "encoder" if parameter in encoder else "rest"
        for parameter in module.parameters()
    }
    return group_by_part(parts, rates, config.weight_decay)


def group_by_part(
    parts: Mapping[nn.Parameter, Part], rates: Mapping[Part, float], decay: float
) -> list[dict[str, Any]]:
    """Groups of the parameters that learn, by their part and whether they decay.

    Args:
        parts: which part of the network a parameter belongs to.
        rates: the peak rate of every part.
        decay: weight decay of what has more than one axis; vectors have none.
    """
    groups: dict[tuple[Part, bool], list[nn.Parameter]] = {}
    for parameter, part in parts.items():
        if parameter.requires_grad:
            groups.setdefault((part, parameter.ndim > 1), []).append(parameter)
    return [
        {"params": parameters, "lr": rates[part], "weight_decay": decay if decays else 0.0}
        for (part, decays), parameters in groups.items()
    ]


def encoder_parameters(module: nn.Module) -> set[nn.Parameter]:
    """The parameters of the encoders of every network inside a module."""
    networks = [part for part in module.modules() if isinstance(part, DepthModule)]
    return {p for one in networks for part in one.encoder_parts() for p in part.parameters()}
