"""Codes, mixtures, regions, vectors and files of the pipeline, on small random networks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gan_core.checkpoints import store
from gan_core.errors import BadCheckpoint, BadImage, BadValue, UnknownName, WeightsMissing
from gan_core.swapping_autoencoder import pipeline as module
from gan_core.swapping_autoencoder.detail import with_detail_of
from gan_core.swapping_autoencoder.networks import Encoder, SwappingGenerator
from gan_core.swapping_autoencoder.pipeline import Direction, Mixture, SwappingAutoencoderPipeline

CODES = {"structure_dim": 4, "texture_dim": 12}


def networks(noise: float = 0.0) -> tuple[Encoder, SwappingGenerator]:
    torch.manual_seed(0)
    encoder = Encoder(widths=(4, 6, 8), texture_widths=(10,), **CODES)
    generator = SwappingGenerator(head_widths=(6,), widths=(6, 5), **CODES)
    with torch.no_grad():
        for block in (*generator.head, *generator.blocks):
            for conv in (block.conv1, block.conv2):
                conv.noise_strength.fill_(noise)
    return encoder, generator


def directions() -> dict[str, Direction]:
    torch.manual_seed(1)
    return {
        "warm": Direction("warm", "Warm", torch.randn(12)),
        "turn": Direction("turn", "Turn", torch.randn(4, 8, 8), kind="structure", low=-3, high=3),
    }


@pytest.fixture
def pipe() -> SwappingAutoencoderPipeline:
    return SwappingAutoencoderPipeline(*networks(), directions(), resolution=32)


def picture(height: int = 32, width: int = 32, seed: int = 0) -> torch.Tensor:
    low = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(low, (height, width), mode="bilinear", align_corners=False)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (12, 90)])
def test_any_size_comes_back_at_its_size(pipe: SwappingAutoencoderPipeline, size: tuple[int, int]) -> None:
    codes = pipe.encode(picture(*size))
    assert codes.size == size and codes.structure.shape[-2:] == (-(-size[0] // 4), -(-size[1] // 4))
    drawn = pipe.draw(codes, [pipe.encode(picture(40, 24, seed=1))])
    assert drawn.shape == (1, 3, *size) and drawn.abs().max() <= 1


def test_a_size_that_fits_is_the_networks_own_result(pipe: SwappingAutoencoderPipeline) -> None:
    image = picture()
    structure, texture = pipe.encoder(image)
    expected = pipe.generator(structure, texture, noise="none").clamp(-1, 1)
    assert torch.allclose(pipe.draw(pipe.encode(image)), expected, atol=1e-6)


def test_amount_goes_from_reconstruction_to_swap(pipe: SwappingAutoencoderPipeline) -> None:
    first, other = pipe.encode(picture()), pipe.encode(picture(seed=1))
    none, some, whole = (pipe.draw(first, [other], Mixture(amount=a)) for a in (0.0, 0.5, 1.0))
    assert torch.equal(none, pipe.draw(first))
    swapped = pipe.generator(first.structure, other.texture, noise="none").clamp(-1, 1)
    assert torch.allclose(whole, swapped, atol=1e-5)
    assert (some - none).abs().mean() < (whole - none).abs().mean()


def test_several_textures(pipe: SwappingAutoencoderPipeline) -> None:
    first, a, b = (pipe.encode(picture(seed=i)) for i in range(3))
    alone = pipe.draw(first, [b])
    assert torch.allclose(pipe.draw(first, [a, b], Mixture(weights=(0, 2))), alone, atol=1e-6)
    mixed = pipe.mix([a.texture, b.texture], [1, 3])
    expected = torch.nn.functional.normalize(0.25 * a.texture + 0.75 * b.texture)
    assert torch.allclose(mixed, expected, atol=1e-5)
    assert torch.allclose(mixed, pipe.mix([a.texture, b.texture], [10, 30]), atol=1e-6)


@pytest.mark.parametrize(
    ("weights", "words"),
    [((0, 0), "weight 0"), ((1,), "2 textures"), ((-1, 2), "from 0"), ((float("nan"), 1), "from 0")],
)
def test_bad_weights(pipe: SwappingAutoencoderPipeline, weights: tuple, words: str) -> None:
    codes = pipe.encode(picture())
    with pytest.raises(BadValue, match=words):
        pipe.draw(codes, [codes, codes], Mixture(weights=weights))


def test_region_changes_only_what_is_painted(pipe: SwappingAutoencoderPipeline) -> None:
    first, other = pipe.encode(picture(96, 96)), pipe.encode(picture(96, 96, seed=1))
    mask = torch.zeros(96, 96)
    mask[:, :24] = 1
    own, whole = pipe.draw(first), pipe.draw(first, [other])
    change = (whole - own).abs().mean()
    for region in ("texture", "structure", "both"):
        part = pipe.draw(first, [other], Mixture(mask=mask, region=region, feather=0.01))
        assert (part - own)[..., :24].abs().mean() > 0.2 * change
        assert (part - own)[..., 72:].abs().mean() < 0.02 * change
    everywhere = pipe.draw(first, [other], Mixture(mask=torch.ones(96, 96)))
    assert torch.allclose(everywhere, whole, atol=1e-4)
    nowhere = pipe.draw(first, [other], Mixture(mask=torch.zeros(96, 96)))
    assert torch.allclose(nowhere, own, atol=1e-4)


def test_feather_softens(pipe: SwappingAutoencoderPipeline) -> None:
    first = pipe.encode(picture(96, 96))
    mask = torch.zeros(96, 96)
    mask[:, 48:] = 1
    hard, soft = (pipe._mask(Mixture(mask=mask, feather=f), first, 1)[0, 0, 12] for f in (0.0, 0.1))
    assert hard.unique().tolist() == [0, 1]
    assert (soft.diff() >= -1e-6).all() and ((soft > 0.05) & (soft < 0.95)).sum() >= 6


def test_mask_fits_the_picture_not_the_padding(pipe: SwappingAutoencoderPipeline) -> None:
    first, other = pipe.encode(picture(33, 47)), pipe.encode(picture(seed=1))
    painted = pipe.draw(first, [other], Mixture(mask=torch.ones(33, 47)))
    assert torch.allclose(painted, pipe.draw(first, [other]), atol=1e-4)
    with pytest.raises(BadValue, match="mask"):
        pipe.draw(first, [other], Mixture(mask=torch.ones(36, 48)))


def test_directions_and_vectors(pipe: SwappingAutoencoderPipeline) -> None:
    first = pipe.encode(picture(48, 32))
    own = pipe.draw(first)
    assert torch.equal(pipe.draw(first, [], Mixture(strengths={"warm": 0.0})), own)
    warm = pipe.draw(first, [], Mixture(strengths={"warm": 1.0}))
    vector = pipe.directions["warm"].vector
    assert torch.allclose(pipe.draw(first, [], Mixture(vectors=[(vector, 1.0)])), warm, atol=1e-6)
    turned = pipe.draw(first, [], Mixture(strengths={"turn": 2.0}))
    assert (warm - own).abs().mean() > 0.01 < (turned - own).abs().mean()


@pytest.mark.parametrize(
    ("mixture", "error"),
    [
        (Mixture(amount=1.2), BadValue),
        (Mixture(amount=float("nan")), BadValue),
        (Mixture(strengths={"warm": 5.0}), BadValue),
        (Mixture(strengths={"warm": float("nan")}), BadValue),
        (Mixture(strengths={"cold": 1.0}), UnknownName),
        (Mixture(region="sky"), UnknownName),
        (Mixture(vectors=[(torch.zeros(12), 9.0)]), BadValue),
    ],
)
def test_bad_mixtures(pipe: SwappingAutoencoderPipeline, mixture: Mixture, error: type[Exception]) -> None:
    with pytest.raises(error):
        pipe.draw(pipe.encode(picture()), [], mixture)


def test_difference_of_two_sets(pipe: SwappingAutoencoderPipeline) -> None:
    a, b, c = (pipe.encode(picture(seed=i)) for i in range(3))
    vector = pipe.difference([a, b], [c])
    assert torch.allclose(vector, ((a.texture + b.texture) / 2 - c.texture)[0], atol=1e-5)
    with pytest.raises(BadValue, match="each of the two sets"):
        pipe.difference([a], [])


def test_detail_of_the_first_picture(pipe: SwappingAutoencoderPipeline) -> None:
    image = picture(96, 96) + 0.1 * torch.randn(1, 1, 96, 96, generator=torch.Generator().manual_seed(3))
    image = image.clamp(-1, 1)
    first, other = pipe.encode(image), pipe.encode(picture(96, 96, seed=1))
    raw, half, full = (pipe.draw(first, [other], Mixture(detail=d)) for d in (0.0, 0.5, 1.0))
    assert torch.allclose(half, (raw + full) / 2, atol=1e-5) and not torch.allclose(raw, full, atol=1e-2)
    photo = first.picture.float() / 127.5 - 1
    assert torch.allclose(photo, image, atol=0.005)
    assert torch.allclose(full, with_detail_of(photo, raw).clamp(-1, 1), atol=1e-5)
    # where the shapes are changed, the first picture's detail belongs elsewhere
    turned = [pipe.draw(first, [other], Mixture(detail=d, strengths={"turn": 1.0})) for d in (0.0, 1.0)]
    assert torch.equal(*turned)
    mask = torch.ones(96, 96)
    both = [pipe.draw(first, [other], Mixture(detail=d, mask=mask, region="both")) for d in (0.0, 1.0)]
    assert torch.equal(*both)
    with pytest.raises(BadValue, match="detail"):
        pipe.draw(first, [other], Mixture(detail=1.1))


def test_structure_picture(pipe: SwappingAutoencoderPipeline) -> None:
    codes = pipe.encode(picture(33, 47))
    shown = pipe.structure_picture(codes)
    assert shown.shape == (1, 3, 9, 12) and shown.abs().max() <= 1
    assert shown.flatten(2).std(2).min() > 0.05  # three colours that say something
    fixed = SwappingAutoencoderPipeline(*networks(), colours=torch.eye(3, 4))
    code = fixed.encode(picture(33, 47)).structure[0, :3]
    # the model's own components: each colour is one channel, centred
    ours = fixed.structure_picture(fixed.encode(picture(33, 47)))[0]
    assert torch.corrcoef(torch.stack([ours[1].flatten(), code[1].flatten()]))[0, 1] > 0.999


def test_noise_is_the_same_in_every_call() -> None:
    noisy = SwappingAutoencoderPipeline(*networks(noise=0.5))
    codes = noisy.encode(picture())
    assert torch.equal(noisy.draw(codes), noisy.draw(codes))
    quiet = SwappingAutoencoderPipeline(*networks(noise=0.0)).draw(codes)
    assert not torch.allclose(noisy.draw(codes), quiet, atol=1e-3)
    other = SwappingAutoencoderPipeline(*networks(noise=0.5), seed=1)
    assert not torch.allclose(noisy.draw(codes), other.draw(codes), atol=1e-3)


def test_bad_pictures(pipe: SwappingAutoencoderPipeline) -> None:
    with pytest.raises(BadImage, match="at least 12"):
        pipe.encode(picture(8, 40))
    with pytest.raises(ValueError, match="expected"):
        pipe.encode(torch.zeros(2, 3, 32, 32))


def test_codes_survive_a_move(pipe: SwappingAutoencoderPipeline) -> None:
    codes = pipe.encode(picture())
    moved = codes.to("meta")
    assert moved.texture.is_meta and moved.structure.is_meta and moved.picture.is_meta and moved.size == codes.size
    assert torch.equal(codes.to("cpu").texture, codes.texture)


def write_embedded(own: Path) -> None:
    encoder, generator = networks()
    for name, net in (("encoder", encoder), ("generator", generator)):
        store.save(own / f"{name}.safetensors", net.state_dict(), config={**net.config, "_training": {}}, half=False)
    entries = [
        {"name": d.name, "label": d.label, "kind": d.kind, "low": d.low, "high": d.high} for d in directions().values()
    ]
    tensors = {name: d.vector for name, d in directions().items()} | {"colours": torch.eye(3, 4)}
    store.save(own / "directions.safetensors", tensors, config={"directions": entries}, half=False)


def test_embedded_files(tmp_path: Path, pipe: SwappingAutoencoderPipeline) -> None:
    with pytest.raises(WeightsMissing):
        module.load_embedded(tmp_path)
    write_embedded(tmp_path)
    loaded = module.load_embedded(tmp_path)
    image, mixture = picture(), Mixture(strengths={"turn": 1.0, "warm": -1.0})
    assert torch.allclose(
        loaded.draw(loaded.encode(image), [], mixture), pipe.draw(pipe.encode(image), [], mixture), atol=1e-6
    )
    assert loaded.directions["turn"].high == 3 and loaded.colours.shape == (3, 4)
    path = tmp_path / "directions.safetensors"
    store.save(path, {"warm": torch.zeros(12)}, config={"directions": []})
    with pytest.raises(BadCheckpoint, match="directions"):
        module.load_embedded(tmp_path)
