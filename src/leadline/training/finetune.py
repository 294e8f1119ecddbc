"""The short road: a folder of pictures and depth in, a network that knows them out.

```python
report = finetune("my_rooms", "runs/my_rooms")
print(report.text())
```
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from leadline.datasets.folder import folder_refs
from leadline.datasets.frame import read_json
from leadline.errors import InputError
from leadline.estimator import DepthEstimator
from leadline.evaluation import protocols
from leadline.evaluation.predictors import ModelPredictor
from leadline.jobs import write_text
from leadline.kinds import DepthKind
from leadline.load_options import load
from leadline.models.metric import ENCODERS, INDOOR_OUTDOOR
from leadline.models.zoedepth import NYU_KITTI, Domain
from leadline.preprocess import Preprocess
from leadline.training.config import TrainConfig
from leadline.training.data.custom_folder import (
    FolderFacts,
    check_direction,
    divide,
    examine,
    write_split,
)
from leadline.training.engine.checkpoint import checkpoints
from leadline.training.engine.loop import train
from leadline.training.validate import measure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leadline.datasets import FrameRef
    from leadline.spec import ModelSpec

RELATIVE, METRES = "depth-anything-zero-shot", "depth-anything-v2-metric"
"""Protocols of the report: with scale and shift fitted to each frame, and in metres as they are."""

Goal = Literal["metric", "relative"]


@dataclass(frozen=True, kw_only=True)
class FinetuneReport:
    """What a fine-tuning did.

    Attributes:
        facts: of the folder.
        recipe, model: what was chosen.
        learned, held_out: numbers of pictures.
        before, after: protocol -> metric -> mean over the held-out pictures; a protocol in metres
            has no ``before`` when the network gave none.
        run: the run's folder, which ``leadline predict --model`` takes.
    """

    facts: FolderFacts
    recipe: str
    model: str
    learned: int
    held_out: int
    before: dict[str, dict[str, float]]
    after: dict[str, dict[str, float]]
    run: str

    def text(self) -> str:
        """For people."""
        lines = [
            f"{self.facts.pictures} pictures, depth known at {self.facts.known:.0%} of the pixels, "
            f"median {self.facts.median_m:.2f} m; learned from {self.learned}, measured on "
            f"{self.held_out} of other groups; recipe {self.recipe}, {self.model}."
        ]
        for name, after in self.after.items():
            before = self.before.get(name, {})
            for metric in ("abs_rel", "delta1"):
                old = f"{before[metric]:.4f}" if metric in before else "no metres"
                lines.append(f"{name:28}{metric:10}{old:>10} -> {after[metric]:.4f}")
        return "\n".join(lines)


def finetune(
    folder: str | Path,
    out: str | Path,
    *,
    model: str = "lite",
    goal: Goal | None = None,
    per_metre: float | None = None,
    holes: Sequence[float] | None = None,
    intrinsics: Mapping[str, float] | None = None,
    steps: int = 1000,
    held_out: float = 0.2,
    trust: bool = False,
    changes: Mapping[str, Any] | None = None,
    resume: bool = False,
    report: Callable[[str], None] = print,
) -> FinetuneReport:
    """Check a folder, divide it, fine-tune a network on it, and measure what that was worth.

    Args:
        folder: pictures and depth files of the same stem in two folders; it is only read.
        out: run directory; ``finetune.json`` there holds the report.
        model: name, file or run folder of the network to start from.
        goal: ``metric``: metres; a relative network gets a metric head. ``relative``: affine
            disparity. None: metres.
        per_metre: numbers per metre of the depth files; needed for integers, float TIFF and EXR.
        holes: codes of the depth files that stand for "nothing is known"; empty: none does.
        intrinsics: ``fx, fy, cx, cy`` of all pictures in pixels, in place of camera.json's.
        steps: of training.
        held_out: share of the pictures to measure with.
        trust: do not ask a network whether the files are upside down.
        changes: settings of the run, see :class:`~leadline.training.config.TrainConfig`.
        resume: go on with a run that was stopped.
        report: takes one line of progress at a time.

    Raises:
        InputError: a folder that cannot be learned from; the message says what to do.
    """
    root, run = Path(folder), Path(out)
    report(f"looking through {root}")
    facts, refs = examine(root, per_metre=per_metre, holes=holes, intrinsics=intrinsics)
    report(
        f"{facts.pictures} pictures, {facts.known:.0%} of the pixels known, median depth "
        f"{facts.median_m:.2f} m, reach {facts.reach_m:g} m"
    )
    start = load(model)
    settings = settings_for(start.spec, model, facts, goal=goal, steps=steps)
    parts = dict(zip(("train", "val"), divide(refs, held_out), strict=True))
    own = [{"name": "folder", "root": str((run / "data" / "train").absolute())}]
    settings |= {"data": own, "validate_every": -1}
    config = TrainConfig.from_dict(settings).updated(changes or {})
    if not trust:
        check_direction(refs, start.predict)
    begin_run(run, root, parts, resume=resume)
    record: dict[str, Any] = {"max_depth": facts.reach_m, "kind": str(DepthKind.METRIC_DEPTH)}
    if facts.per_metre:
        record["depth_per_metre"] = facts.per_metre
    if holes is not None:
        record["holes"] = list(holes)
    record |= intrinsics or {}
    held = folder_refs(write_split(root, run / "data", parts, record)["val"])
    before = scores(of_whole_pictures(start), held, facts)
    report(f"before: {_short(before)}")
    train(config, run, resume=resume, report=report)
    found = FinetuneReport(
        facts=facts,
        recipe=config.recipe,
        model=config.model,
        learned=len(parts["train"]),
        held_out=len(parts["val"]),
        before=before,
        after=scores(load(run, runtime="torch"), held, facts),
        run=str(run),
    )
    write_text(run / "finetune.json", json.dumps(asdict(found), indent=2) + "\n")
    return found


def begin_run(run: Path, root: Path, parts: Mapping[str, Sequence[str]], *, resume: bool) -> None:
    """Write down what a run learns from and is measured with, unless its directory is another's.

    Args:
        run: directory; it may be missing.
        root: the user's folder.
        parts: of the folder, as :func:`divide` gave them.
        resume: whether the fine-tuning there is to go on.

    Raises:
        InputError: a run that is not to be resumed, one of other pictures, or no fine-tuning.
    """
    file, record = run / "split.json", {"folder": str(root.absolute()), **parts}
    if not file.is_file() and run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise InputError(f"{run} holds something else than a fine-tuning; give another --out.")
    if checkpoints(run) and not resume:
        raise InputError(
            f"{run} holds a fine-tuning; --resume goes on with it, another --out begins anew."
        )
    if checkpoints(run) and read_json(file) != record:
        raise InputError(
            f"{run} learns from another folder, or from another part of it ({file} says which), so "
            "what it is measured with could be learned from. Give another --out."
        )
    write_text(file, json.dumps(record, indent=2) + "\n")


def settings_for(
    spec: ModelSpec, start: str, facts: FolderFacts, *, goal: Goal | None, steps: int
) -> dict[str, Any]:
    """The recipe for a network and a folder, as nested plain settings.

    Raises:
        InputError: a network without a recipe for the goal.
    """
    if spec.architecture is None:
        raise InputError(f"{spec.name} is no torch network; fine-tune lite, or another one.")
    common: dict[str, Any] = {
        "steps": steps,
        "warmup": min(100, steps // 10),
        "batch": max(2, min(8, facts.pictures // 2)),
        "sizes": [input_size(spec, facts.size)],
        "predict_size": list(spec.preprocess.size),
        "checkpoint_every": max(50, steps // 10),
        "ema": 0.99,
    }
    if goal == "relative":
        return common | _relative(spec, start)
    if spec.kind.is_metric or spec.canonical_focal_px:
        return common | _metric(spec, start, facts)
    return common | _metric_head(spec, start, facts)


def _relative(spec: ModelSpec, start: str) -> dict[str, Any]:
    """A network of affine disparity stays one."""
    if not spec.kind.larger_is_nearer:
        raise InputError(
            f"{spec.name} gives {spec.kind}; for the goal relative a network of affine "
            "disparity is needed: lite, midas-v21-small, depth-anything-v2-vits."
        )
    own = {"recipe": "relative", "model": spec.architecture, "init_from": start}
    return {**own, "lr": 1e-4, "encoder_lr": 2e-5, "options": {"settle": 0}}


def _metric(spec: ModelSpec, start: str, facts: FolderFacts) -> dict[str, Any]:
    """A network of metres stays one."""
    canonical = spec.canonical_focal_px or 0.0
    options = {
        "max_depth": facts.reach_m,
        "router_weight": 1.0,  # all pictures are of one domain, which is quickly learned
        "domains": _domain(str(spec.architecture), spec, facts.reach_m),
        "canonical_focal_px": canonical if facts.lens else 0.0,
        "aspect": _aspect(spec, facts.size),
    }
    own = {"model": spec.architecture, "model_options": dict(spec.options), "init_from": start}
    return {**own, "recipe": "metric", "lr": 1e-4, "options": options}


def _metric_head(spec: ModelSpec, start: str, facts: FolderFacts) -> dict[str, Any]:
    """A relative network gets a metric head."""
    if spec.architecture not in ENCODERS:
        raise InputError(
            f"{spec.name} gives {spec.kind} and takes no metric head; start from lite, a MiDaS, a "
            "Depth Anything, or a metric network, or say --goal relative."
        )
    head: dict[str, Any] = {"encoder": spec.architecture, "domains": [["own", facts.reach_m]]}
    if spec.options:
        head["encoder_options"] = dict(spec.options)
    options = {"relative": start, "max_depth": facts.reach_m}
    own = {"recipe": "metric", "model": "metric", "model_options": head}
    return {**own, "lr": 5e-4, "options": options}


def input_size(spec: ModelSpec, picture: tuple[int, int]) -> list[int]:
    """(height, width) of the network's input for pictures of one shape."""
    return list(Preprocess(spec.preprocess).input_size(*picture))


