"""What every contender of a benchmark is given: one set of weights, pictures, and files.

Weights are random unless a checkpoint is given: speed does not depend on them, and random ones may
be published with the result. Pictures are rendered, so that activations look like those of
photographs.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline import catalog
from leadline.errors import InputError
from leadline.image import Image
from leadline.preprocess import Preprocess
from leadline.spec import ModelSpec

if TYPE_CHECKING:
    from leadline.models.base import DepthModule

SCENES = ("room", "street", "nature")
"""Kinds of the rendered pictures; the error is taken over all of them."""

OPSET = 18
"""Of the plain ONNX export that ONNX Runtime and plain OpenVINO run."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a contender needs to open itself; small and picklable.

    Attributes:
        model: name in the catalogue.
        folder: where the prepared files lie.
        size: (height, width) of the network's input.
        threads: of every contender; None leaves each library its default.
        device: ``cpu`` or ``cuda``.
        seed: of the random weights.
        weights: a checkpoint in place of random weights.
    """

    model: str
    folder: Path
    size: tuple[int, int]
    threads: int | None = None
    device: str = "cpu"
    seed: int = 0
    weights: Path | None = None


def spec_of(setup: Setup) -> ModelSpec:
    """The catalogue's entry.

    Raises:
        InputError: the model has no torch network to give weights to.
    """
    spec = catalog.get(setup.model)
    if spec.architecture is None:
        raise InputError(f"{spec.name} is not a torch network; a benchmark needs one.")
    return spec


def torch_module(setup: Setup) -> DepthModule:
    """Our network with the benchmark's weights, in eval mode."""
    import torch

    from leadline import models

    spec = spec_of(setup)
    torch.manual_seed(setup.seed)
    module = models.build(str(spec.architecture), **spec.options)
    if setup.weights is not None:
        models.load_weights(module, setup.weights)
    return module.eval()


def transformers_module(setup: Setup) -> Any:
    """The network of transformers with the same weights, in eval mode.

    Raises:
        InputError: transformers does not have this model.
    """
    from leadline.models.depth_anything import CONFIGS
    from leadline.models.depth_anything_names import to_transformers

    spec = spec_of(setup)
    if spec.architecture not in CONFIGS:
        raise InputError(
            f"{spec.name}: transformers is compared for Depth Anything only; leave it out with "
            "--against onnxruntime,openvino-default."
        )
    import torch
    from transformers import DepthAnythingForDepthEstimation

    state = torch_module(setup).state_dict()
    with torch.device("meta"):
        module = DepthAnythingForDepthEstimation(transformers_config(setup))
    named = to_transformers(state)
    if set(named) != set(module.state_dict()):
        named = to_transformers(state, in_memory=True)
    module.load_state_dict(named, strict=True, assign=True)
    return module.eval()


def transformers_config(setup: Setup) -> Any:
    """The same network as transformers describes it."""
    from transformers import DepthAnythingConfig, Dinov2Config

    from leadline.models.depth_anything import CONFIGS
    from leadline.models.dinov2 import ENCODERS

    ours = CONFIGS[str(spec_of(setup).architecture)]
    encoder = ENCODERS[ours.encoder]
    backbone: Any = Dinov2Config(
        hidden_size=encoder.width,
        num_hidden_layers=encoder.depth,
        num_attention_heads=encoder.heads,
        use_swiglu_ffn=encoder.swiglu,
        image_size=encoder.patch * encoder.grid,
        patch_size=encoder.patch,
        out_indices=[tap + 1 for tap in ours.taps],  # ty: ignore[unknown-argument]
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    limit: Any = ours.max_depth
    return DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=encoder.width,
        neck_hidden_sizes=list(ours.out_channels),
        fusion_hidden_size=ours.features,
        depth_estimation_type="relative" if limit is None else "metric",
        max_depth=1 if limit is None else limit,
    )


def render_pictures(size: tuple[int, int], *, seed: int = 0) -> list[Image]:
    """One picture of (height, width) for each of :data:`SCENES`."""
    from leadline.world import sample_scene, sample_view

    views = [
        sample_view(sample_scene(seed + number, kind), seed + number, size)
        for number, kind in enumerate(SCENES)
    ]
    return [Image(pixels=view.rgb) for view in views]


def batches(setup: Setup) -> np.ndarray:
    """The pictures as the network wants them: (n, 1, 3, h, w)."""
    spec = replace(spec_of(setup).preprocess, size=setup.size, resize="exact")
    preprocess = Preprocess(spec)
    pictures = render_pictures(setup.size, seed=setup.seed)
    return np.stack([preprocess(picture).arrays["image"] for picture in pictures])


def prepare(setup: Setup, contenders: tuple[str, ...]) -> dict[str, Any]:
    """Write the files that ``contenders`` open, and the maps that PyTorch gives in float32.

    Returns:
        Facts about the network: ``parameters``, ``gflop`` of one picture.
    """
    import torch

    if setup.threads is not None:
        torch.set_num_threads(setup.threads)
    module = torch_module(setup)
    module.check_size(*setup.size)
    given = batches(setup)
    with torch.inference_mode():
        maps = np.stack([module(torch.from_numpy(batch))[0].numpy() for batch in given])
    np.save(setup.folder / "batches.npy", given)
    np.save(setup.folder / "maps.npy", maps)
    facts = {"parameters": sum(p.numel() for p in module.parameters()), "gflop": gflop(setup)}
    if any(name in ("onnxruntime", "openvino-f32", "openvino-default") for name in contenders):
        _write_plain(module, setup)
    return facts | _write_ours(module, setup, contenders)


def gflop(setup: Setup) -> float:
    """10^9 additions and multiplications for one picture: convolutions, matrices, attention."""
    import torch

    from leadline.speed.costs import count_gflop

    with torch.device("meta"):
        module = torch_module(replace(setup, weights=None))
        batch = torch.zeros(1, 3, *setup.size)
    return count_gflop(module, batch)


def _write_plain(module: DepthModule, setup: Setup) -> None:
    """The export that PyTorch makes by itself, for one size: its best case."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            (torch.zeros(1, 3, *setup.size),),
            dynamo=True,
            input_names=["image"],
            output_names=["depth"],
            opset_version=OPSET,
            verbose=False,
        )
    if program is None:
        raise InputError(f"{setup.model} cannot be exported to ONNX by PyTorch.")
    program.save(setup.folder / "plain.onnx")


def _write_ours(module: DepthModule, setup: Setup, contenders: tuple[str, ...]) -> dict[str, float]:
    from leadline.export import export_module

    spec = spec_of(setup)
    if {"leadline-f32", "leadline-bf16"} & set(contenders):
        export_module(module, spec, setup.folder / "fixed.xml", sides=setup.size)
    if {"leadline-bf16-any-size", "leadline-int8"} & set(contenders):
        export_module(module, spec, setup.folder / "any.xml")
    if "leadline-int8" in contenders:
        from leadline.quantize import quantize

        others = render_pictures(setup.size, seed=setup.seed + 100)
        done = quantize(setup.folder / "any.xml", setup.folder / "int8.xml", pictures=others)
        return {"int8_share": done.share}
    return {}
