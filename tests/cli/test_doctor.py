import json
from pathlib import Path

import pytest

from leadline.cli import main
from leadline.cli.doctor import cpu_features


def test_the_report_says_what_would_run_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["doctor", "--json"])
    assert not caught.value.code
    report = json.loads(capsys.readouterr().out)
    assert report["runtimes"]["openvino"] == ["cpu"]
    assert report["would run"]["the embedded model"].startswith("openvino on cpu in f32: ")
    assert report["packages"]["numpy"]
    assert "f32" in report["processor"]["OpenVINO computes in"]


def test_the_report_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["doctor"])
    text = capsys.readouterr().out
    for needed in ("packages:", "processor:", "runtimes:", "would run:", "hub:"):
        assert needed in text


def test_features_are_read_from_the_system(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor : 0\nflags : fpu avx2 avx512f avx512_bf16 avx512_vnni\n")
    assert cpu_features(info) == ["AVX2", "AVX-512", "AVX-512 VNNI", "AVX-512 BF16"]
    info.write_text("Features : fp asimd bf16\n")
    assert cpu_features(info) == ["NEON", "BF16"]
    assert cpu_features(tmp_path / "absent") == ["unknown"]
