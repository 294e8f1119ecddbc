import pytest

from leadline.cli import main
from leadline.cli.original_flags import answer_to


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
