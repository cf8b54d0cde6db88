"""Whole bodies: where the reader puts the insets, sliders, tone, the larger view, and photos that are cut off."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from gan_core.checkpoints import store
from gan_core.e4e.networks import Encoder4Editing, working_shape
from gan_core.errors import BadCheckpoint, BadValue, NoFaceFound, UnknownName, WeightsMissing
from gan_core.faces.geometry import ffhq_quad
from gan_core.insetgan.bodies import BODY_MODES, load_bodies
from gan_core.insetgan.body_reader import JOINTS, POINTS, BodyReading
from gan_core.insetgan.bust import cut_body
from gan_core.insetgan.canvas_encoder import CanvasEncoder
from gan_core.insetgan.feet import FEET, FEET_SIZE
from gan_core.insetgan.latents import Schedule
from gan_core.insetgan.matching import matching
from gan_core.insetgan.models import BodySlider
from gan_core.insetgan.objective import patch_of
from gan_core.insetgan.pipeline import CompositionRequest, Part
from gan_core.insetgan.placement import Placement
from gan_core.insetgan.regions import REGIONS, SQUARE, at_box
from gan_core.insetgan.sources import CanvasDirection, LatentSource, codes_of, load_directions, load_poses
from gan_core.insetgan.tone import tone_step, toned
from gan_core.insetgan.whole_body import FaceOfBody, FeetOfBody
from tests.demo import fakes
from tests.gan_core.insetgan import small
from weights import catalogue

SHORT = Schedule(steps=3, preview=3, frame=4)
INSET = torch.zeros(1, 3, 64, 64)  # no face is found in it: its square is the whole picture


class Reader(torch.nn.Module):
    """Says that every body's eyes, mouth and ankles are at these places of 256 x 512."""

    def __init__(self, eyes=((119.0, 60.0), (137.0, 60.0)), mouth=128.0, ankles=((110.0, 450.0), (150.0, 460.0))):
        super().__init__()
        self.points = torch.zeros(1, len(POINTS), 2)
        self.points[0, :2] = torch.tensor(eyes)
        self.points[0, 2:4] = torch.tensor([[mouth - 6, 78.0], [mouth + 6, 78.0]])
        for name, at in zip(("ankle_r", "ankle_l"), ankles, strict=True):
            self.points[0, 6 + JOINTS.index(name)] = torch.tensor(at)

    def read(self, pictures):
        return BodyReading(self.points, {})


