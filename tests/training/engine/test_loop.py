"""The loop on a miniature folder: what it writes, what resumes, what stops it."""

import errno
import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("cv2")

from safetensors.torch import load_file  # noqa: E402

import leadline  # noqa: E402
from leadline.errors import InputError, JobError, UnknownNameError  # noqa: E402
from leadline.training import train  # noqa: E402
from leadline.training.engine import loop  # noqa: E402
from leadline.training.engine.checkpoint import checkpoints, load_state  # noqa: E402
from leadline.training.engine.diagnosis import Watch  # noqa: E402
from leadline.training.engine.loop import Run  # noqa: E402
from leadline.training.engine.resume import changes  # noqa: E402
from leadline.training.recipes.supervised import Supervised  # noqa: E402
from leadline.training.settings import RENAMED  # noqa: E402


def quiet(config, out, **options):
    return train(config, out, report=lambda line: None, **options)


def weights(run):
    return load_state(run)["module"]


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "whole"
    quiet(tiny, out)
    return out


@pytest.fixture
def whole(finished, tmp_path):
    return Path(shutil.copytree(finished, tmp_path / "whole"))


def test_resume_is_exact(tiny, whole, tmp_path):
    out = tmp_path / "parts"
    quiet(tiny, out, stop_after=3)
    quiet(tiny, out, resume=True)
    assert same(weights(whole), weights(out))
    assert same(load_file(whole / "model.safetensors"), load_file(out / "model.safetensors"))
    steps = [json.loads(line)["step"] for line in (out / "log.jsonl").read_text().splitlines()]
    assert steps == [2, 4, 6]


def test_resume_from_the_checkpoint_before_a_damaged_one_is_exact(tiny, whole):
    final = weights(whole)
    checkpoints(whole)[0].write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="damaged"):
        quiet(tiny, whole, resume=True)
    assert same(final, weights(whole))


def test_resuming_a_finished_run_changes_nothing(tiny, whole):
    before = weights(whole)
    quiet(tiny, whole, resume=True)
    assert same(before, weights(whole))


def test_a_run_killed_before_its_delivery_delivers_on_resume(tiny, whole):
    delivered = [whole / "model.safetensors", whole / "model.json"]
    right = [file.read_bytes() for file in delivered]
    for file in delivered:
        file.unlink()
    assert quiet(tiny, whole, resume=True) == delivered[0]
    assert [file.read_bytes() for file in delivered] == right


def test_what_changes_on_resume_does_what_it_says(tiny, whole, tmp_path):
    more = tiny.updated(
        {
            "lr": 0.25,
            "encoder_lr": 0.25,
            "weight_decay": 0.5,
            "schedule": "constant",
            "steps": 8,
            "amp": "fp16",
        }
    )
    run = Run(more)
    lines = run.resume(whole)
    assert "from step 6 on lr=0.25, before 0.01" in lines
    assert lines[-1] == "going on at step 6"
    assert {int(state["step"]) for state in run.optimizer.state.values()} == {6}
    with run.recipe.data(tmp_path, 6) as source:
        run.learn([(range(4), source.batch(6, range(4)))], source, Watch(more, tmp_path))
    assert {group["lr"] for group in run.optimizer.param_groups} == {0.25}
    assert {group["weight_decay"] for group in run.optimizer.param_groups} == {0.0, 0.5}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"optimizer": "sgd"}, "optimizer='adamw'.*init_from=RUN"),
        ({"seed": 1}, "seed=0"),
        ({"init_from": "lite"}, "init_from=''"),
        ({"options.start_share": 0.5}, "start_share=0.25"),
        ({"steps": 5}, "6 steps and steps=5"),
    ],
)
def test_what_a_run_keeps_is_refused_on_resume(tiny, whole, change, says):
    saved = load_state(whole)
    with pytest.raises(InputError, match=says):
        changes(whole, saved, tiny.updated(change))


def test_a_setting_that_a_run_did_not_know_yet_changes_nothing(tiny, whole):
    saved = load_state(whole)
    config = json.loads(saved["config"])
    del config["options"]["repeat_coarse"]
    assert changes(whole, {**saved, "config": json.dumps(config)}, tiny) == []


def test_a_run_of_before_is_read_with_the_names_of_now(tiny, whole):
    saved = load_state(whole)
    config = json.loads(saved["config"])
    for old, new in RENAMED.items():
        if new in config:
            config[old] = config.pop(new)
    assert "workers" in config
    assert changes(whole, {**saved, "config": json.dumps(config)}, tiny) == []
    with pytest.raises(InputError, match="init_from=''"):
        changes(whole, {**saved, "config": json.dumps(config)}, tiny.updated({"init_from": "x"}))


