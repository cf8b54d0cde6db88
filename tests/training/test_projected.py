"""The projected discriminator, its augmentation, and the step that trains against it."""

import torch

from gan_core.features import CHANNELS, EfficientNetLite0
from gan_core.training import distributed
from gan_core.training.diff_augment import diff_augment
from gan_core.training.projected import MIXED, FrozenProjection, ProjectedDiscriminator
from gan_core.training.stylegan2.settings import GanSettings
from gan_core.training.stylegan2.step import GanTrainer

TINY = {"z_dim": 8, "w_dim": 8, "mapping_layers": 2, "channel_base": 256, "channel_max": 16, "batch": 4}


def random_features(seed: int = 0) -> EfficientNetLite0:
    """The architecture with random weights: what the trainer needs no ImageNet for."""
    generator = torch.Generator().manual_seed(seed)
    net = EfficientNetLite0()
    for buffer in net.buffers():
        fan_in = max(buffer[0].numel() if buffer.ndim > 1 else 1, 1)
        buffer.copy_(torch.randn(buffer.shape, generator=generator) * (2 / fan_in) ** 0.5 * (buffer.ndim > 1))
    return net.eval()


def test_projection_mixes_channels_and_scales() -> None:
    projection = FrozenProjection(random_features())
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    maps = projection(images)
    assert [tuple(m.shape[1:]) for m in maps] == [
        (c, 64 // s, 64 // s) for c, s in zip(MIXED, (4, 8, 16, 32), strict=True)
    ]
    # The finest map sees the coarsest features: a change of those alone reaches it.
    fine = projection.features.maps(images)
    changed = [*fine[:3], fine[3] + 1]
    projection.features.maps = lambda *_: changed
    assert not torch.allclose(projection(images)[0], maps[0])
    assert len(CHANNELS) == len(maps)


def test_projection_is_the_same_in_every_process() -> None:
    first, second = FrozenProjection(random_features()), FrozenProjection(random_features())
    assert torch.equal(first.across_scales_2, second.across_scales_2)
    assert not any(p.requires_grad for p in first.parameters())


def test_discriminator_tells_two_kinds_apart() -> None:
    torch.manual_seed(0)
    projection, net = FrozenProjection(random_features()), ProjectedDiscriminator(64)
    adam = torch.optim.Adam(net.parameters(), 1e-3, betas=(0.0, 0.99))
    bright, dark = torch.rand(8, 3, 64, 64), -torch.rand(8, 3, 64, 64)
    real, fake = projection(bright), projection(dark)
    before = net.losses(real, fake).item()
    for _ in range(8):
        adam.zero_grad()
        net.losses(real, fake).backward()
        adam.step()
    assert net.losses(real, fake).item() < 0.6 * before
    assert net.generator_loss(fake, real) < net.generator_loss(real, fake)


def test_spectral_norm_is_bounded() -> None:
    net = ProjectedDiscriminator(64)
    for _ in range(20):  # the power iteration converges
        net([torch.randn(2, c, s, s) for c, s in zip(MIXED, (16, 8, 4, 2), strict=True)])
    weight = net.scales[0].body[0].weight.detach().flatten(1)
    assert 0.9 < torch.linalg.matrix_norm(weight, 2) < 1.1


def test_diff_augment_is_differentiable_and_different_for_each_picture() -> None:
    torch.manual_seed(0)
    images = torch.zeros(6, 3, 32, 32).add(0.3).requires_grad_()
    out = diff_augment(images)
    assert out.shape == images.shape
    assert out.flatten(1).std(0).max() > 0.05
    out.sum().backward()
    assert torch.isfinite(images.grad).all() and images.grad.abs().sum() > 0
    blank = (out == 0).all(1).float().mean((1, 2))  # cut out, or come in from outside
    assert ((blank > 0.02) & (blank < 0.8)).all()


def trainer(monkeypatch, **changes) -> GanTrainer:
    monkeypatch.setattr("gan_core.training.stylegan2.step.load_features", random_features)
    torch.manual_seed(0)
    settings = GanSettings(resolution=32, projected_weight=1.0, **{**TINY, **changes})
    pictures = torch.randint(0, 255, (8, 3, 32, 32), dtype=torch.uint8)
    return GanTrainer(settings, pictures, distributed.init("cpu"))


def test_step_trains_all_three_networks(monkeypatch) -> None:
    trained = trainer(monkeypatch)
    before = [flat.parameters[0].detach().clone() for flat in trained.gradients]
    trained.step()
    trained.step()
    assert len(trained.gradients) == 3
    for old, flat in zip(before, trained.gradients, strict=True):
        assert not torch.equal(old, flat.parameters[0])
    stats = trained.read_stats()
    assert stats["loss_projected"] > 0 and stats["dropped"] == 0


def test_generator_learns_from_the_features_alone(monkeypatch) -> None:
    """With the pixel discriminator's weight at zero the generator still gets a gradient."""
    trained = trainer(monkeypatch, pixel_weight=0.0)
    trained.step()
    assert trained.generator_flat.buffer.abs().sum() > 0


def test_checkpoint_keeps_the_projected_part(monkeypatch, tmp_path) -> None:
    first, second = trainer(monkeypatch), trainer(monkeypatch)
    for _ in range(2):
        first.step()
    first.save_state(tmp_path / "state.pt")
    second.load_state(tmp_path / "state.pt")
    for a, b in zip(first.projected.state_dict().values(), second.projected.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    first.save(tmp_path)
    assert (tmp_path / "projected.safetensors").is_file()


def test_diverged_training_ends(monkeypatch) -> None:
    """Gradients that are not finite are dropped and counted; when they persist the run ends with a sentence."""
    import pytest

    from gan_core.errors import TrainingDiverged

    trained = trainer(monkeypatch)
    weight = trained.generator.synthesis
    kept = [p.detach().clone() for p in trained.generator_flat.parameters]
    monkeypatch.setattr(trained, "_generator_losses", lambda fakes: fakes.sum() * float("nan"))
    trained.step()
    assert weight is trained.generator.synthesis
    for old, p in zip(kept, trained.generator_flat.parameters, strict=True):
        assert torch.equal(old, p)  # nothing was learned from it
    trained.step()
    with pytest.raises(TrainingDiverged, match="not finite"):
        trained.read_stats()
