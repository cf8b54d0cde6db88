"""Drawings as by hand: what each change does, and training on people with them."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from gan_core.comodgan import masks
from gan_core.comodgan.edges import PENS, lines
from gan_core.training.comodgan import hand as module
from gan_core.training.comodgan.hand import MOST_MOVED, Hand, displacement, moved, ridges
from gan_core.training.comodgan.losses import drawn_lines_loss
from gan_core.training.comodgan.settings import CoModGANSettings
from gan_core.training.comodgan.step import CoModGANTrainer
from gan_core.training.comodgan.strokes import stroke_bank
from gan_core.training.comodgan.train import held_out_set
from gan_core.training.distributed import ProcessGroup
from gan_core.training.people import People, PeopleStream
from tests.training.test_projected import random_features

SIDE = 64
ONLY = {"_ERASED": 0.0, "_BARE": 0.0, "_ADDED": 0.0}


def faces(count: int = 6) -> torch.Tensor:
    """Discs with two dark eyes on striped backdrops, (count, 3, 64, 64) in [-1, 1]."""
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, SIDE)] * 2, indexing="ij")
    picture = torch.where((x * 10).sin() > 0, 0.4, -0.2)
    picture = torch.where(x**2 + y**2 < 0.45, 0.8, picture)
    for at in (-0.25, 0.25):
        picture = torch.where((x - at) ** 2 + (y + 0.1) ** 2 < 0.01, -0.9, picture)
    return picture.expand(count, 3, -1, -1) * torch.linspace(0.6, 1, count)[:, None, None, None]


@pytest.fixture
def hand() -> Hand:
    return Hand(torch.from_numpy(masks.bank(16, SIDE)))


def amount(value: float, count: int = 6) -> torch.Tensor:
    return torch.full((count, 1, 1, 1), value)


def test_drawings_have_the_form_that_they_say_and_repeat_with_a_seed(hand: Hand) -> None:
    torch.manual_seed(1)
    one = hand.draw(faces(12))
    torch.manual_seed(1)
    again = hand.draw(faces(12))
    for x in (one.lines, one.drawing, one.counted, one.amount):
        assert x.shape[:2] == (12, 1) and x.min() >= 0 and x.max() <= 1
    assert one.drawing.shape == one.lines.shape == (12, 1, SIDE, SIDE)
    assert torch.equal(one.drawing, again.drawing) and torch.equal(one.counted, again.counted)
    amounts = torch.cat([hand.draw(faces(30)).amount for _ in range(10)])
    assert 0.2 < (amounts == 0).float().mean() < 0.47 and 0.2 < (amounts == 1).float().mean() < 0.47


def test_rows_not_by_hand_are_computed_lines(hand: Hand, monkeypatch) -> None:
    for name, value in ONLY.items():
        monkeypatch.setattr(module, name, value)
    drawn = hand.draw(faces(), amount=amount(0))
    for k, row in enumerate(drawn.drawing):
        torch.testing.assert_close(row, lines(faces(), PENS[k % 3])[k])
    torch.testing.assert_close(drawn.lines, lines(faces()))
    assert (drawn.counted == 1).all()


def test_what_is_left_out_does_not_count(hand: Hand, monkeypatch) -> None:
    for name, value in ({**ONLY, "_ERASED": 1.0}).items():
        monkeypatch.setattr(module, name, value)
    torch.manual_seed(0)
    drawn = hand.draw(faces(12), amount=amount(0, 12))
    assert (drawn.counted == 0).any() and (drawn.drawing[drawn.counted == 0] == 0).all()
    whole = torch.stack([lines(faces(12), PENS[k % 3])[k] for k in range(12)])
    assert drawn.drawing.sum() < 0.95 * whole.sum()
    raw = faces(12)
    wrong = torch.where(drawn.counted == 0, 0.0, raw)
    assert drawn_lines_loss(raw, drawn.lines, drawn.counted) == 0
    assert drawn_lines_loss(wrong, drawn.lines, drawn.counted) < drawn_lines_loss(wrong, drawn.lines)


def test_backdrops_are_left_out(hand: Hand, monkeypatch) -> None:
    for name, value in ({**ONLY, "_BARE": 1.0}).items():
        monkeypatch.setattr(module, name, value)
    mattes = torch.zeros(6, 1, SIDE, SIDE)
    mattes[..., 20:44, 20:44] = 1
    mattes[3:] = 1  # unknown
    drawn = hand.draw(faces(), mattes, amount(0)).drawing
    assert drawn[:3, ..., :16].sum() == 0 and drawn[:3, ..., 24:40, 24:40].sum() > 0
    assert drawn[3:, ..., :10, :6].sum() == 0 and drawn[3:, ..., 16:40, 16:40].sum() > 0


def test_stray_strokes_add_lines(hand: Hand, monkeypatch) -> None:
    blank = torch.ones(6, 3, SIDE, SIDE)
    for name, value in ONLY.items():
        monkeypatch.setattr(module, name, value)
    assert hand.draw(blank, amount=amount(1)).drawing.sum() == 0
    monkeypatch.setattr(module, "_ADDED", 1.0)
    assert (hand.draw(blank, amount=amount(1)).drawing.sum([1, 2, 3]) > 0).sum() >= 4
    bank = stroke_bank(8, SIDE, 3)
    assert bank.shape == (8, SIDE, SIDE) and bank.dtype == np.uint8 and bank.max() > 200
    assert np.array_equal(bank, stroke_bank(8, SIDE, 3)) and (bank > 0).mean() < 0.3


def test_a_hand_moves_lines_a_little() -> None:
    by = displacement(amount(1), 256)
    assert by.shape == (6, 2, 256, 256)
    assert 3 < by.abs().max() <= MOST_MOVED
    assert (displacement(amount(0), 256) == 0).all()
    dot = torch.zeros(1, 1, SIDE, SIDE)
    dot[..., 30, 20] = 1
    shift = torch.zeros(1, 2, SIDE, SIDE)
    shift[:, 0] = 3  # each pixel is taken from 3 pixels to its right
    assert moved(dot, shift)[0, 0, 30, 17] == pytest.approx(1, abs=1e-4)
    assert torch.allclose(moved(dot, 0 * shift), dot, atol=1e-4)


@pytest.mark.parametrize("width", [2.0, 3.0])
def test_lines_along_ridges_are_of_one_width_and_black(width: float) -> None:
    x = torch.arange(256.0)[None, None, None].expand(1, 1, 256, 256)
    height = torch.linspace(1, 3, 256)[:, None]  # the ridge grows, its line does not
    dark = torch.exp(-0.5 * ((x - 100) / 4) ** 2) * height
    short = torch.exp(-0.5 * (((x - 200) / 3) ** 2 + ((x.transpose(2, 3) - 50) / 5) ** 2)) * 0.8
    drawn = ridges(dark + short, amount(width, 1), amount(0.5, 1), amount(14.0, 1))
    line = drawn[0, 0, 20:-20, 80:120].sum(1)
    assert line.min() == pytest.approx(width, abs=0.4) and line.max() == pytest.approx(width, abs=0.4)
    assert drawn.max() == 1 and drawn[..., 180:].max() < 0.2


def test_a_free_drawing_is_compared_in_blocks() -> None:
    """Lines two pixels off cost a doodle less than a computed drawing."""
    raw = F.interpolate(faces(1), (256, 256), mode="bilinear")
    meant = F.pad(lines(raw), (2, 0, 0, 0))[..., :-2]
    strict, free = (drawn_lines_loss(raw, meant, loose=amount(value, 1)) for value in (0.0, 1.0))
    torch.testing.assert_close(strict, drawn_lines_loss(raw, meant))
    assert free < 0.9 * strict


def test_people_train_with_drawings(monkeypatch) -> None:
    monkeypatch.setattr("gan_core.training.stylegan2.step.load_features", random_features)
    pictures = (faces(12) * 127.5 + 127.5).to(torch.uint8)
    mattes = torch.zeros(12, 1, SIDE, SIDE, dtype=torch.uint8)
    mattes[..., 10:-10, 10:-10] = 255
    people = People(pictures, mattes, torch.zeros(12).long(), ["some"], torch.full((12,), 1 / 12), pictures[:2])
    sizes = {"z_dim": 8, "w_dim": 8, "mapping_layers": 2, "global_dim": 6, "channel_base": 128, "channel_max": 16}
    settings = CoModGANSettings(resolution=SIDE, batch=8, task="drawing", projected_weight=0.5, **sizes)
    held_out = held_out_set(pictures[:4], "drawing")
    assert torch.equal(held_out.conditions, held_out_set(pictures[:4], "drawing").conditions)
    clean = (lines(pictures[:4].float() / 127.5 - 1) * 255).round().to(torch.uint8)
    assert torch.equal(held_out.conditions[::2], clean[::2])
    assert not torch.equal(held_out.conditions[1], clean[1])

    def trained() -> CoModGANTrainer:
        holes = torch.from_numpy(masks.bank(16, SIDE))
        one = CoModGANTrainer(settings, PeopleStream(people), ProcessGroup(0, 1, torch.device("cpu")), holes, held_out)
        for _ in range(2):
            one.step()
        return one

    one, again = trained(), trained()
    assert torch.equal(one.fakes, again.fakes)
    assert all(np.isfinite(value) for value in one.read_stats().values())
    reals, fakes = one._projected_input()  # the drawing beside the pictures
    assert one.drawn is not None
    assert torch.equal(reals[:, 3:], one.drawn.drawing - 0.5) and torch.equal(fakes[:4, 3:], reals[:, 3:])
    assert one._maps(reals)[0][:, -1].std() > 0.5
    one.close()
