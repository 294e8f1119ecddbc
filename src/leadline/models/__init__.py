"""The networks, in PyTorch: one paper, one file; every name in one table.

```python
module = leadline.models.build("depth-anything-v2-vits")  # random weights, eval mode
leadline.models.load_weights(module, "depth_anything_v2_vits.pth")
depth = module(batch)  # normalised (b, 3, h, w) -> (b, h, w)
```

Importing this package imports neither torch nor any network; ``build`` imports the one it needs.
To add a model: write its file, add one function that imports its configs and builds it, and its
names to ``BUILDERS``; then its checkpoint's marks to ``signatures.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from leadline.errors import MissingDependencyError, UnknownNameError
from leadline.models.variant import with_options

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from leadline.models.base import DepthModule

__all__ = ["BUILDERS", "PARTS", "build", "build_weightless", "load_weights", "names"]

Builder = Callable[..., "DepthModule"]


def _depth_anything(name: str, **options: Any) -> DepthModule:
    from leadline.models.depth_anything import CONFIGS, DepthAnything

    return DepthAnything(with_options(name, CONFIGS[name], options))


def _video_depth_anything(name: str, **options: Any) -> DepthModule:
    from leadline.models.video_depth_anything import CONFIGS, VideoDepthAnything

    return VideoDepthAnything(with_options(name, CONFIGS[name], options))


def _depth_anything_3(name: str, **options: Any) -> DepthModule:
    from leadline.models import depth_anything_3 as da3
    from leadline.models import depth_anything_3_config as configs

    config = with_options(name, configs.CONFIGS[name], options)
    if isinstance(config, configs.NestedConfig):
        return da3.DepthAnything3Nested(config)
    if isinstance(config, configs.AnyViewConfig):
        return da3.DepthAnything3(config)
    return da3.DepthAnything3Sky(config)


def _lite(name: str, **options: Any) -> DepthModule:
    from leadline.models.lite import Lite

    return Lite(**options)


def _fastdepth(name: str, **options: Any) -> DepthModule:
    from leadline.models.fastdepth import CONFIGS, FastDepth, FastDepthPlain

    config = with_options(name, CONFIGS[name], options)
    return FastDepthPlain(config) if config.skips == "none" else FastDepth(config)


def _monodepth2(name: str, **options: Any) -> DepthModule:
    from leadline.models.monodepth2 import CONFIGS, Monodepth2

    return Monodepth2(with_options(name, CONFIGS[name], options))


def _monodepth(name: str, **options: Any) -> DepthModule:
    from leadline.models.monodepth import CONFIGS, Monodepth

    return Monodepth(with_options(name, CONFIGS[name], options))


def _densedepth(name: str, **options: Any) -> DepthModule:
    from leadline.models.densedepth import CONFIGS, DenseDepth

    return DenseDepth(with_options(name, CONFIGS[name], options))


def _eigen14(name: str, **options: Any) -> DepthModule:
    from leadline.models.eigen14 import CONFIGS, Eigen14

    return Eigen14(with_options(name, CONFIGS[name], options))


def _stn(name: str, **options: Any) -> nn.Module:
    from leadline.models.stn import CONFIGS, SpatialTransformer

    return SpatialTransformer(with_options(name, CONFIGS[name], options))


def _midas(name: str, **options: Any) -> DepthModule:
    from leadline.models.midas import CONFIGS, Midas

    return Midas(with_options(name, CONFIGS[name], options))


def _dpt(name: str, **options: Any) -> DepthModule:
    from leadline.models.dpt_midas import CONFIGS, DPT

    return DPT(with_options(name, CONFIGS[name], options))


def _zoedepth(name: str, **options: Any) -> DepthModule:
    from leadline.models.zoedepth import CONFIGS, ZoeDepth, ZoeDepthNK

    config = with_options(name, CONFIGS[name], options)
    return ZoeDepthNK(config) if config.domains else ZoeDepth(config)


def _metric(name: str, **options: Any) -> DepthModule:
    from leadline.models.metric import Metric, MetricConfig

    return Metric(with_options(name, MetricConfig(), options), build)


def _depth_pro(name: str, **options: Any) -> DepthModule:
    from leadline.models.depth_pro import DepthPro, DepthProConfig

    return DepthPro(with_options(name, DepthProConfig(), options))


def _prompt_depth_anything(name: str, **options: Any) -> DepthModule:
    from leadline.models.prompt_depth_anything import CONFIGS, PromptDepthAnything

    return PromptDepthAnything(with_options(name, CONFIGS[name], options))


def _moge(name: str, **options: Any) -> DepthModule:
    from leadline.models.moge import CONFIGS, Moge

    return Moge(with_options(name, CONFIGS[name], options))


def _moge2(name: str, **options: Any) -> DepthModule:
    from leadline.models.moge2 import CONFIGS, Moge2

    return Moge2(with_options(name, CONFIGS[name], options))


def _metric3d(name: str, **options: Any) -> DepthModule:
    from leadline.models.metric3d import CONFIGS, Metric3D

    return Metric3D(with_options(name, CONFIGS[name], options))


def _unidepth(name: str, **options: Any) -> DepthModule:
    from leadline.models.unidepth import CONFIGS, UniDepth

    return UniDepth(with_options(name, CONFIGS[name], options))


BUILDERS: dict[str, Builder] = {
    "lite": _lite,
    "depth-anything-v1-vits": _depth_anything,
    "depth-anything-v1-vitb": _depth_anything,
    "depth-anything-v1-vitl": _depth_anything,
    "depth-anything-v2-vits": _depth_anything,
    "depth-anything-v2-vitb": _depth_anything,
    "depth-anything-v2-vitl": _depth_anything,
    "depth-anything-v2-vitg": _depth_anything,
    "depth-anything-v2-metric-indoor-vits": _depth_anything,
    "depth-anything-v2-metric-indoor-vitb": _depth_anything,
    "depth-anything-v2-metric-indoor-vitl": _depth_anything,
    "depth-anything-v2-metric-outdoor-vits": _depth_anything,
    "depth-anything-v2-metric-outdoor-vitb": _depth_anything,
    "depth-anything-v2-metric-outdoor-vitl": _depth_anything,
    "video-depth-anything-vits": _video_depth_anything,
    "video-depth-anything-vitb": _video_depth_anything,
    "video-depth-anything-vitl": _video_depth_anything,
    "video-depth-anything-metric-vits": _video_depth_anything,
    "video-depth-anything-metric-vitb": _video_depth_anything,
    "video-depth-anything-metric-vitl": _video_depth_anything,
    "prompt-depth-anything-vits": _prompt_depth_anything,
    "prompt-depth-anything-vitl": _prompt_depth_anything,
    "depth-pro": _depth_pro,
    "da3-small": _depth_anything_3,
    "da3-base": _depth_anything_3,
    "da3-large": _depth_anything_3,
    "da3-giant": _depth_anything_3,
    "da3mono-large": _depth_anything_3,
    "da3metric-large": _depth_anything_3,
    "da3nested-giant-large": _depth_anything_3,
    "midas-v21-small": _midas,
    "midas-v21": _midas,
    "dpt-large-384": _dpt,
    "dpt-hybrid-384": _dpt,
    "dpt-beit-base-384": _dpt,
    "dpt-beit-large-384": _dpt,
    "zoedepth-n": _zoedepth,
    "zoedepth-k": _zoedepth,
    "zoedepth-nk": _zoedepth,
    "zoedepth-n-depth-anything-vits": _zoedepth,
    "zoedepth-k-depth-anything-vits": _zoedepth,
    "zoedepth-nk-depth-anything-vits": _zoedepth,
    "zoedepth-n-depth-anything-vitl": _zoedepth,
    "zoedepth-k-depth-anything-vitl": _zoedepth,
    "zoedepth-nk-depth-anything-vitl": _zoedepth,
    "metric": _metric,
    "fastdepth": _fastdepth,
    "fastdepth-concat": _fastdepth,
    "fastdepth-plain": _fastdepth,
    "fastdepth-pruned": _fastdepth,
    "monodepth2-r18": _monodepth2,
    "monodepth2-r50": _monodepth2,
    "monodepth-vgg": _monodepth,
    "monodepth-resnet50": _monodepth,
    "densedepth": _densedepth,
    "densedepth-half": _densedepth,
    "eigen14-nyu": _eigen14,
    "eigen14-kitti": _eigen14,
    "moge-1-vitl": _moge,
    "moge-2-vits": _moge2,
    "moge-2-vitb": _moge2,
    "moge-2-vitl": _moge2,
    "moge-2-vits-normal": _moge2,
    "moge-2-vitb-normal": _moge2,
    "moge-2-vitl-normal": _moge2,
    "metric3d-v2-vits": _metric3d,
    "metric3d-v2-vitl": _metric3d,
    "metric3d-v2-giant2": _metric3d,
    "unidepth-v2-vits": _unidepth,
    "unidepth-v2-vitb": _unidepth,
    "unidepth-v2-vitl": _unidepth,
}
"""Architecture name -> function ``(name, **options) -> module`` of its family."""

PARTS: dict[str, Callable[..., nn.Module]] = {"stn": _stn}
"""Networks that give no depth, for study and for use in others; :func:`build` makes them too."""


def names() -> tuple[str, ...]:
    """Every name that :func:`build` takes, in the table's order."""
    return tuple(BUILDERS)


