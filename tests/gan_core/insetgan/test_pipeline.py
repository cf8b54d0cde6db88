"""The pipeline on small random networks: sources, modes, projection, distances and what is refused."""

import pytest
import torch

from gan_core import perceptual as perceptual_module
from gan_core.errors import BadValue, UnknownName, WeightsMissing
from gan_core.insetgan import regions
from gan_core.insetgan.latents import Schedule
from gan_core.insetgan.pipeline import MODES, CompositionRequest, LatentSource, Part, load_embedded
from gan_core.perceptual import AlexNetDistance, DiscriminatorDistance, perceptual
from gan_core.stylegan2 import Discriminator
from tests.gan_core.insetgan import small

SHORT = Schedule(steps=4, preview=2, frame=4)


@pytest.fixture
def studio():
    return small.pipeline()


def test_same_seed_same_picture_and_truncation(studio) -> None:
    a, b, other = (studio.draw("body", LatentSource(seed)).image for seed in (3, 3, 4))
    assert torch.equal(a, b) and not torch.equal(a, other)
    mean = studio.canvas.mapping.w_avg
    spreads = [
        (studio.draw("face", LatentSource(3, psi)).codes - studio.inset.mapping.w_avg).norm() for psi in (0.0, 0.5, 1)
    ]
    assert spreads[0] == 0 and spreads[1] == pytest.approx(float(spreads[2]) / 2, rel=1e-4)
    layered = studio.draw("body", LatentSource(3, (1.0, 0.0))).codes - mean
    assert layered[0, -1].abs().max() < 1e-6 < layered[0, 0].abs().max()


@pytest.mark.parametrize("mode", MODES)
def test_modes_move_what_they_say(studio, mode) -> None:
    first, *_, last = studio.compose(CompositionRequest(LatentSource(1), LatentSource(2), mode=mode, schedule=SHORT))
    changed = [not torch.equal(a, b) for a, b in zip(first.best.codes, last.best.codes, strict=True)]
    assert changed == [MODES[mode].canvas, MODES[mode].inset]


def test_a_refined_face_starts_from_the_mean_unless_given(studio) -> None:
    first = next(studio.compose(CompositionRequest(LatentSource(1), LatentSource(2), mode="face", schedule=SHORT)))
    assert torch.allclose(first.best.codes[1], studio.inset.broadcast(studio.inset.mapping.w_avg[None]))
    codes = studio.draw("face", LatentSource(2)).codes
    first = next(
        studio.compose(CompositionRequest(LatentSource(1), LatentSource(codes=codes), mode="face", schedule=SHORT))
    )
    assert torch.equal(first.best.codes[1], codes)


def test_a_second_inset(studio) -> None:
    last = list(
        studio.compose(
            CompositionRequest(
                LatentSource(1), LatentSource(2), parts=(Part("mouth", LatentSource(3)),), schedule=SHORT
            )
        )
    )[-1]
    assert len(last.best.insets) == 2 and len(last.best.placements) == 2


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        (CompositionRequest(LatentSource(1), LatentSource(2), mode="both"), UnknownName, "no mode"),
        (CompositionRequest(LatentSource(1), LatentSource(2), region="ears"), UnknownName, "no region"),
        (
            CompositionRequest(LatentSource(1), LatentSource(2), parts=(Part("ears", LatentSource(1)),)),
            UnknownName,
            "no region",
        ),
        (CompositionRequest(LatentSource(-1), LatentSource(2)), BadValue, "seed"),
        (CompositionRequest(LatentSource(1), LatentSource(2, 1.5)), BadValue, "Truncation"),
        (CompositionRequest(LatentSource(1), LatentSource(2, float("nan"))), BadValue, "Truncation"),
        (CompositionRequest(LatentSource(1), LatentSource(codes=torch.zeros(1, 3, 16))), BadValue, "shape"),
        (CompositionRequest(LatentSource(1), LatentSource(2), schedule=Schedule(steps=0)), BadValue, "steps"),
        (CompositionRequest(LatentSource(1), LatentSource(2), schedule=Schedule(steps=100_000)), BadValue, "steps"),
        (
            CompositionRequest(LatentSource(1), LatentSource(2), region="outline"),
            UnknownName,
            "no region",
        ),  # without a head finder
    ],
)
def test_wrong_requests_are_explained(studio, asked, error, words) -> None:
    with pytest.raises(error, match=words):
        next(studio.compose(asked))


