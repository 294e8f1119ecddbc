"""The tools of ``leadline mcp``, called by the official client over standard input and output."""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline.camera import Camera
from leadline.errors import InputError
from leadline.io import read_image, read_png16_record
from leadline.kinds import DepthKind
from leadline.load_options import LoadOptions
from leadline.mcp_server import Tools
from leadline.prediction import Prediction

pytest.importorskip("onnx")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    (tmp_path / "photos").mkdir()
    PilImage.fromarray(pixels).save(tmp_path / "photos" / "one.png")
    PilImage.fromarray(pixels).save(tmp_path / "secret.png")
    return tmp_path / "photos"


def test_the_official_client_over_stdio(photos: Path, tmp_path: Path, tiny_model: Path) -> None:
    anyio, mcp = pytest.importorskip("anyio"), pytest.importorskip("mcp")
    words = ["-m", "leadline", "mcp", "--root", str(photos), "--out", str(tmp_path / "out")]
    words += ["--model", str(tiny_model)]
    answers: dict[str, Any] = {}

    async def ask() -> None:
        server = mcp.StdioServerParameters(
            command=sys.executable, args=words, env={"PYTHONPATH": ":".join(sys.path)}
        )
        async with mcp.Client(server) as client:
            answers["tools"] = await client.list_tools()
            given = {"picture": "one.png", "fov_deg": 60, "formats": ["png16", "npy"]}
            answers["depth"] = await client.call_tool("depth", given)
            answers["cloud"] = await client.call_tool("cloud", {"picture": "one.png"})
            answers["secret"] = await client.call_tool("depth", {"picture": "../secret.png"})
            answers["missing"] = await client.call_tool("depth", {"picture": "two.png"})

    anyio.run(ask)
    tools = {tool.name: tool for tool in answers["tools"].tools}
    assert tools.keys() == {"depth", "cloud", "measure"}
    assert "field of view" in tools["depth"].description
    text, picture = answers["depth"].content
    said = json.loads(text.text)
    assert (said["width"], said["height"]) == (60, 40)
    assert said["camera"]["source"] == "given"
    assert PilImage.open(io.BytesIO(base64.b64decode(picture.data))).width > 60
    png, npy = said["files"]
    assert read_png16_record(png["file"])["kind"] == said["kind"]
    assert npy["left_out"] == ["camera"]
    refusals = {"secret": "outside of", "missing": "no such file", "cloud": "affine_disparity"}
    for name, says in refusals.items():
        assert answers[name].is_error
        assert says in answers[name].content[0].text
        assert "\n" not in answers[name].content[0].text


def test_a_picture_is_predicted_once_until_it_changes(photos: Path, tiny_model: Path) -> None:
    tools = Tools(LoadOptions(model=str(tiny_model)), root=photos, out=photos / "out")
    first = tools.predict("one.png", None)
    assert tools.predict(str(photos / "one.png"), None) is first
    assert tools.predict("one.png", 60.0) is not first
    PilImage.new("RGB", (60, 40)).save(photos / "one.png")
    assert tools.predict("one.png", None) is not first
    with pytest.raises(InputError, match="--root"):
        tools.predict("/etc/hostname", None)


def test_clouds_and_measures_of_a_metric_map(
    photos: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = Tools(LoadOptions(model=str(tiny_model)), root=photos, out=photos / "out")
    camera = Camera.from_fov(60, 40, fov_deg=60)
    wall = Prediction(
        values=np.full((40, 60), 2.0, np.float32),
        kind=DepthKind.METRIC_DEPTH,
        camera=camera,
        image=read_image(photos / "one.png"),
    )
    monkeypatch.setattr(tools, "predict", lambda picture, fov_deg: wall)
    made = json.loads(tools.cloud("one.png"))
    assert made["unit"] == "m"
    assert made["faces"] > 100
    assert Path(made["file"]).read_bytes()[:4] == b"glTF"
    said = json.loads(tools.measure("one.png", [(10, 20), (40, 20)]))
    assert said["value"] == pytest.approx(2 * 30 / camera.fx, rel=1e-4)
    assert said["unit"] == "m"
    assert len(said["points_m"]) == 2


def test_links_do_not_lead_out(photos: Path, tiny_model: Path) -> None:
    (photos / "link.png").symlink_to(photos.parent / "secret.png")
    tools = Tools(LoadOptions(model=str(tiny_model)), root=photos, out=photos / "out")
    with pytest.raises(InputError, match="outside"):
        tools.predict("link.png", None)
