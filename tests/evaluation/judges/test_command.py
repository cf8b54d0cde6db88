"""The command, on networks that were never trained and where no judge is installed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

import gan_core.evaluation.judges.__main__ as command
import gan_studio
from gan_core.errors import BadValue
from gan_core.hfgi.pipeline import HFGIPipeline
from tests.gan_core.hfgi.test_pipeline import SIZE, W, attributes, networks


def test_folders(tmp_path: Path) -> None:
    assert command.named_folders([f"new={tmp_path}"]) == {"new": tmp_path}
    for wrong in (["weights"], ["=weights"], ["now="], [f"a={tmp_path}", f"a={tmp_path}"], ["a=no/such/folder"]):
        with pytest.raises(BadValue):
            command.named_folders(wrong)


def test_without_any_judge(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    def tiny(folder: Path, device: str) -> HFGIPipeline:
        return HFGIPipeline(**networks(), latent_avg=torch.zeros(12, W), attributes=attributes())

    for i in range(2):
        Image.new("RGB", (SIZE, SIZE), (80 * i, 40, 0)).save(tmp_path / f"{i}.png")
    monkeypatch.setattr(command, "load_embedded", tiny)
    monkeypatch.setitem(sys.modules, "dlib", None)
    out = tmp_path / "made" / "scores.json"
    flags = ["--editor", f"a={tmp_path}", f"b={tmp_path}", "--pictures", str(tmp_path), "--each", "1"]
    monkeypatch.setattr(sys, "argv", ["judges", *flags, "--device", "cpu", "--out", str(out)])
    command.main()
    said = capsys.readouterr()
    for words in ("dlib-bin", "npm pack", "mediapipe==0.10.14"):
        assert len([line for line in said.err.splitlines() if words in line]) == 1, f"one sentence about {words}"
    numbers = json.loads(out.read_text())
    assert numbers["judges"] == [] and list(numbers["editors"]) == ["a", "b"]
    assert numbers["editors"]["a"]["people"] == 1
    assert list(numbers["editors"]["a"]["sliders"]) == ["smile", "age"]
    assert numbers["editors"]["a"]["sliders"]["age"]["ends"] == [-2, 2]
    assert out.with_suffix(".md").read_text() in said.out and "| inversion | a | b |" in said.out


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")  # imported above, and run as a program
def test_gan_studio_has_it(capsys: pytest.CaptureFixture) -> None:
    assert gan_studio.main(["evaluate", "judges", "--help"]) == 0
    assert "--mediapipe-python" in capsys.readouterr().out
