"""`leadline train`: what the options become, and what it says."""

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("cv2")

from leadline.cli.app import app
from leadline.cli.train import _settings
from leadline.errors import InputError, UnknownNameError


def test_options_lie_over_the_file_over_the_preset(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('steps = 7\nlr = 0.5\n[options]\nloss = "berhu"\n')
    config = _settings("supervised", file, "fastdepth-plain", ["world", "folder=x@2"], ["lr=0.25"])
    assert (config.steps, config.lr, config.options.loss) == (7, 0.25, "berhu")
    assert (config.model, [data.weight for data in config.data]) == ("fastdepth-plain", [1, 2])
    assert config.options.max_depth == 10


def test_every_trainable_network_is_a_name():
    assert _settings("densedepth-half", None, None, None, []).model == "densedepth-half"
    with pytest.raises(UnknownNameError, match="densedepth"):
        _settings("densedept", None, None, None, [])


def test_set_needs_a_value():
    with pytest.raises(InputError, match="KEY=VALUE"):
        _settings("lite", None, None, None, ["steps"])


def test_run_writes_and_says_how_to_predict(tmp_path):
    import numpy as np
    from PIL import Image

    for name in ("rgb", "depth"):
        (tmp_path / name).mkdir()
    for n in range(2):
        Image.fromarray(np.full((40, 48, 3), 90 + n, np.uint8)).save(tmp_path / f"rgb/{n}.png")
        np.save(tmp_path / f"depth/{n}.npy", np.full((40, 48), 2.0, np.float32))
    changes = ("steps=2", "batch=2", "sizes=[[32,32]]", "threads=1", "validate_every=-1")
    tiny = ("model_options.widths=[4,4,4,4,4,4,4,4,4,4,4,4,4,4]",)
    more = ("model_options.decoder_widths=[4,4,4,4,4]", "log_every=1")
    arguments = ["train", "fastdepth-plain", "--data", f"folder={tmp_path}"]
    for change in (*changes, *tiny, *more):
        arguments += ["--set", change]
    told = CliRunner().invoke(app, [*arguments, "--dry-run"])
    assert told.exit_code == 0, told.output
    assert "parameters: " in told.output
    assert "steps/s" in told.output
    out = tmp_path / "run"
    done = CliRunner().invoke(app, [*arguments, "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "step=2 loss=" in done.output
    assert f"leadline predict --model {out}" in done.output
    assert (out / "model.safetensors").exists()
