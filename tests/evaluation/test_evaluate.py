from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from leadline.datasets import Frame, FrameRef
from leadline.errors import InputError, KindError, UnknownNameError
from leadline.evaluation import leaderboard, protocols
from leadline.evaluation.leaderboard import Entry, read_entries, run_leaderboard
from leadline.evaluation.page import draw_error_map, draw_histogram, render_page
from leadline.evaluation.predictors import (
    BASELINES,
    Predictor,
    constant,
    open_folder,
    open_predictor,
)
from leadline.evaluation.run import evaluate
from leadline.image import Image
from leadline.load_options import LoadOptions
from leadline.prediction import Prediction

ZERO_SHOT = protocols.get("depth-anything-zero-shot")
METRIC = protocols.get("depth-anything-v2-metric")


def make_frame(number: int) -> Frame:
    rng = np.random.default_rng(number)
    depth = (1 + number + np.linspace(5, 1, 24)[:, None] + rng.uniform(0, 0.5, (24, 32))).astype(
        np.float32
    )
    depth[:, :3] = 0
    pixels = np.repeat((depth * 20).astype(np.uint8)[..., None], 3, 2)
    return Frame(
        image=Image(pixels=pixels), depth=depth, max_depth=10, group="g", name=f"drive/{number}"
    )


REFS = [FrameRef(name=f"drive/{i}", read=partial(make_frame, i)) for i in range(4)]


def off_by(factor: float, frame: Frame) -> Prediction:
    values = np.where(frame.depth > 0, frame.depth, 1) * np.float32(factor)
    return Prediction(values=values, kind="metric_depth")


@pytest.mark.parametrize("ahead", [0, 2])
def test_evaluate_is_the_mean_of_the_frames(ahead):
    report = evaluate(partial(off_by, 1.1), REFS, METRIC, model="m", dataset="d", ahead=ahead)
    assert [row.name for row in report.scores.rows] == [ref.name for ref in REFS]
    assert report.scores.mean()["abs_rel"] == pytest.approx(0.1, rel=1e-5)
    assert "0.1000" in report.table()
    assert "4 frames" in report.table()


def test_the_report_s_files(tmp_path):
    predict = BASELINES["vertical-ramp"]
    report = evaluate(predict, REFS, ZERO_SHOT, model="<ramp>", dataset="d & d")
    report.save(tmp_path, page=render_page(report, REFS, predict, cases=1))
    record = json.loads((tmp_path / "report.json").read_text())
    assert record["protocol"] == "depth-anything-zero-shot"
    assert record["frames"] == 4
    assert len(record["per_frame"]) == 4
    low, high = record["interval_95"]["abs_rel"]
    assert low <= record["mean"]["abs_rel"] <= high
    rows = list(csv.DictReader((tmp_path / "frames.csv").open()))
    assert float(rows[2]["abs_rel"]) == record["per_frame"][2]["abs_rel"]
    page = (tmp_path / "index.html").read_text()
    assert "&lt;ramp&gt; on d &amp; d" in page
    assert page.count("data:image/png;base64,") == 6  # photo, prediction, error; best and worst
    assert "<svg" in page
    for outside in ("http://", "https://", "<script", "<link"):
        assert outside not in page
    assert report.rank_frames()[0] in page
    assert report.rank_frames()[-1] in page


def test_a_bad_frame_ends_it_or_is_counted():
    def broken() -> Frame:
        raise InputError("drive/9.png: no such file; check the path.")

    refs = [*REFS, FrameRef(name="drive/9", read=broken)]
    with pytest.raises(InputError, match=r"drive/9\.png.*--skip-bad"):
        evaluate(constant, refs, ZERO_SHOT)
    told = []
    report = evaluate(constant, refs, ZERO_SHOT, skip_bad=True, on_failure=told.append)
    assert len(report.scores.rows) == 4
    assert [s.name for s in report.skipped] == ["drive/9"]
    assert "1 frames left out" in report.table()
    assert report.to_dict()["skipped"][0]["error"].startswith("drive/9.png")
    assert len(told) == 1
    with pytest.raises(InputError, match="drive/9"):
        evaluate(constant, refs[4:], ZERO_SHOT, skip_bad=True)
    with pytest.raises(InputError, match="no frames"):
        evaluate(constant, [], ZERO_SHOT)
    with pytest.raises(InputError, match="pairs"):
        evaluate(constant, REFS, protocols.get("da-2k"))


