"""The embedded weights of any photo, on views of places that they never saw."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from gan_core.images import to_tensor
from gan_core.swapping_autoencoder.pipeline import Mixture, SwappingAutoencoderPipeline, load_embedded
from weights import catalogue

EXAMPLES = Path(__file__).resolve().parents[3] / "demo" / "assets" / "examples"


@pytest.fixture(scope="module")
def pipeline() -> SwappingAutoencoderPipeline:
    return load_embedded(catalogue.FOLDER / "places_swap")


def place(name: str) -> torch.Tensor:
    with Image.open(EXAMPLES / f"place_{name}.jpg") as image:
        return to_tensor(image.convert("RGB").resize((256, 256), Image.Resampling.BOX)).reshape(1, 3, 256, 256)


def error(pipeline: SwappingAutoencoderPipeline, picture: torch.Tensor) -> float:
    return (pipeline.draw(pipeline.encode(picture)) - picture).square().mean().item()


def test_places_are_drawn_as_they_are(pipeline) -> None:
    views = [place(name) for name in ("garden", "hall", "square", "terrace")]
    own = sum(error(pipeline, view) for view in views) / len(views)
    flat = sum((view - view.mean((2, 3), keepdim=True)).square().mean().item() for view in views) / len(views)
    assert own < 0.06, "18 dB"
    assert own < 0.25 * flat, "of what a picture of one colour would be off"


def test_night_darkens_the_sky_and_snow_whitens_the_ground(pipeline) -> None:
    for name in ("square", "terrace"):
        codes = pipeline.encode(place(name))
        day, night, snow = (
            pipeline.draw(codes, [], Mixture(strengths=strengths)) for strengths in ({}, {"night": 3.0}, {"snow": 1.4})
        )
        assert night[:, :, :100].mean() < day[:, :, :100].mean() - 0.2, name
        assert snow[:, :, 180:].mean() > day[:, :, 180:].mean() + 0.2, name


def test_a_swap_takes_the_other_pictures_colours(pipeline) -> None:
    hall, garden = pipeline.encode(place("hall")), pipeline.encode(place("garden"))
    own, swapped = pipeline.draw(hall), pipeline.draw(hall, [garden])
    green = lambda x: (x[:, 1] - (x[:, 0] + x[:, 2]) / 2).mean().item()  # noqa: E731
    assert green(swapped) > green(own) + 0.05