def canvas(height=512) -> torch.Tensor:
    return torch.zeros(1, 3, height, height // 2)


def test_the_face_lies_where_the_reader_says_at_every_size() -> None:
    place = FaceOfBody(Reader())(canvas(), INSET, SQUARE)
    eyes = [place.at(2 * x - 1, 2 * 0.4722 - 1) for x in (0.375, 0.625)]
    assert np.allclose(eyes, [(119.0, 60.0), (137.0, 60.0)], atol=1.5)
    larger = FaceOfBody(Reader())(canvas(1024), INSET, SQUARE)
    assert larger == Placement(
        *(pytest.approx(2 * value) for value in (place.x, place.y, place.width, place.height)), 0
    )
    oval = FaceOfBody(Reader())(canvas(), INSET, REGIONS["oval"])
    assert oval.width == pytest.approx(0.6 * place.width, rel=0.03) and oval.y > place.y


def test_a_tilted_head_turns_the_inset() -> None:
    place = FaceOfBody(Reader(eyes=((119.0, 56.0), (137.0, 64.0)), mouth=122.0))(canvas(), INSET, SQUARE)
    assert 0.2 < place.angle < 0.6


@pytest.mark.parametrize(
    "eyes",
    [
        ((127.0, 60.0), (129.0, 60.0)),  # with a mouth 18 pixels below this is still a face, of a turned head
        ((119.0, 360.0), (137.0, 360.0)),
        ((-30.0, 60.0), (-12.0, 60.0)),
        ((20.0, 60.0), (236.0, 60.0)),
        ((float("nan"), 60.0), (137.0, 60.0)),
    ],
)
def test_what_is_no_face_has_no_place(eyes) -> None:
    found = FaceOfBody(Reader(eyes=eyes))(canvas(), INSET, SQUARE)
    assert (found is not None) is (eyes[1][0] == 129.0)


def test_feet_are_the_square_that_their_generator_draws() -> None:
    place = FeetOfBody(Reader())(canvas(), INSET, SQUARE)
    assert (place.width, place.height) == (FEET_SIZE, FEET_SIZE) and place.corners()[0] == pytest.approx((66, 371))
    assert FeetOfBody(Reader(ankles=((float("nan"), 450.0),) * 2))(canvas(), INSET, SQUARE) is None
    part = FeetOfBody(Reader())(canvas(), INSET, FEET)
    assert part.corners()[2] == pytest.approx((66 + 0.97 * FEET_SIZE, 371 + FEET_SIZE))
    assert part.height == pytest.approx(0.52 * FEET_SIZE), "of the legs only what is near the shoes"


def test_tone_takes_the_light_of_the_border_and_no_edge() -> None:
    torch.manual_seed(0)
    texture = 0.2 * torch.rand(1, 3, 60, 50) - 0.1
    light = torch.tensor([0.2, -0.1, 0.05]).view(1, 3, 1, 1)
    inside = torch.ones(1, 1, 60, 50)
    fixed = toned(texture, tone_step(texture, texture + light, inside))
    assert (fixed - texture - light).abs().max() < 0.02
    assert tone_step(texture, texture, inside).abs().max() == 0
    assert not tone_step(texture, texture + light, 0 * inside).any(), "nothing is covered, so there is no border"
    below = texture + light
    below[..., 10:-10, 10:-10] = 1.0  # what the inset covers does not count
    assert (toned(texture, tone_step(texture, below, inside)) - texture - light).abs().max() < 0.02


def test_a_side_of_the_light_stays_on_its_side() -> None:
    dark = torch.zeros(1, 3, 40, 40)
    below = dark.clone()
    below[..., :20] = 0.2
    inside = torch.ones(1, 1, 40, 40)
    step = tone_step(dark, below, inside)
    assert step[0, 0, 20, 3] > 0.14 and step[0, 0, 20, 36] < 0.03
    assert tone_step(dark, dark + 1.5, inside).max() < 0.01, "so much is no light"
    below[..., :3] = 1.5  # hair along one side
    assert tone_step(dark, below, inside).max() < 0.25, "it does not run into the inset"


def pipeline(**options):
    torch.manual_seed(0)
    tall = small.generator(64, start_shape=(4, 2))
    return type(small.pipeline())(tall, small.generator(), small.features(), finder=small.find_centre, **options)


def last(made, **request):
    *_, report = made.compose(CompositionRequest(LatentSource(1), LatentSource(2), schedule=SHORT, **request))
    return report.best


def test_the_larger_view_is_the_canvas_enlarged_with_a_sharper_face() -> None:
    best = last(pipeline(enlarged=2, tone=True), region="oval")
    assert best.large.shape == (1, 3, 128, 64) and best.image.shape == (1, 3, 64, 32) and best.tone > 0
    again = torch.nn.functional.interpolate(best.large, (64, 32), mode="area")
    assert (again - best.image).abs().mean() < 0.1
    plain = last(pipeline(), region="oval")
    assert plain.large is None and plain.tone == 0


def test_a_face_for_a_given_body_starts_from_what_the_encoder_reads() -> None:
    seen = []

    class Encoder:
        device, latent_avg = torch.device("cpu"), torch.zeros(10, 16)

        def encode(self, images):
            seen.append(images)
            return torch.full((1, 10, 16), 0.25)

    made = pipeline(encoder=Encoder(), modes=BODY_MODES)
    first = next(made.compose(CompositionRequest(LatentSource(1), LatentSource(2), mode="face", schedule=SHORT)))
    assert torch.equal(first.best.codes[1], torch.full((1, 10, 16), 0.25)) and seen[0].shape == (1, 3, 256, 256)
    made.finder = lambda *_: None
    with pytest.raises(NoFaceFound):
        next(made.compose(CompositionRequest(LatentSource(1), LatentSource(2), mode="face", schedule=SHORT)))


def test_another_generator_draws_a_second_inset() -> None:
    feet = small.generator(32)
    made = pipeline(others={"feet": feet}, finders={"feet": at_box((0.2, 0.7, 0.8, 1.0))})
    best = last(made, parts=(Part("feet", LatentSource(3), "feet"),))
    assert best.insets[1].shape == (1, 3, 32, 32) and best.placements[1].y > 40
    assert made.draw("feet", LatentSource(3)).image.shape == (1, 3, 32, 32)
    with pytest.raises(UnknownName, match="body, face, feet"):
        made.draw("hands", LatentSource(3))
    with pytest.raises(UnknownName, match="hands"):
        last(made, parts=(Part("hands", LatentSource(3), "hands"),))


def test_another_generator_starts_with_what_is_nearest_to_the_canvas() -> None:
    torch.manual_seed(0)
    net, finder = small.generator(32), at_box((0.2, 0.7, 0.8, 1.0))
    picture = torch.zeros(1, 3, 64, 32)

    def distance(source) -> float:
        place = finder(picture, INSET, SQUARE)
        drawn = patch_of(net.synthesis(codes_of(net, source, {}), noise="none"), SQUARE, place.size)
        return float(drawn.abs().mean())

    found = matching(net, LatentSource(3), picture, SQUARE, finder)
    assert distance(found) < distance(LatentSource(3))
    assert torch.equal(matching(net, LatentSource(3), picture, SQUARE, finder).codes, found.codes)
    assert not torch.equal(matching(net, LatentSource(4), picture, SQUARE, finder).codes, found.codes)
    assert matching(net, found, picture, SQUARE, finder) is found, "codes that are given stay"
    assert matching(net, LatentSource(3), picture, SQUARE, lambda *_: None) == LatentSource(3)


def test_feet_are_made_for_the_body_in_every_mode() -> None:
    made = pipeline(others={"feet": small.generator(32)}, finders={"feet": at_box((0.2, 0.7, 0.8, 1.0))})
    request = CompositionRequest(
        LatentSource(1), LatentSource(2), mode="body", parts=(Part("feet", LatentSource(3), "feet"),), schedule=SHORT
    )
    first, *_, report = made.compose(request)
    assert not torch.equal(first.pasted.codes[2], report.best.codes[2])
    assert torch.equal(first.pasted.codes[1], report.best.codes[1]), "the face stays"


def test_the_embedded_feet_change_the_feet_and_no_head() -> None:
    made = load_bodies(catalogue.FOLDER)
    request = CompositionRequest(LatentSource(2), LatentSource(102), mode="face", region="hair", schedule=SHORT)
    plain, feet = (
        [*made.compose(replace(request, parts=parts))][-1].best.image
        for parts in ((), (Part("feet", LatentSource(9), "feet"),))
    )
    change = 127.5 * (plain - feet).abs().mean(1)[0]
    assert change[440:500, 70:190].mean() > 4
    assert change[:300].mean() < 0.5


def test_sliders_move_the_body(tmp_path) -> None:
    config = {"attributes": [{"name": "age", "label": "Age", "low": -2.0, "high": 2.0}]}
    store.save(tmp_path / "directions.safetensors", {"age": torch.ones(16)}, config=config)
    directions = load_directions(tmp_path / "directions.safetensors")
    assert directions["age"].slider == BodySlider("age", "Age", -2.0, 2.0)
    made = pipeline(directions=directions)
    plain, older, same = (made.draw("body", LatentSource(4, strengths=s)) for s in ({}, {"age": 1.5}, {"age": 0.0}))
    assert torch.allclose(older.codes - plain.codes, torch.full((1, 10, 16), 1.5)) and torch.equal(
        plain.image, same.image
    )
    read = made.draw("body", LatentSource(codes=plain.codes, strengths={"age": 1.5}))
    assert torch.allclose(read.codes, older.codes)
    for strengths, error in (({"age": 2.5}, BadValue), ({"age": float("nan")}, BadValue), ({"hair": 1.0}, UnknownName)):
        with pytest.raises(error):
            made.draw("body", LatentSource(4, strengths=strengths))
    with pytest.raises(UnknownName):
        made.draw("face", LatentSource(4, strengths={"age": 1.0}))
    store.save(tmp_path / "damaged.safetensors", {"build": torch.ones(16)}, config=config)
    with pytest.raises(BadCheckpoint):
        load_directions(tmp_path / "damaged.safetensors")


def test_a_pose_takes_the_place_of_the_coarsest_layers(tmp_path) -> None:
    config = {"poses": [{"joints": [[0.0, 0.0]] * len(JOINTS)}] * 2}
    given = torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(1)).half().float()
    store.save(tmp_path / "poses.safetensors", {"codes": given}, config=config)
    made = pipeline(poses=load_poses(tmp_path / "poses.safetensors"))
    plain, posed = (made.draw("body", LatentSource(4, pose=pose)) for pose in (None, 1))
    assert torch.allclose(posed.codes[0, :3], given[1]) and torch.equal(posed.codes[0, 3:], plain.codes[0, 3:])
    assert not torch.equal(posed.image, plain.image)
    read = made.draw("body", LatentSource(codes=plain.codes, pose=1))
    assert torch.equal(read.codes, posed.codes), "a photo's body takes a pose like any other"
    for pose in (2, -1):
        with pytest.raises(BadValue, match="these bodies have 2"):
            made.draw("body", LatentSource(4, pose=pose))
    with pytest.raises(BadValue, match="these bodies have none"):
        pipeline().draw("body", LatentSource(4, pose=0))
    with pytest.raises(BadValue):
        made.draw("face", LatentSource(4, pose=0))
    store.save(tmp_path / "damaged.safetensors", {"codes": given[:1]}, config=config)
    with pytest.raises(BadCheckpoint):
        load_poses(tmp_path / "damaged.safetensors")


