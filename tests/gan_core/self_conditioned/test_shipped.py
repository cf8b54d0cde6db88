"""The weights that ship with the project do what their card says."""

from __future__ import annotations

import pytest
import torch

from gan_core.self_conditioned.models import self_conditioned_models
from gan_core.self_conditioned.pipeline import SelfConditionedPipeline, load_embedded
from weights.catalogue import FOLDER


@pytest.fixture(scope="module")
def pipe() -> SelfConditionedPipeline:
    return load_embedded(FOLDER)


@pytest.mark.parametrize(
    ("attribute", "least"),
    [("age", 24.0), ("pose", 20.0), ("smile", 0.09), ("mouth", 0.1), ("glasses", 0.5), ("light", 0.5)],
)
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
    mean = pipe.edit(pipe.random_face(5, psi=0.0), {})
    assert report.done and report.error < 0.4 * (mean - picture).square().mean()
    assert torch.equal(pipe.edit(report.code, report.code.values.tolist()), report.image)


def test_the_identity_network_tells_a_face_in_two_moods_from_two_faces(pipe: SelfConditionedPipeline) -> None:
    """As it is and turned and smiling, twelve faces: the same face is more alike than another is, nearly always."""
    codes = [pipe.random_face(seed) for seed in range(20, 32)]
    before = torch.cat([pipe.edit(code, {}) for code in codes])
    after = torch.cat([pipe.edit(code, {"smile": 0.9, "pose": 0.2}) for code in codes])
    identities, measures = pipe.predictor.predict(torch.cat([before, after]))
    alike = identities[:12] @ identities[12:].T
    same, other = alike.diagonal(), alike[~torch.eye(12, dtype=torch.bool)]
    assert (same[:, None] > other).float().mean() > 0.95  # area under the curve
    lift = pipe.predictor.measures.index("corner_lift")
    assert ((measures[12:, lift] - measures[:12, lift]) > 0).float().mean() > 0.8


def test_sliders_are_known_before_the_model_is_loaded() -> None:
    model = self_conditioned_models()["portraits"]
    assert [slider.name for slider in model.sliders] == ["age", "pose", "smile", "mouth", "glasses", "light"]
