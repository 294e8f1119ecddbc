"""The supervised recipe: losses by name, Eigen's phases and targets, what is delivered."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("cv2")

from leadline import catalog, losses  # noqa: E402
from leadline.errors import InputError  # noqa: E402
from leadline.kinds import DepthKind  # noqa: E402
from leadline.training import TrainConfig  # noqa: E402
from leadline.training.engine.loop import Run  # noqa: E402
from leadline.training.recipes.supervised import on_grid, supervised_loss  # noqa: E402

NAMES = (
    *("l1", "berhu", "eigen", "silog-bts", "silog-zoedepth", "silog-depth-anything-v2"),
    "densedepth",
)


@pytest.fixture
def maps():
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(2, 16, 20, generator=generator) * 5 + 1
    pred = target * (0.5 + torch.rand(2, 16, 20, generator=generator))
    valid = torch.rand(2, 16, 20, generator=generator) < 0.7
    return pred, target, valid


@pytest.mark.parametrize("name", NAMES)
def test_loss_is_least_at_the_truth_and_blind_to_what_is_unknown(maps, name):
    pred, target, valid = maps
    right = 10 / target.clamp(0.1, 10) if name == "densedepth" else target
    wrong = supervised_loss(name, pred, target, valid, max_depth=10.0)
    assert supervised_loss(name, right, target, valid, max_depth=10.0) < 0.05 * wrong
    noise = torch.where(valid, target, torch.full_like(target, 3.0))
    same = supervised_loss(name, pred, noise, valid, max_depth=10.0)
    assert torch.allclose(same, wrong)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_valid_gives_a_finite_loss_without_gradient(maps, name):
    pred, target, _ = maps
    pred = pred.requires_grad_()
    loss = supervised_loss(name, pred, target, torch.zeros_like(target).bool(), max_depth=10.0)
    loss.backward()
    assert loss.isfinite()
    assert pred.grad.abs().max() == 0


def test_berhu_by_hand():
    error = torch.tensor([[[0.1, 0.2, 1.0]]])
    target = torch.zeros(1, 1, 3)
    c = 0.2
    expected = (0.1 + 0.2 + (1 + c * c) / (2 * c)) / 3
    assert losses.berhu(error, target, torch.ones(1, 1, 3).bool()).item() == pytest.approx(expected)


def test_berhu_meets_itself_and_its_slope_at_c():
    values = torch.tensor([[[0.1999, 0.2001, 1.0]]], requires_grad=True)
    losses.berhu(values, torch.zeros(1, 1, 3), torch.ones(1, 1, 3).bool()).backward()
    assert values.grad[0, 0, 0] == pytest.approx(values.grad[0, 0, 1].item(), rel=0.01)


def eigen(name="eigen14-nyu", **changes):
    small = {"model_options.size": [128, 172], "sizes": [[128, 172]], "steps": 10, "batch": 1}
    return TrainConfig.from_toml(name).updated({**small, "validate_every": -1, **changes})


def test_the_fine_stack_can_begin_with_the_coarse_map():
    torch.manual_seed(0)
    config = TrainConfig.from_toml("eigen14-nyu").updated(
        {"sizes": [[128, 160]], "model_options.size": [128, 160], "options.repeat_coarse": True}
    )
    module = Run(config).module.eval()
    pictures = torch.rand(1, 3, 128, 160)
    module.fine_phase = False
    coarse, _ = module(pictures)
    module.fine_phase = True
    fine, _ = module(pictures)
    assert coarse.std() > 0
    torch.testing.assert_close(fine, coarse)


@pytest.mark.slow
def test_eigens_stacks_learn_one_after_the_other():
    run = Run(eigen(**{"options.coarse_share": 0.5}))
    network = run.module.network
    for step, coarse in ((0, True), (4, True), (5, False), (9, False), (0, True)):
        run.recipe.begin_step(run.module, step)
        assert all(p.requires_grad == coarse for p in network.coarse.parameters())
        assert all(p.requires_grad != coarse for p in network.fine.parameters())
        assert network.coarse.dropout.training == coarse
    run.recipe.begin_step(run.module, 9)
    pred, _ = run.module(torch.rand(1, 3, 128, 172))
    pred.mean().backward()
    assert network.coarse.full2.weight.grad is None
    assert network.fine.conv3.weight.grad.abs().max() > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "first", "last"),
    [("eigen14-nyu", (5, 5), (221, 297)), ("eigen14-kitti", (57, 5), None)],
)
def test_eigens_targets_are_the_pixels_that_its_cells_look_at(name, first, last):
    config = TrainConfig.from_toml(name).updated({"validate_every": -1})
    module = Run(config).module.eval()
    height, width = config.sizes[0]
    values = torch.arange(height * width, dtype=torch.float32).reshape(1, height, width)
    with torch.no_grad():
        pred, looks_at = module(torch.rand(1, 3, height, width))
    target = on_grid(values, pred, looks_at)[0]
    assert target.shape == pred.shape[1:]
    assert divmod(int(target[0, 0]), width) == first
    if last is not None:
        assert divmod(int(target[-1, -1]), width) == last


@pytest.mark.slow
def test_densedepth_trains_the_inverse_and_delivers_metres():
    config = TrainConfig.from_toml("densedepth-half").updated({"sizes": [[64, 64]]})
    run = Run(config.updated({"options.max_depth": 20.0}))
    rgb = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        run.module.eval()
        inverse = run.module(rgb)
        delivered = run.recipe.deliver(run.module)
        depth = delivered.module(rgb)
    assert torch.allclose(depth, 20 / inverse.clamp(1, 100))
    assert delivered.spec.max_depth == 20
    assert delivered.spec.options["output"] == "depth"
    assert delivered.spec.kind.is_metric


def test_disparity_network_is_refused_with_the_recipe_to_take(tiny):
    run = Run(tiny)
    run.recipe.config = tiny.updated({"model": "lite"})
    with pytest.raises(InputError, match="relative"):
        run.recipe.deliver(run.module)


@pytest.mark.parametrize(("share", "metres"), [(0.25, 2.5), (0.0, 0.4)])
def test_network_begins_with_a_depth_in_its_range(tiny, share, metres):
    run = Run(tiny.updated({"options.start_share": share}))
    torch.manual_seed(0)
    with torch.no_grad():
        depth = run.module(torch.rand(4, 3, 32, 32))  # training mode: the batch norm is at work
    assert depth.mean().item() == pytest.approx(metres, abs=0.15)


def test_what_learned_from_whole_windows_is_shown_whole_pictures(tiny):
    assert catalog.MODELS["fastdepth"].preprocess.crop != (1.0, 1.0)
    assert Run(tiny).deliver().spec.preprocess.crop == (1.0, 1.0)


def test_the_canonical_camera_scales_the_target(tiny):
    run = Run(tiny.updated({"options.canonical_focal_px": 80.0, "options.loss": "l1"}))
    depth = torch.full((2, 32, 32), 3.0)
    batch = {
        "rgb": torch.rand(2, 3, 32, 32),
        "depth": depth,
        "valid": depth > 0,
        "focal_px": torch.tensor([40.0, 0.0]),  # the second lens is unknown: it does not count
    }
    right = torch.stack([2 * depth[0], 7 * depth[1]])
    loss, parts = run.recipe.loss(lambda rgb: right, batch, 0)
    assert loss.item() == pytest.approx(0)
    assert parts["valid_share"].item() == pytest.approx(0.5)
    spec = run.deliver().spec
    assert (spec.kind, spec.max_depth) == (DepthKind.SCALED_DEPTH, None)
    assert spec.canonical_focal_px == 80


def test_grid_of_another_size_takes_the_nearest_pixel():
    values = torch.arange(16.0).reshape(1, 4, 4)
    half = on_grid(values, torch.zeros(1, 2, 2))
    assert half.shape == (1, 2, 2)
    assert set(half.flatten().tolist()) <= set(values.flatten().tolist())
    assert losses.masked_l1(half, half, torch.ones(1, 2, 2).bool()) == 0
