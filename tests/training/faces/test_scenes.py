"""The finder's synthetic scenes, their geometry, and its losses."""

import numpy as np
import torch

from gan_core.faces import face_from_points
from gan_core.faces.geometry import EYE_LEFT, EYE_RIGHT
from gan_core.faces.networks import (
    LANDMARKS,
    FaceLocator,
    LandmarkRefiner,
)
from gan_core.training.faces.objectives import locator_loss, locator_scores, refiner_loss
from gan_core.training.faces.placing import affine, frame_of, head_turn, inverse, placement, turn_points, unturn
from gan_core.training.faces.scenes import Bank, landmark_weights, locator_scenes, refiner_crops
from tests.gan_core.faces.clips import cartoon_face


def bank():
    """Two drawn portraits with made-up landmarks."""
    image, _ = cartoon_face((256, 256), (128.0, 122.0), 64.0)
    pictures = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None].repeat(2, 1, 1, 1)
    points = torch.full((2, len(LANDMARKS), 2), 0.5)
    for group, x in ((EYE_LEFT, 0.375), (EYE_RIGHT, 0.625)):
        for mesh in group:
            points[:, LANDMARKS.index(mesh)] = torch.tensor([x, 0.475])
    points[:, LANDMARKS.index(1)] = torch.tensor([0.5, 0.63])
    points[:, LANDMARKS.index(61)] = torch.tensor([0.39, 0.73])
    points[:, LANDMARKS.index(291)] = torch.tensor([0.61, 0.73])
    return Bank(pictures, torch.eye(2, 3).repeat(2, 1, 1), points)


def test_turning_a_head_and_back_again():
    turn = head_turn(50, torch.device("cpu"), 0.3)
    points = torch.rand(50, 7, 2) * torch.tensor([0.3, 0.4]) + torch.tensor([0.35, 0.4])
    assert (unturn(turn_points(points, turn), turn) - points).abs().max() < 1e-4


def test_placement_and_its_inverse():
    centre, side, angle = torch.tensor([[30.0, 40.0]]), torch.tensor([50.0]), torch.tensor([0.4])
    to_pixels = placement(centre, side, angle)
    assert torch.allclose(affine(torch.full((1, 1, 2), 0.5), to_pixels)[0, 0], centre[0])
    corner = affine(torch.rand(1, 3, 2), to_pixels)
    assert torch.allclose(affine(affine(corner, inverse(to_pixels)), to_pixels), corner, atol=1e-4)


def test_batched_square_agrees_with_the_single_one():
    face = face_from_points((310, 205), (390, 190), (345, 300))
    centre, side, angle = frame_of(torch.tensor(face.points)[None])
    from gan_core.faces.geometry import ffhq_quad, quad_side

    assert np.allclose(centre[0].numpy(), ffhq_quad(face).mean(0))
    assert np.isclose(float(side), quad_side(face))


def test_scenes_and_losses_have_gradients():
    drawn = bank()
    scenes = locator_scenes(drawn, 4, 96, (30.0, 60.0), 64)
    assert scenes.pictures.shape == (4, 3, 96, 96)
    assert scenes.pictures.abs().max() <= 1
    locator = FaceLocator(16, (1,))
    outputs = locator(scenes.pictures)
    loss, _ = locator_loss(outputs, scenes)
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in locator.parameters())
    assert set(locator_scores(outputs, scenes)) == {"recall", "precision", "points"}
    crops = refiner_crops(drawn, 4)
    refiner = LandmarkRefiner(8)
    loss, _ = refiner_loss(refiner(crops.pictures), crops, landmark_weights(torch.device("cpu")))
    loss.backward()
    assert torch.isfinite(loss)


def test_face_states_of_scenes_match_the_pictures():
    """A face to be found has all its points inside the picture."""
    torch.manual_seed(1)
    scenes = locator_scenes(bank(), 24, 96, (30.0, 60.0), 64)
    five = scenes.five[scenes.state > 0]
    assert len(five) > 5
    assert five.min() > -3
    assert five.max() < 99
