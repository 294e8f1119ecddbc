from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage
from PIL.TiffImagePlugin import IFDRational

from leadline.io import read_image

FOCAL, FOCAL_35MM = 0x920A, 0xA405
X_RESOLUTION, UNIT, WIDTH, HEIGHT = 0xA20E, 0xA210, 0xA002, 0xA003


def photo(
    path: Path, tags: dict, *, size: tuple[int, int] = (400, 300), orientation: int = 1
) -> Path:
    exif = PilImage.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8769).update(tags)
    PilImage.fromarray(np.zeros((size[1], size[0], 3), np.uint8)).save(path, exif=exif)
    return path


def test_35mm_equivalent_is_over_the_diagonal(tmp_path):
    camera = read_image(photo(tmp_path / "a.jpg", {FOCAL_35MM: 28})).camera
    assert camera is not None
    assert camera.fx == camera.fy == pytest.approx(28 / math.hypot(36, 24) * 500)
    assert (camera.cx, camera.cy, camera.source) == (199.5, 149.5, "exif")


@pytest.mark.parametrize(("unit", "per_unit"), [(2, 2540.0), (3, 1000.0), (4, 100.0)])
def test_focal_length_with_pixel_pitch(tmp_path, unit, per_unit):
    tags = {FOCAL: IFDRational(5), X_RESOLUTION: IFDRational(int(per_unit)), UNIT: unit}
    camera = read_image(photo(tmp_path / "a.jpg", tags)).camera
    assert camera is not None
    assert camera.fx == pytest.approx(500)  # 5 mm at 100 pixels per mm


def test_a_resized_photo_keeps_its_field_of_view(tmp_path):
    tags = {
        FOCAL: IFDRational(5),
        X_RESOLUTION: IFDRational(2540),
        UNIT: 2,
        WIDTH: 800,
        HEIGHT: 600,
    }
    camera = read_image(photo(tmp_path / "a.jpg", tags)).camera
    assert camera is not None
    assert camera.fx == pytest.approx(250)


@pytest.mark.parametrize(
    "tags",
    [
        {FOCAL_35MM: 28},
        {FOCAL: IFDRational(5), X_RESOLUTION: IFDRational(2540), UNIT: 2, WIDTH: 400, HEIGHT: 300},
    ],
)
def test_the_camera_belongs_to_the_upright_picture(tmp_path, tags):
    lying = read_image(photo(tmp_path / "a.jpg", tags))
    standing = read_image(photo(tmp_path / "b.jpg", tags, orientation=6))
    assert standing.size == (400, 300)
    assert lying.camera is not None
    assert standing.camera is not None
    assert (standing.camera.width, standing.camera.height) == (300, 400)
    assert standing.camera.fx == pytest.approx(lying.camera.fx)
    assert (standing.camera.cx, standing.camera.cy) == (149.5, 199.5)


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {FOCAL_35MM: 0},
        {FOCAL: IFDRational(5)},
        {FOCAL: IFDRational(0, 0), X_RESOLUTION: IFDRational(2540), UNIT: 2},
        {FOCAL: IFDRational(5), X_RESOLUTION: IFDRational(0), UNIT: 2},
        {FOCAL: IFDRational(5), X_RESOLUTION: IFDRational(2540), UNIT: 1},
        {FOCAL_35MM: 60000},
    ],
)
def test_tags_that_tell_nothing_give_no_camera(tmp_path, tags):
    assert read_image(photo(tmp_path / "a.jpg", tags)).camera is None


def test_damaged_exif_does_not_cost_the_picture(tmp_path):
    path = tmp_path / "a.jpg"
    PilImage.fromarray(np.zeros((4, 6, 3), np.uint8)).save(
        path, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"
    )
    image = read_image(path)
    assert image.size == (4, 6)
    assert image.camera is None