def of_whole_pictures(estimator: DepthEstimator) -> DepthEstimator:
    """The same network shown all of a picture, as a run delivers it, and not its authors' crop."""
    spec = estimator.spec
    whole = replace(spec, preprocess=replace(spec.preprocess, crop=(1.0, 1.0)))
    return DepthEstimator(estimator.runtime, whole)


def scores(
    estimator: DepthEstimator, refs: list[FrameRef], facts: FolderFacts
) -> dict[str, dict[str, float]]:
    """Protocol -> mean metrics over frames of the folder."""
    spec = estimator.spec
    metres = spec.kind.is_metric or (spec.canonical_focal_px and facts.lens)
    return {
        name: measure(ModelPredictor(estimator), (ref.read() for ref in refs), protocols.get(name))
        for name in ([RELATIVE, METRES] if metres else [RELATIVE])
    }


def _domain(architecture: str, spec: ModelSpec, reach_m: float) -> list[str]:
    """Where the pictures belong in a network of several domains: the least that reaches as far."""
    usual = NYU_KITTI if architecture.startswith("zoedepth-nk") else ()
    usual = INDOOR_OUTDOOR if architecture == "metric" else usual
    domains = [Domain(*domain) for domain in spec.options.get("domains") or usual]
    if len(domains) < 2:
        return []
    domains.sort(key=lambda domain: domain.max_depth)
    return [next((d for d in domains if d.max_depth >= reach_m), domains[-1]).name]


def _aspect(spec: ModelSpec, picture: tuple[int, int]) -> float:
    """Width by height of what is stretched to the input; 0: nothing is."""
    return picture[1] / picture[0] if spec.preprocess.resize == "exact" else 0.0


def _short(found: dict[str, dict[str, float]]) -> str:
    return ", ".join(f"{name} abs_rel {values['abs_rel']:.4f}" for name, values in found.items())
