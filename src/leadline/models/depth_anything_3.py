"""Depth Anything 3: depth, cameras and rays of one or several views; one view with sky; metres.

Source: Lin et al., Depth Anything 3: Recovering the Visual Space from Any Views, 2025
(arXiv:2511.10647).

Three networks. The any-view network (small, base, large, giant) sees all views of a scene at once
and gives depth up to one scale that the views share, with cameras and a map of rays. The network
with a sky head (mono, metric) sees every view by itself. The nested one runs a giant any-view and a
metric network and brings the first to metres by the second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from leadline.errors import InputError
from leadline.models.base import DepthModule
from leadline.models.depth_anything_3_camera import (
    CameraDecoder,
    CameraEncoder,
    decode_pose,
    encode_pose,
)
from leadline.models.depth_anything_3_config import (
    AnyViewConfig,
    NestedConfig,
    SkyConfig,
)
from leadline.models.depth_anything_3_encoder import ViewEncoder
from leadline.models.depth_anything_3_heads import DualDPT, SkyDPT
from leadline.models.depth_anything_3_sky import align_to_metric, fill_sky
from leadline.models.dinov2 import ENCODERS, DinoV2
from leadline.models.dpt import run_in_float32

_VIEWS_AT_ONCE = 8  # through a head, which bounds its memory

_GAUSSIANS = ("gs_head.", "gs_adapter.")  # of the giant's files; they give no depth
_SHARED_NORM = "head.scratch.output_conv2_aux.{}.2.{}"


class DepthAnything3(DepthModule):
    """The any-view network.

    Pictures are (b, 3, h, w), each a scene of its own, or (b, v, 3, h, w): v views of each scene,
    and every output then has the axis of views after that of the batch.
    """

    multiple_of: ClassVar[int] = 14

    def __init__(self, config: AnyViewConfig) -> None:
        super().__init__()
        self.config = config
        encoder = ENCODERS[config.encoder]
        self.encoder_config = encoder
        self.backbone = nn.ModuleDict(
            {"pretrained": ViewEncoder(encoder, alternate_from=config.alternate_from)}
        )
        self.head = DualDPT(
            2 * encoder.width, features=config.features, out_channels=config.out_channels
        )
        self.cam_dec = CameraDecoder(2 * encoder.width)
        self.cam_enc = CameraEncoder(encoder.width)

    def forward(self, batch: Tensor) -> Tensor:
        """(b, 3, h, w) or (b, v, 3, h, w), sides multiples of 14 -> (b, h, w) or (b, v, h, w)."""
        return self.outputs(batch)["depth"]

    def outputs(
        self, image: Tensor, extrinsics: Tensor | None = None, intrinsics: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Depth, cameras and rays.

        Args:
            image: (b, 3, h, w) or (b, v, 3, h, w), normalised.
            extrinsics: (b, v, 3 or 4, 4) ``camera_from_world`` of given cameras, the first at the
                origin; see :func:`leadline.geometry.normalise_poses`. Without views: no v.
            intrinsics: (b, v, 3, 3) of given cameras, pixels of ``image``.

        Returns:
            ``depth`` (b, v, h, w), along the optical axis, up to one scale a scene, and
            ``depth_conf`` (b, v, h, w), above 1; ``extrinsics`` (b, v, 3, 4), predicted also where
            given, and ``intrinsics`` (b, v, 3, 3); ``rays`` (b, v, 6, 4 h / 7, 4 w / 7): direction
            and origin in the world's axes, and ``ray_conf``; ``feat_layer_N`` (b, v, c, h / 14,
            w / 14) for the config's ``export_feat_layers``. Without views: no v.

        Raises:
            InputError: pictures of another shape, or poses without intrinsics or the reverse.
        """
        views = as_views(self, image)
        poses = self._given_poses(views, extrinsics, intrinsics, squeezed=image.ndim == 4)
        b, v, _, h, w = views.shape
        encoder: Any = self.backbone["pretrained"]
        tokens = encoder.encode_views(
            views,
            self.config.taps,
            camera_tokens=None if poses is None else self.cam_enc(poses),
            strategy=self.config.ref_view_strategy,
            features=self.config.export_feat_layers,
        )
        patch = self.encoder_config.patch
        maps = _run_in_parts(self.head, [x.flatten(0, 1) for x in tokens.taps], (h, w), patch)
        names = ("depth", "depth_conf", "rays", "ray_conf")
        found = {name: x.unflatten(0, (b, v)) for name, x in zip(names, maps, strict=True)}
        pose = run_in_float32(self.cam_dec, tokens.camera)
        found["extrinsics"], found["intrinsics"] = decode_pose(pose, (h, w))
        for layer, x in tokens.features.items():
            grid = (h // patch, w // patch)
            found[f"feat_layer_{layer}"] = x[:, :, 1:].transpose(2, 3).unflatten(3, grid)
        return found if image.ndim == 5 else {name: x.squeeze(1) for name, x in found.items()}

    def _given_poses(
        self,
        views: Tensor,
        extrinsics: Tensor | None,
        intrinsics: Tensor | None,
        *,
        squeezed: bool,
    ) -> Tensor | None:
        """The nine numbers (b, v, 9) of given cameras; None without."""
        if extrinsics is None and intrinsics is None:
            return None
        if extrinsics is None or intrinsics is None:
            given, missing = ("extrinsics", "intrinsics")[:: 1 if intrinsics is None else -1]
            raise InputError(
                f"{given} were given without {missing}; the network takes whole cameras. Give both "
                "for every view, or neither."
            )
        if squeezed:
            extrinsics, intrinsics = extrinsics.unsqueeze(1), intrinsics.unsqueeze(1)
        b, v, _, h, w = views.shape
        if extrinsics.shape not in ((b, v, 4, 4), (b, v, 3, 4)) or intrinsics.shape != (b, v, 3, 3):
            raise InputError(
                f"extrinsics of shape {tuple(extrinsics.shape)} and intrinsics of shape "
                f"{tuple(intrinsics.shape)} for {b} x {v} views: ({b}, {v}, 4, 4) or "
                f"({b}, {v}, 3, 4), and ({b}, {v}, 3, 3) are needed; give one camera a view."
            )
        return encode_pose(extrinsics, intrinsics, (h, w))

    def convert_state_dict(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Fit the authors' files.

        The norm that the four auxiliary outputs share is under the first's name alone there, and
        the giant's files also hold a head for Gaussians, which is left out.
        """
        kept = {n: x for n, x in state_dict.items() if not n.startswith(_GAUSSIANS)}
        for part in ("weight", "bias"):
            first = kept.get(_SHARED_NORM.format(0, part))
            for level in (1, 2, 3):
                if first is not None:
                    kept.setdefault(_SHARED_NORM.format(level, part), first)
        return kept


class DepthAnything3Sky(DepthModule):
    """The network with a sky head, which sees every view by itself.

    ``da3mono-large`` gives depth up to a scale. ``da3metric-large`` gives the depth that a camera
    with a focal length of 300 pixels would see; times focal / 300 it is metres.
    """

    multiple_of: ClassVar[int] = 14

    def __init__(self, config: SkyConfig) -> None:
        super().__init__()
        self.config = config
        encoder = ENCODERS[config.encoder]
        self.encoder_config = encoder
        self.backbone = nn.ModuleDict(
            {"pretrained": DinoV2(replace(encoder, mask_token=False), final_eps=1e-5)}
        )
        self.head = SkyDPT(
            encoder.width, features=config.features, out_channels=config.out_channels
        )

    def forward(self, batch: Tensor) -> Tensor:
        """(b, 3, h, w) or (b, v, 3, h, w), sides multiples of 14 -> (b, h, w) or (b, v, h, w)."""
        return self.outputs(batch)["depth"]

    def outputs(self, image: Tensor) -> dict[str, Tensor]:
        """Depth and sky.

        Outside of training the sky's depth is put at the 99th percentile of the rest. Pictures
        without an axis of views are filled each by itself, views all together, as the authors do.

        Args:
            image: (b, 3, h, w) or (b, v, 3, h, w), normalised.

        Returns:
            ``depth`` (b, h, w) or (b, v, h, w), and ``sky`` of the same shape: 0 or more, about 1
            where there is sky.

        Raises:
            InputError: pictures of another shape.
        """
        views = as_views(self, image)
        size = (views.shape[-2], views.shape[-1])
        tokens = self.backbone["pretrained"](views.flatten(0, 1), self.config.taps)
        depth, sky = _run_in_parts(self.head, tokens, size, self.encoder_config.patch)
        if not self.training:
            groups = count_groups(image)
            filled = fill_sky(depth.reshape(groups, -1), sky.reshape(groups, -1))
            depth = filled.reshape(depth.shape)
        leading = (*image.shape[:-3], *size)
        return {"depth": depth.reshape(leading), "sky": sky.reshape(leading)}


class DepthAnything3Nested(DepthModule):
    """An any-view network, brought to metres by a metric network that sees the same pictures."""

    multiple_of: ClassVar[int] = 14

    def __init__(self, config: NestedConfig) -> None:
        super().__init__()
        self.config = config
        self.da3 = DepthAnything3(config.any_view)
        self.da3_metric = DepthAnything3Sky(config.metric)

    def forward(self, batch: Tensor) -> Tensor:
        """(b, 3, h, w) or (b, v, 3, h, w), sides multiples of 14 -> (b, h, w) or (b, v, h, w)."""
        return self.outputs(batch)["depth"]

    def outputs(
        self, image: Tensor, extrinsics: Tensor | None = None, intrinsics: Tensor | None = None
    ) -> dict[str, Tensor]:
        """What :meth:`DepthAnything3.outputs` gives, in metres; ``sky`` (b, v, h, w).

        ``metric_scale`` (b, v) is the factor that depth, poses and rays already have. The focal
        length that turns the metric network's answer into metres is the predicted one. Pictures
        without an axis of views get a scale each, views one together, as the authors do.

        Args:
            image: see :meth:`DepthAnything3.outputs`, as the others.
            extrinsics: of given cameras.
            intrinsics: of given cameras.

        Raises:
            InputError: as there, and a scene with 10 or fewer pixels that are not sky.
        """
        found = self.da3.outputs(image, extrinsics, intrinsics)
        metric, groups = self.da3_metric.outputs(image), count_groups(image)
        if image.ndim == 5:
            return align_to_metric(found, metric["depth"], metric["sky"], groups=groups)
        views = {name: x.unsqueeze(1) for name, x in found.items()}
        depth, sky = (metric[name].unsqueeze(1) for name in ("depth", "sky"))
        aligned = align_to_metric(views, depth, sky, groups=groups)
        return {name: x.squeeze(1) for name, x in aligned.items()}

    def convert_state_dict(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Fit the authors' files; see :meth:`DepthAnything3.convert_state_dict`."""
        prefix = "da3."
        own = {n.removeprefix(prefix): x for n, x in state_dict.items() if n.startswith(prefix)}
        others = {n: x for n, x in state_dict.items() if not n.startswith(prefix)}
        return others | {prefix + n: x for n, x in self.da3.convert_state_dict(own).items()}


def as_views(module: DepthModule, image: Tensor) -> Tensor:
    """(b, 3, h, w) or (b, v, 3, h, w) as (b, v, 3, h, w).

    Raises:
        InputError: another shape, or sides that the network does not take.
    """
    if image.ndim != 5:
        module.check_batch(image)
        return image.unsqueeze(1)
    if image.shape[2] != 3 or image.shape[1] < 1:
        raise InputError(
            f"{type(module).__name__} was given views of shape {tuple(image.shape)}; "
            "(b, v, 3, h, w) with at least one view is needed; stack RGB pictures of one size."
        )
    module.check_size(image.shape[3], image.shape[4])
    return image


def count_groups(image: Tensor) -> int:
    """How many groups of pictures share their quantiles: views do, pictures do not."""
    return 1 if image.ndim == 5 else image.shape[0]


def _run_in_parts(
    head: Callable[..., Sequence[Tensor]],
    tokens: Sequence[Tensor],
    size: tuple[int, int],
    patch: int,
) -> list[Tensor]:
    """A head over some pictures at a time; in a trace over all at once."""
    if torch.compiler.is_compiling():
        return list(head(tokens, size, patch))
    starts = range(0, len(tokens[0]), _VIEWS_AT_ONCE)
    parts = [head([x[i : i + _VIEWS_AT_ONCE] for x in tokens], size, patch) for i in starts]
    return [torch.cat(maps) for maps in zip(*parts, strict=True)]
