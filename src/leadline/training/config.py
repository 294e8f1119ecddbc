"""TrainConfig: every choice of a training run, as one TOML file.

Unknown keys raise and list the known ones. The config is stored in every checkpoint.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from leadline.errors import InputError, UnknownNameError

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One run of the relative-depth recipe.

    Attributes:
        model, model_options: what ``leadline.models.build`` gets.
        imagenet: start the encoder from ImageNet weights.
        frozen_stages: leading stages of the encoder that keep them; edges and colours look alike in
            photographs and renderings only where nothing learns the renderings' own, and a step
            costs a fifth less.
        seed: of everything; the data order is a function of (seed, step).
        steps, batch: length of the run and pictures per step.
        lr, encoder_lr, weight_decay, clip: AdamW; peak rates of the decoder and the encoder.
        warmup: steps of linear warm-up; during them the loss compares with the normalised target
            directly, because a scale-free loss of a random map says little.
        gradient_weight, gradient_scales: multi-scale gradient loss.
        ema: decay of the weights' moving average, which is what the run delivers.
        sizes: input sizes (height, width) of the batches, multiples of 32; repeats weigh.
        margin: pictures are rendered this much larger than the input, for random crops.
        min_crop: smallest side of a random crop as a share of the rendered picture.
        shard: pictures per rendered shard; views: pictures per scene.
        window: shards to draw from at a time; shard_steps: steps between two new shards.
        textures: folder of the CC0 texture package, empty for procedural textures only.
        icl: folder of ICL-NUIM frames (rgb, depth), empty to leave them out; icl_share: their
            share of a batch.
        workers: processes that render ahead.
        threads: torch threads, 0 for all.
        checkpoint_every, log_every: steps.
    """

    model: str = "lite"
    model_options: Mapping[str, Any] = field(default_factory=dict)
    imagenet: bool = True
    frozen_stages: int = 2
    seed: int = 0
    steps: int = 5000
    batch: int = 16
    lr: float = 1e-3
    encoder_lr: float = 2e-4
    weight_decay: float = 1e-2
    clip: float = 1.0
    warmup: int = 100
    gradient_weight: float = 0.5
    gradient_scales: int = 4
    ema: float = 0.998
    sizes: tuple[tuple[int, int], ...] = (
        (192, 256),
        (192, 256),
        (192, 256),
        (192, 192),
        (256, 192),
        (160, 320),
        (128, 384),
        (224, 288),
    )
    margin: float = 1.2
    min_crop: float = 0.75
    shard: int = 192
    views: int = 3
    window: int = 24
    shard_steps: int = 48
    textures: str = ""
    icl: str = ""
    icl_share: float = 0.05
    workers: int = 1
    threads: int = 0
    checkpoint_every: int = 200
    log_every: int = 20

    @classmethod
    def from_toml(cls, path: str | Path) -> TrainConfig:
        """Read a recipe: a file, or the name of one that ships (``lite``)."""
        file = Path(path)
        if not file.suffix:
            file = RECIPES / f"{path}.toml"
            if not file.exists():
                raise UnknownNameError("recipe", str(path), recipe_names())
        try:
            data = tomllib.loads(file.read_text())
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise InputError(f"{file} cannot be read as a TOML recipe: {error}.") from error
        return cls().updated(data)

    def updated(self, changes: Mapping[str, Any]) -> TrainConfig:
        """The config with some values changed; strings are turned into the field's type.

        Raises:
            UnknownNameError: a key that is no field.
            InputError: a value that does not fit the field.
        """
        known = {f.name: getattr(self, f.name) for f in fields(self)}
        clean = {}
        for key, value in changes.items():
            if key not in known:
                raise UnknownNameError("config key", key, known)
            clean[key] = _as_type(key, value, known[key])
        return replace(self, **clean)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON and checkpoints."""
        return asdict(self)


def recipe_names() -> list[str]:
    """Names of the recipes that ship."""
    return sorted(file.stem for file in RECIPES.glob("*.toml"))


def _as_type(key: str, value: Any, example: Any) -> Any:
    if isinstance(example, tuple):
        return tuple(tuple(int(side) for side in size) for size in value)
    if isinstance(example, Mapping):
        return dict(value)
    try:
        if isinstance(example, bool):
            return {"true": True, "false": False}[str(value).lower()]
        return type(example)(value)
    except (TypeError, ValueError, KeyError) as error:
        raise InputError(
            f"config key {key}={value!r}: a value like {example!r} is needed."
        ) from error
