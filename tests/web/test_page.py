"""The page in a real Chromium, on Leadline's server and as static files."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage

import leadline
from leadline.camera import Camera
from leadline.image import Image
from leadline.load_options import LoadOptions
from testing import room
from testing.pages import find_axe, serve_models
from tests.web.conftest import SHOTS

pytestmark = pytest.mark.slow

EXAMPLE = Path("src/leadline/web/examples/room.jpg")
TABS = ("depth", "scene", "measure", "compare", "studio", "film", "pair", "live")
SMALL = {"width": 840, "height": 500}  # where nothing but the processor draws triangles
IDLE = "body:not([data-busy])"


def visit(page: Any, address: str) -> None:
    page.goto(address)
    page.wait_for_selector("html[data-ready]")


def upload(page: Any, file: Path | dict[str, Any]) -> None:
    """Give the page a picture and wait for its map."""
    page.set_input_files("#file", file)
    page.wait_for_selector("#source .facts:has-text(' s')", timeout=60_000)
    page.wait_for_selector(IDLE)


def download(page: Any, button: str, target: Path) -> Path:
    """The file that a button gives."""
    with page.expect_download() as found:
        page.click(button)
    found.value.save_as(target)
    return target


def choose(page: Any, model: str) -> None:
    page.select_option("#source select", model)
    page.wait_for_selector(f"#side-depth .note:has-text('{model}:')")


def error_share(got: np.ndarray, wanted: np.ndarray) -> float:
    """Largest error as a share of the map's range."""
    return float(np.abs(got - wanted).max() / (wanted.max() - wanted.min()))


def count_colors(page: Any, selector: str) -> int:
    picture = PilImage.open(io.BytesIO(page.locator(selector).screenshot())).convert("RGB")
    return len(set(picture.resize((160, 120)).get_flattened_data()))


def test_upload_gives_pythons_map_in_every_format(page: Any, served: str, tmp_path: Path):
    visit(page, served)
    upload(page, EXAMPLE)
    wanted = leadline.load("lite-metric").predict(EXAMPLE)
    npz = leadline.read_prediction(download(page, "text=NPZ", tmp_path / "a.npz"))
    assert npz.kind == wanted.kind
    assert error_share(npz.values, wanted.values) < 1e-3
    png = leadline.read_prediction(download(page, "text=16-bit PNG", tmp_path / "a.depth.png"))
    assert png.kind == wanted.kind
    assert error_share(png.values, wanted.values) < 1e-3
    npy = np.load(download(page, "text=NPY", tmp_path / "a.npy"))
    pfm = leadline.read_prediction(download(page, "text=PFM", tmp_path / "a.pfm"), kind=npz.kind)
    assert np.array_equal(npy, npz.values)
    assert np.array_equal(pfm.values, npz.values)
    shown = PilImage.open(download(page, "button:text-is('Picture')", tmp_path / "a.png"))
    off = np.abs(np.asarray(shown.convert("RGB"), float) - wanted.colorize())
    assert off.mean() < 2  # percentiles of 65,536 pixels in place of all
    page.screenshot(path=SHOTS / "depth.png")


def test_slider_and_hover(page: Any, served: str, tmp_path: Path):
    visit(page, f"{served}#example=room&fov=60")
    page.wait_for_selector("#side-depth .ticks:has-text('m')")
    values = leadline.read_prediction(download(page, "text=NPZ", tmp_path / "a.npz"))
    assert values.kind == "metric_depth"
    assert values.camera is not None
    box = page.locator("#panel-depth .fit").bounding_box()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 0.5 * box["height"])
    text = page.locator(".probe").inner_text()
    metres = float(values.values[240, 480])
    assert float(re.match(r"[\d.]+", text)[0]) == pytest.approx(metres, abs=0.02)
    assert text.endswith(" m")
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.4 * box["height"])
    page.mouse.up()
    assert int(page.get_attribute(".divider", "aria-valuenow")) == pytest.approx(20, abs=1)
    page.select_option("#side-depth select", "viridis")
    page.wait_for_timeout(400)
    assert "split=" in page.url
    page.reload()
    page.wait_for_selector(".ramp[style*=gradient]")
    assert page.input_value("#side-depth select") == "viridis"  # the link opens the same view


