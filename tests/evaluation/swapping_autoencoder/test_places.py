"""The card's numbers of a model of places, on codes and labels whose answers are known."""

import numpy as np
import pytest
import torch

from gan_core.evaluation.swapping_autoencoder import places
from gan_core.swapping_autoencoder.pipeline import Direction, SwappingAutoencoderPipeline
from gan_core.training.swapping_autoencoder.place_directions import LabelledViews
from tests.gan_core.swapping_autoencoder.test_pipeline import networks, picture


def views(night: list[float], indoor: list[float], brightness: list[float]) -> LabelledViews:
    pictures = torch.stack([torch.full((3, 32, 32), value * 255).to(torch.uint8) for value in brightness])
    unknown = np.full(len(night), np.nan)
    columns = {"night": np.array(night), "indoor": np.array(indoor), "snow": unknown, "golden": unknown}
    return LabelledViews(pictures, columns, np.zeros(len(night), int))


def test_a_classifier_learns_from_the_rows_whose_label_is_known() -> None:
    rows = np.array([[0.0], [0.1], [0.9], [1.0], [0.5]], np.float32)
    model = places.classifier(rows, np.array([0, 0, 1, 1, np.nan]))
    assert list(model.predict(np.array([[0.05], [0.95]]))) == [0, 1]


def test_only_views_outdoors_by_day_are_asked_about() -> None:
    some = views([0, 1, 0, 0], [0, 0, 1, 0], [0.8, 0.1, 0.8, 0.6])
    assert places.by_daylight(some).mean((1, 2, 3)).tolist() == pytest.approx([0.6, 0.2], abs=0.01)
    some.columns["golden"] = np.array([1.0, np.nan, np.nan, np.nan])
    assert len(places.by_daylight(some, without="golden")) == 1


def test_a_vector_counts_where_it_turns_what_the_classifier_sees(monkeypatch) -> None:
    """A night vector that darkens is seen; one that does nothing is not."""
    monkeypatch.setattr(places, "_features", lambda _lite, pictures: pictures.mean((1, 2, 3))[:, None].numpy())
    trained = views([0, 0, 1, 1], [0, 0, 0, 0], [0.9, 0.8, 0.1, 0.2])
    unseen = views([0, 0], [0, 0], [0.85, 0.9])
    pipe = SwappingAutoencoderPipeline(*networks(), {"night": Direction("night", "", torch.zeros(12), "texture", 0, 3)})
    for change, share in ((-1.5, 1.0), (0.0, 0.0)):
        monkeypatch.setattr(pipe, "encode", lambda image: image)
        monkeypatch.setattr(pipe, "draw", lambda image, _others, _mixture, change=change: image + change)
        found = places.shown_by(pipe, trained, unseen, None)
        assert found == {"night": {"views": 2, "before": 0.0, "after": share}}


def test_reconstruction_is_measured_without_the_photos_detail() -> None:
    torch.manual_seed(0)
    pipe, image = SwappingAutoencoderPipeline(*networks()), picture()
    (found,) = places.reconstruction(pipe, image)
    error = (pipe.draw(pipe.encode(image)) - image).square().mean()
    assert found == pytest.approx(float(10 * torch.log10(4 / error)), abs=0.01)
