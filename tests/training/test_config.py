"""Recipes: what ships loads, what is misspelt is named."""

import pytest

pytest.importorskip("torch")

from leadline.errors import InputError, UnknownNameError
from leadline.training.config import TrainConfig, recipe_names


def test_every_shipped_recipe_loads():
    assert "lite" in recipe_names()
    for name in recipe_names():
        assert TrainConfig.from_toml(name).steps > 0


def test_unknown_recipe_lists_the_known():
    with pytest.raises(UnknownNameError, match="lite"):
        TrainConfig.from_toml("light")


def test_unknown_key_names_the_nearest():
    with pytest.raises(UnknownNameError, match="encoder_lr"):
        TrainConfig().updated({"encoder_rl": 1})


def test_strings_become_the_fields_type():
    config = TrainConfig().updated({"lr": "0.5", "steps": "7", "imagenet": "false"})
    assert (config.lr, config.steps, config.imagenet) == (0.5, 7, False)


def test_value_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="steps"):
        TrainConfig().updated({"steps": "many"})


def test_file_that_is_no_toml(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text("steps = = 3")
    with pytest.raises(InputError, match=r"bad\.toml"):
        TrainConfig.from_toml(path)
