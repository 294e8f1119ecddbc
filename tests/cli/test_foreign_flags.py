import pytest

from leadline.cli import main
from leadline.cli.foreign_flags import answer_to


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (
            "--encoder vits --img-path pics --outdir out --pred-only --grayscale --input-size 700",
            "leadline predict pics --out out --model depth-anything-v2-vits --format color "
            "--cmap grey --size 700",
        ),
        (
            "predict --img-path=a.jpg",
            "leadline predict a.jpg --out ./vis_depth --model depth-anything-v2-vitl --format side",
        ),
        (
            "--encoder vitb --load-from m.pth --max-depth 80 --img-path 'my pics' --save-numpy",
            "leadline predict 'my pics' --out ./vis_depth --model "
            "depth-anything-v2-metric-outdoor-vitb --weights m.pth --format side,npy",
        ),
        (
            "--encoder vits --load-from m.pth --max-depth 12 --img-path p --pred-only",
            "leadline predict p --out ./vis_depth --model depth-anything-v2-metric-indoor-vits "
            "--weights m.pth --max-depth 12 --format color",
        ),
        ("--img-path --encoder vits", "leadline predict INPUT --out"),
    ],
)
def test_the_equivalent_command_is_given(given: str, wanted: str) -> None:
    import shlex

    answer = answer_to(shlex.split(given))
    assert answer is not None
    assert wanted in answer


def test_our_own_flags_are_left_alone() -> None:
    assert answer_to(["predict", "a.jpg", "--out", "o", "--max-depth", "20"]) is None
    assert answer_to(["train", "--encoder", "vits"]) is None
    assert answer_to([]) is None


def test_the_command_line_answers_and_stops(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["predict", "--encoder", "vits", "--img-path", "x"])
    assert caught.value.code == 2
    assert "The same with Leadline: leadline predict x" in capsys.readouterr().err


def test_the_equivalent_command_parses(capsys: pytest.CaptureFixture[str]) -> None:
    answer = answer_to(["--encoder", "vits", "--img-path", "nothing.jpg", "--input-size", "518"])
    assert answer is not None
    words = answer.split("leadline predict ")[1].split()
    with pytest.raises(SystemExit):
        main(["predict", *words, "--help"])
    assert "Usage" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("triangulate a b --baseline 2 -o c", "--baseline is --baseline-m since 0.2"),
        ("triangulate a b --camera-height=2", "--camera-height-m"),
        ("leaderboard sets.toml --models lite", "--model "),
        ("segment a.jpg --fill", "--paint"),
        ("segment a.jpg --size 300", "--max-side"),
        ("export -m lite --size 480x640", "--fixed-size"),
        ("benchmark --size=480x640", "--fixed-size"),
        ("export -m lite --size 480", None),
        ("triangulate a b --baseline-m 2", None),
    ],
)
def test_flags_of_before_are_answered_with_their_new_name(given: str, wanted: str | None) -> None:
    answer = answer_to(given.split())
    assert (answer is None) if wanted is None else (answer is not None and wanted in answer)
