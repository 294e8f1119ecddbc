"""The pictures of docs/cloud.md, drawn by the page that Leadline writes, in Chromium.

python -m tools.cloud_figures
"""

from __future__ import annotations

import io
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from PIL import Image as PilImage

import leadline

ROOT = Path(__file__).resolve().parents[1]
SIZE = (480, 360)
VIEWS = (("mesh", 0, 0), ("mesh", 9, 4), ("mesh", -9, 4), ("wire", 0, 8))
"""Mode of the page, degrees beside and above where the photo was taken."""


def draw_cloud(picture: Path, out: Path, *, fov_deg: float = 60) -> None:
    """The mesh of a picture from several sides, in one row."""
    from playwright.sync_api import sync_playwright

    image = leadline.read_image(picture)
    height, width = image.size
    camera = leadline.Camera.from_fov(width, height, fov_deg=fov_deg)
    prediction = leadline.load("lite-metric").predict(replace(image, camera=camera))
    row = PilImage.new("RGB", (SIZE[0] * len(VIEWS), SIZE[1]))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        file = Path(folder) / "cloud.html"
        prediction.mesh(max_points=60_000).save(file)
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]})
        page.goto(file.as_uri())
        page.wait_for_function("window.viewer")
        page.add_style_tag(content=".viewer [role=toolbar], .viewer p { display: none }")
        for number, (mode, beside, above) in enumerate(VIEWS):
            page.evaluate(f"viewer.view.setMode('{mode}'); viewer.view.look({beside}, {above})")
            page.wait_for_timeout(1500)
            shot = PilImage.open(io.BytesIO(page.screenshot())).convert("RGB")
            row.paste(shot, (SIZE[0] * number, 0))
        browser.close()
    row.save(out, quality=80)


if __name__ == "__main__":
    for name in ("room", "photos/lobby"):
        stem = name.rpartition("/")[2]
        draw_cloud(
            ROOT / "examples" / f"{name}.jpg", ROOT / "docs" / "images" / f"cloud-{stem}.webp"
        )