def test_parameters_that_are_divided_otherwise_are_refused_on_resume(tiny, whole, monkeypatch):
    def merged(self, module):
        return [{"params": list(module.parameters()), "lr": 1.0, "weight_decay": 0.0}]

    monkeypatch.setattr(Supervised, "parameter_groups", merged)
    with pytest.raises(InputError, match="divide them"):
        Run(tiny).resume(whole)


def test_resume_says_where_it_goes_on(tiny, whole, tmp_path):
    assert Run(tiny).resume(whole) == ["all 6 steps are done; --set steps=MORE goes on"]
    assert "no checkpoint" in Run(tiny).resume(tmp_path / "none")[0]


def test_folder_of_another_run_is_refused(tiny, whole):
    with pytest.raises(InputError, match=r"step-00000006.*--resume"):
        quiet(tiny, whole)
    with pytest.raises(InputError, match="model_options"):
        quiet(tiny.updated({"model_options.skips": "none"}), whole, resume=True)
    assert load_state(whole)["step"] == 6


def test_a_mistyped_protocol_is_refused_before_anything_learns(tiny, tmp_path):
    with pytest.raises(UnknownNameError, match="kitti-eigan"):
        quiet(tiny.updated({"protocol": "kitti-eigan"}), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "says"),
    [({"protocol": "nyu-eigen"}, "crop"), ({"validate_data": ["folder=/none"]}, "no such folder")],
)
def test_what_cannot_be_validated_is_refused_before_anything_learns(tiny, tmp_path, change, says):
    with pytest.raises(InputError, match=says):
        quiet(tiny.updated({"validate_every": 2, **change}), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_while_pictures_are_written_is_refused(tiny, tmp_path, monkeypatch):
    def full(path, pixels):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(loop, "save_picture", full)
    with pytest.raises(JobError, match=r"disk is full.*step-00000002.*--resume"):
        quiet(tiny.updated({"validate_every": 3}), tmp_path)


def test_a_network_of_another_kind_is_refused_before_anything_learns(tiny, tmp_path):
    with pytest.raises(InputError, match="gives affine_disparity"):
        quiet(replace(tiny, model="lite", model_options={}), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_size_that_the_network_does_not_take_is_refused_before_anything_learns(tiny, tmp_path):
    with pytest.raises(InputError, match=r"30x50.*32x64"):
        quiet(tiny.updated({"sizes": [[32, 32], [30, 50]]}), tmp_path)
    assert not list(tmp_path.iterdir())


def test_accumulated_parts_are_averaged(tiny, tmp_path):
    config = tiny.updated({"accumulate": 2})
    run, other = Run(config), Run(config)
    with run.recipe.data(tmp_path, 0) as source:
        parts = [(rows, source.batch(0, rows)) for rows in run.rows()]
        assert [list(rows) for rows, _ in parts] == [[0, 1], [2, 3]]
        losses = [other.recipe.loss(other.forward, batch, 0)[0] for _, batch in parts]
        found = run.learn(parts, source, Watch(config, tmp_path))
    mean = torch.stack(losses).mean()
    mean.backward()
    theirs = [p.grad for p in other.module.parameters()]
    norm = torch.stack([g.norm() for g in theirs if g is not None]).norm()
    assert found["loss"] == pytest.approx(mean.item(), rel=1e-5)
    assert found["grad_norm"] == pytest.approx(norm.item(), rel=1e-4)


@pytest.mark.slow
def test_run_learns(tiny, tmp_path):
    more = {"steps": 24, "log_every": 1, "checkpoint_every": 100, "lr": 0.05}
    plain = {"schedule": "constant", "augment.colours": "none", "options.start_share": 0}
    quiet(tiny.updated({**more, **plain}), tmp_path)
    losses = [
        json.loads(line)["loss"] for line in (tmp_path / "log.jsonl").read_text().splitlines()
    ]
    assert sum(losses[-6:]) < 0.85 * sum(losses[:6])


def test_run_directory_loads_and_predicts(tiny, pictures, whole):
    estimator = leadline.load(whole)
    assert estimator.spec.architecture == "fastdepth-plain"
    assert estimator.spec.kind.is_metric
    prediction = estimator.predict(pictures / "rgb" / "0.png")
    assert prediction.values.shape == (40, 48)
    run = Run(tiny)
    run.resume(whole)
    own = run.deliver().module.state_dict()
    assert same(own, load_file(whole / "model.safetensors"))


def test_best_is_kept_and_pictures_are_made(tiny, tmp_path):
    config = tiny.updated({"validate_every": 2, "steps": 4})
    quiet(config, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    scores = [line["validation"]["abs_rel"] for line in lines if "validation" in line]
    assert len(scores) == 2
    assert load_state(tmp_path)["best"] == pytest.approx(min(scores), abs=1e-5)
    assert leadline.load(tmp_path / "best").spec.architecture == "fastdepth-plain"
    assert (tmp_path / "pictures" / "step-00000004.png").exists()


def test_not_finite_loss_names_the_samples(tiny, tmp_path, monkeypatch):
    real = Supervised.loss
    run = Run(tiny)
    with run.recipe.data(tmp_path, 0) as source:
        corner = source.batch(0, range(4))["rgb"][:, 0, 0, 0]
        worst = int(corner.argmax())
        poison = float(corner.sort().values[-2])
        origin = source.origin(0, worst)

    def loss(self, forward, batch, step):
        total, parts = real(self, forward, batch, step)
        return total + torch.where(batch["rgb"][:, 0, 0, 0] > poison, torch.nan, 0.0).sum(), parts

    monkeypatch.setattr(Supervised, "loss", loss)
    with pytest.raises(JobError, match=rf"step 0: row {worst} \(folder: \d\)"):
        quiet(tiny, tmp_path)
    report = json.loads((tmp_path / "diagnosis.json").read_text())
    assert report["samples"][worst]["origin"] == origin
    assert set(report["samples"][worst]["ranges"]) >= {"rgb", "depth"}


def watched(tiny, out):
    parts = [(range(2), {"rgb": torch.zeros(2, 3)})]
    source = SimpleNamespace(origin=lambda step, row: f"shard {row}")
    return Watch(tiny.updated({"max_loss_spike": 100.0}), out), parts, source


def test_a_loss_spike_stops_the_run(tiny, tmp_path):
    watch, parts, source = watched(tiny, tmp_path)
    for step in range(30):
        watch.check_spike(1.0 + step % 3, parts, step, source)
    watch.check_spike(150.0, parts, 30, source)
    with pytest.raises(JobError, match=r"200 times its recent median at step 31: row 0 \(shard 0"):
        watch.check_spike(400.0, parts, 31, source)


def test_one_overflow_is_no_error_and_many_are(tiny, tmp_path):
    watch, parts, source = watched(tiny, tmp_path)
    for _ in range(3):
        for _ in range(39):
            watch.check_gradient(None, parts, 0, source)
        watch.check_gradient(torch.tensor(1.0), parts, 0, source)
    for _ in range(39):
        watch.check_gradient(None, parts, 7, source)
    with pytest.raises(JobError, match="fp16 overflowed 40 steps"):
        watch.check_gradient(None, parts, 7, source)


def test_a_dead_network_stops_the_run(tiny, tmp_path):
    watch, parts, source = watched(tiny, tmp_path)
    for norm in [0.0] * 49 + [1.0] + [0.0] * 49:
        watch.check_gradient(torch.tensor(norm), parts, 0, source)
    with pytest.raises(JobError, match=r"0 for 50 steps.*longer warmup"):
        watch.check_gradient(torch.tensor(0.0), parts, 7, source)


def test_frozen_parameters_stay_until_they_thaw(tiny, tmp_path):
    config = tiny.updated({"freeze": ["mobilenet"], "unfreeze_step": 2, "steps": 2, "ema": 0})
    begin = {name: value.clone() for name, value in Run(config).module.state_dict().items()}
    quiet(config, tmp_path / "frozen")
    quiet(config.updated({"steps": 3}), tmp_path / "thawed")
    for name in ("mobilenet.0.0.weight", "mobilenet.0.1.running_mean"):
        assert torch.equal(weights(tmp_path / "frozen")[name], begin[name])
        assert not torch.equal(weights(tmp_path / "thawed")[name], begin[name])


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_mixed_precision_learns_in_float32_weights(tiny, tmp_path, amp, device):
    quiet(tiny.updated({"amp": amp, "steps": 2, "device": device}), tmp_path)
    assert {w.dtype for w in weights(tmp_path).values()} <= {torch.float32, torch.int64}


def test_a_single_value_to_normalise_is_refused(tiny, tmp_path):
    with pytest.raises(InputError, match="batch normalisation needs two"):
        quiet(tiny.updated({"batch": 1}), tmp_path)


def test_start_takes_the_weights_of_another_run(tiny, whole):
    run = Run(tiny.updated({"init_from": str(whole)}))
    assert same(run.module.state_dict(), load_file(whole / "model.safetensors"))


def test_checkpointing_needs_blocks(tiny):
    with pytest.raises(InputError, match="blocks"):
        Run(tiny.updated({"activation_checkpointing": True}))


def test_tensorboard_gets_the_losses(tiny, tmp_path):
    pytest.importorskip("tensorboard")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quiet(tiny.updated({"tensorboard": True, "steps": 2}), tmp_path)
    assert any((tmp_path / "tensorboard").iterdir())
