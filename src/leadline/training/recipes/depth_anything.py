"""Depth Anything: a student that learns from labels and, mostly, from a teacher's pseudo labels.

The student starts anew (a pretrained encoder, a random decoder). Of three samples one has a true
label and two have a teacher's, made of the clean picture; the student sees it with strong colours
and with a box of another picture in it (CutMix), whose two regions are compared each by itself and
weighed by area. Its encoder is kept near the frozen one it started from, where it strays too far
(cosine below the margin), so that it does not forget what the frozen one knows.

Version 2 takes pseudo labels alone, from a teacher of synthetic data, weighs the gradient term
twice the difference, and leaves out the tenth of each picture's pixels with the largest loss.

Every one of these can be turned off by itself: that is the ablation of ``benchmarks/recipes.py``.

Source: Yang et al., Depth Anything, CVPR 2024, section 3; Yang et al., Depth Anything V2, NeurIPS
2024, section 5.
"""

from __future__ import annotations

import copy
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from leadline import models
from leadline.errors import InputError
from leadline.losses import (
    affine_normalize,
    feature_distance,
    mean_residuals,
    multi_scale_gradient,
)
from leadline.training.data.pseudo_labels import (
    MixedSamples,
    PseudoSamples,
    label_pictures,
    read_labels,
)
from leadline.training.data.samples import open_depth_samples
from leadline.training.data.source import Batch, BatchSource
from leadline.training.network import Delivery, build_network, describe_network, normalize_rgb
from leadline.training.recipes.base import Forward, Recipe

if TYPE_CHECKING:
    from leadline.models.base import DepthModule
    from leadline.training.options import DepthAnythingOptions


