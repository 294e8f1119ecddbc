"""The student: what its samples hold, what its loss counts, and what is kept frozen."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PilImage
from safetensors.torch import load_file

from leadline.datasets import open_labels
from leadline.errors import InputError
from leadline.io import encode_png16
from leadline.losses import affine_normalize, feature_distance, mean_residuals
from leadline.models.base import DepthModule
from leadline.training import TrainConfig
from leadline.training.data.colours import perturb_colours
from leadline.training.data.crops import draw_box
from leadline.training.data.pseudo_labels import MixedSamples, PseudoSamples
from leadline.training.options import DepthAnythingOptions
from leadline.training.recipes.depth_anything import DepthAnything, Student


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures with labels, as `leadline label` writes them."""
    root = tmp_path_factory.mktemp("labels")
    rng = np.random.default_rng(0)
    (root / "depth").mkdir()
    for n in range(4):
        picture = root / f"{n}.png"
        PilImage.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(picture)
        values = rng.random((48, 64)) + 10 * n
        info = {"kind": "affine_disparity", "source": str(picture)}
        (root / "depth" / f"{n}.png").write_bytes(encode_png16(values, info=info))
    manifest = {"layout": "folder", "kind": "affine_disparity", "complete": True}
    (root / "manifest.json").write_text(json.dumps(manifest))
    return root


def _config(labels: Path, **options: object) -> TrainConfig:
    config = TrainConfig.from_dict({"recipe": "depth-anything", "sizes": [[32, 32]], "batch": 6})
    own = DepthAnythingOptions(labels=str(labels), pseudo_share=1.0)
    return replace(config, options=replace(own, **options))  # ty: ignore[invalid-argument-type]


def _samples(labels: Path, *, colours: bool = True, cutmix: float = 0.5) -> PseudoSamples:
    refs = open_labels(labels)[1]
    return PseudoSamples(_config(labels), refs, colours=colours, cutmix=cutmix)


def test_a_sample_is_a_function_of_step_and_row(labels: Path) -> None:
    one, two = _samples(labels), _samples(labels)
    two.sample(7, 3, (32, 32))
    first, again = one.sample(5, 2, (32, 32)), two.sample(5, 2, (32, 32))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["rgb"], one.sample(5, 4, (32, 32))["rgb"])


def test_cutmix_puts_one_picture_into_another_with_its_label(labels: Path) -> None:
    samples = _samples(labels, cutmix=1.0, colours=False)
    seen = set()
    for row in range(12):
        one = samples.sample(0, row, (32, 32))
        inside, outside = one["disparity"][~one["outside"]], one["disparity"][one["outside"]]
        assert 0.01 < len(inside) / 1024 < 0.5
        assert inside.max() - inside.min() <= 1  # of one picture: labels lie 10 apart
        assert outside.max() - outside.min() <= 1
        seen.add((int(inside.min()) // 10, int(outside.min()) // 10))
    assert any(box != around for box, around in seen)
    assert samples.sample(0, 0, (32, 32))["valid"].all()


def test_one_labelled_sample_to_two_of_the_teacher() -> None:
    config = TrainConfig.from_dict({"recipe": "depth-anything"})
    mixed = MixedSamples(config, labelled=None, pseudo=None, share=2 / 3)
    assert [mixed.is_pseudo(row) for row in range(6)] == [False, True, True, False, True, True]
    only = MixedSamples(config, labelled=None, pseudo=None, share=1)
    assert all(only.is_pseudo(row) for row in range(6))


def test_strong_colours_keep_the_range_and_change_the_picture() -> None:
    picture = torch.rand(3, 24, 32)
    rng = np.random.default_rng(1)
    made = [perturb_colours(picture, rng) for _ in range(8)]
    assert all(one.min() >= 0 and one.max() <= 1 and one.shape == picture.shape for one in made)
    assert sum(float((one - picture).abs().mean()) > 0.02 for one in made) >= 5


def test_boxes_have_the_areas_that_were_asked_for() -> None:
    rng = np.random.default_rng(2)
    areas = [1 - float(draw_box(rng, (100, 120)).float().mean()) for _ in range(50)]
    assert 0.015 < min(areas) < 0.1 < 0.3 < max(areas) < 0.45


def test_mean_residuals_leaves_out_the_largest() -> None:
    target = torch.zeros(2, 5, 4)
    pred = torch.ones(2, 5, 4)
    pred[:, 0, :2] = 100.0
    valid = torch.ones(2, 5, 4, dtype=torch.bool)
    all_, none = mean_residuals(pred, target, valid, drop=torch.tensor([0.0, 0.1]))
    assert all_ == pytest.approx((18 + 200) / 20)
    assert none == pytest.approx(1.0)
    assert mean_residuals(pred, target, ~valid, drop=torch.zeros(2)).tolist() == [0.0, 0.0]


def test_feature_distance_counts_only_what_strayed() -> None:
    frozen = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])[None]  # (1, 3, 2) tokens
    features = torch.tensor([[1.0, 0.1], [0.0, 1.0], [-1.0, 0.0]])[None]
    assert feature_distance(features, frozen, margin=0.85).item() == pytest.approx((1 + 2) / 2)
    places = features.shape[1]
    whole = feature_distance(features, frozen, margin=0.85, over="all")
    assert whole.item() == pytest.approx((1 + 2) / places)
    assert feature_distance(frozen, frozen, margin=0.85).item() == 0
    maps = features.transpose(1, 2)[..., None]  # (1, 2, 3, 1)
    again = feature_distance(maps, frozen.transpose(1, 2)[..., None], margin=0.85)
    assert again.item() == pytest.approx(1.5)


