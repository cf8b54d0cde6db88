"""The seam's measure on pictures whose seam is known, and the evaluation's command over small networks."""

import json
import time

import pytest
import torch

from gan_core.evaluation.insetgan import evaluate as module
from gan_core.evaluation.insetgan import fixed_face
from gan_core.evaluation.insetgan.seams import detail, seam_along, seam_energy
from gan_core.evaluation.metrics.features import NAME, EmbeddedFeatures, embedded_distance
from gan_core.insetgan.bust import cut_bust, fit
from gan_core.insetgan.latents import Schedule
from gan_core.insetgan.placement import Placement, put
from gan_core.insetgan.regions import REGIONS, outline_of
from tests.demo import fakes
from tests.gan_core.insetgan import small

BOX = (16, 20, 48, 52)


def test_a_smooth_picture_has_no_seam_and_a_step_has_its_height() -> None:
    ramp = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64).clone()
    place = Placement.of_box(BOX)
    assert seam_energy(ramp, place) < 0.01
    stepped = ramp.clone()
    stepped[..., 20:52, 16:48] += 0.25
    assert seam_energy(stepped, place) == pytest.approx(25, rel=0.02)
    assert seam_energy(stepped, place, ("top",)) == pytest.approx(25, rel=0.02)
    assert seam_energy(stepped, Placement.of_box((4, 4, 12, 12))) < 0.01


def test_sides_outside_the_picture_do_not_count() -> None:
    picture = torch.zeros(1, 3, 64, 64)
    picture[..., :40, :] = 0.5  # an inset as wide as the picture: only its lower side is a seam
    place = Placement.of_box((0, 0, 64, 40))
    assert seam_energy(picture, place) == pytest.approx(50, rel=0.02)
    assert seam_energy(picture, Placement.of_box((-10, -10, 80, 80))) == 0


def test_a_turned_seam_is_seen() -> None:
    place = Placement(32, 32, 30, 24, angle=0.3)
    ones = torch.ones(1, 3, 24, 30)
    pasted = put(torch.zeros(1, 3, 64, 64), 0.4 * ones, ones[:, :1], place.from_canvas((64, 64)))
    assert seam_energy(pasted, place) == pytest.approx(40, rel=0.15)


def test_the_seam_of_an_oval_is_along_the_oval() -> None:
    place = Placement(32, 32, 30, 24, angle=0.3)
    ones = torch.ones(1, 3, 24, 30)
    inside = outline_of(REGIONS["oval"], (24, 30), 2, ones).inside
    pasted = put(torch.zeros(1, 3, 64, 64), 0.4 * ones, inside, place.from_canvas((64, 64)))
    assert seam_energy(pasted, place, outline="ellipse") == pytest.approx(40, rel=0.25)
    assert seam_energy(pasted, place) < 20, "a box's border is elsewhere"
    assert seam_energy(torch.zeros(1, 3, 64, 64), place, outline="ellipse") == 0
    cover = put(torch.zeros(1, 1, 64, 64), ones[:, :1], inside, place.from_canvas((64, 64)))
    assert seam_along(pasted, cover) == pytest.approx(40, rel=0.25)
    assert seam_along(0.01 * torch.arange(64.0).expand(1, 3, 64, 64), cover) < 0.01, "a ramp has no seam"
    assert seam_along(pasted, 0 * cover) == 0


def test_detail_is_told_apart_by_side() -> None:
    place = Placement.of_box(BOX)
    picture = torch.zeros(1, 3, 64, 64)
    picture[..., 20:52:2, 16:48] = 0.5  # stripes inside: of a row, both neighbours lie 0.5 away
    inside, outside = detail(picture, place)
    assert inside == pytest.approx(100, rel=0.01) and outside == 0


def test_embedded_distance() -> None:
    features = EmbeddedFeatures(small.discriminator(), first=2, last=4)
    a, b = torch.rand(12, 3, 64, 64), torch.rand(12, 3, 64, 64)
    same, near, far = (embedded_distance(features, a, other) for other in (a, b, b - 1))
    assert abs(same) < 1e-3 and near < 0.5 * far
    assert features(torch.rand(2, 3, 96, 96)).shape == features(a).shape[:0] + (2, features(a).shape[1])


def test_a_bust_has_the_face_where_the_portraits_have_it() -> None:
    photo = fakes.draw_photo()
    face = fakes.find_faces(photo)[0]
    bust = cut_bust(photo, face, 128)
    found = fakes.find_faces(bust)[0]
    x, y = (found.points[0] + found.points[1]) / 2 / 128
    assert bust.size == (128, 128) and x == pytest.approx(0.495, abs=0.02) and 0.4 < y < 0.5
    assert fit(photo, 50, 100).size == (50, 100)


@pytest.mark.parametrize("region", ["face", "oval"])
def test_the_whole_evaluation(tmp_path, monkeypatch, region) -> None:
    pipeline = small.pipeline()
    monkeypatch.setattr(fixed_face, "face_points", lambda picture: ((20.0, 24.0), (40.0, 24.0), (30.0, 44.0)))
    results = module.evaluate(
        pipeline, EmbeddedFeatures(small.discriminator(), first=2, last=4), torch.rand(8, 3, 64, 64), tmp_path,
        measure=NAME, pairs=2, psis=[0.7, 0.4], schedule=Schedule(steps=4, preview=4, frame=4), region=region,
        minutes=5,
        say=lambda text: None,
    )  # fmt: skip
    saved = json.loads((tmp_path / "results.json").read_text())
    assert saved["cases"].keys() == {"0.7", "0.4"} and saved["facts"]["0.7"]["pairs"] == 2
    for rows in saved["cases"].values():
        assert rows.keys() == module.CASES.keys()
        assert all(row.keys() == {"seam", "inside", "outside", "frechet"} for row in rows.values())
    facts = results["facts"]["0.4"]
    assert "not the published FID" in saved["measure"] and facts["fixed_face"]["faces"] == 2
    assert facts["fixed_face"]["colour"] < 3  # the inset's own pixels, but for sampling
    assert facts["seam_over_pasted"].keys() == set(module.MODES)
    text = (tmp_path / "table.md").read_text()
    assert text.count("\n") == 2 + len(module.CASES) and "both optimised" in text
    for name in ("before_after_0.7", "before_after_0.4", "refined_0.7", "refined_0.4", "modes"):
        assert (tmp_path / f"{name}.jpg").is_file()


def test_no_pair_is_begun_after_the_deadline() -> None:
    found = module.run_pairs(small.pipeline(), 3, 0.7, Schedule(steps=2, frame=4), "face", time.perf_counter() - 1)
    assert not any(found.values())


def test_a_body_without_a_face_is_left_out() -> None:
    pipeline = small.pipeline()
    pipeline.finder = lambda *_: None
    found = module.run_pairs(pipeline, 2, 0.7, Schedule(steps=2, frame=4), "face", time.perf_counter() + 60)
    assert not any(found.values())
