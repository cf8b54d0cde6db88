"""Training for whole bodies: tall pictures, the reader's labels when pictures change, and the sliders' directions."""

import gzip
import json
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from gan_core.checkpoints import store
from gan_core.faces.geometry import face_from_five, ffhq_quad
from gan_core.insetgan.body_reader import JOINTS, POINTS, BodyReader, BodyReading, ffhq_quads, load_body_reader
from gan_core.insetgan.feet import FEET_SIZE, feet_box
from gan_core.training import distributed
from gan_core.training.augment import transform
from gan_core.training.data import load_pictures
from gan_core.training.insetgan import prepare_feet, train_reader
from gan_core.training.insetgan.directions import coarser, directions_of, measure
from gan_core.training.insetgan.poses import apart, most_different, relative
from gan_core.training.stylegan2.settings import GanSettings
from gan_core.training.stylegan2.step import GanTrainer
from tests.gan_core.insetgan import small

TALL = GanSettings(
    resolution=16, start_height=8, start_width=4, z_dim=8, w_dim=8, mapping_layers=2, channel_base=128, channel_max=16,
    batch=4,
)  # fmt: skip
ALONE = distributed.ProcessGroup(0, 1, torch.device("cpu"))


def label(**changes) -> dict:
    """Labels of a person whose points lie all over the picture."""
    joints = {name: [60.0 + 9 * i, 80.0 + 20 * i] for i, name in enumerate(JOINTS)}
    own = {"file": "000000.webp", "age": 40, "yaw": 12.0, "weight": 0.6, "smile": 0.2, "gender": "male"}
    own |= {"hair": "long01", "outfit": "tshirt+skirt", "joints": joints, "head_box": [100.0, 30.0, 140.0, 90.0]}
    return own | {"eyes": [[110.0, 60.0], [126.0, 62.0]], "mouth": [[112.0, 79.0], [124.0, 80.0]]} | changes


def marked(points: torch.Tensor) -> torch.Tensor:
    """uint8 (1, 3, 256, 128): grey, with a white spot of 4 x 4 pixels at each of points (K, 2) of 256 x 512."""
    picture = torch.full((1, 3, 256, 128), 90, dtype=torch.uint8)
    for x, y in (points / 2).round().int().tolist():
        picture[..., max(y - 2, 0) : y + 2, max(x - 2, 0) : x + 2] = 255
    return picture


def test_pictures_are_cut_to_the_aspect_that_is_asked_for(tmp_path: Path) -> None:
    wide = np.zeros((40, 60, 3), np.uint8)
    wide[:, 20:40] = 200  # the middle 20 columns
    Image.fromarray(wide).save(tmp_path / "a.png")
    tall = load_pictures([tmp_path / "a.png"], 20, 10)
    assert tall.shape == (1, 3, 20, 10) and (tall == 200).all()


def test_tall_pictures_are_trained_on_and_turned_without_being_sheared() -> None:
    trainer = GanTrainer(TALL, torch.randint(0, 256, (8, 3, 16, 8), dtype=torch.uint8), ALONE, graphs=False)
    before = next(trainer.generator.synthesis.parameters()).clone()
    trainer.step()
    assert trainer.sample(2).shape == (2, 3, 16, 8) and (next(trainer.generator.synthesis.parameters()) != before).any()
    turn = math.pi / 4
    bar = torch.zeros(1, 3, 64, 32)
    bar[..., 16:48, 15:17] = 1.0  # upright, 32 long
    maps = torch.tensor([[[math.cos(turn), -math.sin(turn), 0.0], [math.sin(turn), math.cos(turn), 0.0]]])
    colours = torch.eye(3, 4)[None]
    turned = transform(bar, maps, colours)[0, 0, 10:54]  # beyond is its reflection
    rows, columns = torch.where(turned > 0.4)
    # as long in x as in y after an eighth of a turn
    assert abs((rows.max() - rows.min()) - (columns.max() - columns.min())) <= 3
    assert (rows.max() - rows.min()).item() in range(19, 26)


