"""Normal maps as PNG files."""

from pathlib import Path

import numpy as np
import pytest

from leadline.errors import InputError, UnknownNameError
from leadline.io import decode_normals, encode_normals, encode_png


def some_normals(seed: int = 0, size: tuple[int, int] = (9, 13)) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((*size, 3))
    vectors[..., 2] = -np.abs(vectors[..., 2])
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    vectors[2, 3] = np.nan
    return vectors.astype(np.float32)


def test_colours_are_those_that_engines_expect() -> None:
    facing, up, right = (0, 0, -1), (0, -1, 0), (1, 0, 0)  # towards the viewer, up, right
    codes = encode_normals(np.array([[facing, up, right]], np.float32))
    assert codes.tolist() == [[[128, 128, 255], [128, 255, 128], [255, 128, 128]]]
    down_green = encode_normals(np.array([[facing, up, right]], np.float32), convention="directx")
    assert down_green.tolist() == [[[128, 128, 255], [128, 0, 128], [255, 128, 128]]]


@pytest.mark.parametrize("convention", ["opengl", "directx"])
@pytest.mark.parametrize(("bits", "degrees"), [(8, 0.5), (16, 0.002)])
def test_normals_come_back(bits: int, degrees: float, convention: str) -> None:
    normals = some_normals()
    codes = encode_normals(normals, bits=bits, convention=convention)
    found = decode_normals(codes, convention=convention)
    known = np.isfinite(normals).all(axis=2)
    assert np.isnan(found[~known]).all()
    cosine = (found[known] * normals[known]).sum(axis=1)
    assert np.degrees(np.arccos(np.clip(cosine.min(), -1, 1))) < max(degrees, 0.03)
    np.testing.assert_allclose(found[known], normals[known], atol=2 / 2**bits + 1e-6)


def test_sixteen_bits_are_read_by_opencv(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    codes = encode_normals(some_normals(1, (50, 31)), bits=16, convention="directx")
    (tmp_path / "n.png").write_bytes(encode_png(codes))
    found = cv2.imread(str(tmp_path / "n.png"), cv2.IMREAD_UNCHANGED)[..., ::-1]
    assert found.dtype == np.uint16
    assert np.array_equal(found, codes)


def test_what_is_no_normal_map_is_refused() -> None:
    with pytest.raises(InputError, match="8 or 16"):
        encode_normals(some_normals(), bits=10)
    with pytest.raises(InputError, match=r"\(h, w, 3\)"):
        encode_normals(some_normals()[..., 0])
    with pytest.raises(UnknownNameError, match="directx"):
        encode_normals(some_normals(), convention="vulkan")
