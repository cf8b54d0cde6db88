"""The model card's picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from gan_core.evaluation.hfgi import contact_sheet as sheet
from gan_core.hfgi.pipeline import HFGIPipeline
from tests.gan_core.hfgi.test_pipeline import SIZE, W, attributes, networks


def test_the_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = HFGIPipeline(**networks(), latent_avg=torch.zeros(12, W), attributes=attributes())
    first, again = (sheet.draw_people(pipe, seeds) for seeds in ((1, 2), (2, 1)))
    assert first.shape == (2, 3, SIZE, SIZE) and torch.equal(first[0], again[1])
    rows, columns = sheet.edit_rows(pipe, first[:1], ("smile", "unknown"), reach=2)
    assert columns == 5 and len(rows) == 5 and torch.equal(rows[0], first[0])
    assert not torch.equal(rows[3], rows[4])
    pipe.attributes["smile"] = replace(pipe.attributes["smile"], low=0.0)
    upper, columns = sheet.edit_rows(pipe, first[:1], ("smile",), reach=2)
    assert columns == len(upper) == 4 and torch.equal(upper[3], rows[4]), "it has no lower end"
    monkeypatch.setattr(sheet, "load_embedded", lambda folder: pipe)
    out = tmp_path / "edits.png"
    sheet.main(["--out", str(out), "--seeds", "1", "2", "3", "--sliders", "smile", "--size", "32", "--faces-only"])
    assert Image.open(out).size == (320, 32)
