"""Curves of identity against change, and the three ways to edit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gan_core.evaluation.self_conditioned.curves import FAR, QUANTILES, Curve, bins_of, compare, draw_curves, summarise
from gan_core.evaluation.self_conditioned.evaluate import (
    OURS,
    PLAIN,
    Edit,
    Methods,
    evaluate_edits,
    measure_across,
    measure_edits,
    measure_two_at_once,
    nearest_latents,
    tail_distances,
)
from gan_core.training.self_conditioned.labelling import Labels
from tests.gan_core.self_conditioned.small import pipeline

AWAY = np.abs(np.random.RandomState(1).normal(size=4000))


def curve(loss: float, seed: int = 0, faces: int = 60, sizes: int = 20) -> Curve:
    """Similarity falls by `loss` for a change of 1."""
    random = np.random.RandomState(seed)
    change = random.uniform(-3, 3, (faces, sizes))
    similarity = 1 - loss * np.abs(change) + 0.02 * random.normal(size=change.shape)
    return Curve(change, similarity, change)


def test_bins_end_at_the_datas_quantiles() -> None:
    edges = bins_of(AWAY)
    assert edges[0] == 0 and edges[-1] == np.inf
    assert abs((edges[FAR] < AWAY).mean() - 0.1) < 0.001 and len(edges) == len(QUANTILES) + 1


def test_a_better_method_is_better_by_its_margin() -> None:
    good, bad = curve(0.1), curve(0.2, seed=1)
    facts = compare(good, bad, AWAY)
    assert 0.1 < facts["far"] < 0.35 and facts["far_error"] < 0.02
    assert 0 < facts["near"] < facts["far"]
    same = compare(good, curve(0.1, seed=2), AWAY)
    assert abs(same["far"]) < 4 * same["far_error"]
    assert compare(Curve(*(x[:, :0] for x in vars(good).values())), bad, AWAY) == {}


def test_edits_that_go_the_wrong_way_do_not_count() -> None:
    good = curve(0.1)
    wrong = Curve(good.change, good.similarity, -good.change)
    assert summarise(wrong, AWAY) == {"change": [], "similarity": [], "error": [], "edits": [], "right_way": 0.0}
    right = summarise(good, AWAY)
    assert right["right_way"] == 1 and sum(right["edits"]) == good.change.size
    assert right["change"] == sorted(right["change"]) and right["similarity"] == sorted(right["similarity"])[::-1]


def test_curves_are_drawn(tmp_path) -> None:
    shown = {"Age & more": {"unit": "age", "far": 1.6, "curves": {OURS: summarise(curve(0.1), AWAY)}}}
    one = draw_curves(shown, tmp_path / "one.svg").read_text()
    assert "<svg" in one
    shown["Age & more"]["curves"]["other"] = summarise(curve(0.2), AWAY)
    two = draw_curves(shown, tmp_path / "two.svg").read_text()
    assert "#dc2626" in two and "#dc2626" not in one  # a second colour for a second method


def test_principal_moves_end_at_the_wanted_distance() -> None:
    pipe = pipeline()
    methods = Methods(pipe, components=4)
    w_plus = pipe.random_face(1).plain
    steps = methods.steps[1] * (pipe.space.high[1] - pipe.space.low[1])
    before, after = pipe.space.distances(w_plus), pipe.space.distances(w_plus + 0.3 * steps)
    torch.testing.assert_close(after[0, 1] - before[0, 1], torch.tensor(0.3 * 4.0))


def test_edits_are_measured(tmp_path) -> None:
    pipe = pipeline()
    methods = Methods(pipe, components=4)
    found = measure_edits(pipe, methods, 0, faces=2, sizes=3, psi=0.7)
    assert found[OURS].change.shape == (2, 3) and (found[PLAIN].similarity <= 1.001).all()
    across = measure_across(pipe, methods, 0, faces=2, sizes=3, psi=0.7)
    assert across[PLAIN].change.shape == (2, 9) and (across[OURS].asked > 1 / 3).all()
    assert (across[OURS].asked <= 1).all() and across[PLAIN].asked.max() > across[OURS].asked.max()
    facts = evaluate_edits(pipe, methods, np.random.randn(50, 3), 2, 3, 0.7, tmp_path)
    assert set(facts) == {"age", "pose", "smile"}
    for name in ("curves.svg", "across.svg"):
        assert "<svg" in (tmp_path / name).read_text()  # also where no bin has enough edits for a curve


def test_two_attributes_at_once_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = pipeline()
    methods = Methods(pipe, components=4)

    def by(scale: float) -> Edit:
        """Pictures whose colours are the wanted values times `scale`."""
        return lambda w_plus, current, wanted: (scale * wanted)[..., None, None].expand(-1, 3, 4, 4)

    def predict(pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values = pictures[:, :, 0, 0]
        return torch.nn.functional.normalize(torch.cat([torch.ones(len(values), 1), values], 1), dim=1), values

    monkeypatch.setattr(methods, "items", lambda: [(OURS, by(1.0), 0.0), (PLAIN, by(0.5), 0.0)])
    monkeypatch.setattr(pipe.predictor, "predict", predict)
    found = measure_two_at_once(pipe, methods, faces=3, psi=0.7)
    assert set(found) == {"age and pose", "age and smile", "pose and smile"}
    for key, methods_of in found.items():
        for name in key.split(" and "):
            assert methods_of[OURS][name] == pytest.approx(1.0) and methods_of[PLAIN][name] == pytest.approx(0.5)
        assert methods_of[OURS]["similarity"] < methods_of[PLAIN]["similarity"] < 1


def test_plain_edits_are_set_to_change_as_much() -> None:
    pipe = pipeline()
    methods = Methods(pipe, components=4)
    gains = methods.calibrate(0.7, faces=4)
    assert len(gains[PLAIN]) == 3 and all(0.19 < gain <= 12 for every in gains.values() for gain in every)
    assert gains[PLAIN] == pipe.space.gain.tolist()


def test_wanted_values_meet_the_nearest_latents_once_each() -> None:
    torch.manual_seed(0)
    current = torch.rand(50, 3)
    order = torch.randperm(50)
    wanted = current[order] + 0.001
    assert torch.equal(nearest_latents(wanted, current), order)
    crowd = nearest_latents(torch.full((50, 3), 0.5), current)
    assert sorted(crowd.tolist()) == list(range(50))  # none is drawn twice


def test_distances_are_least_where_a_method_draws_the_real_pictures() -> None:
    pipe = pipeline()
    methods = Methods(pipe, components=4)
    count = 24
    labels = Labels(("x",) * (count // 2), pipe.space.names, torch.rand(count, 3), torch.zeros(count, 1, 1))
    pictures = torch.randint(0, 255, (count // 2, 3, 16, 16), dtype=torch.uint8)
    both = torch.cat([pictures, pictures.flip(3)]).float() / 127.5 - 1
    asked = []

    def ours(w_plus: torch.Tensor, current: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        first = sum(len(part) for part, _ in asked) % count
        asked.append((wanted, current))
        return both[first : first + len(wanted)]

    methods.ours = ours

    def features(images: torch.Tensor) -> torch.Tensor:
        pooled = torch.nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)
        return pooled[:, ::3]

    near = tail_distances(pipe, methods, features, pictures, labels)
    assert abs(near["all"][OURS]) < 1e-3 < near["all"]["plain"]
    assert set(near) == {"all", *(f"{name} {end}" for name in pipe.space.names for end in ("low", "high"))}
    tail_distances(pipe, methods, features, pictures, labels, matched=False)
    wanted, current = (torch.cat(parts) for parts in zip(*asked, strict=True))
    (wanted, same), (matched, free) = wanted.chunk(2), current.chunk(2)
    assert torch.equal(wanted, labels.values) and torch.equal(same, wanted)
    assert (wanted - matched).square().sum() < 0.7 * (wanted - free).square().sum()
