"""Every network that trains says which of its parts are the encoder."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from leadline import models  # noqa: E402

PREFIXES = {
    "densedepth": ("encoder.",),
    "depth-anything-v1-vits": ("pretrained.",),
    "depth-anything-v2-metric-indoor-vits": ("pretrained.",),
    "depth-anything-v2-vits": ("pretrained.",),
    "dpt-hybrid-384": ("pretrained.",),
    "dpt-large-384": ("pretrained.",),
    "eigen14-nyu": (),
    "fastdepth": tuple(f"conv{i}." for i in range(14)),
    "fastdepth-plain": ("mobilenet.",),
    "fastdepth-pruned": tuple(f"conv{i}." for i in range(14)),
    "lite": ("encoder.",),
    "metric": ("relative.pretrained.",),
    "midas-v21": ("pretrained.",),
    "midas-v21-small": ("pretrained.",),
    "monodepth-resnet50": ("encoder.",),
    "monodepth-vgg": ("encoder.",),
    "monodepth2-r18": ("encoder.", "pose_encoder."),
    "monodepth2-r50": ("encoder.", "pose_encoder."),
    "zoedepth-n": ("core.core.pretrained.",),
    "zoedepth-nk": ("core.core.pretrained.",),
}
"""Network -> beginnings of the names of its encoder's parameters."""


@pytest.mark.parametrize("name", sorted(PREFIXES))
def test_the_encoder_is_what_the_network_says(name):
    with torch.device("meta"):
        network = models.build(name)
    inside = {id(p) for part in network.encoder_parts() for p in part.parameters()}
    found = {key for key, value in network.named_parameters() if id(value) in inside}
    wanted = {key for key, _ in network.named_parameters() if key.startswith(PREFIXES[name])}
    assert found == wanted
    assert bool(found) == bool(PREFIXES[name])


def test_monodepth2_without_a_pose_encoder_has_one_encoder():
    with torch.device("meta"):
        network = models.build("monodepth2-r18", pose="none")
    assert network.encoder_parts() == (network.encoder,)
