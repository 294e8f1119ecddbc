from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PilImage

from leadline.cli.naming import output_files, output_stems, without_results
from leadline.errors import InputError
from leadline.kinds import DepthKind
from leadline.prediction import Prediction


def stems(*paths: str) -> list[str]:
    return list(output_stems([Path(path) for path in paths]).values())


def test_stems_stay_short_where_they_can() -> None:
    assert stems("/a/x.jpg", "/b/y.jpg") == ["x", "y"]


def test_only_colliding_stems_get_their_folder() -> None:
    assert stems("/a/x.jpg", "/b/x.png", "/b/y.png") == ["a__x", "b__x", "y"]


def test_folders_of_one_name_get_the_folder_above() -> None:
    assert stems("/s1/rgb/0.png", "/s2/rgb/0.png") == ["s1__rgb__0", "s2__rgb__0"]


def test_one_folder_and_two_suffixes() -> None:
    assert stems("/a/x.jpg", "/a/x.png") == ["a__x_jpg", "a__x_png"]


def test_a_made_name_may_not_hit_another_files_own() -> None:
    found = stems("/a/x.jpg", "/b/x.jpg", "/c/a__x.jpg")
    assert len(set(found)) == 3


def test_letters_differ_in_more_than_their_case() -> None:
    found = stems("/a/X.jpg", "/a/x.jpg", "/b/x.JPG")
    assert len({stem.casefold() for stem in found}) == 3


PARTS = st.sampled_from(["a", "b", "A", "a__b"])
PATHS = st.builds(
    lambda folders, stem, suffix: Path("/", *folders, stem + suffix),
    st.lists(PARTS, max_size=3),
    PARTS,
    st.sampled_from([".jpg", ".png", ".JPG", ""]),
)


@given(st.lists(PATHS, unique=True, max_size=12))
def test_no_two_inputs_ever_share_a_name(paths: list[Path]) -> None:
    found = output_stems(paths)
    assert list(found) == paths
    assert len({stem.casefold() for stem in found.values()}) == len(paths)
    counts = [path.stem.casefold() for path in paths]
    for path, stem in found.items():
        if counts.count(path.stem.casefold()) == 1 and "__" not in "".join(counts):
            assert stem == path.stem


def test_an_input_is_never_overwritten(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="would overwrite"):
        output_files([tmp_path / "x.png"], tmp_path, {"color": ".png"})
    with pytest.raises(InputError, match="would overwrite"):
        output_files(
            [tmp_path / "a" / "x.jpg", tmp_path / "x.color.png"],
            tmp_path,
            {"color": ".color.png", "side": ".side.png"},
        )
    planned = output_files([tmp_path / "x.png"], tmp_path, {"npz": ".npz"})
    assert planned == {tmp_path / "x.png": {"npz": tmp_path / "x.npz"}}


def test_maps_of_a_past_run_are_not_taken_for_pictures(tmp_path: Path) -> None:
    photo, colour, label = (tmp_path / name for name in ("a.png", "b.png", "c.png"))
    PilImage.new("RGB", (5, 4)).save(photo)
    made = Prediction(values=np.ones((4, 5), np.float32), kind=DepthKind.AFFINE_DISPARITY)
    made.save(colour, format="color")
    made.save(label, format="png16")
    found = [photo, colour, label]
    assert without_results(found, [tmp_path]) == [photo]
    assert without_results(found, [tmp_path, colour]) == [photo, colour]
    old = tmp_path / "a.color.png"
    PilImage.new("RGB", (5, 4)).save(old)
    assert without_results([photo, old], [tmp_path], tmp_path) == [photo]
    assert without_results([photo, old], [photo, old], tmp_path) == [photo, old]
    assert without_results([photo, old], [tmp_path], tmp_path / "out") == [photo, old]
    with pytest.raises(InputError, match="nothing but maps"):
        without_results([colour, label], [tmp_path])
    with pytest.raises(InputError, match="was not given"):
        without_results([], [])
