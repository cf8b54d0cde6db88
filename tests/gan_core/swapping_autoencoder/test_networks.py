"""Codes, modulation by vector and by map, discriminators, and the published format at other sizes."""

import pytest
import torch

from gan_core.checkpoints.formats import build
from gan_core.errors import BadCheckpoint
from gan_core.swapping_autoencoder.discriminators import ImageDiscriminator, PatchDiscriminator
from gan_core.swapping_autoencoder.networks import Encoder, SwappingGenerator, unit_length
from tests.gan_core.swapping_autoencoder import published_names

CODES = {"structure_dim": 3, "texture_dim": 12}


def shaken(net: torch.nn.Module) -> torch.nn.Module:
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return net.eval().requires_grad_(False)


def encoder(widths=(4, 6, 8), texture_widths=(10, 12), **changes) -> Encoder:
    return shaken(Encoder(widths=widths, texture_widths=texture_widths, **(CODES | changes)))


def generator(head_widths=(6, 8), widths=(8, 5), **changes) -> SwappingGenerator:
    return shaken(SwappingGenerator(head_widths=head_widths, widths=widths, **(CODES | changes)))


def published(modules: dict) -> dict:
    tensors = {"num_discriminator_iters": torch.zeros(1, dtype=torch.long)}
    for name, net in modules.items():
        tensors |= getattr(published_names, name)(net)
    return tensors