def test_maps_without_depth_are_named():
    empty = Frame(
        image=Image(pixels=np.zeros((4, 6, 3), np.uint8)),
        depth=np.zeros((4, 6), np.float32),
        max_depth=10,
        group="g",
        name="drive/7",
    )
    with pytest.raises(InputError, match="drive/7: 0 pixels"):
        evaluate(constant, [FrameRef(name="drive/7", read=lambda: empty)], ZERO_SHOT)


def test_disparity_where_depth_was_promised():
    def liar(frame: Frame) -> Prediction:
        return Prediction(values=1 / np.maximum(frame.depth, 1), kind="metric_depth")

    with pytest.raises(KindError, match="looks like a disparity"):
        evaluate(liar, REFS, METRIC)


# --- other programs' files -----------------------------------------------------------------------


def write_maps(folder: Path, suffix: str) -> None:
    from PIL import Image as PilImage

    from leadline.io import write_pfm

    folder.mkdir()
    for ref in REFS:
        pred = off_by(1.1, ref.read())
        stem = ref.name.replace("/", "_")
        if suffix == ".npy":
            np.save(folder / f"{stem}.npy", pred.values)
        elif suffix == ".pfm":
            write_pfm(folder / f"{stem}.pfm", pred.values)
        elif suffix == ".png":
            codes = PilImage.fromarray((pred.values * 1000).round().astype(np.uint16))
            codes.save(folder / f"{stem}.png")
        else:
            pred.save(folder / f"{stem}.npz")


@pytest.mark.parametrize("suffix", [".npy", ".pfm", ".png", ".npz"])
def test_files_of_other_programs(tmp_path, suffix):
    write_maps(tmp_path / "maps", suffix)
    per_metre = 1000 if suffix == ".png" else None
    report = evaluate(open_folder(tmp_path / "maps", per_metre=per_metre), REFS, METRIC)
    assert report.scores.mean()["abs_rel"] == pytest.approx(0.1, abs=2e-4)


def test_bad_files_are_named(tmp_path):
    from PIL import Image as PilImage

    maps = tmp_path / "maps"
    write_maps(maps, ".npy")
    (maps / "drive_2.npy").unlink()
    with pytest.raises(InputError, match=r"drive/2: none of drive/2\.\*, drive_2\.\*, 2\.\*"):
        evaluate(open_folder(maps), REFS, METRIC)
    np.save(maps / "2.npy", np.full((24, 32), np.nan))
    with pytest.raises(InputError, match=r"2\.npy holds no finite"):
        evaluate(open_folder(maps), REFS, METRIC)
    np.save(maps / "2.npy", np.full((24, 32), -1.0))
    with pytest.raises(InputError, match=r"2\.npy holds 768 negative"):
        evaluate(open_folder(maps), REFS, METRIC)
    (maps / "2.npy").unlink()
    PilImage.fromarray(np.ones((24, 32), np.uint8)).save(maps / "2.png")
    with pytest.raises(InputError, match=r"2\.png is an 8-bit"):
        evaluate(open_folder(maps, per_metre=256), REFS[2:3], METRIC)
    with pytest.raises(InputError, match="no such folder"):
        open_folder(tmp_path / "none")


# --- pictures ------------------------------------------------------------------------------------


def test_error_maps_are_dark_where_right():
    truth, counts = np.full((20, 20), 2.0), np.ones((20, 20), bool)
    counts[:5] = False
    pred = truth.copy()
    pred[10:] = 4
    colours = draw_error_map(pred, truth, counts).astype(int).sum(-1)
    assert colours[7, 7] < 20 < colours[15, 5]
    assert (colours[0] == 100 + 108 + 128).all()


def test_histograms_leave_out_what_is_no_number():
    assert draw_histogram([1, 2, 2, float("nan")], "x").count("<rect") == 5
    assert draw_histogram([float("nan")], "x") == ""


# --- leaderboard ---------------------------------------------------------------------------------

CONSTANT = {"constant": LoadOptions(model="constant")}


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    from PIL import Image as PilImage

    for number in range(3):
        frame = make_frame(number)
        for folder, array in (
            ("rgb", frame.image.pixels),
            ("depth", (frame.depth * 1000).astype(np.uint16)),
        ):
            (tmp_path / "mine" / folder).mkdir(parents=True, exist_ok=True)
            PilImage.fromarray(array).save(tmp_path / "mine" / folder / f"{number}.png")
    (tmp_path / "sets.toml").write_text(
        '[[set]]\nname = "mine, all"\ndataset = "folder"\nroot = "mine"\nper_metre = 1000\n'
        'protocol = "depth-anything-zero-shot"\n'
        '[[set]]\nname = "half"\ndataset = "folder"\nroot = "mine"\nper_metre = 500\n'
        'protocol = "depth-anything-zero-shot"\n'
    )
    return tmp_path / "sets.toml"


