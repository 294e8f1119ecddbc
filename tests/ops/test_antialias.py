"""The antialiased resampling that exporters get is PyTorch's."""

from __future__ import annotations

from typing import Literal

import pytest

torch = pytest.importorskip("torch")

from leadline.ops import resize_antialiased  # noqa: E402


@pytest.mark.parametrize("kernel", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(20, 31), (64, 48), (90, 130), (1, 1)])
def test_what_exporters_get_is_the_same(
    kernel: Literal["bilinear", "bicubic"], size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.rand(2, 3, 64, 97, generator=torch.Generator().manual_seed(0))
    expected = resize_antialiased(x, size, kernel)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    torch.testing.assert_close(resize_antialiased(x, size, kernel), expected, atol=2e-6, rtol=0)


def test_a_fine_pattern_leaves_its_mean() -> None:
    stripes = torch.tensor([0.0, 1.0]).repeat(32).expand(1, 1, 64, 64)
    grey = resize_antialiased(stripes, (8, 8))
    torch.testing.assert_close(grey[..., 1:-1], torch.full((1, 1, 8, 6), 0.5))