def test_the_readers_square_is_ffhqs() -> None:
    eyes, mouth = torch.tensor([[[110.0, 60.0], [126.0, 63.0]]]), torch.tensor([[119.0, 80.0]])
    five = np.array([[110, 60], [126, 63], [118, 70], [113, 80], [125, 80]], float)
    wanted = ffhq_quad(face_from_five(five, 1.0))
    assert np.allclose(ffhq_quads(eyes, mouth)[0].numpy(), wanted, atol=1e-3)


def test_labels_move_with_the_picture() -> None:
    torch.manual_seed(3)
    points = torch.tensor([train_reader.points_of(label())])
    data = train_reader.LabelledBodies(marked(points[0]), points, torch.tensor([train_reader.attributes_of(label())]))
    mirrored = set()
    for _ in range(12):
        images, at, traits = train_reader.vary(data)
        level = images.mean(1)[0]
        background = level.median()
        for name, (x, y) in zip(POINTS, at[0].tolist(), strict=True):
            if not (6 < x < 250 and 6 < y < 506) or name.startswith("head_"):
                continue  # a box's corners change places when it is mirrored; nothing is drawn there then
            spot = level[round(y / 2) - 2 : round(y / 2) + 2, round(x / 2) - 2 : round(x / 2) + 2]
            assert spot.mean() > background + 0.25, name
        box = BodyReading(at, {}).head_box[0]
        assert box[0] < box[2] and box[1] < box[3]
        assert at[0, 0, 0] < at[0, 1, 0]  # the left one in the picture stays the first
        mirrored.add(bool(traits[0, 1] < 0))
        assert traits[0, [0, 2, 4, 5, 6, 7]].tolist() == data.attributes[0, [0, 2, 4, 5, 6, 7]].tolist()
    assert mirrored == {True, False}