def test_scene_shows_and_gives_points_and_mesh(page: Any, served: str, tmp_path: Path):
    trimesh = pytest.importorskip("trimesh")
    page.set_viewport_size(SMALL)
    visit(page, f"{served}#example=room&fov=60&tab=scene")
    page.wait_for_selector(".view3d[data-points]")
    assert count_colors(page, "#panel-scene canvas") > 300
    page.screenshot(path=SHOTS / "scene.png")
    mesh = trimesh.load(download(page, "text=GLB", tmp_path / "a.glb"), force="mesh")
    assert len(mesh.faces) > 100_000
    page.click("#side-scene label:has-text('Points')")
    page.wait_for_timeout(500)
    assert count_colors(page, "#panel-scene canvas") > 300
    cloud = trimesh.load(download(page, "text=GLB", tmp_path / "b.glb"))
    ply = trimesh.load(download(page, "#side-scene .primary", tmp_path / "a.ply"))
    points = next(iter(cloud.geometry.values())).vertices
    assert len(points) == len(ply.vertices) > 100_000
    wanted = leadline.load("lite-metric").predict(
        Image(
            pixels=np.asarray(PilImage.open(EXAMPLE)),
            camera=Camera.from_fov(640, 480, fov_deg=60),
        )
    )
    depth = np.asarray(ply.vertices)[:, 2]
    assert np.percentile(depth, 50) == pytest.approx(np.percentile(wanted.values, 50), rel=0.1)
    assert np.allclose(points * [1, -1, -1], ply.vertices)


def test_relative_map_becomes_a_relief_that_says_so(page: Any, served: str):
    page.set_viewport_size(SMALL)
    visit(page, f"{served}#example=room&model=lite&tab=scene")
    page.wait_for_selector(".view3d[data-points]")
    assert "not a measured shape" in page.inner_text("#side-scene")
    page.click("text=Use lite-metric")
    page.wait_for_selector("#side-scene .note:has-text('without a unit')")


def test_measure(page: Any, served: str):
    visit(page, f"{served}#example=room&tab=measure")
    page.wait_for_selector("#side-measure .result:has-text('No metres')")
    page.locator("#source input[type=range]").fill("60")
    page.wait_for_selector("#side-measure .result:has-text('Click two points')")
    box = page.locator("#panel-measure .fit").bounding_box()
    for share in (0.3, 0.7):
        page.mouse.click(box["x"] + share * box["width"], box["y"] + 0.9 * box["height"])
    text = page.locator("#side-measure .result").inner_text()
    assert re.fullmatch(r"[\d.]+ c?m", text)
    assert "Between" in page.inner_text("#side-measure .note")
    page.screenshot(path=SHOTS / "measure.png")


def test_compare_and_studio(page: Any, served: str, tmp_path: Path):
    visit(page, f"{served}#example=coffee&tab=compare")
    page.wait_for_selector("#side-compare .result:has-text('agree')")
    assert float(page.inner_text("#side-compare .result").split()[0]) > 60
    page.screenshot(path=SHOTS / "compare.png")
    page.click("#tab-studio")
    for tool in ("Refocus", "Stereo", "Relief"):
        page.click(f"#side-studio label:has-text('{tool}')")
        page.wait_for_timeout(300)
        assert count_colors(page, "#panel-studio canvas") > 100
        page.screenshot(path=SHOTS / f"studio-{tool.lower()}.png")
    stl = download(page, "text=Download STL", tmp_path / "a.stl").read_bytes()
    assert len(stl) == 84 + 50 * int.from_bytes(stl[80:84], "little")


