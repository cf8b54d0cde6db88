"""A face once, then any values: what is refused, what stays, and where plain moves end."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gan_core.errors import BadCheckpoint, BadValue, UnknownName, WeightsMissing
from gan_core.registry import ModelRegistry
from gan_core.self_conditioned import models
from gan_core.self_conditioned.pipeline import load_embedded
from gan_core.self_conditioned.space import load_space
from tests.gan_core.self_conditioned.small import LAYERS, SIZE, W_DIM, pipeline, space, write_embedded


def test_a_seed_is_a_face() -> None:
    pipe = pipeline()
    code, again, other = pipe.random_face(5), pipe.random_face(5), pipe.random_face(6)
    assert torch.equal(code.w_plus, again.w_plus) and not torch.equal(code.w_plus, other.w_plus)
    assert code.values.shape == (3,) and 0 < code.size < 10_000
    assert torch.equal(pipe.edit(code, {}), pipe.edit(code, code.values.tolist()))
    mean = pipe.random_face(5, psi=0.0)
    assert torch.equal(mean.plain[0, 0], pipe.plain.mapping.w_avg)
    for seed, psi in ((-1, 0.7), (2**31, 0.7), (1, 1.5), (1, float("nan"))):
        with pytest.raises(BadValue):
            pipe.random_face(seed, psi)


def test_values_out_of_range_and_unknown_attributes_are_refused() -> None:
    pipe = pipeline()
    code = pipe.random_face(1)
    for edit in (pipe.edit, pipe.edit_plain):
        with pytest.raises(BadValue, match="from 0 to 1"):
            edit(code, {"age": 1.2})
        with pytest.raises(BadValue, match="from 0 to 1"):
            edit(code, {"age": float("nan")})
        with pytest.raises(BadValue, match="3 attributes"):
            edit(code, [0.5])
        with pytest.raises(UnknownName, match="age, pose, smile"):
            edit(code, {"beard": 0.5})
    with pytest.raises(UnknownName, match="hat"):
        pipe.filmstrip(code, "hat")
    for count in (1, 101):
        with pytest.raises(BadValue, match="pictures"):
            pipe.filmstrip(code, "age", count)
    with pytest.raises(BadValue, match="needed"):
        next(pipe.invert(torch.zeros(1, 3, 8, 8)))


def test_a_strip_is_single_edits_in_order() -> None:
    pipe = pipeline()
    code = pipe.random_face(2)
    for plain, edit in ((False, pipe.edit), (True, pipe.edit_plain)):
        strip = pipe.filmstrip(code, "pose", 5, values={"age": 0.8}, plain=plain)
        assert strip.shape == (5, 3, SIZE, SIZE) and strip.abs().max() <= 1
        torch.testing.assert_close(strip[3:4], edit(code, {"age": 0.8, "pose": 0.75}), atol=1e-4, rtol=1e-4)


def test_plain_moves_change_the_wanted_distance_and_leave_the_other_attributes() -> None:
    where = space()
    where.gain[1] = 2.5
    w_plus = 3 * torch.randn(4, LAYERS, W_DIM)  # beyond the range, some of them
    current = where.values(w_plus)
    wanted = current.clone()
    wanted[:, 1] = 0.9
    before, after = where.distances(w_plus), where.distances(where.moved(w_plus, current, wanted))
    torch.testing.assert_close(after[:, 1] - before[:, 1], (0.9 - current[:, 1]) * 4 * 2.5, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(after[:, [0, 2]], before[:, [0, 2]], atol=1e-4, rtol=1e-4)


def test_inversion_begins_at_the_encoder_and_comes_nearer() -> None:
    pipe = pipeline()
    picture = pipe.edit(pipe.random_face(3, psi=1.0), {})
    reports = list(pipe.invert(picture, steps=20))
    assert [r.step for r in reports] == list(range(21)) and reports[-1].done
    assert reports[-1].error < reports[0].error
    assert torch.equal(reports[-1].code.plain, torch.zeros(1, LAYERS, W_DIM))
    refined = list(pipe.refine(reports[-1].code, picture, steps=10))
    assert refined[-1].done and refined[-1].error < reports[-1].error
    code = refined[-1].code
    assert not torch.equal(pipe.edit(code, {}), pipe.edit(reports[-1].code, {}))
    assert not torch.equal(pipe.edit_plain(code, {"age": 1.0}), pipe.edit_plain(reports[-1].code, {"age": 1.0}))
    before = pipe.generator.synthesis.blocks[0].conv.weight
    assert torch.equal(before, pipeline().generator.synthesis.blocks[0].conv.weight)  # the shared one is untouched
    with pytest.raises(WeightsMissing, match="encoder"):
        next(pipeline(encode=None).invert(picture))


def test_current_values_and_measures() -> None:
    pipe = pipeline()
    code = pipe.random_face(4)
    assert pipe.current_values(code) == dict(zip(("age", "pose", "smile"), code.values.tolist(), strict=True))
    assert pipe.current_values(pipe.edit(code, {})) == {"age": 0.5, "pose": 0.5, "smile": 0.5}  # as this encoder says
    assert set(pipe.measure(pipe.edit(code, {}))) == {"age", "pose", "smile"}


def test_embedded_files_are_declared_and_loaded(tmp_path: Path) -> None:
    assert models.self_conditioned_models(tmp_path) == {}
    write_embedded(tmp_path)
    (model,) = models.self_conditioned_models(tmp_path).values()
    assert [(s.name, s.low, s.high) for s in model.sliders][0] == ("age", "young", "old")
    pipe = load_embedded(tmp_path, encode=lambda images: images)
    assert pipe.edit(pipe.random_face(1), {"smile": 1.0}).shape == (1, 3, SIZE, SIZE)
    registry = ModelRegistry(lambda: ("cpu",))
    models.declare_self_conditioned_models(registry, "face", "editor", tmp_path / "none")
    assert registry.names() == []


def test_a_damaged_directions_file_is_refused(tmp_path: Path) -> None:
    write_embedded(tmp_path)
    path = tmp_path / "people_edges" / "directions.safetensors"
    from gan_core.checkpoints import store

    tensors, config = store.read(path)
    store.save(path, {**tensors, "low": tensors["low"]}, config={"attributes": config["attributes"][:2]})
    with pytest.raises(BadCheckpoint):
        load_space(path)
    store.save(path, {"low": tensors["low"]}, config=config)
    with pytest.raises(BadCheckpoint):
        load_space(path)
