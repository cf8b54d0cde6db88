"""ImageNet features: the right classes, right gradients, and distances that rank as they must."""

import numpy as np
import pytest
import torch
from PIL import Image

from gan_core.errors import BadCheckpoint, WeightsMissing
from gan_core.evaluation import feature_scores
from gan_core.features import CHANNELS, STRIDES, PerceptualDistance, load
from gan_core.features.efficientnet_lite0 import from_state

CLASSES = {"china.jpg": [698, 442, 663], "flower.jpg": [985]}  # palace, bell cote, monastery; daisy


@pytest.fixture(scope="module")
def network():
    return load()


@pytest.fixture(scope="module")
def photos():
    from sklearn.datasets import load_sample_images

    result = {}
    bunch = load_sample_images()
    for array, path in zip(bunch.images, bunch.filenames, strict=True):
        side = min(array.shape[:2])
        top, left = (array.shape[0] - side) // 2, (array.shape[1] - side) // 2
        square = Image.fromarray(array).crop((left, top, left + side, top + side))
        pixels = np.asarray(square.resize((256, 256), Image.Resampling.BICUBIC))
        result[path.replace("\\", "/").rsplit("/", 1)[-1]] = torch.tensor(pixels).permute(2, 0, 1)[None] / 127.5 - 1
    return result


def test_classes_of_two_photos(network, photos) -> None:
    for name, expected in CLASSES.items():
        top = network(photos[name])[0].topk(len(expected)).indices.tolist()
        assert top == expected


def test_maps(network) -> None:
    maps = network.maps(torch.zeros(1, 3, 96, 64))
    expected = [(1, c, 96 // s, 64 // s) for c, s in zip(CHANNELS, STRIDES, strict=True)]
    assert [tuple(m.shape) for m in maps] == expected
    assert network.pooled(torch.zeros(2, 3, 64, 64)).shape == (2, 1280)
    assert not any(p.requires_grad for p in network.parameters())


def test_perceptual_distance_ranks_changes(network, photos) -> None:
    distance = PerceptualDistance(network)
    photo = photos["china.jpg"]
    same = distance(photo, photo)
    slightly = distance(photo, photo + 0.02 * torch.randn(photo.shape, generator=torch.Generator().manual_seed(0)))
    other = distance(photo, photos["flower.jpg"])
    assert same.item() == pytest.approx(0, abs=1e-5)
    assert 0 < slightly.item() < other.item()
    small = torch.zeros(1, 3, 32, 32, requires_grad=True)
    distance(small, photo[:, :, :32, :32]).sum().backward()
    assert torch.isfinite(small.grad).all() and small.grad.abs().sum() > 0


def test_missing_and_wrong_weights_are_said(tmp_path) -> None:
    with pytest.raises(WeightsMissing):
        load(tmp_path / "nothing.pth")
    with pytest.raises(BadCheckpoint, match="EfficientNet-Lite0"):
        from_state({"weight": torch.zeros(3)})


def test_scores_of_sets_that_are_known() -> None:
    """Two samples of one distribution against a shifted and against a collapsed one."""
    generator = torch.Generator().manual_seed(0)
    real, same = (torch.randn(400, 6, generator=generator) for _ in range(2))
    collapsed = torch.randn(400, 6, generator=generator) * 0.1
    good, far, few = (feature_scores.score(real, x) for x in (same, same + 9, collapsed))
    assert good.frechet < 0.3 and good.precision > 0.7 and good.recall > 0.7
    assert far.frechet > 100 and far.precision == 0 and far.recall == 0
    assert few.precision > 0.9 and few.recall < 0.1
