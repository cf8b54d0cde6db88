"""The weights that ship with the project do what their card says."""

from __future__ import annotations

import pytest
import torch

from gan_core.checkpoints import store
from gan_core.self_conditioned.models import self_conditioned_models
from gan_core.self_conditioned.pipeline import SelfConditionedPipeline, load_embedded
from weights.catalogue import FOLDER


@pytest.fixture(scope="module")
def pipe() -> SelfConditionedPipeline:
    return load_embedded(FOLDER)


@pytest.mark.parametrize(("attribute", "least"), [("age", 14.0), ("pose", 9.0), ("smile", 0.04)])
def test_an_attribute_set_from_end_to_end_is_measured_to_move(
    pipe: SelfConditionedPipeline, attribute: str, least: float
) -> None:
    moved = {"ours": [], "plain": []}
    for seed in (1, 4, 7):
        code = pipe.random_face(seed)
        for name, edit in (("ours", pipe.edit), ("plain", pipe.edit_plain)):
            low, high = (pipe.measure(edit(code, {attribute: value}))[attribute] for value in (0.0, 1.0))
            moved[name].append(high - low)
    assert sum(moved["ours"]) / 3 > least, moved
    assert sum(moved["plain"]) / 3 > least / 2, moved


def test_the_encoder_starts_an_inversion(pipe: SelfConditionedPipeline) -> None:
    picture = pipe.edit(pipe.random_face(5), {})
    (report,) = list(pipe.invert(picture, steps=0))
    assert report.done and report.error < 0.08
    assert torch.equal(pipe.edit(report.code, report.code.values.tolist()), report.image)


def test_files_say_what_they_hold() -> None:
    model = self_conditioned_models()["portraits"]
    assert [slider.name for slider in model.sliders] == ["age", "pose", "smile"]
    report = store.read(FOLDER / "portraits_edges" / "predictors.safetensors")[1]["_report"]
    assert report["identity"]["pairs"] == 178 and report["identity"]["roc_auc"] > 0.85
    assert report["cross_validation"]["age_mae"] < 8.5
