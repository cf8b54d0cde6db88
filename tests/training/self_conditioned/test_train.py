"""The four steps at a tiny size: labels and mirror images, drawing by labels, where training starts, going on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_core.checkpoints import store
from gan_core.errors import BadValue, WeightsMissing
from gan_core.self_conditioned.space import AttributeSpace
from gan_core.training.distributed import ProcessGroup
from gan_core.training.self_conditioned import train as command
from gan_core.training.self_conditioned.directions import (
    ScoredSamples,
    find_style_channel,
    fit_hyperplane,
    spread_over_layers,
)
from gan_core.training.self_conditioned.labelling import Labels, agreement, draw_uniformly, label, load_labels, refit
from gan_core.training.self_conditioned.losses import attribute_divergence, identity_change, thumbnails
from gan_core.training.self_conditioned.settings import SelfConditionedSettings
from gan_core.training.self_conditioned.step import SelfConditionedTrainer
from tests.gan_core.self_conditioned.small import (
    LAYERS,
    SHAPE,
    SIZE,
    W_DIM,
    conditioned_generator,
    discriminator,
    plain_generator,
    predictor,
    space,
    write_embedded,
    write_faces,
)

ALONE = ProcessGroup(0, 1, torch.device("cpu"))
TINY = SelfConditionedSettings(resolution=SIZE, z_dim=8, w_dim=W_DIM, mapping_layers=2, batch=4, mixing=0.5, **SHAPE)


def labels(count: int = 6) -> Labels:
    codes = torch.randn(2 * count, LAYERS, W_DIM).half()
    names = tuple(f"t_{i}" for i in range(count))
    return Labels(names, space().names, label(space(), codes)[1], codes)


def trainer(settings: SelfConditionedSettings = TINY, **changes: object) -> SelfConditionedTrainer:
    pictures = torch.randint(0, 255, (6, 3, SIZE, SIZE), dtype=torch.uint8)
    starts = plain_generator().state_dict(), discriminator().state_dict()
    return SelfConditionedTrainer(settings, pictures, labels(), ALONE, *starts, graphs=False, **changes)


def test_a_mirrored_picture_has_the_opposite_pose_and_the_same_rest() -> None:
    values = labels(40).values
    first, second = values.chunk(2)
    torch.testing.assert_close(second[:, 1], 1 - first[:, 1])
    torch.testing.assert_close(second[:, [0, 2]], first[:, [0, 2]])
    assert values.min() == 0 and values.max() == 1


def test_the_range_is_where_the_data_lies() -> None:
    codes = torch.randn(400, LAYERS, W_DIM)
    ranged, values, _ = label(space(), codes)
    inside = (ranged.values(codes)[:, 0] - values[:, 0]).abs().median()
    assert inside < 0.5  # a code by itself is not averaged with its mirror image's
    assert (ranged.low < ranged.high).all()


def test_pictures_are_drawn_evenly_over_the_labels() -> None:
    random = np.random.RandomState(0)
    crowded = torch.from_numpy(random.normal(0.5, 0.08, (2000, 2)).clip(0, 1)).float()
    drawn = crowded[draw_uniformly(crowded, count=20_000)]
    share_of_the_tails = ((crowded - 0.5).abs() > 0.2).any(1).float().mean()
    assert ((drawn - 0.5).abs() > 0.2).any(1).float().mean() > 5 * share_of_the_tails
    even = torch.from_numpy(random.rand(3000, 2)).float()
    counts = torch.histc(even[draw_uniformly(even, count=20_000)][:, 0], 5, 0, 1)
    assert counts.min() > 0.9 * counts.mean()
    assert set(draw_uniformly(torch.rand(3, 2), count=100).tolist()) == {0, 1, 2}


def test_planes_are_fitted_to_codes_and_plain_directions_stay() -> None:
    torch.manual_seed(0)
    codes, truth = torch.randn(600, LAYERS, W_DIM), torch.randn(W_DIM)
    scores = np.stack([(codes[:, -2:].mean(1) @ truth).numpy(), *np.random.RandomState(0).normal(size=(2, 600))], 1)
    old = space()
    old.attributes = (*old.attributes[:2], replace(old.attributes[2], method="style"))
    new = refit(old, codes.half(), scores)
    told = new.distances(codes)[:, 0].numpy()
    assert np.corrcoef(told, scores[:, 0])[0, 1] > 0.6  # the last third has more layers than the two that matter
    assert torch.equal(new.normals[2], old.normals[2]) and torch.equal(new.moves, old.moves)
    w_plus = codes[:4]
    wanted = new.values(w_plus).clone()
    wanted[:, 0] = 1.0
    reached = new.distances(new.moved(w_plus, new.values(w_plus), wanted))
    wished = new.distances(w_plus)[:, 0] + (1 - new.values(w_plus)[:, 0]) * (new.high - new.low)[0]
    torch.testing.assert_close(reached[:, 0], wished, atol=1e-3, rtol=1e-3)


def test_labels_follow_their_pictures(tmp_path: Path) -> None:
    known = labels()
    known.save(tmp_path / "labels.safetensors")
    again = load_labels(tmp_path / "labels.safetensors")
    some = again.of(["t_3", "t_1"])
    assert some.names == ("t_3", "t_1")
    torch.testing.assert_close(some.values, known.values[[3, 1, 9, 7]], atol=1e-3, rtol=1e-3)
    with pytest.raises(BadValue, match="step b"):
        again.of(["nobody"])


def test_agreement_with_a_table() -> None:
    truth = np.array([1.0, 2.0, np.nan, 4.0])
    distances = torch.tensor([[2.0, 0.0], [4.0, 1.0], [0.0, 2.0], [8.0, 3.0]])
    facts = agreement(distances, {"age": truth}, {"age": "age", "pose": "yaw_deg"})
    assert facts == {"age": pytest.approx(1.0)}


def test_a_hyperplane_is_found_where_it_is() -> None:
    torch.manual_seed(0)
    w = torch.randn(1500, W_DIM) + 2
    truth = torch.nn.functional.normalize(torch.randn(W_DIM), dim=0)
    scores = ((w - 2) @ truth + 0.1 * torch.randn(1500)).numpy()
    normal, offset, facts = fit_hyperplane(w, scores)
    assert normal @ truth > 0.97 and facts["accuracy_of_extremes"] > 0.95
    assert abs(float((2 * normal).sum() + offset)) < 0.15
    spread = spread_over_layers(normal, LAYERS, (0, 6))
    torch.testing.assert_close(spread.sum(0), normal)
    assert spread[4:].abs().sum() == 0
    with pytest.raises(BadValue, match="same score"):
        fit_hyperplane(w, np.zeros(1500))


def test_a_style_channel_is_an_affine_function_of_the_latent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan_core.training.self_conditioned.directions.CANDIDATES", 3)
    generator, identity_network = plain_generator(), predictor()
    w = generator.mapping(torch.randn(64, 8)).detach()
    images = generator.synthesis(generator.broadcast(w), noise="const")
    scores = identity_network.predict(images)[1].numpy()
    channel = find_style_channel(generator, identity_network, space().attributes, 0, ScoredSamples(w, scores))
    conv = generator.synthesis.blocks[(channel.layer + 1) // 2]
    affine = (conv.conv if channel.layer % 2 == 0 else conv.conv_up).affine
    distances = torch.einsum("nld,ld->n", generator.broadcast(w), channel.normal) + channel.offset
    style = affine(w)[:, channel.channel] / channel.spread
    torch.testing.assert_close(distances.abs(), style.abs().detach(), atol=1e-4, rtol=1e-4)
    assert channel.facts["moves_itself"] >= 0


def test_training_starts_from_the_pretrained_pair() -> None:
    made = trainer()
    z, image = torch.randn(3, 8), torch.randn(4, 3, SIZE, SIZE)
    for values in (None, torch.rand(3, 3)):  # zero constants: whatever is asked for
        torch.testing.assert_close(made.generator(z, values=values, noise="const"), plain_generator()(z, noise="const"))
    score, _ = made._score_and_attributes(image)
    torch.testing.assert_close(score, discriminator()(image))
    head, fc = made.discriminator.discriminator.attribute_head[0], made.discriminator.discriminator.epilogue.fc
    assert head.weight.data_ptr() != fc.weight.data_ptr()


def test_divergence_is_zero_for_the_right_answer_only() -> None:
    values = torch.tensor([[0.0, 0.75, 1.0]])
    right = torch.tensor([[[1, 0, 0], [0, 0.5, 0.5], [0, 0, 1]]]).clamp_min(1e-9).log().flatten(1)
    logits = torch.cat([torch.randn(1, 1), right], 1)  # entry 0 counts nothing
    assert attribute_divergence(logits, values) < 1e-6
    assert attribute_divergence(torch.zeros(1, 10), values) > 0.1


def test_a_few_steps_move_constants_and_head_but_not_the_mapping() -> None:
    made = trainer()
    mapping = made.generator.mapping.layers[0].weight.clone()
    for _ in range(4):
        made.step()
    stats = made.read_stats()
    assert all(np.isfinite(value) for value in stats.values()) and stats["attributes_real"] > 0
    assert made.generator.constants.abs().amax((1, 2, 3))[[0, 2, 3, 5, 6, 8]].min() > 0
    assert made.generator.constants[[1, 4, 7]].abs().max() == 0  # middle knots take no part
    assert torch.equal(made.generator.mapping.layers[0].weight, mapping)
    assert made.images_seen == 16 and made.sample(20).shape == (20, 3, SIZE, SIZE)


def test_a_mirrored_index_gives_the_mirrored_picture_with_its_label() -> None:
    made = trainer(replace(TINY, batch=64))
    reals = made._reals()
    everything = made.pictures.float() * (2 / 255) - 1
    everything = torch.cat([everything, everything.flip(3)])
    nearest = torch.cdist(reals.flatten(1), everything.flatten(1)).argmin(1)
    torch.testing.assert_close(made.values[nearest], made.real_values)


def test_labels_of_other_pictures_are_refused() -> None:
    pictures = torch.zeros(5, 3, SIZE, SIZE, dtype=torch.uint8)
    with pytest.raises(BadValue, match="labels of 6"):
        SelfConditionedTrainer(TINY, pictures, labels(), ALONE, graphs=False)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["train", *arguments])
    command.main()


def test_the_command_goes_through_its_steps_and_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights, out, faces = tmp_path / "weights", tmp_path / "run", tmp_path / "faces"
    write_embedded(weights)
    write_faces(faces)
    torch.manual_seed(0)

    def encoder(folder: Path, name: str, **_: object):  # noqa: ANN202
        return lambda images: images.flatten(1)[:, : LAYERS * W_DIM].view(-1, LAYERS, W_DIM)

    monkeypatch.setattr("gan_core.e4e.encoding.load_encoder", encoder)
    monkeypatch.setattr(SelfConditionedTrainer, "sample", lambda *_: torch.zeros(1, 3, 8, 8))
    monkeypatch.setattr("gan_core.training.self_conditioned.faces.load_pictures", lambda paths, size: _load(paths))
    common = ("--out", str(out), "--weights", str(weights), "--device", "cpu")
    with pytest.raises(WeightsMissing, match="--predictor"):
        run(monkeypatch, *common, "--steps", "a")
    with pytest.raises(BadValue, match="--data"):
        run(monkeypatch, *common, "--steps", "b")
    with pytest.raises(BadValue, match="--steps"):
        run(monkeypatch, *common, "--steps", "a,z")
    predictor_file = weights / "people_edges" / "predictors.safetensors"
    run(
        monkeypatch,
        *common,
        "--steps",
        "a,b,c",
        "--data",
        str(faces),
        "--predictor",
        str(predictor_file),
        "--faces",
        "48",
    )
    before = (out / "labels.safetensors").stat().st_mtime_ns
    training = ("--steps", "b,d", "--data", str(faces), "--minutes", "5", "--batch", "4")
    run(monkeypatch, *common, *training, "--images", "80")
    assert (out / "labels.safetensors").stat().st_mtime_ns == before  # was there already
    generator, config = store.read(out / "generator_ema.safetensors")
    assert config["training"]["images_seen"] == 80 and generator["constants"].shape[0] == 9
    run(monkeypatch, *common, "--steps", "d", *training[2:], "--images", "160")
    assert store.read(out / "generator.safetensors")[1]["training"]["images_seen"] >= 160


def _load(paths: list[Path]) -> torch.Tensor:
    from gan_core.training.data import load_pictures

    return load_pictures(paths, SIZE)


def test_conditioned_weights_can_be_trained_on() -> None:
    net = conditioned_generator()
    made = SelfConditionedTrainer(
        TINY,
        torch.zeros(6, 3, SIZE, SIZE, dtype=torch.uint8),
        labels(),
        ALONE,
        net.state_dict(),
        discriminator().state_dict(),
        graphs=False,
    )
    assert torch.equal(made.generator.constants, net.constants)


def test_every_other_picture_is_drawn_as_the_data_is_and_asked_for_its_own_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = replace(TINY, batch=64, unweighted=0.25, inverted=0.5)
    made = trainer(settings, space=space())
    made.table = torch.zeros(8, dtype=torch.long)  # drawing by labels would always give the first
    made._reals()
    first = (made.real_values == made.values[0]).all(1)
    assert first[1::2].all() and first[32:].all() and first[:32:2].float().mean() < 0.5
    seen = []
    monkeypatch.setattr(made.generator.synthesis, "forward", lambda w_plus, **_: seen.append(w_plus))
    made._draw(torch.randn(64, LAYERS, W_DIM))
    asked, drawn = made.fake_values, made.space.values(seen[0])
    code = torch.cdist(seen[0][:32].flatten(1), made.codes.float().flatten(1)).argmin(1)
    torch.testing.assert_close(asked[:32:2], made.values[code][::2])  # inverted: the picture's label
    assert (asked[1:32:2] - made.values[code][1::2]).abs().mean() > 0.1
    made.settings.inverted = 0.0
    made._draw(torch.randn(64, LAYERS, W_DIM))
    drawn = made.space.values(seen[1])
    torch.testing.assert_close(made.fake_values[:32:2], drawn[:32:2])
    assert (made.fake_values[32:] - drawn[32:]).abs().mean() > 0.1


def test_two_rows_share_a_person_who_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    made = trainer(replace(TINY, batch=8), identity_network=predictor())
    seen = []
    monkeypatch.setattr(made.generator.synthesis, "forward", lambda w_plus, **_: seen.append(w_plus))
    made._draw(torch.randn(8, LAYERS, W_DIM))
    torch.testing.assert_close(seen[0][0::2], seen[0][1::2])
    assert len(seen[0][0::2].flatten(1).unique(dim=0)) == 4
    monkeypatch.undo()
    for _ in range(2):
        made.step()
    assert made.read_stats()["person"] > 0
    assert all(p.grad is None for p in made.identity_network.parameters())


def test_some_pairs_differ_in_one_attribute(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(TINY, batch=64, unweighted=0.5, single=0.5, inverted=0.5)
    made = trainer(settings, space=space(), identity_network=predictor())
    monkeypatch.setattr(made.generator.synthesis, "forward", lambda w_plus, **_: None)
    made._draw(torch.randn(64, LAYERS, W_DIM))
    first, second = made.fake_values[0::2], made.fake_values[1::2]
    changed = (first != second).sum(1)
    assert (changed[:16] <= 1).all() and changed[:16].sum() > 10
    assert (changed[16:] == first.shape[1]).all()


def test_at_own_values_the_pretrained_picture_is_kept() -> None:
    settings = replace(TINY, batch=8, unweighted=0.5, anchor_weight=1.0)
    made = trainer(settings, space=space(), plain=plain_generator())
    made.step()
    near = made.read_stats()["anchor"]
    with torch.no_grad():  # noise differs, so that even an unchanged generator is a little off
        made.generator.constants.add_(3.0)
    made.step()
    assert 0 <= near < 0.5 * made.read_stats()["anchor"]
    made._draw_piece()
    away = (thumbnails(made.fakes[made.own_rows]) - made.anchors).abs().mean()
    assert torch.autograd.grad(away, made.generator.constants)[0].abs().sum() > 0


def test_a_person_changes_between_strangers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan_core.training.self_conditioned.losses.random_views", lambda x: (x, None))
    people = torch.rand(3, 3, 112, 112) * 2 - 1
    same = identity_change(predictor(), people.repeat_interleave(2, 0))
    images = torch.cat([people, people.flip(2)]).requires_grad_()
    other = identity_change(predictor(), images)
    assert abs(float(same.detach())) < 1e-5 < float(other.detach())
    other.backward()
    assert images.grad.abs().sum() > 0


def test_what_does_not_go_together_is_refused() -> None:
    for settings, message in ((replace(TINY, unweighted=0.6), "half"), (replace(TINY, unweighted=0.5), "directions")):
        with pytest.raises(BadValue, match=message):
            trainer(settings)
    for settings, message in (
        (replace(TINY, single=0.5), "identity network"),
        (replace(TINY, anchor_weight=1.0), "anchor"),
    ):
        with pytest.raises(BadValue, match=message):
            trainer(settings, space=space())
    with pytest.raises(BadValue, match="even"):
        trainer(replace(TINY, batch=3))


def test_planes_of_codes_hold_for_drawn_faces_too() -> None:
    torch.manual_seed(0)
    codes, drawn = torch.randn(600, LAYERS, W_DIM), torch.randn(300, W_DIM)
    third = LAYERS // 3
    codes[..., 0] = 0  # what tells of drawn faces says nothing of codes, and differences between layers the reverse
    between = codes[:, :third, 1].mean(1) - codes[:, third : 2 * third, 1].mean(1)
    scores = np.repeat(between.numpy()[:, None], 3, 1)
    wanted = np.repeat(drawn[:, :1].numpy(), 3, 1)
    faces = drawn[:, None].expand(-1, LAYERS, -1)

    def told(space_of: AttributeSpace, w_plus: torch.Tensor, truth: np.ndarray) -> float:
        return np.corrcoef(space_of.distances(w_plus)[:, 0].numpy(), truth[:, 0])[0, 1]

    alone, both = refit(space(), codes, scores), refit(space(), codes, scores, ScoredSamples(drawn, wanted))
    assert told(both, faces, wanted) > 0.95 > told(alone, faces, wanted)
    assert told(both, codes, scores) > 0.9