def test_a_photo_of_a_body_starts_from_what_the_encoder_reads() -> None:
    encoder = Encoder4Editing(10, 16, stem=4, stages=((4, 1), (4, 1), (6, 1), (8, 1)), head=8).eval()
    average = torch.randn(10, 16, generator=torch.Generator().manual_seed(2))
    made = pipeline(canvas_encoder=CanvasEncoder(encoder, average, working_shape((4, 2))))
    target = made.draw("body", LatentSource(7, 0.8)).image
    read = made.canvas_encoder(target)
    assert read.shape == (1, 10, 16)
    with torch.no_grad():
        by_hand = encoder(torch.nn.functional.interpolate(target, (256, 128), mode="bilinear", align_corners=False))
    assert torch.allclose(read, by_hand + average, atol=1e-4)
    first = next(made.project_body(target, steps=1))
    assert (first.codes - read).abs().mean() < (first.codes - made.canvas.mapping.w_avg).abs().mean() / 3


def test_only_the_known_part_of_a_photo_counts() -> None:
    made = pipeline(directions={"x": CanvasDirection(BodySlider("x", "X"), torch.ones(16))})
    target = made.draw("body", LatentSource(7, 0.8)).image
    spoilt = target.clone()
    spoilt[..., 40:, :] = 1.0
    known = torch.ones(1, 1, 64, 32)
    known[..., 40:, :] = 0
    whole, part = (list(made.project_body(spoilt, steps=24, known=mask))[-1].image for mask in (None, known))
    top = (slice(None), slice(None), slice(0, 40))
    assert (part - target)[top].abs().mean() < (whole - target)[top].abs().mean()
    assert part[..., 44:, :].mean() < whole[..., 44:, :].mean(), "the white part is not followed"
    with pytest.raises(BadValue, match="Nothing"):
        next(made.project_body(spoilt, known=0 * known))


