"""Holes get the picture's own texture: copied, where the network put it; nothing else changes."""

import pytest
import torch
import torch.nn.functional as F

from gan_core.comodgan.networks import CoModGenerator
from gan_core.comodgan.patches import PatchGrid, improve, nearest, voted
from gan_core.comodgan.pipeline import CoModGANPipeline
from gan_core.comodgan.texture import with_own_texture


def two_halves(side: int) -> torch.Tensor:
    """Left dark with grain, right light with stripes, (1, 3, S, S)."""
    generator = torch.Generator().manual_seed(3)
    picture = -0.5 + 0.15 * torch.randn(1, 1, side, side, generator=generator)
    stripes = (torch.arange(side) // 2 % 2).float()
    picture[..., side // 2 :] = 0.5 + 0.3 * stripes[side // 2 :]
    return picture.expand(1, 3, side, side).clamp(-1, 1).clone()


def hole_in(side: int) -> torch.Tensor:
    hole = torch.zeros(1, 1, side, side)
    hole[..., side // 3 : 2 * side // 3, side // 3 : 2 * side // 3] = 1
    return hole


@pytest.mark.parametrize("side", [96, 130, 131, 256])
def test_flat_colours_become_the_texture_of_that_colour(side: int) -> None:
    picture, hole = two_halves(side), hole_in(side)
    middle, right = side // 2, 0.65
    flat = torch.full_like(picture, -0.5)
    flat[..., middle:] = right
    done = with_own_texture(torch.where(hole == 1, flat, picture), 1 - hole)
    assert torch.equal(done[hole.expand_as(done) == 0], picture[hole.expand_as(done) == 0])
    inside = slice(side // 3 + 6, 2 * side // 3 - 6)
    grain, stripes = done[..., inside, side // 3 + 6 : middle - 6], done[..., inside, middle + 6 : 2 * side // 3 - 6]
    assert grain.mean() == pytest.approx(-0.5, abs=0.1) and stripes.mean() == pytest.approx(right, abs=0.1)
    assert grain.std() > 0.02 and stripes.std() > 0.12, "there was none in what the network drew"
    assert stripes.mean(2).std() > 3 * stripes.mean(3).std(), "the stripes stand upright"


def test_of_patches_of_one_colour_the_lively_ones_are_taken_for_what_is_lively() -> None:
    """A rough surface is often nearer to an even patch than to another rough one, by colours alone (0.19 then)."""
    noise = torch.randn(2, 1, 132, 132, generator=torch.Generator().manual_seed(0))
    rough = (1.5 * F.avg_pool2d(noise, 5, 1)).expand(2, 3, 128, 128)
    picture, fill = rough[:1].clone(), rough[1:]
    picture[..., 64:] = 0  # even, of the mean colour
    hole = torch.zeros(1, 1, 128, 128)
    hole[..., 40:80, 10:50] = 1
    done = with_own_texture(torch.where(hole == 1, fill, picture).clamp(-1, 1), 1 - hole)
    assert done[..., 44:76, 14:46].std() > 0.22, "0.30 in what surrounds it"


def test_what_is_not_wanted_stays() -> None:
    picture, hole = two_halves(96), hole_in(96)
    known, wanted = 1 - hole, hole.clone()
    known[..., :20, :] = 0  # outside of the photograph
    done = with_own_texture(torch.zeros_like(picture) * hole + picture * (1 - hole), known, wanted)
    assert torch.equal(done[..., :20, :], picture[..., :20, :])
    start = torch.rand_like(picture)
    assert torch.equal(with_own_texture(start, torch.ones_like(hole)), start), "no hole"
    assert torch.equal(with_own_texture(start, torch.zeros_like(hole)), start), "nothing to copy from"
    little = torch.zeros_like(hole)
    little[..., :24, :24] = 1
    assert torch.equal(with_own_texture(start, little), start), "too little to copy from"


@pytest.mark.parametrize("side", [1, 5, 6, 9])
def test_tiny_squares(side: int) -> None:
    picture, known = torch.rand(1, 3, side, side), torch.ones(1, 1, side, side)
    known[..., side // 2, side // 2] = 0
    done = with_own_texture(picture, known)
    assert done.shape == picture.shape and torch.isfinite(done).all()


def test_a_vote_of_exact_patches_gives_the_picture_back() -> None:
    picture = (torch.arange(32).float() % 4 / 2 - 0.75).expand(1, 3, 32, 32).clone()
    known = torch.ones(1, 1, 32, 32)
    known[..., 12:20, 12:20] = 0
    grid = PatchGrid.of(picture, known, 1 - known)
    found, cost = improve(grid, nearest(grid))
    assert cost.max() < 1e-9
    mean = voted(grid, found, cost)[..., 12:20, 12:20]
    assert torch.allclose(mean, picture[..., 12:20, 12:20], atol=1e-5)


@pytest.mark.parametrize("size", [(40, 40), (90, 70), (200, 160)])
def test_the_pipeline_fills_with_it_at_every_size(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    net = CoModGenerator(z_dim=16, w_dim=16, resolution=64, channel_base=256, channel_max=32)
    plain = CoModGANPipeline(net, framing="any")
    textured = CoModGANPipeline(net, framing="any", own_texture=True)
    image = torch.rand(3, *size) * 2 - 1
    hole = torch.zeros(1, *size)
    hole[:, size[0] // 2 : size[0] // 2 + 9, 10:22] = 1
    pictures = [next(p.complete(p.prepare(image, hole), [1])) for p in (plain, textured)]
    for picture in pictures:
        assert torch.equal(picture[:, hole[0] == 0], image[:, hole[0] == 0])
    assert not torch.equal(*pictures)
