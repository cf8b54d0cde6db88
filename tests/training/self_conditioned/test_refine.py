"""Refining a generator's constants: what changes, in which direction, and what is refused."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from gan_core.checkpoints import store
from gan_core.errors import BadValue
from gan_core.self_conditioned.labels import KNOTS
from gan_core.self_conditioned.predictors import FacePredictor
from gan_core.training.self_conditioned import refine as module
from gan_core.training.self_conditioned.refine import RefineSettings, refine
from tests.gan_core.self_conditioned.small import conditioned_generator, plain_generator, predictor, space

REACH = (0.2, 0.2, 0.2)


class Colours(FacePredictor):
    """Measures colours, and knows people by where they are light: an untrained network sees next to nothing."""

    def read(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return F.normalize(F.adaptive_avg_pool2d(x, 4).flatten(1), dim=1), x.mean((2, 3))


@pytest.mark.parametrize("kept", ["attribute", "others", "identity", "anchor"])
def test_constants_learn_what_is_asked_and_nothing_else_moves(kept: str) -> None:
    net = conditioned_generator()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    weights = dict.fromkeys(("attribute_weight", "others_weight", "identity_weight", "anchor_weight"), 0.0)
    settings = RefineSettings(REACH, steps=40, batch=6, lr=0.1, **{**weights, f"{kept}_weight": 1.0})
    identity_network = Colours(widths=(4, 4, 4, 4, 4), neck=4, identity=8)

    def missed() -> float:
        """On the same faces and views each time; nothing is learned."""
        still = replace(settings, steps=1, batch=48, lr=0.0, seed=9)
        return refine(net, plain_generator(), space(), identity_network, still)[0][kept]

    first = missed()
    refine(net, plain_generator(), space(), identity_network, settings)
    assert missed() < 0.85 * first
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"constants"}
    middle = slice(KNOTS // 2, None, KNOTS)  # of no use to the generator
    torch.testing.assert_close(net.constants[middle], before["constants"][middle])


def test_another_number_of_ranges_is_refused() -> None:
    with pytest.raises(BadValue, match="3 ranges"):
        refine(conditioned_generator(), plain_generator(), space(), predictor(), RefineSettings((1.0, 2.0)))


def test_the_command_writes_a_generator_that_says_how_it_was_refined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, plain, identity_network = conditioned_generator(), plain_generator(), predictor()
    store.save(tmp_path / "in.safetensors", net.state_dict(), config=net.config)
    store.save(tmp_path / "portraits_face" / "generator.safetensors", plain.state_dict(), config=plain.config)
    store.save(tmp_path / "identity_network.safetensors", identity_network.state_dict(), config=identity_network.config)
    space().save(tmp_path / "directions.safetensors")
    out = tmp_path / "out.safetensors"
    words = [
        "refine",
        str(tmp_path / "in.safetensors"),
        str(out),
        "--weights",
        str(tmp_path),
        "--base",
        "portraits",
        "--reach",
        "1,1,1",
    ]
    words += [
        "--identity-network",
        str(tmp_path / "identity_network.safetensors"),
        "--directions",
        str(tmp_path / "directions.safetensors"),
    ]
    monkeypatch.setattr(sys, "argv", [*words, "--steps", "2", "--batch", "2", "--device", "cpu"])
    module.main()
    state, config = store.read(out)
    assert config["refined"]["reach"] == [1.0, 1.0, 1.0] and config["attributes"] == 3
    assert not torch.equal(state["constants"].float(), net.constants.half().float())
