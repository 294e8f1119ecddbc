"""Going on with a run: which settings may be others now, and what is said about them.

A run that goes on with the settings it had is exact. Others count from the checkpoint on, except
those that the weights and the optimiser's state come from, which are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leadline.errors import InputError
from leadline.training.settings import current_key

if TYPE_CHECKING:
    from leadline.training.config import TrainConfig

FIXED = {
    "recipe": "another recipe",
    "model": "another network",
    "model_options": "another network",
    "imagenet": "read when a run begins",
    "init_from": "read when a run begins",
    "options.relative": "read when a run begins",
    "options.encoder_start": "read when a run begins",
    "options.start_share": "read when a run begins",
    "options.repeat_coarse": "read when a run begins",
    "seed": "the order of all samples follows from it",
    "optimizer": "its state is of another form",
}
"""Settings that a run keeps, and why; a table's name stands for all of its keys."""


def changes(out: Path, saved: Mapping[str, Any], config: TrainConfig) -> list[str]:
    """What is other than in the run's checkpoint, a line each.

    Args:
        out: run directory.
        saved: the checkpoint.
        config: of the run as it is to go on.

    Raises:
        InputError: a setting that a run keeps, or fewer steps than are done.
    """
    ours = _flat(json.loads(json.dumps(config.to_dict())))
    saved_settings = _flat(json.loads(saved["config"]))
    theirs = {k if k in ours else current_key(k): v for k, v in saved_settings.items()}
    done, lines = saved["step"], []
    usual = _flat(json.loads(json.dumps(type(config)(recipe=config.recipe).to_dict())))
    for key in sorted(theirs | ours):  # what was no setting then was as it usually is
        old, new = theirs.get(key, usual.get(key)), ours.get(key)
        if old == new:
            continue
        if key in FIXED:
            raise InputError(
                f"{out} holds a run with {key}={old!r}, and {new!r} was given ({FIXED[key]}): it "
                "cannot go on. Give another --out; --set init_from=RUN begins with its weights."
            )
        lines.append(f"from step {done} on {key}={new!r}, before {old!r}")
    if config.steps < done:
        raise InputError(
            f"{out} has done {done} steps and steps={config.steps} was given: a larger number is "
            "needed to go on."
        )
    return lines


def _flat(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested tables as dotted keys; those that are fixed as a whole stay tables."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        key = above + name
        nested = isinstance(value, Mapping) and key not in FIXED
        flat |= _flat(value, f"{key}.") if nested else {key: value}
    return flat