def test_projection_finds_a_picture_of_the_generator(studio) -> None:
    target = studio.draw("body", LatentSource(7, 0.8)).image
    reports = list(studio.project_body(target, steps=24))
    errors = [float((report.image - target).abs().mean()) for report in reports]
    assert (
        len(errors) == 24 // 4
        and errors[-1] < 0.8 * float((studio.draw("body", LatentSource(0, 0.0)).image - target).abs().mean())
        and reports[-1].done
        and reports[-1].codes.shape == (1, 10, 16)
    )
    start = studio.draw("body", LatentSource(7, 0.8)).codes
    near = next(studio.project_face(studio.draw("face", LatentSource(1)).image, start=start, steps=1))
    assert (near.codes - start).abs().max() < 0.3
    with pytest.raises(BadValue, match="pixels"):
        next(studio.project_body(torch.zeros(1, 3, 32, 64)))


def test_embedded_distance_is_zero_for_the_same_and_minds_the_mask() -> None:
    features = small.features()
    a, b = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
    assert features.distance(features.maps(a), features.maps(a)) == 0
    half = b.clone()
    half[..., :32] = a[..., :32]
    left = torch.zeros(1, 1, 64, 64)
    left[..., :16] = 1
    whole, masked = (features.distance(features.maps(a), features.maps(half), mask) for mask in (None, left))
    assert masked < 0.2 * whole


def test_lpips_is_taken_where_its_files_are(tmp_path, monkeypatch) -> None:
    discriminator = Discriminator(64, channel_base=512, channel_max=16)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert isinstance(perceptual(discriminator), DiscriminatorDistance)
    shapes = {0: (64, 3, 11, 11), 3: (192, 64, 5, 5), 6: (384, 192, 3, 3), 8: (256, 384, 3, 3), 10: (256, 256, 3, 3)}
    state = {f"features.{i}.weight": 0.05 * torch.randn(shape) for i, shape in shapes.items()}
    state |= {f"features.{i}.bias": torch.zeros(shape[0]) for i, shape in shapes.items()}
    (tmp_path / "checkpoints").mkdir()
    torch.save(state, tmp_path / "checkpoints" / perceptual_module.ALEXNET)
    monkeypatch.setattr(perceptual_module, "_linear_weights", lambda: None)
    distance = perceptual(discriminator)
    assert isinstance(distance, AlexNetDistance) and "not LPIPS" in distance.name
    a, b = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
    assert distance.distance(distance.maps(a), distance.maps(b)) > 0
    linear = {f"lin{i}.model.1.weight": torch.rand(1, shape[0], 1, 1) for i, shape in enumerate(shapes.values())}
    monkeypatch.setattr(perceptual_module, "_linear_weights", lambda: linear)
    assert perceptual(discriminator).name == "LPIPS (AlexNet)"
    (tmp_path / "checkpoints" / perceptual_module.ALEXNET).write_bytes(b"no checkpoint")
    assert isinstance(perceptual(discriminator), DiscriminatorDistance)


def test_lpips_agrees_with_its_package(tmp_path, monkeypatch) -> None:
    import lpips
    import torchvision

    reference = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    names = {f"features.{i}": layer for i, layer in enumerate(torchvision.models.alexnet().features)}
    layers = [layer for part in (reference.net.slice1, reference.net.slice2, reference.net.slice3,
                                 reference.net.slice4, reference.net.slice5) for layer in part]  # fmt: skip
    convs = iter([layer for layer in layers if isinstance(layer, torch.nn.Conv2d)])
    state = {}
    for name, layer in names.items():
        if isinstance(layer, torch.nn.Conv2d):
            conv = next(convs)
            state |= {f"{name}.weight": conv.weight.data, f"{name}.bias": conv.bias.data}
    distance = AlexNetDistance(state, perceptual_module._linear_weights())
    a, b = torch.rand(1, 3, 64, 64) * 2 - 1, torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        expected = reference(a, b).item()
    assert distance.distance(distance.maps(a), distance.maps(b)).item() == pytest.approx(expected, rel=1e-3)


def test_missing_weights_are_said(tmp_path) -> None:
    with pytest.raises(WeightsMissing):
        load_embedded(tmp_path)


def test_regions_without_a_head_finder() -> None:
    assert "outline" in regions.REGIONS and "outline" not in small.pipeline().regions
