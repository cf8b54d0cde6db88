"""Directions: a planted one is found, its companions are left alone, and the command writes what the pipeline
reads."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_core.checkpoints import store
from gan_core.e4e.networks import Encoder4Editing
from gan_core.errors import BadValue
from gan_core.faces.head import HeadNet
from gan_core.hfgi.pipeline import load_attributes
from gan_core.stylegan2 import Generator
from gan_core.training.hfgi import directions
from gan_core.training.hfgi.directions import parse_principal
from gan_core.training.hfgi.fitting import fit_direction, layer_window
from gan_core.training.hfgi.measures import head_measures, mesh_measures, pixel_measures
from gan_core.training.hfgi.targets import TARGETS, Target


def test_a_planted_direction_is_found_and_its_companion_left_alone() -> None:
    draw = np.random.RandomState(0)
    smile, age = np.linalg.qr(draw.randn(24, 2))[0].T.reshape(2, 6, 4)
    a = draw.randn(800)
    b = 0.8 * a + 0.6 * draw.randn(800)  # goes along with a
    codes = a[:, None, None] * smile + b[:, None, None] * age + 0.3 * draw.randn(800, 6, 4)
    b[::7] = np.nan  # unknown for some
    found, unit = fit_direction(codes, {"a": 2 * a, "b": b}, Target("x", "X", "a", ("b", "absent"), (0, 5)))
    assert 1.7 < unit < 2.3
    assert 0.85 < (found * smile).sum() < 1.15 and abs((found * age).sum()) < 0.15
    alone, _ = fit_direction(codes, {"a": 2 * a, "b": b}, Target("x", "X", "a", (), (0, 5)))
    assert (alone * age).sum() > 0.5


def test_what_tells_the_collections_apart_is_left_alone(tmp_path: Path) -> None:
    draw = np.random.RandomState(0)
    suit, age = np.linalg.qr(draw.randn(24, 2))[0].T.reshape(2, 6, 4)
    parts = []
    for name, middle in (("portraits", 60), ("london", 28)):  # older people, and in suits
        ages = middle + 8 * draw.randn(300)
        (tmp_path / name).mkdir()
        rows = ["id,age,sex" if name == "london" else "id,age,gender"]
        for i, years in enumerate(ages):
            (tmp_path / name / f"{name}_{i}.webp").touch()
            rows.append(f"{name}_{i},{years:.1f},{('male', 'female', '')[i % 3]}")
        (tmp_path / f"{name}.csv").write_text("\n".join(rows))
        parts.append(directions.read_labels(tmp_path / name, tmp_path / f"{name}.csv"))
    labelled = directions.join(parts)
    columns = labelled.columns
    assert len(labelled.files) == 600 and 0 < labelled.held_out.sum() < 150
    assert np.nansum(columns["gender"]) == 200 and np.isnan(columns["gender"]).sum() == 200
    london = np.arange(600) >= 300
    assert (columns["collection 1"] == london).all() and "collection 0" not in columns
    codes = (columns["age"] / 16)[:, None, None] * age + 3 * ~london[:, None, None] * suit
    codes = codes + 0.1 * draw.randn(600, 6, 4)
    target = Target("age", "Age", "age", (), (0, 5))
    found, unit = fit_direction(codes, columns, target)
    assert (found * age).sum() == pytest.approx(unit / 16, rel=0.1) and abs((found * suit).sum()) < 0.1
    alone, _ = fit_direction(codes, {"age": columns["age"]}, target)
    assert abs((alone * suit).sum()) > 0.5


def test_windows_and_texts() -> None:
    assert layer_window(14, (2, 4)).ravel().tolist() == [0, 0, 1, 1, 1] + [0] * 9
    assert layer_window(18, (4, 13)).sum() == 14
    assert parse_principal("3=hair_length:Hair length") == (3, "hair_length", "Hair length")
    for text in ("hair", "x=hair:Hair", "3=hair", "3=:Hair"):
        with pytest.raises(BadValue):
            parse_principal(text)
    assert {"smile", "age", "pose"} <= {target.name for target in TARGETS}


def test_measures() -> None:
    torch.manual_seed(0)
    plain = 0.3 * torch.randn(2, 3, 256, 256).cumsum(3).div(20).clamp(-1, 1)
    framed = plain.clone()
    framed[:, :, 119:121, 80:176] = -1  # a bar across the nose, rims below the eyes
    framed[:, :, 141:143, 80:112] = framed[:, :, 141:143, 145:175] = -1
    assert (pixel_measures(framed)["glasses"] > pixel_measures(plain)["glasses"] + 0.5).all()
    assert (pixel_measures(plain + 0.3)["hair"] > pixel_measures(plain)["hair"]).all()
    names = (33, 133, 362, 263, 13, 14, 61, 291, 234, 454, 1, 160, 144, 158, 153, 385, 380, 387, 373)
    face = {name: torch.zeros(1, 2) for name in names}
    known = {362: (40, 0), 263: (60, 0), 454: (50, 30), 61: (10, 60), 291: (40, 60), 1: (30, 30)}
    known |= {13: (25, 64), 14: (25, 70)}
    face |= {name: torch.tensor([point], dtype=torch.float32) for name, point in known.items()}
    got = {name: value.item() for name, value in mesh_measures(face).items()}
    assert got["corner_lift"] == pytest.approx(7 / 50)
    assert got["mouth_open"] == pytest.approx(6 / 50)
    assert got["yaw_deg"] > 0
    assert got["nod"] == pytest.approx(0.5)


def test_measures_of_the_outline() -> None:
    class Band(HeadNet):
        """Says head where the picture is white."""

        def masks(self, images: torch.Tensor) -> torch.Tensor:
            return (images[:, :2] > 0).float()

    bald = torch.full((1, 3, 64, 64), -1.0)
    bald[:, :, 16:52, 20:44] = 1
    long = bald.clone()
    long[:, :, 20:64, 6:14] = long[:, :, 20:64, 50:58] = 1
    got = head_measures(Band((8, 8)), torch.cat([bald, long]))
    length, volume = got["hair_length"], got["hair_volume"]
    assert length[0] < 0.001 and length[1] == pytest.approx(19 * 16 / 64**2, abs=0.003)
    assert volume[1] > volume[0] + 0.08


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    generator = Generator(64, z_dim=8, w_dim=8, mapping_layers=1, channel_base=256, channel_max=8)
    encoder = Encoder4Editing(10, 8, stem=4, stages=((4, 1), (4, 1), (6, 1), (8, 1)), head=4)
    store.save(tmp_path / "generator.safetensors", generator.state_dict(), config=generator.config)
    tensors = {**encoder.state_dict(), "latent_avg": torch.zeros(10, 8)}
    store.save(tmp_path / "encoder.safetensors", tensors, config=encoder.config)
    draw, rows = (
        np.random.RandomState(0),
        ["id,person,age,gender,grey,yaw_deg,mouth_open,corner_lift,eye_open"],
    )
    folder = tmp_path / "portraits"
    folder.mkdir()
    for i in range(30):
        Image.fromarray(draw.randint(0, 255, (64, 64, 3), dtype=np.uint8)).save(folder / f"a_{i}.jpg")
        age = "" if i % 5 == 0 else str(30 + i)
        numbers = ",".join(f"{value:.3f}" for value in draw.randn(4))
        rows.append(f"a_{i},p{i},{age},{'MF'[i % 2] if age else ''},{i % 3 // 2},{numbers}")
    (tmp_path / "portraits.csv").write_text("\n".join(rows))
    out = tmp_path / "directions.safetensors"
    words = f"directions --generator {tmp_path}/generator.safetensors --encoder {tmp_path}/encoder.safetensors "
    words += f"--collection {folder} {tmp_path}/portraits.csv --out {out} "
    words += f"--contact-sheet {tmp_path}/sheet.jpg --head {tmp_path}/head.safetensors --principal"
    head = HeadNet((8, 8))
    store.save(tmp_path / "head.safetensors", head.state_dict(), config=head.config)
    monkeypatch.setattr(sys, "argv", [*words.split(), "0=light:Light"])
    few = tuple(target for target in TARGETS if target.name in ("smile", "pose", "hair_length", "grey"))
    few += (Target("nod", "Nod", "nod", (), (0, 5)),)
    monkeypatch.setattr(directions, "TARGETS", few)
    directions.main()
    found = load_attributes(out)
    # "nod" needs landmarks, and there are none here
    assert found.keys() == {"smile", "pose", "hair_length", "grey", "light"} and found["light"].kind == "principal"
    assert found["grey"].low == -1 and found["grey"].region == "crop" and found["smile"].region == "face"
    assert found["smile"].direction.norm() <= 1.8 + 1e-2
    assert found["smile"].direction.shape == (10, 8) and found["smile"].direction[:2].abs().max() == 0
    assert (tmp_path / "sheet.jpg").is_file()
