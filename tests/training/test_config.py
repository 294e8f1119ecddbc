"""Settings: what ships loads, what is misspelt is named, text becomes the setting's type."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("cv2")

from leadline import catalog
from leadline.errors import InputError, UnknownNameError
from leadline.preprocess import Preprocess
from leadline.training import DataConfig, TrainConfig
from leadline.training.config import merge, preset_names
from leadline.training.options import OPTIONS
from leadline.training.recipes import RECIPES
from leadline.training.settings import RENAMED


def test_every_recipe_has_a_preset_of_its_name():
    assert set(RECIPES) <= set(preset_names())


@pytest.mark.parametrize("name", preset_names())
def test_every_shipped_preset_loads(name):
    config = TrainConfig.from_toml(name)
    assert config.steps > 0
    assert config.recipe in RECIPES


def test_every_network_that_is_said_to_be_trainable_has_a_preset():
    promised = [name for name, spec in catalog.MODELS.items() if "`leadline train" in spec.advice]
    assert len(promised) >= 20
    assert set(promised) <= set(preset_names())


@pytest.mark.parametrize(
    ("name", "lr", "frames"),
    [
        ("zoedepth-n-depth-anything-vitl", 1.61e-4, 24231),
        ("zoedepth-k-depth-anything-vits", 1.61e-4, 23158),
        ("zoedepth-nk-depth-anything-vitl", 2.512e-4, 24231 + 23158),
        ("zoedepth-nk", 2.512e-4, 24231 + 23158),
    ],
)
def test_zoedepth_s_presets_are_its_authors(name, lr, frames):
    config = TrainConfig.from_toml(name)
    assert config.lr == lr
    assert config.steps == 5 * (frames // config.batch)
    assert config.augment.min_crop == 1  # no zoom: metres of one camera
    assert config.augment.colours.startswith("bts")
    height, width = config.sizes[0]
    spec = catalog.MODELS[name].preprocess
    assert Preprocess(spec).input_size(height, width) == (height, width)


@pytest.mark.parametrize(
    "name", ["densedepth", "depth-anything-v1-vits", "depth-anything-v2-vits", "monodepth2-r18"]
)
def test_presets_with_published_numbers_add_none_of_our_own(name):
    config = TrainConfig.from_toml(name)
    assert (config.clip, config.warmup, config.ema) == (0, 0, 0)


def test_the_student_of_version_1_sees_62_million_pictures_once():
    config = TrainConfig.from_toml("depth-anything-v1-vits")
    assert config.steps * config.batch * config.options.pseudo_share == pytest.approx(62e6)


def test_unknown_preset_lists_the_known():
    with pytest.raises(UnknownNameError, match="lite"):
        TrainConfig.from_toml("light")


def test_unknown_key_names_the_nearest():
    with pytest.raises(UnknownNameError, match="encoder_lr"):
        TrainConfig().updated({"encoder_rl": 1})


def test_unknown_key_of_a_table_lists_that_tables_keys():
    with pytest.raises(UnknownNameError, match="shard_steps"):
        TrainConfig().updated({"world.shards_steps": 1})
    with pytest.raises(UnknownNameError, match="gradient_weight"):
        TrainConfig().updated({"options": {"gradient": 1}})


def test_another_recipe_takes_its_own_options():
    config = TrainConfig().updated({"recipe": "supervised", "options.loss": "berhu"})
    assert config.options.loss == "berhu"
    with pytest.raises(UnknownNameError, match="max_depth"):
        config.updated({"options.settle": 3})


def test_options_of_another_recipe_are_refused():
    with pytest.raises(InputError, match="SupervisedOptions"):
        TrainConfig(recipe="supervised", options=TrainConfig().options)


def test_text_becomes_the_settings_type():
    config = TrainConfig().updated(
        {"lr": "0.5", "steps": "7", "imagenet": "false", "sizes": "[[32, 64]]", "freeze": "encoder"}
    )
    assert (config.lr, config.steps, config.imagenet) == (0.5, 7, False)
    assert (config.sizes, config.freeze) == (((32, 64),), ("encoder",))


def test_dotted_keys_of_one_table_add_up():
    config = TrainConfig().updated({"world.shard": "5", "world.kinds": "room,street"})
    assert (config.world.shard, config.world.kinds) == (5, ("room", "street"))


def test_data_as_on_the_command_line():
    given = ["world@0.5", "nyu-labelled:all=/a=b:c", "folder=x@y@2"]
    config = TrainConfig().updated({"data": given})
    assert config.data == (
        DataConfig(weight=0.5),
        DataConfig(name="nyu-labelled", split="all", root="/a=b:c"),
        DataConfig(name="folder", root="x@y", weight=2.0),
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [("steps", "many"), ("steps", 2.5), ("lr", True), ("sizes", [[1, 2, 3]]), ("world", 3)],
)
def test_value_that_does_not_fit_is_refused(key, value):
    with pytest.raises(InputError, match=key):
        TrainConfig().updated({key: value})


def test_word_that_is_no_choice_lists_the_choices():
    with pytest.raises(UnknownNameError, match="one-cycle"):
        TrainConfig().updated({"schedule": "cosin"})


@pytest.mark.parametrize(
    "change",
    [
        *({name: 0} for name in ("steps", "batch", "accumulate", "log_every", "num_workers", "lr")),
        *({name: -1} for name in ("steps", "lr", "encoder_lr", "weight_decay", "clip", "warmup")),
        *(
            {name: -2}
            for name in ("seed", "render_workers", "threads", "unfreeze_step", "validate_every")
        ),
        *(
            {name: "nan"}
            for name in ("lr", "ema", "clip", "max_loss_spike", "options.gradient_weight")
        ),
        *(
            {name: 1.0}
            for name in ("momentum", "ema", "pct_start", "options.trim", "max_loss_spike")
        ),
        *({"sizes": sizes} for sizes in ([[0, 0]], [[64, -64]], [])),
        *({f"world.{name}": 0} for name in ("shard", "views", "window", "shard_steps", "margin")),
        *({f"augment.{name}": 2} for name in ("min_crop", "flip")),
        {"world.kinds": "rooom"},
        {"batch": 6, "accumulate": 4},
        {"data": []},
        {"data": ["world@-1"]},
        {"data": ["world@0"]},
        {"data": [{"every": 0}]},
        {"lr": "inf"},
        {"milestones": [2]},
        {"momentum_cycle": [0.9]},
        {"recipe": "supervised", "options": {"max_depth": 0.05}},
        {"recipe": "metric", "options": {"form": "zoe"}},
        {"recipe": "metric", "options": {"encoder_divisor": 0}},
        {"recipe": "stereo", "options": {"photometric_weight": 0}},
        {"recipe": "video", "options": {"depth_weight": -1}},
        {"recipe": "depth-anything", "options": {"unlabelled_count": 0}},
    ],
)
def test_impossible_runs_are_refused(change):
    with pytest.raises((InputError, UnknownNameError)) as refused:
        TrainConfig().updated(change)
    assert "\n" not in str(refused.value)


def test_plain_values_give_the_config_back():
    config = TrainConfig.from_toml("lite").updated({"data": ["world", "folder=x@0.1"]})
    assert TrainConfig.from_dict(config.to_dict()) == config


def test_file_inherits_from_a_preset(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('inherits = "lite"\nsteps = 3\n[options]\nsettle = 1\n')
    config = TrainConfig.from_toml(path)
    assert (config.steps, config.options.settle, len(config.freeze)) == (3, 1, 4)


def test_another_network_drops_the_options_of_the_one_before(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('inherits = "metric"\nsteps = 3\n')
    assert "encoder" in TrainConfig.from_toml(path).model_options
    path.write_text('inherits = "metric"\nmodel = "zoedepth-nk"\n[model_options]\nn_bins = 8\n')
    assert TrainConfig.from_toml(path).model_options == {"n_bins": 8}


def test_tables_are_merged_and_lists_replaced():
    assert merge({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"c": 3}, "d": [2]}) == {
        "a": {"b": 1, "c": 3},
        "d": [2],
    }


def test_file_that_is_no_toml(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text("steps = = 3")
    with pytest.raises(InputError, match=r"bad\.toml"):
        TrainConfig.from_toml(path)


def test_a_camera_that_does_not_see_the_kinds_is_refused():
    with pytest.raises(InputError, match="sees scenes of the kind 'street', not 'room'"):
        TrainConfig.from_toml("fastdepth").updated({"world.mount": "kitti"})
    config = TrainConfig.from_toml("fastdepth")
    assert config.updated({"world.mount": "nyu"}).world.mount == "nyu"


@pytest.mark.parametrize("old", sorted(RENAMED))
def test_an_old_key_is_answered_with_its_new_name(old):
    recipe = "video" if old.startswith("options.") else "relative"
    new = RENAMED[old].rpartition(".")[2]
    with pytest.raises(InputError, match=f"its name is .*{new} now"):
        TrainConfig(recipe=recipe).updated({old: "1"})
    TrainConfig(recipe=recipe).updated({RENAMED[old]: _VALUES.get(new, "1")})


_VALUES = {
    "activation_checkpointing": "true",
    "lidar_noise": {"share": 0.5},
    "max_loss_spike": "2",
    "pct_start": "0.5",
}


def test_an_old_key_inside_a_table_is_answered_too():
    with pytest.raises(InputError, match="lidar_noise"):
        TrainConfig(recipe="stereo").updated({"options.scan.share": 0.5})


def test_the_pictures_of_labels_keep_their_name():
    config = TrainConfig(recipe="depth-anything").updated({"options.pictures": "folder"})
    assert config.options.pictures == "folder"


def test_every_recipe_has_options():
    assert set(RECIPES) == set(OPTIONS)
