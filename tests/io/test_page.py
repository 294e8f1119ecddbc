"""The page of a cloud, opened from disk in a real browser."""

import io
import re

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline.camera import Camera
from leadline.cloud import Surface, make_mesh, make_point_cloud
from leadline.io.page import make_page


@pytest.fixture(scope="module")
def scene():
    depth = np.full((48, 64), 4.0)
    depth[12:30, 20:40] = 2.0
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[..., 0], pixels[12:30, 20:40] = 200, (20, 180, 60)
    return Surface(depth=depth, camera=Camera.from_fov(64, 48, fov_deg=60), pixels=pixels)


def test_the_page_needs_nothing_else(scene):
    page = make_page(make_mesh(scene), title="<room>")
    assert "<title>&lt;room&gt;</title>" in page
    assert "{{" not in page
    links = re.findall(r"""(?:src|href)=["'](?!data:)[^"']+|url\((?!data:)""", page)
    assert links == []
    assert len(page) < 1_500_000


def colours_of(page):
    """Pixels of the middle of the picture that is shown, (h, w, 3)."""
    page.wait_for_timeout(300)
    shot = PilImage.open(io.BytesIO(page.screenshot())).convert("RGB")
    return np.asarray(shot).astype(int)[60:240]


@pytest.mark.slow
def test_a_real_browser_shows_it_without_network(scene, browser, tmp_path):
    make_mesh(scene).save(tmp_path / "mesh.html")
    page = browser.new_page(viewport={"width": 400, "height": 300})
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((tmp_path / "mesh.html").as_uri())
    page.wait_for_function("window.viewer")
    first = colours_of(page)
    assert errors == []
    assert [url for url in asked if not url.startswith("data:")] == [
        (tmp_path / "mesh.html").as_uri()
    ]
    # The photo as it was taken: the green box in the middle, sRGB as stored.
    assert np.abs(first[80, 180] - (20, 180, 60)).max() < 12
    assert np.abs(first[150, 60] - (200, 0, 0)).max() < 12
    page.evaluate("viewer.view.look(30)")
    assert np.abs(colours_of(page) - first).max() > 60
    for mode in ("points", "wire"):
        page.get_by_role("button", name=mode).click()
        assert page.evaluate("viewer.view.mode") == mode
        green = (np.abs(colours_of(page) - (20, 180, 60)).max(axis=2) < 40).sum()
        assert green > 200
    page.keyboard.press("m")
    assert page.evaluate("viewer.view.mode") == "mesh"
    page.keyboard.press("r")
    page.keyboard.press("g")
    page.keyboard.down("w")
    page.wait_for_timeout(400)
    page.keyboard.up("w")
    near = colours_of(page)
    wide = (np.abs(near - (20, 180, 60)).max(axis=2) < 40).sum()
    assert wide > (np.abs(first - (20, 180, 60)).max(axis=2) < 40).sum()
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate("getComputedStyle(document.querySelector('.viewer')).backgroundColor")
    assert max(map(int, re.findall(r"\d+", dark)[:3])) < 60
    page.close()


@pytest.mark.slow
def test_points_alone_and_a_finger(scene, browser, tmp_path):
    make_point_cloud(scene).save(tmp_path / "points.html")
    context = browser.new_context(has_touch=True, viewport={"width": 360, "height": 300})
    page = context.new_page()
    page.goto((tmp_path / "points.html").as_uri())
    page.wait_for_function("window.viewer")
    assert page.get_by_role("button", name="wire").count() == 0
    first = colours_of(page)
    assert (np.abs(first - (20, 180, 60)).max(axis=2) < 40).sum() > 1000
    page.get_by_role("button", name="walk").tap()
    for name in ("forward", "left", "back", "right"):
        assert page.get_by_role("button", name=name).bounding_box()["width"] >= 44
    context.close()
