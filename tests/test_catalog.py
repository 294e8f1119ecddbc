import importlib.util

import pytest

from leadline import catalog
from leadline.errors import UnknownNameError
from leadline.kinds import DepthKind


def test_names_are_unique_and_match_their_entries() -> None:
    assert len(set(catalog.names())) == len(catalog.names())
    assert all(name == spec.name for name, spec in catalog.MODELS.items())
    assert catalog.names()[0] == catalog.DEFAULT


def test_an_unknown_name_lists_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="depth-anything-v2-vits"):
        catalog.get("depth_anything_v2_vits")


@pytest.mark.parametrize("spec", catalog.MODELS.values(), ids=catalog.names())
def test_entries_are_consistent(spec: catalog.ModelSpec) -> None:
    assert spec.max_depth is None or spec.kind is DepthKind.METRIC_DEPTH
    assert spec.options.get("max_depth") == spec.max_depth
    assert spec.summary
    assert spec.paper
    for weights in spec.weights:
        assert weights.licence != "unknown"
        assert weights.embedded or weights.size_mb


def test_weights_of_two_entries_never_share_a_file() -> None:
    files = [(w.repo, w.file) for spec in catalog.MODELS.values() for w in spec.weights]
    assert len(set(files)) == len(files)


@pytest.mark.parametrize(
    ("repo", "name"),
    [
        ("depth-anything/Depth-Anything-V2-Small", "depth-anything-v2-vits"),
        ("depth-anything/Depth-Anything-V2-Large-hf", "depth-anything-v2-vitl"),
        (
            "depth-anything/Depth-Anything-V2-Metric-VKITTI-Base",
            "depth-anything-v2-metric-outdoor-vitb",
        ),
        (
            "depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf",
            "depth-anything-v2-metric-indoor-vits",
        ),
        ("LiheYoung/depth-anything-base-hf", "depth-anything-v1-vitb"),
    ],
)
def test_a_hub_id_tells_the_model(repo: str, name: str) -> None:
    spec = catalog.by_repo(repo)
    assert spec is not None
    assert spec.name == name


def test_a_foreign_hub_id_tells_nothing() -> None:
    assert catalog.by_repo("no-one/nothing") is None
    assert catalog.by_digest("0" * 64) is None


def test_only_the_small_v2_weights_are_free_for_every_use() -> None:
    licences = {
        name: {w.licence for w in spec.weights}
        for name, spec in catalog.MODELS.items()
        if name.startswith("depth-anything-v2") and spec.weights
    }
    for name, found in licences.items():
        assert found == ({"Apache-2.0"} if name.endswith("vits") else {"CC-BY-NC-4.0"})


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch")
def test_catalogue_and_networks_agree() -> None:
    from leadline import models

    architectures = {spec.architecture for spec in catalog.MODELS.values() if spec.architecture}
    assert architectures == set(models.names())
