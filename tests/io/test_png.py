"""PNGs that we write: every reader gets the pixels back, whichever deflate made them."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image as PilImage

from leadline.errors import InputError
from leadline.io import encode_png, png

SIDES = st.tuples(st.integers(1, 9), st.integers(1, 9))
PIXELS = st.one_of(
    arrays.arrays(np.uint8, SIDES),
    arrays.arrays(np.uint16, SIDES),
    arrays.arrays(np.uint8, SIDES.map(lambda sides: (*sides, 3))),
    arrays.arrays(np.uint16, SIDES).map(lambda a: a.T),
)


@given(PIXELS)
def test_pillow_reads_the_pixels_back(pixels: np.ndarray) -> None:
    with PilImage.open(BytesIO(encode_png(pixels))) as opened:
        opened.load()
        assert np.array_equal(np.asarray(opened), pixels)
        assert (
            opened.mode
            == {(3, 1): "RGB", (2, 1): "L", (2, 2): "I;16"}[pixels.ndim, pixels.dtype.itemsize]
        )


def test_opencv_reads_the_pixels_back() -> None:
    cv2 = pytest.importorskip("cv2")
    noise = np.random.default_rng(0)
    for pixels in (
        noise.integers(0, 256, (37, 53, 3), np.uint8),
        noise.integers(0, 65536, (37, 53), np.uint16),
    ):
        read = cv2.imdecode(np.frombuffer(encode_png(pixels), np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(read[..., ::-1] if pixels.ndim == 3 else read, pixels)


def test_zlib_does_where_isa_l_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    import zlib

    monkeypatch.setattr(png, "_deflate", zlib.compress)
    pixels = np.arange(600, dtype=np.uint16).reshape(20, 30)
    with PilImage.open(BytesIO(encode_png(pixels))) as opened:
        assert np.array_equal(np.asarray(opened), pixels)


def test_much_data_goes_into_several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "_MOST_CHUNK", 100)
    pixels = np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)
    data = encode_png(pixels)
    assert data.count(b"IDAT") > 10
    with PilImage.open(BytesIO(data)) as opened:
        assert np.array_equal(np.asarray(opened), pixels)


def test_texts_are_read_by_others() -> None:
    data = encode_png(np.zeros((2, 2), np.uint8), texts={"leadline": '{"Ä": "≤"}'})
    with PilImage.open(BytesIO(data)) as opened:
        assert opened.text == {"leadline": '{"Ä": "≤"}'}


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((2, 2, 4), np.uint8),
        np.zeros((2, 2), np.float32),
        np.zeros((0, 2), np.uint8),
        np.zeros((2, 2, 3), np.int16),
    ],
)
def test_what_is_no_picture_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(InputError, match="is needed"):
        encode_png(pixels)