def build(name: str, **options: Any) -> DepthModule:
    """The network ``name`` with random weights, in eval mode.

    Args:
        name: one of :func:`names`, or of :data:`PARTS`.
        **options: fields of the family's config that should differ from the published model, such
            as ``max_depth`` or ``positional``.

    Returns:
        A module that maps a normalised float batch (b, 3, h, w) to (b, h, w). It stands in eval
        mode; call ``.train()`` to train it. Under ``torch.device("meta")`` no memory is taken,
        and :func:`load_weights` then puts the weights in place.

    Raises:
        UnknownNameError: ``name`` is not in the table; the message lists the nearest.
        InputError: an option that the family does not have, or a value that it cannot take.
        MissingDependencyError: torch is not installed.
    """
    builders: Mapping[str, Callable[..., Any]] = {**BUILDERS, **PARTS}
    if name not in builders:
        raise UnknownNameError("model", name, builders)
    _require_torch()
    module: Any = builders[name](name, **options).eval()
    module.name = name
    return module


def build_weightless(name: str, **options: Any) -> DepthModule:
    """As :func:`build` on the meta device, for weights that :func:`load_weights` then puts in.

    Raises:
        LeadlineError: as :func:`build` does.
    """
    _require_torch()
    import torch

    from leadline.models.weightless import SkipInitialisation

    with torch.device("meta"), SkipInitialisation():
        return build(name, **options)


def load_weights(module: nn.Module, source: str | Path | Mapping[str, Any]) -> None:
    """Fill ``module`` with the weights in ``source``: every tensor, or an error (strict).

    Args:
        module: from :func:`build`.
        source: a ``.pth``/``.bin``/``.safetensors`` file, a folder that holds one, or a
            state dict. The original authors' names, plain or wrapped (``"model"``,
            ``"state_dict"``, ``"module."``), and transformers' names are recognised by content.

    Raises:
        WeightsError: damaged file, a pickle that would run code, or weights of another model.
    """
    _require_torch()
    from leadline.models.weights import load_weights as load

    load(module, source)


def _require_torch() -> None:
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("torch", "leadline.models", "torch") from error