class Student(nn.Module):
    """The network that learns, beside the frozen encoder that it started from.

    Args:
        network: with its starting weights; it has one encoder part.
        align: keep a frozen copy of the encoder.
        options: see :class:`DepthAnythingOptions`.
    """

    def __init__(self, network: DepthModule, options: DepthAnythingOptions, *, align: bool) -> None:
        super().__init__()
        self.network = network
        self.options = options
        self.anchor: Any = None
        if align:
            self.anchor = copy.deepcopy(_encoder(network)).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Student:
        """The frozen encoder stays in eval mode."""
        super().train(mode)
        if self.anchor is not None:
            self.anchor.eval()
        return self

    def forward(self, batch: Tensor, pseudo: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised pictures (b, 3, h, w) and which have pseudo labels (b,) bool.

        Returns:
            (b, h, w) disparity, and (b,) how far the encoder's features are from the frozen one's,
            0 for labelled pictures.
        """
        away = batch.new_zeros(len(batch), dtype=torch.float32)
        if self.anchor is None or not bool(pseudo.any()):
            return self.network(batch), away
        seen: list[Any] = []
        hook = _encoder(self.network).register_forward_hook(lambda *call: seen.append(call))
        try:
            disparity = self.network(batch)
        finally:
            hook.remove()
        _, given, features = seen[0]
        with torch.no_grad():
            anchored = self.anchor(given[0][pseudo], *given[1:])
        mine, frozen = _places(features[-1][pseudo]), _places(anchored[-1])
        margin, over = self.options.feature_margin, self.options.feature_over
        distance = feature_distance(mine, frozen, margin=margin, over=over)
        return disparity, away.masked_scatter(pseudo, distance)


class DepthAnything(Recipe):
    """Self-training with a teacher's labels."""

    options: DepthAnythingOptions

    def build(self) -> nn.Module:
        """The student, and the frozen encoder where it is kept near."""
        options = self.options
        network = build_network(self.config)
        if options.encoder_start:
            models.load_weights(_encoder(network), options.encoder_start)
        align = options.feature_weight > 0 and options.pseudo_share > 0
        started = self.config.imagenet or self.config.init_from or options.encoder_start
        if align and not started:
            raise InputError(
                "feature_weight > 0 keeps the encoder near the one that it starts from, and that "
                "one is random. Give imagenet = true, init_from, or options.encoder_start, or "
                "options.feature_weight = 0."
            )
        return Student(network, options, align=align)

    def deliver(self, module: Any) -> Delivery:
        """The student's network alone: affine disparity."""
        spec = describe_network(self.config)
        if not spec.kind.larger_is_nearer:
            raise InputError(
                f"model={self.config.model!r} gives {spec.kind}; a student of pseudo labels gives "
                "affine disparity, as lite, midas-v21-small or depth-anything-v2-vits."
            )
        return Delivery(spec=replace(spec, max_depth=None), module=module.network)

    @contextmanager
    def data(self, folder: Path, step: int) -> Generator[BatchSource]:
        """Labelled samples from the config's data, pseudo-labelled ones from the labels."""
        options, share = self.options, self.options.pseudo_share
        pseudo = None
        if share > 0:
            refs = read_labels(options.labels or self._labels(folder), options.pictures)
            pseudo = PseudoSamples(
                self.config, refs, colours=options.colours, cutmix=options.cutmix
            )
        if share == 1:
            yield MixedSamples(self.config, labelled=None, pseudo=pseudo, share=1)
            return
        with open_depth_samples(self.config, folder, step, device="cpu") as labelled:
            yield MixedSamples(self.config, labelled=labelled, pseudo=pseudo, share=share)

    def _labels(self, folder: Path) -> Path:
        height, width = self.config.sizes[0]
        own = self.config.world
        kept = own.shard * (own.shards or own.window)  # few in a dry run
        return label_pictures(
            folder,
            teacher=self.options.teacher,
            unlabelled=self.options.unlabelled,
            count=min(self.options.unlabelled_count, kept),
            size=(round(height * own.margin), round(width * own.margin)),
        )

    def loss(self, forward: Forward, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The average of the labelled, the pseudo-labelled and the feature term."""
        options, pseudo = self.options, batch["pseudo"]
        pred, away = forward(normalize_rgb(batch["rgb"], self.preprocess), pseudo)
        valid = batch["valid"]
        if options.sky == "ignore":
            valid = valid & (pseudo[:, None, None] | (batch["disparity"] > 0))
        settled = step >= options.settle
        each = self._each(pred, batch["disparity"], valid & batch["outside"], pseudo, settled)
        inside = valid & ~batch["outside"]
        if bool(inside.any()):
            boxed = self._each(pred, batch["disparity"], inside, pseudo, settled)
            area = batch["outside"].float().mean((1, 2))
            each = area * each + (1 - area) * boxed
        return self._average(each, away, pseudo)

    def _average(
        self, each: Tensor, away: Tensor, pseudo: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Means over the samples of each sort, and the terms' average.

        A term is weighed by the share of its samples in the whole batch, so that parts of a batch
        average to the batch, however the samples fall into them.
        """
        share, weight = self.options.pseudo_share, self.options.feature_weight
        terms: dict[str, Tensor] = {}
        if share < 1:
            terms["labelled"] = torch.where(pseudo, 0.0, each).mean() / (1 - share)
        if share > 0:
            terms["pseudo"] = torch.where(pseudo, each, 0.0).mean() / share
        if share > 0 and weight > 0:
            terms["features"] = weight * torch.where(pseudo, away, 0.0).mean() / share
        return torch.stack(list(terms.values())).mean(), terms

    def _each(
        self, pred: Tensor, target: Tensor, valid: Tensor, pseudo: Tensor, settled: bool
    ) -> Tensor:
        """(b,) loss of every sample over its valid pixels, each normalised over them."""
        options = self.options
        wanted = affine_normalize(target, valid)
        fitted = affine_normalize(pred, valid) if settled else pred
        drop = torch.where(pseudo, options.drop, 0.0)
        loss = mean_residuals(fitted, wanted, valid, drop=drop)
        if options.gradient_weight:
            gradients = [
                multi_scale_gradient(fitted[n : n + 1], wanted[n : n + 1], valid[n : n + 1])
                for n in range(len(pred))
            ]
            loss = loss + options.gradient_weight * torch.stack(gradients)
        return loss


def _places(features: Tensor) -> Tensor:
    """Features of places: a transformer's tokens without the first, which is the class's."""
    return features[:, 1:] if features.ndim == 3 else features


def _encoder(network: DepthModule) -> nn.Module:
    parts = network.encoder_parts()
    if len(parts) != 1:
        raise InputError(
            f"{type(network).__name__} has {len(parts)} encoder parts, and one is needed to align; "
            "take lite, or a Depth Anything, or options.feature_weight = 0."
        )
    return parts[0]
