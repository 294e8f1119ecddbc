"""Published tables: data that agrees with the catalogue, and plans that say what is missing."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from leadline import catalog
from leadline.datasets import DATASETS, Frame, FrameRef
from leadline.datasets import table as sets
from leadline.errors import InputError, UnknownNameError
from leadline.estimator import POLICIES
from leadline.evaluation import protocols, published
from leadline.evaluation.depth_protocol import DepthProtocol
from leadline.evaluation.predictors import BASELINES
from leadline.evaluation.published import Row, find_rows, read_tables
from leadline.evaluation.reproduce import Places, make_plans, measure, to_markdown
from leadline.image import Image
from leadline.load_options import LoadOptions

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "real_frames.json"


@pytest.mark.parametrize("row", find_rows(), ids=lambda row: f"{row.title} on {row.measured_on}")
def test_a_row_names_what_there_is(row: Row):
    assert row.model in catalog.MODELS or row.model in BASELINES
    spec = DATASETS[row.dataset]
    assert row.split is None or row.split in spec.splits
    assert row.policy in POLICIES
    protocol = protocols.get(row.protocol)
    known = protocol.metrics if isinstance(protocol, DepthProtocol) else ("ordinal",)
    assert set(row.numbers) <= set(known)
    assert all(number > 0 for number in row.numbers.values())


def test_no_row_is_there_twice():
    keys = [(row.table, row.title, row.measured_on) for row in find_rows()]
    assert len(keys) == len(set(keys))


def test_our_own_rows_are_the_committed_results():
    board = {(c["model"], c["dataset"]): c for c in json.loads(RESULTS.read_text())}
    rows = find_rows(["leadline"])
    assert {(row.model, row.dataset) for row in rows} == set(board)
    for row in rows:
        cell = board[row.model, row.dataset]
        assert row.protocol == cell["protocol"]
        for name, number in row.numbers.items():
            assert number == round(cell["mean"][name], 4)


def test_names_that_are_none():
    with pytest.raises(UnknownNameError, match="table"):
        find_rows(["zoedept"])
    with pytest.raises(UnknownNameError, match="monodepth2-r18 M"):
        find_rows(["monodepth2"], ["lite"])
    assert [row.label for row in find_rows(["monodepth2"], ["monodepth2-r18 S"])] == ["S"]


def test_every_table_has_rows_or_says_why_not():
    for table in read_tables().values():
        assert table.rows or table.note.startswith("No row")


def test_missing_data_and_weights_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr("leadline.hub.locate", lambda weights: None)
    (plan,) = make_plans(find_rows(["densedepth"]), LoadOptions(), Places(data=tmp_path))
    data, weights = plan.missing
    assert "nyu-labelled (2.8 GB, research)" in data
    assert f"{tmp_path / 'nyu-labelled'}" in data
    assert "nyu.h5" in weights
    assert f"{tmp_path / 'weights' / 'densedepth'}.*" in weights
    assert plan.options.policy == "flip"
    plans = make_plans(find_rows(["depth-anything-v2"]), LoadOptions(), Places())
    assert "(99 MB, Apache-2.0) from https://" in plans[0].missing[1]
    assert "leadline models pull depth-anything-v2-vits" in plans[0].missing[1]
    asked = make_plans(find_rows(["depth-anything-v2"]), LoadOptions(), Places(download=True))
    assert [len(plan.missing) for plan in asked].count(2) == 1  # the giant is not published
    (tmp_path / "nyu-labelled").mkdir()
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "densedepth.h5").write_bytes(b"")
    (plan,) = make_plans(find_rows(["densedepth"]), LoadOptions(), Places(data=tmp_path))
    assert plan.missing == ()
    assert plan.options.weights == tmp_path / "weights" / "densedepth.h5"


def test_weights_are_of_one_model(tmp_path):
    load = LoadOptions(weights=tmp_path / "mine.pth")
    with pytest.raises(InputError, match="2 models"):
        make_plans(find_rows(["monodepth"]), load, Places())
    (plan,) = make_plans(find_rows(["monodepth"], ["monodepth-vgg"]), load, Places())
    assert plan.options.weights == load.weights
    with pytest.raises(InputError, match="every=0"):
        make_plans([], LoadOptions(), Places(), every=0)


def test_a_row_without_a_data_set_on_disk_is_measured(monkeypatch, tmp_path):
    row = replace(
        find_rows(["leadline"], ["constant"])[0], dataset="world-rooms", numbers={"abs_rel": 0.5}
    )
    depth = np.linspace(1, 4, 24 * 32, dtype=np.float32).reshape(24, 32)
    image = Image(pixels=np.zeros((24, 32, 3), np.uint8))
    frame = Frame(image=image, depth=depth, max_depth=10, group="rooms", name="room")
    refs = [FrameRef(name="room", read=lambda: frame)] * 2
    spec = replace(DATASETS["world-rooms"], open=lambda root, options: refs)
    monkeypatch.setattr(sets, "DATASETS", {**DATASETS, "world-rooms": spec})
    plans = make_plans([row, find_rows(["eigen14"])[0]], LoadOptions(), Places())
    told: list[str] = []
    done, missing = measure(plans, tmp_path, say=told.append)
    assert missing.cell is None
    record = done.to_dict()
    assert record["frames"] == 2
    assert record["difference"]["abs_rel"] == pytest.approx(record["here"]["abs_rel"] - 0.5)
    again, _ = measure(plans, tmp_path, say=told.append)
    assert (again.cell, len(told)) == (done.cell, 1)
    text = (tmp_path / "reproduced.md").read_text()
    assert text == to_markdown([done, missing])
    assert "2 frames | abs_rel | 0.5 " in text
    assert json.loads((tmp_path / "reproduced.json").read_text())[0] == record


def test_labels_are_the_rest_of_a_title():
    row = published.find_rows(["monodepth2"], ["monodepth2-r18 MS-no-pretraining"])[0]
    assert (row.model, row.label) == ("monodepth2-r18", "MS-no-pretraining")
    assert row.place == "monodepth2-r18-MS-no-pretraining"
