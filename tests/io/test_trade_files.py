"""Files of other trades: written so that their programs read them, and read back by us."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline import viz
from leadline.camera import Camera
from leadline.errors import InputError, KindError
from leadline.image import Image
from leadline.io import FORMATS, find_holes, read_depth_map, write_exr
from leadline.kinds import DepthKind
from leadline.prediction import Prediction, read_prediction
from testing.heif import write_heic_with_depth

H, W = 37, 53  # more than two chunks of 16 rows, and no multiple of them


def room(kind: DepthKind = DepthKind.METRIC_DEPTH, *, hole: bool = True) -> Prediction:
    """A slope with a hole, its photo and camera."""
    rows, columns = np.mgrid[:H, :W].astype(np.float32)
    valid = np.ones((H, W), bool)
    valid[2:5, 3:9] = not hole
    photo = np.stack([rows * 6, columns * 4, rows + columns], -1).astype(np.uint8)
    return Prediction(
        values=np.where(valid, 0.5 + rows / 7 + columns / 11, np.nan),
        kind=kind,
        camera=Camera.from_fov(W, H, fov_deg=60),
        valid=valid if hole else None,
        model="slope",
        image=Image(pixels=photo),
    )


@pytest.mark.parametrize("name", ["exr", "exr-half", "exr-blender"])
def test_exr_is_read_by_openexr_and_read_back(tmp_path: Path, name: str) -> None:
    exr = pytest.importorskip("OpenEXR")
    one, file = room(), tmp_path / "a.exr"
    one.save(file, name)
    channel = "ViewLayer.Depth.Z" if name == "exr-blender" else "Z"
    with exr.File(str(file), separate_channels=True) as opened:
        assert list(opened.channels()) == [channel]
        stored = opened.channels()[channel].pixels
    assert stored.dtype == (np.float16 if name == "exr-half" else np.float32)
    exact = one.values.astype(stored.dtype)
    np.testing.assert_array_equal(stored[one.known], exact[one.known])
    assert set(stored[~one.known]) == {np.float32(1e10) if name == "exr-blender" else np.inf}
    back = read_prediction(file)
    assert (back.kind, back.model, back.camera) == (one.kind, one.model, one.camera)
    np.testing.assert_array_equal(back.known, one.known)
    if name != "exr-blender":
        assert [hole.code for hole in find_holes(read_depth_map(file))] == [np.inf]


def test_exr_of_a_disparity_is_a_grey_picture_and_no_depth(tmp_path: Path) -> None:
    exr = pytest.importorskip("OpenEXR")
    one = room(DepthKind.AFFINE_DISPARITY)
    one.save(tmp_path / "a.exr")
    with exr.File(str(tmp_path / "a.exr"), separate_channels=True) as opened:
        assert list(opened.channels()) == ["Y"]
    back = read_prediction(tmp_path / "a.exr")
    np.testing.assert_array_equal(back.known, one.known)
    assert back.kind is one.kind
    with pytest.raises(KindError, match="aligned_to"):
        one.save(tmp_path / "b.exr", "exr-blender")


def test_exr_of_others_needs_a_kind(tmp_path: Path) -> None:
    exr = pytest.importorskip("OpenEXR")
    header = {"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}
    values = room(hole=False).values
    with exr.File(header, {"Z": values}) as file:
        file.write(str(tmp_path / "a.exr"))
    with pytest.raises(InputError, match="kind="):
        read_prediction(tmp_path / "a.exr")
    back = read_prediction(tmp_path / "a.exr", kind="metric_depth")
    np.testing.assert_array_equal(back.values, values)


def test_chunks_that_zip_makes_no_smaller_are_stored(tmp_path: Path) -> None:
    pytest.importorskip("OpenEXR")
    noise = np.random.default_rng(0).integers(0, 2**31, (40, 31)).astype(np.int32).view(np.float32)
    write_exr(tmp_path / "a.exr", noise)
    np.testing.assert_array_equal(read_depth_map(tmp_path / "a.exr"), noise)


def test_controlnet_is_near_white_from_end_to_end(tmp_path: Path) -> None:
    one = room()
    one.save(tmp_path / "a.control.png")
    picture = np.asarray(PilImage.open(tmp_path / "a.control.png"))
    assert picture.shape == (H, W, 3)
    assert picture.dtype == np.uint8
    assert (picture == picture[..., :1]).all()
    near = np.where(one.known, 1 / one.values, np.nan)
    shares = (near - np.nanmin(near)) / (np.nanmax(near) - np.nanmin(near))
    np.testing.assert_array_equal(
        picture[..., 0], np.where(one.known, np.rint(shares * 255), 0).astype(np.uint8)
    )
    one.save(tmp_path / "b.png", "controlnet", control_side=512)
    assert PilImage.open(tmp_path / "b.png").size == (704, 512)
    with pytest.raises(InputError, match="64"):
        one.save(tmp_path / "c.png", "controlnet", control_side=32)


def test_near16_is_disparity_that_is_read_back(tmp_path: Path) -> None:
    one = room()
    one.save(tmp_path / "a.near.png")
    codes = np.asarray(PilImage.open(tmp_path / "a.near.png"))
    assert codes.dtype == np.uint16
    assert codes[np.unravel_index(np.nanargmin(one.values), (H, W))] == 65535
    back = read_prediction(tmp_path / "a.near.png")
    assert back.kind is DepthKind.SCALED_DISPARITY
    np.testing.assert_allclose(back.values[one.known], 1 / one.values[one.known], atol=3e-5)
    assert not (tmp_path / "a.near.png.json").exists()


@pytest.mark.parametrize("kind", [DepthKind.METRIC_DEPTH, DepthKind.SCALED_DISPARITY])
def test_gdepth_is_a_photo_with_depth_in_it(tmp_path: Path, kind: DepthKind) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (200, 300, 3), np.uint8)
    values = rng.uniform(0.5, 40, (200, 300)).astype(np.float32)  # noise: several pieces of XMP
    one = Prediction(values=values, kind=kind, image=Image(pixels=pixels), model="noise")
    one.save(tmp_path / "a.gdepth.jpg")
    photo = PilImage.open(tmp_path / "a.gdepth.jpg")
    assert np.abs(np.asarray(photo).astype(int) - pixels).mean() < 4  # of noise
    assert len([1 for name, _ in photo.applist if name == "APP1"]) > 2
    back = read_prediction(tmp_path / "a.gdepth.jpg")
    truth = one.to_depth()
    assert (back.kind, back.model) == (truth.kind, "noise")
    inverse = 1 / truth.values
    step = (inverse.max() - inverse.min()) / 65535
    np.testing.assert_allclose(1 / back.values, inverse, atol=step)
    assert back.image is not None
    assert back.image.size == (200, 300)


def foreign_gdepth(path: Path, keys: dict[str, str], head: str = "", turned: int = 1) -> None:
    """A GDepth of others: 8 bits, elements in place of attributes."""
    file = io.BytesIO()
    PilImage.fromarray(np.array([[0, 51], [102, 255]], np.uint8)).save(file, "PNG")
    keys = {"Data": base64.b64encode(file.getvalue()).decode(), **keys}
    inside = "".join(f"<GDepth:{key}>{text}</GDepth:{key}>" for key, text in keys.items())
    xmp = (
        f'{head}<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        f'xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/">{inside}'
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    exif = PilImage.Exif()
    exif[0x0112] = turned
    PilImage.new("RGB", (20, 20), "red").save(path, xmp=xmp.encode(), exif=exif)


def test_gdepth_of_others(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    linear = {"Format": "RangeLinear", "Near": "1", "Far": "6", "Units": "m"}
    foreign_gdepth(file, linear)
    back = read_prediction(file)
    assert back.kind is DepthKind.METRIC_DEPTH
    np.testing.assert_allclose(back.values, [[1, 2], [3, 6]], rtol=1e-6)
    foreign_gdepth(file, linear, turned=6)
    np.testing.assert_allclose(read_prediction(file).values, [[3, 1], [6, 2]], rtol=1e-6)
    foreign_gdepth(file, {"Format": "RangeInverse", "Near": "1", "Far": "6"})
    back = read_prediction(file)
    assert back.kind is DepthKind.SCALED_DEPTH
    np.testing.assert_allclose(back.values, [[1, 1.2], [1.5, 6]], rtol=1e-6)
    for keys, says in (
        ({**linear, "MeasureType": "OpticRay"}, "along rays"),
        ({**linear, "Near": "9"}, "Near"),
        ({**linear, "Near": "x"}, "cannot be read"),
        ({**linear, "Data": "?!"}, "base64"),
        ({**linear, "Data": base64.b64encode(b"no picture").decode()}, "depth"),
        ({"Format": "RangeLinear"}, "without depth"),
    ):
        foreign_gdepth(file, keys)
        with pytest.raises(InputError, match=says) as caught:
            read_prediction(file)
        assert "\n" not in str(caught.value)
    foreign_gdepth(file, linear, head="<!DOCTYPE x [<!ENTITY a 'b'>]>")
    with pytest.raises(InputError, match="document type"):
        read_prediction(file)
    PilImage.new("RGB", (20, 20)).save(file)
    with pytest.raises(InputError, match="without depth"):
        read_prediction(file)


def test_formats_that_need_a_photo_or_a_scale_say_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no photo"):
        replace(room(), image=None).save(tmp_path / "a.gdepth.jpg")
    with pytest.raises(KindError, match="aligned_to"):
        room(DepthKind.AFFINE_DISPARITY).save(tmp_path / "a.gdepth.jpg")
    with pytest.raises(KindError, match="shift"):
        room(DepthKind.AFFINE_DEPTH).save(tmp_path / "a.gdepth.jpg")
    with pytest.raises(InputError, match="gdepth"):
        room().save(tmp_path / "a.jpg")
    assert not list(tmp_path.iterdir())


def test_depth_in_a_heic_photo(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    photo = np.full((128, 192, 3), (200, 60, 20), np.uint8)
    codes = np.tile(np.linspace(0, 255, 96).astype(np.uint8), (64, 1))
    file = tmp_path / "a.heic"
    write_heic_with_depth(file, photo, codes, disparity=(0.5, 4.0))
    back = read_prediction(file)
    assert back.kind is DepthKind.AFFINE_DISPARITY
    np.testing.assert_allclose(back.values, 0.5 + codes / 255 * 3.5, atol=0.05)
    assert back.image is not None
    assert np.abs(back.image.pixels.astype(int) - photo[:64, :96]).max() < 12
    write_heic_with_depth(file, photo, codes, disparity=None)
    with pytest.raises(InputError, match="affine_disparity"):
        read_prediction(file)
    assert read_prediction(file, kind="affine_disparity").values.max() == 1
    write_heic_with_depth(file, photo, codes.T, disparity=None)
    with pytest.raises(InputError, match="turned"):
        read_prediction(file, kind="affine_disparity")


@pytest.mark.parametrize("kind", DepthKind)
def test_legends_name_metres_where_they_are_known(kind: DepthKind) -> None:
    one = room(kind)
    plain = one.colorize()
    legend = one.colorize(legend=True)
    np.testing.assert_array_equal(legend[:H, :W], plain)
    assert legend.shape[1] > W + 20
    near = viz.nearness(one.values, kind)
    texts = [text for _, text in viz._ticks(viz.value_range(near, one.valid), kind, 8.0)]
    if kind in (DepthKind.METRIC_DEPTH, DepthKind.PIXEL_DISPARITY):
        assert all(text.endswith(f" {kind.unit}") for text in texts)
        assert len(texts) > 2
    else:
        assert texts == ["far", "near"]


def test_every_record_says_what_is_left_out(tmp_path: Path) -> None:
    one = replace(room(hole=False), confidence=np.ones((H, W), np.float32))
    for name, form in FORMATS.items():
        missing = one.list_left_out(name)
        assert ("confidence" in missing) == ("confidence" not in form.keeps)
        one.save(tmp_path / f"{name}{form.suffix}", name)
    for name in ("png16", "controlnet", "near16", "color"):
        text = PilImage.open(tmp_path / f"{name}.png").info["leadline"]
        assert json.loads(text)["left_out"] == ["confidence"]
    exr = pytest.importorskip("OpenEXR")
    with exr.File(str(tmp_path / "exr.exr"), header_only=True) as opened:
        assert json.loads(opened.header()["leadline"])["left_out"] == ["confidence"]