def test_the_reader_learns_where_faces_are(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = []
    for i in range(40):
        dx, dy = random.uniform(-30, 30), random.uniform(-10, 10)
        eyes, mouth = ([[x + dx, y + dy] for x, y in points] for points in (label()["eyes"], label()["mouth"]))
        rows.append(label(file=f"{i:06d}.webp", eyes=eyes, mouth=mouth))
        picture = np.full((512, 256, 3), 60, np.uint8)
        for x, y in (*eyes, *mouth):
            picture[round(y) - 4 : round(y) + 4, round(x) - 4 : round(x) + 4] = 250
        Image.fromarray(picture).save(tmp_path / f"{i:06d}.webp", lossless=True)
    with gzip.open(tmp_path / "people.jsonl.gz", "wt") as file:
        file.write("\n".join(map(json.dumps, rows)))
    data = train_reader.read_bodies(tmp_path, tmp_path / "people.jsonl.gz", held_out=False)
    torch.manual_seed(0)
    net = BodyReader(widths=(8, 8))
    before = train_reader.errors(net.eval(), data)["eyes"]
    train_reader.fit(net, data, 50, batch=4, lr=1e-2)
    assert train_reader.errors(net, data)["eyes"] < 0.2 * before
    store.save(tmp_path / "reader.safetensors", net.state_dict(), config=net.config)
    reading = load_body_reader(tmp_path / "reader.safetensors").read(torch.zeros(1, 3, 1024, 512))
    assert reading.quad.shape == (1, 4, 2) and reading.joints.shape == (1, 15, 2)


def test_feet_are_cut_at_the_bodys_own_pixels(tmp_path: Path, monkeypatch) -> None:
    y, x = np.mgrid[:512, :256]
    picture = np.stack([y // 2, x, 255 - y // 2], -1).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "000000.webp", lossless=True)
    people, out = tmp_path / "people.jsonl.gz", tmp_path / "feet"
    joints = label()["joints"] | {"ankle_l": [140.0, 470.0], "ankle_r": [100.0, 480.0]}
    with gzip.open(people, "wt") as file:
        file.write(json.dumps(label(joints=joints)))
    monkeypatch.setattr("sys.argv", ["x", "--bodies", str(tmp_path), "--people", str(people), "--out", str(out)])
    prepare_feet.main()
    found = np.asarray(Image.open(out / "000000.webp")).astype(int)
    assert found.shape == (FEET_SIZE, FEET_SIZE, 3)
    x0, y0, x1, y1 = feet_box(np.array([[100, 480], [140, 470]]), (256, 512))
    assert (x1, y1) == (120 + 64, 512) and x0 == 56  # moved up into the picture
    assert np.abs(found - picture[y0:y1, x0:x1]).max() < 8  # WebP


def test_each_direction_moves_its_own_measure_only() -> None:
    random = torch.Generator().manual_seed(0)
    w = torch.randn(4000, 6, generator=random) @ torch.randn(6, 6, generator=random)
    first, second = w[:, 0] + 0.8 * w[:, 1], w[:, 1] - 0.3 * w[:, 2]  # correlated
    measures = torch.stack([first, second], 1)
    steps, lengths = directions_of(w, measures, ridge=1e-6)
    moved = torch.stack([steps[:, 0] + 0.8 * steps[:, 1], steps[:, 1] - 0.3 * steps[:, 2]], 1) / measures.std(0)
    assert torch.allclose(moved, torch.eye(2), atol=0.02)
    # a measure that is alone is one standard deviation of the latents; correlated ones have farther to go
    assert torch.allclose(directions_of(w, measures[:, :1], ridge=1e-6)[1], torch.ones(1), atol=0.02)
    assert (lengths > 1.02).all()


def test_clothes_are_measured_where_they_are() -> None:
    picture = torch.full((1, 3, 512, 256), -1.0)
    picture[..., 140:250, 80:180] = 0.6  # the top
    picture[:, 2, 140:250, 80:180] = -0.2  # warm
    picture[..., 260:400, 80:180] = -0.4  # the trousers
    reading = BodyReading(torch.zeros(1, len(POINTS), 2), {"age": torch.tensor([33.0])})
    at = {"shoulder_l": (160, 140), "shoulder_r": (100, 140), "hip_l": (150, 250), "hip_r": (110, 250)}
    at |= {"knee_l": (150, 350), "knee_r": (110, 350), "elbow_l": (190, 200), "elbow_r": (70, 200)}
    for name, point in at.items():
        reading.joints[0, JOINTS.index(name)] = torch.tensor(point, dtype=torch.float32)
    found = {name: value.item() for name, value in measure(picture, reading).items()}
    assert found["age"] == 33 and abs(found["top_warm"] - 0.8) < 1e-4
    assert abs(found["top_light"] - (0.6 + 0.6 - 0.2) / 3) < 1e-4 and abs(found["legs_light"] + 0.4) < 1e-4
    assert found["arms"] == 2.0 and found["backdrop_light"] == -1


def test_a_coarser_generator_draws_the_same_half_as_large() -> None:
    net = small.generator()
    half = coarser(net)
    w = torch.randn(2, 16, generator=torch.Generator().manual_seed(0))
    large, less = (g.synthesis(g.broadcast(w), noise="none") for g in (net, half))
    assert less.shape == (2, 3, 32, 32)
    shrunk = torch.nn.functional.avg_pool2d(large, 2)
    assert (less - shrunk).abs().mean() < 0.5 * (less - less.mean()).abs().mean() + 0.2


def test_the_poses_that_are_taken_differ_most() -> None:
    rng = torch.Generator().manual_seed(0)
    usual = 200 * torch.rand(1, len(JOINTS), 2, generator=rng)
    joints = usual + 0.5 * torch.randn(20, len(JOINTS), 2, generator=rng)
    joints[7, JOINTS.index("wrist_l")] += 90.0
    joints[12, JOINTS.index("knee_r")] -= 80.0
    poses = relative(joints)
    assert torch.allclose(relative(3 * joints + 40), poses, atol=1e-4), "where and how large a body is does not count"
    assert set(most_different(poses, 3)[1:]) == {7, 12} and most_different(poses, 3)[0] not in (7, 12)
    assert len(set(most_different(poses, 30))) == 20
    assert torch.equal(apart(poses, poses).diagonal(), torch.zeros(20))
