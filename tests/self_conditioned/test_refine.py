"""Refining a generator's constants: what changes, in which direction, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from gan_core.checkpoints import store
from gan_core.errors import BadValue
from gan_core.self_conditioned import refine as module
from gan_core.self_conditioned.labels import KNOTS
from gan_core.self_conditioned.refine import RefineSettings, refine
from tests.self_conditioned.small import conditioned_generator, plain_generator, predictor, space

REACH = (0.2, 0.2, 0.2)


@pytest.mark.parametrize("kept", ["attribute", "anchor"])
def test_constants_learn_what_is_asked_and_nothing_else_moves(kept: str) -> None:
    net = conditioned_generator()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    weights = dict.fromkeys(("attribute_weight", "others_weight", "identity_weight", "anchor_weight"), 0.0)
    settings = RefineSettings(REACH, steps=20, batch=6, lr=0.2, **{**weights, f"{kept}_weight": 1.0})
    found = [row[kept] for row in refine(net, plain_generator(), space(), predictor(), settings)]
    assert sum(found[-5:]) < 0.7 * sum(found[:5])
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
    net, plain, judge = conditioned_generator(), plain_generator(), predictor()
    store.save(tmp_path / "in.safetensors", net.state_dict(), config=net.config)
    store.save(tmp_path / "portraits_face" / "generator.safetensors", plain.state_dict(), config=plain.config)
    store.save(tmp_path / "judge.safetensors", judge.state_dict(), config=judge.config)
    space().save(tmp_path / "directions.safetensors")
    out = tmp_path / "out.safetensors"
    words = ["refine", str(tmp_path / "in.safetensors"), str(out), "--weights", str(tmp_path), "--reach", "1,1,1"]
    words += ["--judge", str(tmp_path / "judge.safetensors"), "--directions", str(tmp_path / "directions.safetensors")]
    monkeypatch.setattr(sys, "argv", [*words, "--steps", "2", "--batch", "2", "--device", "cpu"])
    module.main()
    state, config = store.read(out)
    assert config["refined"]["reach"] == [1.0, 1.0, 1.0] and config["attributes"] == 3
    assert not torch.equal(state["constants"].float(), net.constants.half().float())