def photo_of(height: int, radius=30):
    photo = fakes.draw_photo((400, height), ((200, 90, radius),))
    return photo, fakes.find_faces(photo)[0]


def test_a_body_is_framed_by_its_face() -> None:
    photo, face = photo_of(900)
    picture, known = cut_body(photo, face, 256, 512)
    assert picture.size == known.size == (256, 512) and known.getextrema() == (255, 255)
    quad = ffhq_quad(fakes.find_faces(picture)[0])
    assert quad.mean(0) == pytest.approx((128, 58), abs=4) and np.hypot(*(quad[3] - quad[0])) == pytest.approx(
        68, abs=6
    )


def test_a_photo_cut_at_the_knees_and_one_of_a_head_only() -> None:
    photo, face = photo_of(500)
    picture, known = cut_body(photo, face, 256, 512)
    rows = np.asarray(known)[:, 128]
    assert rows[300] == 255 and rows[-1] == 0 and picture.size == (256, 512)
    with pytest.raises(BadValue, match="head to hips"):
        cut_body(*photo_of(300), 256, 512)
    close = Image.new("RGB", (200, 200))
    with pytest.raises(BadValue, match="head to hips"):  # a face larger than the picture
        cut_body(close, fakes.face_from_points((20, 80), (180, 80), (100, 260)), 256, 512)


def test_missing_weights_of_bodies_are_said(tmp_path) -> None:
    with pytest.raises(WeightsMissing):
        load_bodies(tmp_path)
