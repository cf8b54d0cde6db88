"""A step replayed from CUDA graphs does what the same step does when it runs directly."""

import pytest
import torch

from gan_core.training import capture as capturing
from gan_core.training import distributed
from gan_core.training.stylegan2 import step as stepping
from gan_core.training.stylegan2.settings import GanSettings
from gan_core.training.stylegan2.step import GanTrainer
from tests.training.test_projected import random_features

pytestmark = pytest.mark.gpu


class InFloat32(GanTrainer):
    """In bfloat16 two direct runs already differ, by whether a hinge loss is just above or just below zero; TF32 and
    algorithms that cuDNN chooses by timing do the same (see `exact`)."""

    gpu_dtype = torch.float32


def trainer(monkeypatch, graphs: bool) -> GanTrainer:
    monkeypatch.setattr(stepping, "load_features", random_features)
    settings = GanSettings(
        resolution=32,
        z_dim=16,
        w_dim=16,
        mapping_layers=2,
        channel_base=512,
        channel_max=32,
        batch=8,
        penalty_every=2,  # so that one of two recordings runs in a step, whose memory the other may not reuse
        projected_weight=1.0,
        lr=1e-6,  # the networks hardly move: differences in rounding do not add up
        projected_lr=1e-6,
    )
    pictures = torch.randint(0, 255, (16, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    processes = distributed.init("cuda")
    exact(monkeypatch)  # afterwards: `init` chooses what is fast
    return InFloat32(settings, pictures, processes, graphs=graphs)


def exact(monkeypatch) -> None:
    """The same sums in the same order in every run."""
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    for name, value in (("allow_tf32", False), ("benchmark", False), ("deterministic", True)):
        monkeypatch.setattr(torch.backends.cudnn, name, value)


def trained(monkeypatch, graphs: bool, steps: int) -> tuple[list[list[torch.Tensor]], dict[str, float]]:
    """Gradients of the three networks after each step, and the means of the losses."""
    run = trainer(monkeypatch, graphs)
    run.generator.mapping.w_avg.zero_()  # the warm-up before the recording has moved it
    for vector in run.projected.buffers():  # and the spectral normalisation's vectors
        vector.fill_(vector.shape[0] ** -0.5)
    torch.manual_seed(5)
    history = []
    for _ in range(steps):
        run.step()
        history.append([flat.buffer.detach().float().clone() for flat in run.gradients])
    stats = run.read_stats()
    run.close()
    return history, stats


def test_replayed_steps_equal_direct_ones(monkeypatch) -> None:
    recorded = []
    plain = capturing.capture

    def watched(pieces):
        replays = plain(pieces)
        recorded.append(all(replays[name] is not piece for name, piece in pieces.items()))
        return replays

    monkeypatch.setattr(stepping, "capture", watched)
    direct, direct_stats = trained(monkeypatch, graphs=False, steps=4)
    replayed, replayed_stats = trained(monkeypatch, graphs=True, steps=4)
    assert recorded == [True]  # without this a recording that failed would be compared with itself
    for step, (a, b) in enumerate(zip(direct, replayed, strict=True)):
        for network, (x, y) in enumerate(zip(a, b, strict=True)):
            assert (x - y).norm() < 0.02 * x.norm(), (step, network)
    for name in ("loss_d", "loss_g", "penalty", "loss_projected"):
        assert replayed_stats[name] == pytest.approx(direct_stats[name], rel=0.05), name
    assert replayed_stats["dropped"] == 0
