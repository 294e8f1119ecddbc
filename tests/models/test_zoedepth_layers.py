"""ZoeDepth's layers: equal to the original, each by itself, with the quirks its weights need."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import leadline.models as models  # noqa: E402
from leadline.models.dpt import resize  # noqa: E402
from leadline.models.zoedepth_layers import (  # noqa: E402
    Attractor,
    Bounds,
    ConditionalLogBinomial,
    LogBinomial,
    PatchTransformer,
    Projector,
    SeedBins,
    log_choose,
    pull,
    sinusoids,
)
from testing.goldens import Golden, load_golden  # noqa: E402

TOLERANCE = 1e-5

EXTRACT = pytest.mark.parametrize("extract", [True, False])


def array(golden: Golden, key: str) -> torch.Tensor:
    return torch.from_numpy(golden.arrays[key])


@EXTRACT
def test_pulls_equal_the_originals(extract: bool) -> None:
    golden = load_golden("zoe_attractors", extract=extract)
    for shape in ("exp", "inv"):
        for alpha, gamma in ((300, 2), (1000, 2), (50, 1), (10, 3)):
            key = f"fn/{shape}_{alpha}_{gamma}"
            moved = pull(array(golden, "fn/dx"), shape, alpha=alpha, gamma=gamma)
            torch.testing.assert_close(moved, array(golden, key), rtol=1e-6, atol=1e-9)


@EXTRACT
def test_attractors_equal_the_originals(extract: bool) -> None:
    golden = load_golden("zoe_attractors", extract=extract)
    assert len(golden.meta["variants"]) == 16
    for name, sizes in golden.meta["variants"].items():
        free = "Unnormed" in name
        layer = Attractor(
            sizes["in_features"],
            sizes["n_attractors"],
            None if free else Bounds(sizes["min_depth"], sizes["max_depth"]),
            kind=sizes["kind"],
            shape=sizes["attractor_type"],
            hidden=sizes["mlp_dim"],
        )
        models.load_weights(layer, golden.weights(layer, name))
        x, previous = array(golden, "x"), array(golden, "prev_b_embedding")
        centres = array(golden, "b_prev_unnormed" if free else "b_prev_normed")
        for case, batch in (
            ("with_embedding", x + resize(previous, (x.shape[2], x.shape[3]))),
            ("without_embedding", x),
        ):
            if f"{name}/{case}.0" not in golden.arrays:
                continue
            with torch.no_grad():
                bins = layer(batch, centres)
            for i, maps in enumerate(bins):
                error = golden.relative_error(f"{name}/{case}.{i}", maps.numpy())
                assert error < TOLERANCE, (name, case, i)


@EXTRACT
@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        ("SeedBinRegressor_10", Bounds(1e-3, 10)),
        ("SeedBinRegressor_80", Bounds(1e-3, 80)),
        ("SeedBinRegressorUnnormed", None),
    ],
)
def test_seed_bins_equal_the_originals(name: str, bounds: Bounds | None, extract: bool) -> None:
    golden = load_golden("zoe_bins", extract=extract)
    layer = SeedBins(16, 10, bounds, hidden=12)
    models.load_weights(layer, golden.weights(layer, name))
    with torch.no_grad():
        centres = layer(array(golden, "x"))
    assert golden.relative_error(f"{name}/out.1", centres.numpy()) < TOLERANCE
    if bounds is not None:
        assert (centres.diff(dim=1) > 0).all()
        assert bounds.near < centres.min() < centres.max() < bounds.far


@EXTRACT
def test_the_projector_equals_the_original(extract: bool) -> None:
    golden = load_golden("zoe_bins", extract=extract)
    layer = Projector(16, 9, hidden=12)
    models.load_weights(layer, golden.weights(layer, "Projector"))
    with torch.no_grad():
        assert golden.relative_error("Projector/out.0", layer(array(golden, "x")).numpy()) < 1e-5


@EXTRACT
@pytest.mark.parametrize("bins", [64, 256])
def test_the_log_binomial_equals_the_original(bins: int, extract: bool) -> None:
    golden = load_golden("zoe_dist", extract=extract)
    layer, p = LogBinomial(bins), array(golden, "p")
    for key, temperature in (("t1", 1.0), ("t", array(golden, "t")), ("p3d", 5.0)):
        values = layer(p, temperature)
        assert golden.relative_error(f"LogBinomial_{bins}/{key}", values.numpy()) < TOLERANCE
        torch.testing.assert_close(values.sum(1), torch.ones_like(p[:, 0]))
    k = torch.arange(64).view(1, -1, 1, 1)
    torch.testing.assert_close(log_choose(torch.tensor(63.0), k), array(golden, "log_binom_63"))


@EXTRACT
@pytest.mark.parametrize("name", ["CLB_default", "CLB_zoe", "CLB_b4"])
def test_the_conditional_log_binomial_equals_the_original(name: str, extract: bool) -> None:
    golden = load_golden("zoe_dist", extract=extract)
    sizes = golden.meta["variants"][name]
    layer = ConditionalLogBinomial(
        sizes["in_features"],
        sizes["condition_dim"],
        sizes["n_classes"],
        factor=sizes.get("bottleneck_factor", 2),
        min_temp=sizes.get("min_temp", 1e-7),
        max_temp=sizes.get("max_temp", 50.0),
    )
    models.load_weights(layer, golden.weights(layer, name))
    with torch.no_grad():
        values = layer(array(golden, "x"), array(golden, "cond"))
    assert golden.relative_error(f"{name}/out", values.numpy()) < TOLERANCE


@EXTRACT
@pytest.mark.parametrize("name", ["nk", "patch3"])
def test_the_patch_transformer_equals_the_original(name: str, extract: bool) -> None:
    golden = load_golden("zoe_patch_transformer", extract=extract)
    sizes = golden.meta["variants"][name]
    layer = PatchTransformer(
        sizes["in_channels"],
        sizes["patch_size"],
        sizes["embedding_dim"],
        heads=sizes["num_heads"],
        class_token=sizes["use_class_token"],
    ).eval()
    models.load_weights(layer, golden.weights(layer, name))
    with torch.no_grad():
        tokens = layer(array(golden, f"{name}/x"))
    error = golden.relative_error(f"{name}/out", tokens.transpose(0, 1).numpy())
    assert error < TOLERANCE
    positions = sinusoids(tokens)[:, None].expand(-1, 2, -1)
    assert golden.relative_error(f"{name}/pos", positions.numpy()) < TOLERANCE


def test_the_second_of_each_pair_of_normed_points_is_never_used() -> None:
    layer = Attractor(4, 3, Bounds(0.1, 10.0), hidden=8)
    x, centres = torch.randn(1, 4, 5, 6), torch.rand(1, 7, 5, 6)
    with torch.no_grad():
        before = layer(x, centres).passed
        layer._net[2].weight[1::2] += 5
        assert torch.equal(layer(x, centres).passed, before)
        layer._net[2].weight[0::2] += 5
        assert not torch.equal(layer(x, centres).passed, before)


def test_an_attractor_draws_a_centre_to_itself() -> None:
    dx = torch.linspace(-1, 1, 201)
    for shape in ("inv", "exp"):
        moved = pull(dx, shape)
        assert (moved * dx >= 0).all()
        assert (moved.abs() <= dx.abs()).all()
