"""The training loop: one function from a config to a run directory."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from leadline import models
from leadline.errors import JobError
from leadline.losses import affine_normalize, multi_scale_gradient
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
    stop_after: int | None = None,
    report: Callable[[str], None] = print,
) -> Path:
    """Train a relative-depth network; writes checkpoints, ``log.jsonl`` and ``config.json``.

    Args:
        config: every choice of the run.
        out: run directory.
        resume: go on from the directory's checkpoint, if there is one.
        stop_after: save and stop after this many steps in all; a later ``resume`` goes on.
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
    run = _Run(config)
    saved = load_checkpoint(out) if resume else None
    if saved:
        run.restore(saved)
    icl = read_icl(config.icl) if config.icl else []
    progress = _Progress(config, run.step, out / "log.jsonl", report)
    with RenderedWorld(config=config, folder=out / "world").rendering(run.step) as world:
        for step, batch in prefetch(config, world, icl, run.step):
            progress.batch_came()
            progress.step_done(step, run.learn(batch))
            if run.step % config.checkpoint_every == 0 or run.step in (config.steps, stop_after):
                save_checkpoint(out, run.state(), run.average.state, architecture=config.model)
                world.forget(step)
            if run.step == stop_after:
                break
    return out / "model.safetensors"


class _Run:
    """The module, its optimiser and its moving average at one step."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.step = 0
        module = models.build(config.model, **config.model_options).train()
        if config.imagenet:
            module.start_from_imagenet(frozen_stages=config.frozen_stages)
        self.module = module.to(memory_format=torch.channels_last)
        self.optimizer = _optimizer(module, config)
        self.average = MovingAverage(module, config.ema)

    def learn(self, batch: Batch) -> float:
        """One step of the optimiser; returns the loss."""
        _set_rates(self.optimizer, self.config, self.step)
        loss = _loss(self.module, batch, self.config, self.step)
        value = loss.item()
        if not math.isfinite(value):
            raise JobError(
                f"the loss is {value} at step {self.step}; lower lr ({self.config.lr}) or clip "
                f"({self.config.clip}) and resume from the last checkpoint."
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.module.parameters(), self.config.clip)
        self.optimizer.step()
        self.average.update(self.module, self.step)
        self.step += 1
        return value

    def state(self) -> dict[str, Any]:
        """Everything that :meth:`restore` needs."""
        return {
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state,
            "step": self.step,
            "config": json.dumps(self.config.to_dict()),
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on where :meth:`state` was taken."""
        self.module.load_state_dict(saved["module"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.average.state = saved["average"]
        self.step = saved["step"]


class _Progress:
    """Loss, speed, share of time spent waiting for data, and time left; to a log and a person."""

    def __init__(
        self, config: TrainConfig, start: int, log: Path, report: Callable[[str], None]
    ) -> None:
        self.config, self.start, self.log, self.report = config, start, log, report
        self.losses: list[float] = []
        self.began = self.asked = time.perf_counter()
        self.waited = 0.0

    def batch_came(self) -> None:
        """The loop has got the batch it asked for."""
        self.waited += time.perf_counter() - self.asked

    def step_done(self, step: int, loss: float) -> None:
        """The step is done; every ``log_every`` steps a line is written."""
        self.losses.append(loss)
        done = step + 1
        if done % self.config.log_every == 0 or done == self.config.steps:
            seconds = time.perf_counter() - self.began
            steps = done - self.start
            line = {
                "step": done,
                "loss": round(sum(self.losses) / len(self.losses), 5),
                "pictures_per_s": round(steps * self.config.batch / seconds, 2),
                "wait_share": round(self.waited / seconds, 3),
                "eta_min": round(seconds / steps * (self.config.steps - done) / 60, 1),
            }
            self.losses = []
            with self.log.open("a") as log:
                log.write(json.dumps(line) + "\n")
            self.report(" ".join(f"{key}={value}" for key, value in line.items()))
        self.asked = time.perf_counter()


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
        if not parameter.requires_grad:
            continue
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
