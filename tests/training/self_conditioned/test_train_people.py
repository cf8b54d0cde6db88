"""Training on several collections of people: what is drawn, and asked for, of how many attributes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gan_core.checkpoints import store
from gan_core.errors import BadValue
from gan_core.self_conditioned.space import AttributeSpace
from gan_core.training.people import PeopleStream, Variation, read_people
from gan_core.training.self_conditioned.directions import ATTRIBUTES
from gan_core.training.self_conditioned.labelling import Labels, label
from gan_core.training.self_conditioned.step import SelfConditionedTrainer
from tests.gan_core.self_conditioned.small import (
    LAYERS,
    SIZE,
    W_DIM,
    discriminator,
    plain_generator,
    predictor,
    space,
)
from tests.training.self_conditioned.test_faces import write_people
from tests.training.self_conditioned.test_train import ALONE, TINY, run
from tests.training.test_projected import random_features


def test_the_command_trains_on_collections_of_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More attributes than three, people held out, and a discriminator of features."""
    write_people(tmp_path / "people", tmp_path / "labels")
    measures = ("age", "yaw_deg", "corner_lift", "glasses", "side_light")
    for name, net in (
        ("people_face/generator", plain_generator()),
        ("people_face/discriminator", discriminator()),
        ("reader", predictor(measures)),
    ):
        store.save(tmp_path / f"{name}.safetensors", net.state_dict(), config=net.config)

    def encoder(folder: Path, name: str, **_: object):  # noqa: ANN202
        assert name == "people_hfgi"
        return lambda images: images.flatten(1)[:, : LAYERS * W_DIM].view(-1, LAYERS, W_DIM)

    monkeypatch.setattr("gan_core.e4e.encoding.load_encoder", encoder)
    monkeypatch.setattr("gan_core.training.stylegan2.step.load_features", random_features)
    out, shares = tmp_path / "run", ("--shares", "london=3,varied=1")
    common = ("--people", str(tmp_path / "people"), *shares, "--out", str(out), "--weights", str(tmp_path))
    common += ("--device", "cpu", "--predictor", str(tmp_path / "reader.safetensors"), "--faces", "48", "--refit")
    with pytest.raises(BadValue, match="does not measure gaze"):
        run(monkeypatch, *common, "--steps", "a", "--attributes", "age,gaze")
    training = ("--minutes", "5", "--images", "80", "--batch", "4", "--projected-weight", "1", "--no-state")
    run(monkeypatch, *common, "--labels", str(tmp_path / "labels"), *training)
    labels, config = store.read(out / "labels.safetensors")
    assert config["attributes"] == ["age", "pose", "smile", "glasses", "light"] and len(config["names"]) == 36
    first, second = labels["values"].chunk(2)
    opposite = torch.tensor([False, True, False, False, True])
    torch.testing.assert_close(second, torch.where(opposite, 1 - first, first), atol=2e-3, rtol=0)
    report = store.read(out / "directions.safetensors")[1]["_report"]
    assert {"age", "pose", "light"} <= report["agreement"].keys() and "pose" in report["agreement_held_out"]
    assert store.read(out / "generator_ema.safetensors")[0]["constants"].shape[0] == 15
    assert (out / "projected.safetensors").exists() and not (out / "state.pt").exists()


def test_people_are_drawn_with_their_labels_and_as_often_as_their_shares_say(tmp_path: Path) -> None:
    write_people(tmp_path / "people", tmp_path / "labels")
    people = read_people(tmp_path / "people", SIZE, {"london": 1.0, "varied": 9.0})
    count = len(people)
    codes = torch.randn(2 * count, LAYERS, W_DIM).half()
    known = Labels(tuple(people.stems), space().names, torch.rand(2 * count, 3), codes)
    still = PeopleStream(people, Variation(backdrop=0.0, light=0.0, side_light=0.0, soft=0.0))
    starts = plain_generator().state_dict(), discriminator().state_dict()
    settings = replace(TINY, batch=64, unweighted=0.5)
    made = SelfConditionedTrainer(settings, still, known, ALONE, *starts, graphs=False, space=space())
    reals = made._reals()
    everything = people.pictures.float() * (2 / 255) - 1
    everything = torch.cat([everything, everything.flip(3)])
    nearest = torch.cdist(reals.flatten(1), everything.flatten(1)).argmin(1)
    torch.testing.assert_close(made.values[nearest], made.real_values)
    assert (nearest >= count).any() and (nearest < count).any()
    varied = people.collection[nearest[made.own_rows] % count].float().mean()
    assert varied > 0.7  # a third of the pictures


def test_of_many_attributes_three_are_asked_for_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    normals, ends = torch.randn(6, LAYERS, W_DIM) / LAYERS, torch.full((6,), 2.0)
    many = AttributeSpace(ATTRIBUTES[:6], normals, torch.zeros(6), -ends, ends)
    codes = torch.randn(12, LAYERS, W_DIM).half()
    known = Labels(tuple("abcdef"), many.names, label(many, codes)[1], codes)
    pictures = torch.zeros(6, 3, SIZE, SIZE, dtype=torch.uint8)
    settings = replace(TINY, batch=64, inverted=0.0)
    with pytest.raises(BadValue, match="directions"):
        SelfConditionedTrainer(settings, pictures, known, ALONE, graphs=False)
    made = SelfConditionedTrainer(settings, pictures, known, ALONE, graphs=False, space=many)
    monkeypatch.setattr(made.generator.synthesis, "forward", lambda w_plus, **_: w_plus)
    own = made.space.values(made._draw(torch.randn(64, LAYERS, W_DIM)))
    changed = made.fake_values != own
    assert (changed.sum(1) == 3).all() and (changed.sum(0) > 10).all()
