"""How the head finder's labels come about, and its training end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_core.checkpoints import store
from gan_core.faces.head import HEAD_SIZE, HeadNet, load_head
from gan_core.stylegan2 import Generator
from gan_core.training.faces import train_head
from gan_core.training.faces.head_labels import BACKDROP, CLOTH, HEAD, draw_with_features, outline, seeds, without_cloth


def scene(hair: tuple[int, int, int], *, long: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A drawn portrait (S, S, 3) uint8, its person and its head, (S, S) bool."""
    y, x = (np.mgrid[:HEAD_SIZE, :HEAD_SIZE] + 0.5) / HEAD_SIZE
    skull = ((x - 0.5) / 0.32) ** 2 + ((y - 0.45) / 0.36) ** 2 < 1
    locks = (np.abs(np.abs(x - 0.5) - 0.25) < 0.07) & (y > 0.4) & (y < 0.95) & long
    face = ((x - 0.5) / 0.2) ** 2 + ((y - 0.52) / 0.27) ** 2 < 1
    shoulders = (y > 0.82) & (np.abs(x - 0.5) < 0.2 + 2 * (y - 0.82))
    picture = np.full((HEAD_SIZE, HEAD_SIZE, 3), (90, 120, 160), np.uint8)
    picture[shoulders] = (160, 30, 30)
    picture[skull | locks] = hair
    picture[face] = (220, 170, 140)
    noise = np.random.RandomState(0).randint(-6, 7, picture.shape)
    return (picture + noise).astype(np.uint8), skull | locks | face | shoulders, skull | locks | face


def test_outline_moves_to_the_edges() -> None:
    picture, person, _ = scene((60, 40, 20), long=False)
    rough = np.roll(person, 3, axis=1).astype(np.float64)
    found = outline(picture, rough)
    assert found is not None
    overlap = [(mask & person).sum() / (mask | person).sum() for mask in (rough > 0.5, found)]
    assert overlap[0] < 0.95 and overlap[1] > 0.985
    assert outline(picture, np.ones_like(rough)) is None


def test_long_hair_counts_and_clothes_do_not() -> None:
    for long in (True, False):
        picture, person, head = scene((60, 40, 20), long=long)
        # by itself everything low looks more like cloth than like head
        low = np.mgrid[:HEAD_SIZE, :HEAD_SIZE][0] > 0.7 * HEAD_SIZE
        found = without_cloth(picture, person, np.where(low, 0.2, 0.9))
        locks = head & low & (np.abs(np.mgrid[:HEAD_SIZE, :HEAD_SIZE][1] / HEAD_SIZE - 0.5) > 0.2)
        if long:
            assert found[locks].mean() > 0.9
        assert found[person & ~head & low].mean() < 0.05


def test_seeds_and_features() -> None:
    known = seeds()
    assert known[36, 32] == HEAD and known[2, 2] == BACKDROP and known[63, 2] == CLOTH and known[40, 8] == -1
    net = Generator(64, z_dim=8, w_dim=8, mapping_layers=1, channel_base=256, channel_max=8)
    images, features = draw_with_features(net, net.broadcast(torch.randn(2, 8)), 16)
    assert images.shape == (2, 3, 64, 64) and features.shape == (2, 8 + 4, 16, 16)  # of 32 and 64 pixels
    assert images.abs().max() <= 1


def test_training_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the generator draws: here the labels are given, and the finder must learn them."""
    pictures, heads, persons = [], [], []
    for i in range(12):
        picture, person, head = scene(tuple(np.random.RandomState(i).randint(0, 200, 3)), long=i % 2 == 0)
        pictures.append(torch.from_numpy(picture).permute(2, 0, 1))
        heads.append(head)
        persons.append(person)
    masks = torch.from_numpy(np.stack([np.stack(heads), np.stack(persons)], 1))
    labelled = (torch.stack(pictures), masks)
    monkeypatch.setattr(train_head, "label_generated", lambda generator, count: labelled)
    monkeypatch.setattr(train_head, "HeadNet", lambda: HeadNet((16, 16, 16)))
    faces = tmp_path / "face"
    faces.mkdir()
    for i in range(40):  # some of these names are held out
        Image.fromarray(pictures[i % 12].permute(1, 2, 0).numpy()).save(faces / f"x_p{i}.png")
    generator = Generator(8, z_dim=4, w_dim=4, mapping_layers=1, channel_base=64, channel_max=8)
    store.save(tmp_path / "generator.safetensors", generator.state_dict(), config=generator.config)
    out, lines = tmp_path / "head.safetensors", []
    words = (
        f"--generator {tmp_path}/generator.safetensors --faces {faces} --out {out} --steps 60 20 --lr 0.008 --limit 16"
    )
    train_head.main([*words.split(), "--contact-sheet", str(tmp_path / "sheet.jpg")], lines.append)
    net = load_head(out)
    found = net.masks(labelled[0].float() / 127.5 - 1) > 0.5
    assert ((found & masks).sum() / (found | masks).sum()).item() > 0.8
    assert len(lines) == 3 and (tmp_path / "sheet.jpg").is_file()