# halvings of the encoder, crops, networks for sides that are no power of two
SIZES = [
    {"widths": (4, 6, 8), "up": (8, 5), "head": (6, 8), "texture": (10, 12), "side": 32, "crop": 8, "last": 4},
    {"widths": (3, 4, 5, 6, 7, 8), "up": (8, 8, 6, 4, 3), "head": (4,), "texture": (9,), "side": 64, "crop": 128,
     "last": 3},
    {"widths": (4, 6), "up": (8,), "head": (3, 5, 8), "texture": (5, 6, 7), "side": 16, "crop": 256, "last": 5},
]  # fmt: skip


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{len(size['up'])} halvings")
def test_round_trip(size: dict) -> None:
    halvings = [2] * 20
    crops = (size["crop"] // 4).bit_length() - 1
    modules = {
        "encoder": encoder(size["widths"], size["texture"]),
        "generator": generator(size["head"], size["up"]),
        "discriminator": shaken(ImageDiscriminator(16, last_side=size["last"], channel_base=64, channel_max=8)),
        "patch_discriminator": shaken(
            PatchDiscriminator(widths=[3, *halvings[:crops]], wide=5, features=4, hidden=(7, 6))
        ),
    }
    built = build(published(modules))
    assert built.format == "swapping_autoencoder" and "num_discriminator_iters" in built.dropped
    assert built.config == {name: net.config for name, net in modules.items()}
    side = max(size["side"], modules["encoder"].smallest)
    side += -side % modules["encoder"].step
    image = torch.rand(2, 3, side, side) * 2 - 1
    codes = modules["encoder"](image)
    for ours, theirs in zip(codes, built.modules["encoder"](image), strict=True):
        assert torch.equal(ours, theirs)
    noise = modules["generator"].draw_noise(*codes[0].shape[2:])
    picture = modules["generator"](*codes, noise=noise)
    assert picture.shape == image.shape
    assert torch.equal(picture, built.modules["generator"](*codes, noise=noise))
    scored = torch.rand(2, 3, 4 * size["last"], 4 * size["last"])
    assert torch.equal(modules["discriminator"](scored), built.modules["discriminator"](scored))
    crops = torch.rand(2, 1, 3, size["crop"], size["crop"])
    ours, theirs = (one["patch_discriminator"](crops, crops.flip(0)) for one in (modules, built.modules))
    assert ours.shape == (2, 1, 1) and torch.equal(ours, theirs)


def test_files_without_discriminators_and_without_filters() -> None:
    tensors = published({"encoder": encoder(), "generator": generator()})
    bare = {name: value for name, value in tensors.items() if not name.endswith("kernel")}
    assert set(build(tensors).modules) == set(build(bare).modules) == {"encoder", "generator"}


def test_codes_have_unit_length_and_means_are_renormalised() -> None:
    net = encoder()
    structure, texture = net(torch.rand(2, 3, 32, 48))
    assert structure.shape == (2, 3, 8, 12) and texture.shape == (2, 12)
    torch.testing.assert_close(structure.square().sum(1), torch.ones(2, 8, 12))
    torch.testing.assert_close(texture.square().sum(1), torch.ones(2))
    draw = generator()
    torch.testing.assert_close(draw(3 * structure, 0.2 * texture, noise="none"), draw(structure, texture, noise="none"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_unit_length_at_the_ends_of_a_precisions_range(dtype: torch.dtype) -> None:
    # nothing, less than half precision can square, and more
    code = torch.tensor([[0.0, 0.0], [3e-3, 4e-3], [300.0, -400.0]], dtype=dtype)
    wanted = torch.tensor([[0.0, 0.0], [0.6, 0.8], [0.6, -0.8]])
    torch.testing.assert_close(unit_length(code).float(), wanted, atol=0.01, rtol=0)
    assert unit_length(code).dtype == dtype


def test_a_flat_map_of_textures_is_the_texture() -> None:
    net = generator()
    structure, texture = torch.randn(2, 3, 8, 6), torch.randn(2, 12)
    whole = net(structure, texture, noise="none")
    flat = texture[:, :, None, None].expand(-1, -1, 4, 3)
    torch.testing.assert_close(net(structure, flat, noise="none"), whole, atol=1e-5, rtol=1e-4)


def test_a_map_of_textures_changes_its_place_only() -> None:
    net = generator(head_widths=(8,), widths=(5,))
    structure, texture = torch.randn(1, 3, 32, 32), torch.randn(2, 12)
    halves = torch.cat([one[None, :, None, None].expand(-1, -1, 32, 16) for one in texture], 3)
    mixed = net(structure, halves, noise="none")
    left, right = (net(structure, one[None], noise="none") for one in texture)
    torch.testing.assert_close(mixed[..., :16], left[..., :16], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(mixed[..., -16:], right[..., -16:], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(left, right, atol=0.1)


def test_noise() -> None:
    net = generator()
    codes = torch.randn(1, 3, 4, 4), torch.randn(1, 12)
    assert not torch.equal(net(*codes), net(*codes))
    same = [net.draw_noise(4, 4, generator=torch.Generator().manual_seed(7)) for _ in range(2)]
    assert [tuple(one.shape[2:]) for one in same[0]] == [(4, 4)] * 4 + [(8, 8)] * 2 + [(16, 16)] * 2
    assert torch.equal(net(*codes, noise=same[0]), net(*codes, noise=same[1]))
    for wrong in ("loud", same[0][:3]):
        with pytest.raises(ValueError, match="8 maps"):
            net(*codes, noise=wrong)


def test_picture_sizes() -> None:
    net = encoder()
    assert (net.step, net.smallest) == (4, 28)
    net(torch.rand(1, 3, 28, 60))
    for size in ((24, 64), (30, 64)):
        with pytest.raises(ValueError, match="multiples of 4"):
            net(torch.rand(1, 3, *size))


def test_patch_scores_by_pair_and_by_mean() -> None:
    net = shaken(PatchDiscriminator(widths=(3, 4), wide=6, features=4, hidden=(8,)))
    reference, target = torch.rand(2, 5, 3, 8, 8), torch.rand(2, 5, 3, 8, 8)
    pairs = net(reference, target, aggregate=False)
    torch.testing.assert_close(pairs[1, 3:4], net(reference[1:, 3:4], target[1:, 3:4])[0])
    means = net(reference, target)
    torch.testing.assert_close(means, net(reference.flip(1), target))  # which crop comes first does not matter
    assert not torch.allclose(means, pairs)
    assert net(reference[:, :3], target).shape == (2, 5, 1)
    with pytest.raises(ValueError, match="crops"):
        net.describe(torch.rand(2, 3, 8, 8))


def test_scores_do_not_depend_on_the_batch() -> None:
    net = shaken(ImageDiscriminator(16, channel_base=64, channel_max=8))
    images = torch.rand(4, 3, 16, 16)
    torch.testing.assert_close(net(images)[:1], net(images[:1]))
    again = ImageDiscriminator(**net.config)
    again.load_state_dict(net.state_dict())


def test_everything_learns() -> None:
    reads, draws = encoder().requires_grad_(True), generator().requires_grad_(True)
    structure, texture = reads(torch.rand(2, 3, 32, 32))
    draws(structure, texture).square().mean().backward()
    for net in (reads, draws):
        assert [name for name, parameter in net.named_parameters() if parameter.grad is None] == []
    for net in (reads, draws):
        type(net)(**net.config).load_state_dict(net.state_dict())
    torch.testing.assert_close(unit_length(structure), structure)


def test_what_does_not_fit_is_refused() -> None:
    whole = published({"encoder": encoder(), "generator": generator()})
    changes = {
        "lacks": {"E.ToSpatialCode.1.Conv.weight": None},
        "no place": {"G.HeadResnetBlock0.surprise": torch.ones(1)},
        "filter": {"E.DownToSpatialCode.ResBlockDownBy1.conv2.Blur.kernel": torch.ones(3, 3)},
        "shape": {"G.SpatialCodeModulation.bias.bias": torch.ones(9)},
    }
    for words, change in changes.items():
        changed = {name: value for name, value in {**whole, **change}.items() if value is not None}
        with pytest.raises(BadCheckpoint, match=words):
            build(changed)
    with pytest.raises(BadCheckpoint, match="different sizes"):
        build(published({"encoder": encoder(), "generator": generator(structure_dim=4)}))
    with pytest.raises(BadCheckpoint, match="another size"):
        build(published({"encoder": encoder(), "generator": generator(widths=(5,))}))
