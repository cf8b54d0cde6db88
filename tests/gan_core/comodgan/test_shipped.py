"""The network that ships: different completions of one hole, known pixels untouched, faces where faces were hidden."""

import pytest
import torch

from gan_core.checkpoints.embedded import load_face_generator
from gan_core.comodgan import masks
from gan_core.comodgan.pipeline import CoModGANPipeline, load_embedded
from gan_core.evaluation.comodgan.evaluate import diversity
from gan_core.evaluation.metrics.samples import draw
from gan_core.faces import find_faces
from gan_core.images import to_pil
from weights import catalogue


@pytest.fixture(scope="module")
def pipeline() -> CoModGANPipeline:
    return load_embedded(catalogue.embedded("people_fill/generator").path, framing="face")


@pytest.fixture(scope="module")
def portraits() -> torch.Tensor:
    """Nobody real, (4, 3, 256, 256)."""
    return draw(load_face_generator(catalogue.FOLDER).eval(), 4, psi=0.7, seed=3).clamp(-1, 1)


def test_halves_are_completed_in_different_ways(pipeline, portraits) -> None:
    found = diversity(pipeline, portraits, samples=2, psi=0.8)
    assert found["known_pixels_changed_by"] == 0
    assert found["least"] > 0.05


def test_a_hidden_face_becomes_a_face(pipeline, portraits) -> None:
    hole = torch.from_numpy(masks.ready_made("face", (256, 256))).float()[None]
    for image in portraits:
        (done,) = pipeline.complete(pipeline.prepare(image, hole), [1], psi=0.8)
        (face, *_) = find_faces(to_pil(done), backend="embedded")
        assert face.points[0, 0] < face.points[1, 0] and 40 < face.size < 200


def test_a_small_hole_is_filled_much_as_it_was(pipeline, portraits) -> None:
    hole = torch.zeros(1, 256, 256)
    hole[:, 150:170, 90:120] = 1  # a cheek
    for image in portraits:
        (done,) = pipeline.complete(pipeline.prepare(image, hole), [1])
        off = (done - image)[:, hole[0] == 1].abs().mean()
        assert off < 0.22, "of 2"


def test_any_photo_gets_its_own_texture_and_a_face_does_not() -> None:
    """By the embedded network of places, a hole in fine stripes is striped; the network of faces is left as it is."""
    stripes = (torch.arange(256) // 2 % 2).float().sub(0.5).expand(3, 256, 256).clone()
    hole = torch.zeros(1, 256, 256)
    hole[:, 100:150, 100:150] = 1
    places = load_embedded(catalogue.embedded("places_fill/generator").path, framing="any")
    (done,) = places.complete(places.prepare(stripes, hole), [0])
    assert (done - stripes)[:, 100:150, 100:150].abs().mean() < 0.15
    faces = load_embedded(catalogue.embedded("people_fill/generator").path, framing="face")
    assert places.own_texture and not faces.own_texture
