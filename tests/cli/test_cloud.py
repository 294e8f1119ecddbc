"""``leadline cloud`` and ``leadline camera``."""

import json

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline.cli import main
from leadline.kinds import DepthKind


@pytest.fixture
def picture(tmp_path):
    y, x = np.mgrid[:60, :80]
    pixels = np.stack([200 + x // 2, 200 + y // 2, 190 + (x + y) // 3], axis=-1).astype(np.uint8)
    path = tmp_path / "in" / "one.jpg"
    path.parent.mkdir()
    exif = PilImage.Exif()
    exif.get_ifd(0x8769)[0xA405] = 28
    PilImage.fromarray(pixels).save(path, exif=exif)
    PilImage.fromarray(pixels).save(path.with_name("bare.png"))
    return path


@pytest.fixture(scope="module")
def metric(tmp_path_factory):
    """Path of a network whose metres are the grey levels of the picture."""
    onnx = pytest.importorskip("onnx")
    from testing.tiny import write_tiny_model

    path = tmp_path_factory.mktemp("model") / "metres.onnx"
    write_tiny_model(path, kind=DepthKind.METRIC_DEPTH)
    graph = onnx.load(path)
    smooth = np.full((1, 3, 3, 3), 1 / 27, np.float32)
    graph.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(smooth, "weight"))
    graph.graph.node[0].attribute[0].ints[:] = [1, 1, 1, 1]
    onnx.save(graph, path)
    return path


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in arguments])
    return ended.value.code


def test_every_format_of_a_picture(picture, metric, tmp_path, capsys):
    out = tmp_path / "out"
    way = ("cloud", picture, "--out", out, "--model", metric, "--json")
    code = run(*way, "--format", "ply,glb,html,obj")
    assert code == 0
    (done,) = json.loads(capsys.readouterr().out)["done"]
    assert sorted(path.name for path in out.iterdir()) == [
        "one.glb", "one.html", "one.mtl", "one.obj", "one.ply", "one.texture.jpg"
    ]  # fmt: skip
    assert done["unit"] == "m"
    assert done["camera"]["source"] == "exif"
    assert 100 < done["points"] <= 4800
    assert done["faces"] > done["points"]
    assert run(*way, "--points", "--max-points", "500") == 0
    (done,) = json.loads(capsys.readouterr().out)["done"]
    assert done["faces"] == 0
    assert done["points"] <= 500


def test_without_a_focal_length_it_names_the_ways(picture, metric, tmp_path, capsys):
    way = ("cloud", picture.with_name("bare.png"), "--out", tmp_path / "out", "--model", metric)
    assert run(*way) == 1
    said = capsys.readouterr()
    line = next(line for line in (said.err + said.out).splitlines() if "focal" in line)
    for word in ("EXIF", "--fov", "--camera", "predicts"):
        assert word in line
    assert run(*way, "--fov", "60") == 0


def test_a_relative_map_is_refused_but_for_a_relief(picture, tiny_model, tmp_path, capsys):
    out = tmp_path / "out"
    way = ("cloud", picture, "--out", out, "--model", tiny_model)
    assert run(*way) == 1
    said = capsys.readouterr()
    assert "--relief" in said.err + said.out
    assert not out.exists() or not list(out.iterdir())
    assert run(*way, "--relief", "0.3", "--edges", "keep", "--json") == 0
    assert json.loads(capsys.readouterr().out)["done"][0]["unit"] == "relief"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--format", "stl"), "ply, glb, obj, html"),
        (("--format", ","), "names nothing"),
        (("--edges", "blur"), "cut, keep"),
        (("--sky", "blue"), "cut, keep"),
        (("--up", "x"), "y, z"),
        (("--up", "z"), "y-up"),
        (("--max-points", "-1"), "4 or more"),
    ],
)
def test_wrong_options_start_nothing(picture, tmp_path, capsys, words, text):
    assert run("cloud", picture, "--out", tmp_path / "out", *words) == 2
    assert text in capsys.readouterr().err


def test_a_texture_overwrites_no_input(picture, capsys):
    twin = picture.with_name("one.texture.jpg")
    twin.write_bytes(picture.read_bytes())
    assert run("cloud", picture, twin, "--out", picture.parent, "--format", "obj") == 2
    assert "overwrite an input" in capsys.readouterr().err


def test_the_lens_and_where_it_is_from(picture, capsys):
    assert run("camera", picture) == 0
    assert "the picture's EXIF" in capsys.readouterr().out
    assert run("camera", picture.parent, "--json") == 1
    found = {row["input"]: row["camera"] for row in json.loads(capsys.readouterr().out)}
    assert found[str(picture.with_name("bare.png"))] is None
    assert run("camera", picture.with_name("bare.png"), "--fov", "60") == 0
    assert "60.0 degrees" in capsys.readouterr().out
    assert run("camera", picture.with_name("bare.png")) == 1
    assert "--fov" in capsys.readouterr().out
