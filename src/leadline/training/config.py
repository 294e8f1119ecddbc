"""TrainConfig: every choice of a training run, as one TOML file.

Unknown keys raise and list the known ones, at the top and in every table. The config is stored in
every checkpoint. What all runs have stands here; what only one recipe has stands in
:mod:`leadline.training.options`, the table ``[options]``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from leadline.errors import InputError, UnknownNameError
from leadline.training.options import options_class
from leadline.training.settings import need, update

PRESETS = Path(__file__).parent / "presets"

Schedule = Literal["cosine", "one-cycle", "poly", "step", "constant"]
Precision = Literal["off", "bf16", "fp16"]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """One source of pictures.

    Attributes:
        name: ``world``, rendered while the run learns, or a name of ``leadline datasets``.
        root: its folder.
        split: part of the set; empty: its training part where it has one.
        weight: share of the samples, relative to the other sources.
        per_metre: codes per metre of a folder's integer depth files; 0: as its camera.json says.
        every: only every n-th frame of a sequence.
    """

    name: str = "world"
    root: str = ""
    split: str = ""
    weight: float = 1.0
    per_metre: float = 0.0
    every: int = 1

    def __post_init__(self) -> None:
        need(self, "at least 0", lambda number: number >= 0, "weight", "per_metre")
        need(self, "at least 1", lambda number: number >= 1, "every")

    @classmethod
    def from_text(cls, text: str) -> DataConfig:
        """Read ``NAME[:SPLIT][=ROOT][@WEIGHT]``, as on the command line."""
        body, at, weight = text.rpartition("@")
        number = _number(weight) if at else None
        if number is None:
            body, number = text, 1.0
        place, _, root = body.partition("=")
        name, _, split = place.partition(":")
        return cls(name=name, split=split, root=root, weight=number)


@dataclass(frozen=True, kw_only=True)
class WorldConfig:
    """How the procedural world is rendered.

    Attributes:
        kinds: of scenes, of ``leadline.world.KINDS``; empty: all, in their usual shares.
        mount: ``nyu`` or ``kitti``: all pictures of single views are taken by that set's camera, as
            it is held there (``leadline.world.MOUNTS``); empty: by any.
        size: (height, width) of the pictures; (0, 0): that of the input.
        margin: pictures are rendered this much larger than what is cut from them.
        shard: pictures per rendered shard.
        views: pictures per scene.
        window: shards to draw from at a time; a network on a GPU has them in its memory.
        shard_steps: steps between two new shards.
        shards: 0: new shards all along; otherwise a fixed set of so many, which are kept.
        seed: of the scenes; -1 takes the run's.
        textures: folder of the CC0 texture package; empty: procedural textures only.
        folder: where shards go; empty: ``world`` in the run's folder. Runs may share one.
        device: where single pictures are rendered: empty: by numpy on the CPU; ``cuda``, ``cpu``,
            ...: by torch there, many at once.
    """

    kinds: tuple[str, ...] = ()
    mount: str = ""
    size: tuple[int, int] = (0, 0)
    margin: float = 1.2
    shard: int = 192
    views: int = 3
    window: int = 24
    shard_steps: int = 48
    shards: int = 0
    seed: int = -1
    textures: str = ""
    folder: str = ""
    device: str = ""

    def __post_init__(self) -> None:
        if self.kinds or self.mount:
            _check_scenes(self.kinds, self.mount)
        many = ("margin", "shard", "views", "window", "shard_steps")
        need(self, "at least 1", lambda number: number >= 1, *many)
        need(self, "at least 0", lambda number: number >= 0, "size", "shards")
        need(self, "-1 or more", lambda number: number >= -1, "seed")


def _check_scenes(kinds: tuple[str, ...], mount: str) -> None:
    from leadline.world import KINDS, mounted_kinds  # OpenCV, which few configs need

    for kind in kinds:
        if kind not in KINDS:
            raise UnknownNameError("kind of scene", kind, KINDS)
    mounted_kinds(mount, kinds)


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """What happens to a picture and its truth before the network sees it.

    Attributes:
        min_crop: smallest side of a random crop as a share of the largest that fits.
        flip: share of pictures that are mirrored.
        rotate_deg: largest turn about the centre.
        colours: ``strong`` (exposure, contrast, white balance, saturation, gamma, noise, blur),
            ``channels`` (each channel times 0.8 to 1.2, Eigen), ``permute`` (channels in another
            order, DenseDepth), ``jitter`` (brightness, contrast and saturation times 0.6 to 1.4,
            FastDepth), ``bts-nyu`` and ``bts-kitti`` (half of the pictures: gamma 0.9 to
            1.1, brightness 0.75 to 1.25 or 0.9 to 1.1, each channel times 0.9 to 1.1; BTS and
            ZoeDepth), or ``none``.
    """

    min_crop: float = 0.75
    flip: float = 0.5
    rotate_deg: float = 0.0
    colours: Literal["strong", "channels", "permute", "jitter", "bts-nyu", "bts-kitti", "none"] = (
        "strong"
    )

    def __post_init__(self) -> None:
        need(self, "a share above 0, up to 1,", lambda number: 0 < number <= 1, "min_crop")
        need(self, "a share from 0 to 1", lambda number: 0 <= number <= 1, "flip")
        need(self, "an angle from 0 to 180", lambda number: 0 <= number <= 180, "rotate_deg")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One run.

    Attributes:
        recipe: a name of :data:`leadline.training.options.OPTIONS`.
        options: the recipe's own choices, see :mod:`leadline.training.options`; None: its defaults.
        model, model_options: what ``leadline.models.build`` gets.
        imagenet: start the encoder from ImageNet weights, where the network has that start.
        init_from: weights to start from: a file, a run's folder, or a catalogue name; empty: none.
        freeze: beginnings of the names of parts that do not learn and keep their statistics
            (``encoder``, ``encoder.blocks.0``).
        unfreeze_step: step from which they learn after all; 0: never.
        data: where pictures come from.
        world, augment: tables of their own.
        seed: of everything; a sample is a function of (seed, step, row).
        steps, batch: length of the run; pictures per step, over all processes.
        accumulate: parts that a process takes its share of a batch in, one after another.
        optimizer, momentum: ``adamw``, ``adam`` (decay inside the gradient), ``amsgrad`` (that with
            the largest second moment so far), or ``sgd``.
        lr, encoder_lr, weight_decay: peak rates of the rest and of the encoder.
        clip: largest norm of the gradient; 0: any.
        schedule: of the rates; see :func:`leadline.training.engine.optimise.rate_factor`.
        warmup: steps of linear warm-up.
        power: of ``poly``; factor, milestones: of ``step``, milestones as shares of the run.
        pct_start, rise_from, momentum_cycle: of ``one-cycle``: share of the run in which the rate
            rises, factor that it rises from, least and largest momentum (empty: as it is).
        amp: mixed precision; ``fp16`` scales the loss.
        ema: decay of the weights' moving average, which is what the run delivers; 0: none.
        activation_checkpointing: give memory for time, where the network offers it.
        channels_last: memory layout; faster for convolutions.
        sizes: input sizes (height, width) of the batches; repeats weigh.
        predict_size: (height, width) that the delivered network looks at; (0, 0): the commonest of
            ``sizes``. Windows that are enlarged make things look larger than they will be.
        render_workers: processes that render ahead; num_workers: threads that make batches ahead.
        threads: torch threads, 0 for all.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        parallel: under torchrun: ``ddp``, or ``fsdp``, which shards parameters too.
        checkpoint_every, log_every: steps.
        validate_every: steps; 0: at the end only. -1: never.
        validate_frames: how many; validate_data: where from; empty: the data's own validation
            part, every tenth frame of a set without one, or held-out scenes of the world.
        protocol: of ``leadline.evaluation``; empty: the recipe's own.
        tensorboard: write for TensorBoard too.
        max_loss_spike: a loss this many times the recent median stops the run; 0: never.
    """

    recipe: str = "relative"
    options: Any = None
    model: str = "lite"
    model_options: Mapping[str, Any] = field(default_factory=dict)
    imagenet: bool = False
    init_from: str = ""
    freeze: tuple[str, ...] = ()
    unfreeze_step: int = 0
    data: tuple[DataConfig, ...] = (DataConfig(),)
    world: WorldConfig = WorldConfig()
    augment: AugmentConfig = AugmentConfig()
    seed: int = 0
    steps: int = 5000
    batch: int = 16
    accumulate: int = 1
    optimizer: Literal["adamw", "adam", "amsgrad", "sgd"] = "adamw"
    momentum: float = 0.9
    lr: float = 1e-3
    encoder_lr: float = 2e-4
    weight_decay: float = 1e-2
    clip: float = 1.0
    schedule: Schedule = "cosine"
    warmup: int = 100
    power: float = 0.9
    factor: float = 0.1
    milestones: tuple[float, ...] = (0.6, 0.8)
    pct_start: float = 0.3
    rise_from: float = 0.04
    momentum_cycle: tuple[float, ...] = ()
    amp: Precision = "off"
    ema: float = 0.998
    activation_checkpointing: bool = False
    channels_last: bool = True
    sizes: tuple[tuple[int, int], ...] = ((192, 256),)
    predict_size: tuple[int, int] = (0, 0)
    render_workers: int = 1
    num_workers: int = 1
    threads: int = 0
    device: str = "auto"
    parallel: Literal["ddp", "fsdp"] = "ddp"
    checkpoint_every: int = 200
    log_every: int = 20
    validate_every: int = 0
    validate_frames: int = 24
    validate_data: tuple[DataConfig, ...] = ()
    protocol: str = ""
    tensorboard: bool = False
    max_loss_spike: float = 1000.0

    def __post_init__(self) -> None:
        options = options_class(self.recipe)
        if self.options is None:
            object.__setattr__(self, "options", options())
        elif not isinstance(self.options, options):
            raise InputError(
                f"options of type {type(self.options).__name__} for the recipe {self.recipe!r}: "
                f"its own {options.__qualname__} is needed."
            )
        _check(self)

    @classmethod
    def from_toml(cls, path: str | Path) -> TrainConfig:
        """Read a file, or a preset by its name (``lite``, ``supervised``, ``fastdepth`` ...).

        Raises:
            UnknownNameError: no such preset, or a key that is no setting.
            InputError: not TOML, or a value that does not fit.
        """
        return cls.from_dict(read_settings(path))

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> TrainConfig:
        """The config of nested plain values, as TOML and :meth:`to_dict` give them."""
        recipe = settings.get("recipe", "relative")
        return cls(recipe=str(recipe)).updated(settings)

    def updated(self, changes: Mapping[str, Any]) -> TrainConfig:
        """The config with some values changed.

        Args:
            changes: plain values; a key may be dotted (``world.shard``), text is read as TOML
                where the setting is no text. Another ``recipe`` takes that recipe's own options.

        Raises:
            UnknownNameError: a key that is no setting; the message lists those that are.
            InputError: a value that does not fit the setting.
        """
        recipe = str(changes.get("recipe", self.recipe))
        base = self if recipe == self.recipe else replace(self, recipe=recipe, options=None)
        if "sizes" in changes or changes.get("model", self.model) != self.model:
            base = replace(base, predict_size=(0, 0))  # it belonged to those of before
        return update(base, {k: v for k, v in changes.items() if k != "recipe"}, what="config")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON and checkpoints."""
        return asdict(self)


def preset_names() -> list[str]:
    """Names of the presets that ship."""
    return sorted(file.stem for file in PRESETS.glob("*.toml"))


def read_settings(path: str | Path) -> dict[str, Any]:
    """The settings of a file or preset; ``inherits = "NAME"`` starts from another preset's.

    Raises:
        UnknownNameError: no such preset.
        InputError: the file cannot be read.
    """
    file = Path(path)
    if not file.suffix:
        file = PRESETS / f"{path}.toml"
        if not file.exists():
            raise UnknownNameError("recipe or preset", str(path), preset_names())
    try:
        own = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read as TOML settings: {error}.") from error
    parent = own.pop("inherits", None)
    return own if parent is None else overlay(read_settings(str(parent)), own)


def overlay(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with others laid over them; another network drops the options of the one before."""
    other = changes.get("model", base.get("model")) != base.get("model")
    kept = {key: value for key, value in base.items() if not (other and key == "model_options")}
    return merge(kept, changes)


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings with others laid over them; tables are merged, all else is replaced."""
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        tables = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = merge(old, value) if tables else value
    return result


_AT_LEAST_1 = (
    *("steps", "batch", "accumulate", "checkpoint_every", "log_every", "num_workers", "sizes"),
    "validate_frames",
)
_AT_LEAST_0 = (
    *("unfreeze_step", "seed", "encoder_lr", "weight_decay", "clip", "warmup", "power", "factor"),
    *("render_workers", "threads", "predict_size"),
)


def _check(config: TrainConfig) -> None:
    need(config, "at least 1", lambda number: number >= 1, *_AT_LEAST_1)
    need(config, "at least 0", lambda number: number >= 0, *_AT_LEAST_0)
    need(config, "a number above 0", lambda number: number > 0, "lr", "rise_from")
    need(config, "at least 0, and below 1,", lambda number: 0 <= number < 1, "momentum", "ema")
    shares = ("milestones", "momentum_cycle")
    need(config, "a share from 0 to 1", lambda number: 0 <= number <= 1, *shares)
    need(config, "a share between 0 and 1", lambda number: 0 < number < 1, "pct_start")
    need(config, "-1 or more", lambda number: number >= -1, "validate_every")
    need(config, "0, or more than 1,", lambda number: number == 0 or number > 1, "max_loss_spike")
    if config.batch % config.accumulate:
        raise InputError(
            f"batch={config.batch}, accumulate={config.accumulate}: the batch needs to divide into "
            "that many equal parts; change one of them."
        )
    if any(config.predict_size) and not all(config.predict_size):
        raise InputError(
            f"predict_size={list(config.predict_size)}: a height and a width are needed, or [0, 0]."
        )
    if not config.sizes or not config.data:
        raise InputError("sizes and data: at least one of each is needed.")
    if len(config.momentum_cycle) not in (0, 2):
        raise InputError(
            f"momentum_cycle={list(config.momentum_cycle)}: two numbers, or none, are needed."
        )
    if not any(data.weight for data in config.data):
        raise InputError("every source of data has weight 0: one above 0 is needed.")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
