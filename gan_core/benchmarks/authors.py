"""Times the authors' own code on the same work.

    python -m gan_core.benchmarks.overview --stylegan2 CHECKOUT

A checkout's modules have names like `models` and `util`, so each is run in a process of its own, which prints its
times as JSON on its last line. It calls the networks' classes with the published sizes and random weights. The
checkout's code is executed: name only checkouts that you trust.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor

from gan_core.benchmarks.timer import Work, measure
from gan_core.errors import BadValue

ROOT = Path(__file__).resolve().parents[2]


def _ready(module: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    return module.eval().requires_grad_(False).to(device)


def _stylegan2(device: torch.device) -> Callable[[int], tuple[torch.nn.Module, Tensor]]:
    from training.networks import Generator  # NVlabs/stylegan2-ada-pytorch

    options = {"channel_base": 32768, "channel_max": 512, "num_fp16_res": 4, "conv_clamp": 256}
    net = _ready(Generator(512, 0, 512, 1024, 3, mapping_kwargs={}, synthesis_kwargs=options), device)
    return lambda batch: (net, net.mapping(torch.randn(batch, 512, device=device), None))


def synthesis(device: torch.device, batch: int) -> Work:
    """NVIDIA's synthesis network."""
    net, codes = _stylegan2(device)(batch)
    return lambda: net.synthesis(codes, noise_mode="const")


def latent_step(device: torch.device) -> Work:
    """NVIDIA's synthesis network, forward and backward to w."""
    net, codes = _stylegan2(device)(1)
    target = torch.randn(1, 3, 1024, 1024, device=device)

    def work() -> Tensor:
        with torch.enable_grad():
            leaf = codes.detach().requires_grad_()
            loss = (net.synthesis(leaf, noise_mode="const") - target).square().mean()
            return torch.autograd.grad(loss, leaf)[0]

    return work


def hfgi(device: torch.device) -> Work:
    """HFGI's encoder, generator, alignment and consultation, as its models/psp.py calls them."""
    from models.encoders import psp_encoders  # Tengfei-Wang/HFGI
    from models.stylegan2.model import Generator

    encoder = _ready(psp_encoders.Encoder4Editing(50, "ir_se", SimpleNamespace(stylegan_size=1024)), device)
    consult, align = (_ready(net(), device) for net in (psp_encoders.ResidualEncoder, psp_encoders.ResidualAligner))
    decoder = _ready(Generator(1024, 512, 8, channel_multiplier=2), device)
    face = torch.rand(1, 3, 256, 256, device=device) * 2 - 1

    def draw(codes: Tensor, conditions: object) -> Tensor:
        options = {"input_is_latent": True, "randomize_noise": False, "return_latents": True}
        return decoder([codes], conditions, **options)[0]

    def work() -> Tensor:
        codes = encoder(face)
        small = torch.nn.functional.interpolate(draw(codes, None).clamp(-1, 1), size=(256, 256), mode="bilinear")
        return draw(codes, consult(align(torch.cat((face - small, small), 1))))

    return work


def swap(device: torch.device) -> Work:
    """The Swapping Autoencoder's encoder on two pictures of 512 px and its generator on one pair of codes."""
    from models.networks.encoder import StyleGAN2ResnetEncoder  # taesungp/swapping-autoencoder-pytorch
    from models.networks.generator import StyleGAN2ResnetGenerator

    options = SimpleNamespace(
        use_antialias=True, num_classes=0, spatial_code_ch=8, global_code_ch=2048,
        netE_scale_capacity=1.0, netE_num_downsampling_sp=4, netE_num_downsampling_gl=2, netE_nc_steepness=2.0,
        netG_scale_capacity=1.0, netG_num_base_resnet_layers=2, netG_use_noise=True, netG_resnet_ch=256,
    )  # fmt: skip
    encoder = _ready(StyleGAN2ResnetEncoder(options), device)
    generator = _ready(StyleGAN2ResnetGenerator(options), device)
    pictures = torch.rand(2, 3, 512, 512, device=device) * 2 - 1

    def work() -> Tensor:
        structure, texture = encoder(pictures)
        return generator(structure[:1], texture[1:])

    return work


MAKERS: dict[
    str, tuple[str, Callable[[torch.device], Work]]
] = {  # task of gan_core.benchmarks.overview -> checkout, what to run
    "synthesis": ("stylegan2", lambda device: synthesis(device, 1)),
    "synthesis16": ("stylegan2", lambda device: synthesis(device, 16)),
    "latent": ("stylegan2", latent_step),
    "hfgi": ("hfgi", hfgi),
    "swap": ("swapping", swap),
}


def time_authors(task: str, checkouts: dict[str, Path], device: torch.device, repeats: int) -> list[float] | None:
    """Milliseconds of each run of the authors' code for a task; None where no checkout was named for it.

    Raises:
        BadValue: the checkout's code failed; the message has its last line.
    """
    if task not in MAKERS or MAKERS[task][0] not in checkouts:
        return None
    folder = checkouts[MAKERS[task][0]]
    command = [
        sys.executable,
        "-m",
        "gan_core.benchmarks.authors",
        task,
        str(folder.resolve()),
        str(device),
        str(repeats),
    ]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        last = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise BadValue(f"The code in {folder} could not be run for {task!r}: {last}")
    return json.loads(result.stdout.strip().splitlines()[-1])


def main() -> None:
    """Run by `time_authors` in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=list(MAKERS))
    parser.add_argument("checkout", type=Path)
    parser.add_argument("device")
    parser.add_argument("repeats", type=int)
    args = parser.parse_args()
    sys.path.insert(0, str(args.checkout))
    device = torch.device(args.device)
    torch.backends.cudnn.benchmark = True
    with torch.no_grad():
        work = MAKERS[args.task][1](device)
        times = measure(work, device, repeats=args.repeats, events=True).raw_times
    print(json.dumps([1000 * seconds for seconds in times]))  # noqa: T201


if __name__ == "__main__":
    main()