def test_parts_of_a_batch_average_to_the_batch(labels: Path) -> None:
    recipe = DepthAnything(_config(labels, pseudo_share=2 / 3))
    each, away = torch.rand(6), torch.rand(6)
    pseudo = torch.tensor([False, True, True, False, True, True])
    whole, terms = recipe._average(each, away, pseudo)
    assert terms["labelled"] == pytest.approx(float(each[~pseudo].mean()))
    assert whole == pytest.approx(
        float((each[~pseudo].mean() + each[pseudo].mean() + away[pseudo].mean()) / 3)
    )
    thirds = [recipe._average(each[k], away[k], pseudo[k])[0] for k in _PAIRS]
    assert float(torch.stack(thirds).mean()) == pytest.approx(float(whole))


def test_the_loss_of_cutmix_weighs_its_regions_by_area(labels: Path) -> None:
    recipe = DepthAnything(_config(labels, feature_weight=0.0, settle=0))
    torch.manual_seed(0)
    pred, target = torch.rand(1, 8, 8), torch.rand(1, 8, 8)
    outside = torch.ones(1, 8, 8, dtype=torch.bool)
    outside[:, :4, :4] = False
    target[~outside] = 50 + 7 * target[~outside]  # of another picture: another scale and shift
    batch = {
        "rgb": torch.rand(1, 3, 8, 8),
        "disparity": target,
        "valid": torch.ones(1, 8, 8, dtype=torch.bool),
        "outside": outside,
        "pseudo": torch.tensor([True]),
    }
    total, _ = recipe.loss(lambda rgb, pseudo: (pred, torch.zeros(1)), batch, 5)

    def region(mask: torch.Tensor) -> torch.Tensor:
        difference = affine_normalize(pred, mask) - affine_normalize(target, mask)
        return difference.abs()[mask].mean()

    expected = 0.75 * region(outside) + 0.25 * region(~outside)
    assert float(total) == pytest.approx(float(expected), rel=1e-5)


_PAIRS = ([0, 1], [2, 3], [4, 5])


class _Maps(torch.nn.Conv2d):
    """An encoder that gives a list of maps, as timm's do."""

    def __init__(self) -> None:
        super().__init__(3, 4, 1)

    def forward(self, batch: torch.Tensor) -> list[torch.Tensor]:  # ty: ignore[invalid-method-override]
        return [batch, super().forward(batch)]


class _Plain(DepthModule):
    """A network with an encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = _Maps()
        self.head = torch.nn.Conv2d(4, 1, 1)

    def encoder_parts(self) -> tuple[torch.nn.Module, ...]:
        return (self.encoder,)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(batch)[-1])[:, 0]


def test_the_frozen_encoder_never_learns_and_stays_in_eval_mode() -> None:
    student = Student(_Plain(), DepthAnythingOptions(), align=True).train()
    assert not student.anchor.training
    pseudo = torch.tensor([True, False])
    with torch.no_grad():
        student.network.encoder.weight.add_(torch.randn_like(student.network.encoder.weight))
    disparity, away = student(torch.rand(2, 3, 8, 8), pseudo)
    assert away[1] == 0
    (disparity.mean() + away.sum()).backward()
    assert student.anchor.weight.grad is None
    assert student.network.encoder.weight.grad is not None


def test_aligning_with_a_random_encoder_is_refused(labels: Path) -> None:
    with pytest.raises(InputError, match="random"):
        DepthAnything(_config(labels)).build()
    with pytest.raises(InputError, match="share"):
        DepthAnythingOptions(cutmix=2.0)


@pytest.mark.slow
def test_it_runs_from_nothing_to_a_student(tmp_path: Path) -> None:
    from leadline.training import train

    config = TrainConfig.from_toml("depth-anything").updated(
        {
            "steps": 2,
            "batch": 3,
            "sizes": [[32, 32]],
            "world.shard": 6,
            "validate_every": -1,
            "options.unlabelled_count": 2,
        }
    )
    run = train(config, tmp_path / "run", report=partial(print))
    assert run.is_file()
    assert len(list((tmp_path / "run" / "labels" / "depth").glob("*.png"))) == 2


@pytest.mark.slow
def test_a_resumed_run_is_the_same_run(labels: Path, tmp_path: Path) -> None:
    from leadline.training import train

    config = TrainConfig.from_toml("depth-anything").updated(
        {
            "steps": 3,
            "batch": 4,
            "accumulate": 2,
            "sizes": [[32, 32]],
            "threads": 1,
            "validate_every": -1,
            "options.labels": str(labels),
            "options.pseudo_share": 1.0,
            "options.gradient_weight": 2.0,
            "options.drop": 0.1,
        }
    )
    whole = train(config, tmp_path / "whole", report=partial(print))
    train(config, tmp_path / "parts", stop_after=1, report=partial(print))
    parts = train(config, tmp_path / "parts", resume=True, report=partial(print))
    one, other = (load_file(path) for path in (whole, parts))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not any(name.startswith("anchor") for name in one)
