"""The training loop: one function from a config to a run directory."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from leadline import models
from leadline.errors import JobError
from leadline.losses import affine_normalize, multi_scale_gradient
from leadline.models.encoders import load_imagenet_lite0
from leadline.training.batches import Batch, prefetch, read_icl
from leadline.training.checkpoint import MovingAverage, load_checkpoint, save_checkpoint
from leadline.training.config import TrainConfig
from leadline.training.memory import keep_freed_memory
from leadline.training.rendered import RenderedWorld


def train(
    config: TrainConfig,
    out: str | Path,
    *,
    resume: bool = False,
    report: Callable[[str], None] = print,
) -> Path:
    """Train a relative-depth network; writes checkpoints, ``log.jsonl`` and ``config.json``.

    Args:
        config: every choice of the run.
        out: run directory.
        resume: go on from the directory's checkpoint, if there is one.
        report: takes one line of progress at a time.

    Returns:
        The path of the delivered weights, ``out/model.safetensors``.

    Raises:
        JobError: the loss is not finite any more, or the renderer stopped.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(config.to_dict(), indent=2) + "\n")
    keep_freed_memory()
    torch.manual_seed(config.seed)
    if config.threads:
        torch.set_num_threads(config.threads)
    module = models.build(config.model, **config.model_options)
    if config.imagenet:
        load_imagenet_lite0(module.encoder)
    module.train().to(memory_format=torch.channels_last)
    optimizer = _optimizer(module, config)
    average = MovingAverage(module, config.ema)
    start = 0
    saved = load_checkpoint(out) if resume else None
    if saved:
        module.load_state_dict(saved["module"])
        optimizer.load_state_dict(saved["optimizer"])
        average.state = saved["average"]
        start = saved["step"]

    world = RenderedWorld(config=config, folder=out / "world")
    icl = read_icl(config.icl) if config.icl else []
    world.start(start)
    began, waited, losses = time.perf_counter(), 0.0, []
    asked = time.perf_counter()
    for step, batch in prefetch(config, world, icl, start):
        waited += time.perf_counter() - asked
        _set_rates(optimizer, config, step)
        loss = _loss(module, batch, config, step)
        if not math.isfinite(loss.item()):
            raise JobError(
                f"loss {loss.item()} at step {step}; lower lr ({config.lr}) or clip "
                f"({config.clip}) and --resume from step {start} or the last checkpoint."
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), config.clip)
        optimizer.step()
        average.update(module, step)
        losses.append(loss.item())
        done = step + 1
        if done % config.log_every == 0 or done == config.steps:
            seconds = time.perf_counter() - began
            line = {
                "step": done,
                "loss": round(sum(losses) / len(losses), 5),
                "pictures_per_s": round((done - start) * config.batch / seconds, 2),
                "wait_share": round(waited / seconds, 3),
                "eta_min": round(seconds / (done - start) * (config.steps - done) / 60, 1),
            }
            losses = []
            with (out / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            report(" ".join(f"{key}={value}" for key, value in line.items()))
        if done % config.checkpoint_every == 0 or done == config.steps:
            state = {
                "module": module.state_dict(),
                "optimizer": optimizer.state_dict(),
                "average": average.state,
                "step": done,
                "config": json.dumps(config.to_dict()),
            }
            save_checkpoint(out, state, average.state)
            world.forget(step)
        asked = time.perf_counter()
    return out / "model.safetensors"


def _loss(module: nn.Module, batch: Batch, config: TrainConfig, step: int) -> Tensor:
    rgb = (batch.rgb - 0.5) / 0.5
    pred = module(rgb.contiguous(memory_format=torch.channels_last)).float()
    target = affine_normalize(batch.disparity, batch.valid)
    if step >= config.warmup:
        pred = affine_normalize(pred, batch.valid)
    known = batch.valid.sum().clamp(min=1)
    difference = torch.where(batch.valid, (pred - target).abs(), 0.0).sum() / known
    gradient = multi_scale_gradient(pred, target, batch.valid, scales=config.gradient_scales)
    return difference + config.gradient_weight * gradient


def _optimizer(module: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW; the encoder learns slower; norms and biases do not decay."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        groups.setdefault((name.startswith("encoder."), parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "peak": config.encoder_lr if encoder else config.lr,
                "weight_decay": config.weight_decay if decays else 0.0,
            }
            for (encoder, decays), parameters in groups.items()
        ]
    )


def _set_rates(optimizer: torch.optim.Optimizer, config: TrainConfig, step: int) -> None:
    """Linear warm-up, then cosine to zero."""
    warm = min(1.0, (step + 1) / max(1, config.warmup))
    share = max(0, step - config.warmup) / max(1, config.steps - config.warmup)
    factor = warm * 0.5 * (1 + math.cos(math.pi * share))
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