def test_broken_and_huge_files(page: Any, served: str, tmp_path: Path):
    visit(page, served)
    page.set_input_files(
        "#file", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"}
    )
    page.wait_for_selector("#problem:has-text('cannot be opened')")
    huge = tmp_path / "huge.jpg"
    PilImage.open(EXAMPLE).resize((8192, 6144)).save(huge, quality=60)
    upload(page, huge)
    assert "(reduced)" in page.inner_text("#source")
    assert page.locator("#problem").is_hidden()
    assert count_colors(page, "#panel-depth canvas >> nth=1") > 100


def test_phone_has_no_sideways_scrolling(browser: Any, served: str):
    phone = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, color_scheme="dark"
    )
    page = phone.new_page()
    visit(page, served)
    assert page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor") == (
        "rgb(14, 20, 21)"
    )
    page.screenshot(path=SHOTS / "phone-welcome.png")
    page.tap("#examples button")
    page.wait_for_selector("#source .facts:has-text(' s')")
    for tab in TABS:
        page.tap(f"#tab-{tab}")
        page.wait_for_timeout(250)
        page.wait_for_selector(IDLE)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, tab
        page.screenshot(path=SHOTS / f"phone-{tab}.png")
    phone.close()


def test_keyboard_alone(page: Any, served: str):
    visit(page, served)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('#examples') !== null"):
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("#source .facts:has-text(' s')")
    page.focus(".divider")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute(".divider", "aria-valuenow") == "55"
    page.focus("#panel-depth .stage")
    page.keyboard.press("ArrowDown")
    assert page.locator(".probe").inner_text()
    page.focus("#tab-depth")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("#tab-scene", "aria-selected") == "true"
    page.keyboard.press("ArrowRight")
    page.focus("#panel-measure .stage")
    for key in ("Enter", "ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    assert page.locator("#panel-measure circle").count() == 2


def test_server_with_a_token_asks_for_it_once(page: Any):
    token = "a-token-of-enough-letters"
    page.on("dialog", lambda dialog: dialog.accept(token))
    model = LoadOptions(model="fastdepth-world", threads=1)
    with serve_models([model], token=token) as address:
        visit(page, f"{address}#example=room")
        page.wait_for_selector("#source .facts:has-text(' s')")
        page.wait_for_selector("#side-depth .ticks:has-text('m')")


def test_two_visitors_at_once(context: Any, served: str):
    pages = [context.new_page(), context.new_page()]
    for page, example in zip(pages, ("room", "coffee"), strict=True):
        page.goto(f"{served}#example={example}")
    for page, example in zip(pages, ("room", "coffee"), strict=True):
        page.wait_for_selector("#source .facts:has-text(' s')")
        assert page.inner_text("#source .name") == f"{example}.jpg"


def test_no_serious_findings_of_axe(page: Any, served: str):
    axe = find_axe()
    page.set_viewport_size(SMALL)
    visit(page, served)
    page.evaluate(axe)
    _check_axe(page, "welcome")
    page.click("#examples button")
    page.wait_for_selector("#source .facts:has-text(' s')")
    for theme, tabs in (("light", TABS), ("dark", ("depth", "measure", "film"))):
        for tab in tabs:
            page.click(f"#tab-{tab}")
            _check_axe(page, f"{tab}, {theme}")
        page.click("#theme")


def _check_axe(page: Any, where: str) -> None:
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    serious = [
        f"{one['id']}: {one['nodes'][0]['html'][:120]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert not serious, where


def test_two_photos(page: Any, served: str, tmp_path: Path):
    trimesh = pytest.importorskip("trimesh")
    pytest.importorskip("cv2")
    for name, x in (("left", 0.0), ("right", 0.6)):
        pose = np.eye(4)
        pose[0, 3] = x
        camera = Camera.from_fov(640, 480, fov_deg=60).moved(pose)
        picture, _ = room.view(camera)
        PilImage.fromarray(picture.pixels).save(tmp_path / f"{name}.png")
    visit(page, f"{served}#tab=pair")
    for i, name in enumerate(("left", "right")):
        page.set_input_files(f"#panel-pair input >> nth={i}", tmp_path / f"{name}.png")
    page.wait_for_selector("#side-pair .result:has-text('agree')")
    assert page.locator("#panel-pair svg circle").count() == 48
    page.screenshot(path=SHOTS / "pair.png")
    ply = trimesh.load(download(page, "#side-pair .primary", tmp_path / "a.ply"))
    assert len(ply.vertices) > 100
    page.click("#side-pair label:has-text('3-D points')")
    page.wait_for_selector("#panel-pair .view3d canvas")
    page.wait_for_timeout(500)
    assert count_colors(page, "#panel-pair .view3d canvas") > 20


def write_film(path: Path, count: int = 8) -> Path:
    """A short VP8 film."""
    av = pytest.importorskip("av")
    frame = np.asarray(PilImage.open(EXAMPLE).resize((320, 240)))
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libvpx", rate=8)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for i in range(count):
            picture = av.VideoFrame.from_ndarray(np.roll(frame, 4 * i, axis=1), format="rgb24")
            film.mux(stream.encode(picture))
        film.mux(stream.encode(None))
    return path


def test_film(page: Any, served: str, tmp_path: Path):
    import av

    film = write_film(tmp_path / "film.webm")
    visit(page, f"{served}#tab=film")
    page.set_input_files("#panel-film input", film)
    page.wait_for_selector("#side-film .primary:enabled")
    page.select_option("#side-film select >> nth=1", "6")
    page.click("text=Compute depth")
    page.click("text=Cancel")
    page.wait_for_selector("#side-film .note:has-text('Cancelled')")
    page.click("text=Compute depth")
    page.wait_for_selector("#side-film .note:has-text('Done')", timeout=60_000)
    page.screenshot(path=SHOTS / "film.png")
    made = download(page, "text=Download WebM", tmp_path / "depth.webm")
    with av.open(str(made)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 6
    assert (frames[0].width, frames[0].height) == (320, 240)
    assert frames[3].time == pytest.approx(0.5, abs=0.01)


def test_live_camera(page: Any, served: str):
    visit(page, f"{served}#tab=live")
    page.click("text=Start the camera")
    page.wait_for_selector("#side-live .note:has-text('maps a second')")
    page.click("text=Take this picture")
    page.wait_for_selector("#source .facts:has-text(' s')")


def test_static_site_offline_gives_pythons_map(context: Any, static: str, tmp_path: Path):
    page = context.new_page()
    visit(page, static)
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    context.set_offline(True)
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.evaluate("crossOriginIsolated")  # so that threads are allowed
    upload(page, EXAMPLE)
    got = leadline.read_prediction(download(page, "text=NPZ", tmp_path / "a.npz"))
    wanted = leadline.load("lite-metric").predict(EXAMPLE)
    assert got.kind == wanted.kind
    assert error_share(got.values, wanted.values) < 1e-2
    page.locator("#source input[type=range]").fill("60")
    page.wait_for_selector("#side-depth .ticks:has-text('m')")
    metric = leadline.read_prediction(download(page, "text=NPZ", tmp_path / "b.npz"))
    camera = Camera.from_fov(640, 480, fov_deg=60)
    pixels = np.asarray(PilImage.open(EXAMPLE))
    right = leadline.load("lite-metric").predict(Image(pixels=pixels, camera=camera))
    assert metric.kind == right.kind == "metric_depth"
    assert error_share(metric.values, right.values) < 1e-2
    page.click("#tab-scene")
    page.wait_for_selector(".view3d[data-points]")
    assert count_colors(page, "#panel-scene canvas") > 300
    context.set_offline(False)
    page.click("#tab-depth")
    choose(page, "lite")
    lite = leadline.read_prediction(download(page, "text=NPZ", tmp_path / "c.npz"))
    assert error_share(lite.values, leadline.load("lite").predict(EXAMPLE).values) < 1e-2