def test_a_graph_with_other_weights_is_measured_again(sets, tmp_path, monkeypatch):
    graph, told = tmp_path / "net.xml", []
    graph.write_text("<net/>")
    models = {str(graph): LoadOptions(model=graph)}
    monkeypatch.setattr(leaderboard, "open_predictor", lambda options: BASELINES["constant"])
    for weights in (b"one", b"one", b"two"):
        graph.with_suffix(".bin").write_bytes(weights)
        run_leaderboard(
            models, read_entries(sets), tmp_path / "board", base=tmp_path, say=told.append
        )
    assert len(told) == 4


def test_a_leaderboard_resumes(sets, tmp_path, monkeypatch):
    calls = []

    def open_counted(options: LoadOptions) -> Predictor:
        calls.append(options.model)
        return open_predictor(options)

    monkeypatch.setattr(leaderboard, "open_predictor", open_counted)
    models = {name: LoadOptions(model=name) for name in BASELINES}
    out = tmp_path / "board"
    told: list[str] = []
    cells = run_leaderboard(models, read_entries(sets), out, base=tmp_path, say=told.append)
    assert len(told) == 4
    assert calls == list(BASELINES)
    again = run_leaderboard(models, read_entries(sets), out, base=tmp_path, say=told.append)
    assert len(told) == 4
    assert calls == list(BASELINES)
    assert again == cells
    damaged = next((out / "cells").glob("constant__half.json"))
    damaged.write_text("{")
    run_leaderboard(models, read_entries(sets), out, base=tmp_path, say=told.append)
    assert told[4:] == ["constant on half"]
    text = (out / "leaderboard.md").read_text()
    assert "| vertical-ramp |" in text
    assert "Mean over sets" in text
    assert (out / "index.html").read_text().count("<table>") == 3
    assert json.loads((out / "leaderboard.json").read_text())[0]["set"] == "mine, all"


def test_another_protocol_is_another_cell(sets, tmp_path, monkeypatch):
    from dataclasses import replace
    from types import MappingProxyType

    told: list[str] = []
    board = partial(run_leaderboard, CONSTANT, base=tmp_path, say=told.append)
    entries = [replace(read_entries(sets)[0], in_mean=False), *read_entries(sets)[1:]]
    board(entries, tmp_path / "b")
    changed = replace(protocols.get_depth("depth-anything-zero-shot"), max_depth=5.0)
    table = MappingProxyType({**protocols.PROTOCOLS, "depth-anything-zero-shot": changed})
    monkeypatch.setattr(protocols, "PROTOCOLS", table)
    board(entries, tmp_path / "b")
    assert told == ["constant on mine, all", "constant on half"] * 2
    assert "Mean over sets" not in (tmp_path / "b" / "leaderboard.md").read_text()


def test_a_model_opened_otherwise_is_another_cell(sets, tmp_path):
    told: list[str] = []
    for policy in ("single", "flip", "flip"):
        models = {"constant": LoadOptions(model="constant", policy=policy)}
        run_leaderboard(models, read_entries(sets), tmp_path / "b", base=tmp_path, say=told.append)
    assert told == ["constant on mine, all", "constant on half"] * 2


def test_cells_that_fail_are_told_and_tried_again(sets, tmp_path):
    entries = [Entry(name="gone", dataset="folder", root="none"), *read_entries(sets)]
    told: list[str] = []
    for _ in range(2):
        cells = run_leaderboard(CONSTANT, entries, tmp_path / "b", base=tmp_path, say=told.append)
        assert "no such folder" in cells[0]["error"]
    assert told.count("constant on gone") == 2
    assert len(told) == 4
    assert "no such folder" in (tmp_path / "b" / "leaderboard.md").read_text()


def test_bad_lists_of_sets(tmp_path):
    path = tmp_path / "sets.toml"
    path.write_text("[[set]]\nname = 'a'\ndataset = 'folder'\nprotocl = 'x'\n")
    with pytest.raises(InputError, match=r"protocl.*known are"):
        read_entries(path)
    path.write_text("[[set]]\nname = 'a'\ndataset = 'floder'\n")
    with pytest.raises(UnknownNameError, match="folder"):
        read_entries(path)
    path.write_text("")
    with pytest.raises(InputError, match="no \\[\\[set\\]\\]"):
        read_entries(path)
