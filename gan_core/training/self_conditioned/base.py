"""The pretrained face generator and its encoder, from which the training starts."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from gan_core.checkpoints.embedded import build_from_file
from gan_core.e4e import encoding
from gan_core.stylegan2 import Generator


def add_base(parser: argparse.ArgumentParser) -> None:
    """The flags that say which generator is trained further."""
    parser.add_argument("--weights", type=Path, default=Path("weights"), help="folder of the weights")
    parser.add_argument("--base", default="people", help="name before _face (generator, discriminator) and _hfgi "
                        "(encoder): people, or portraits for the first generation (default: people)")  # fmt: skip


def base_file(args: argparse.Namespace, name: str) -> Path:
    """The file of the `generator` or the `discriminator`."""
    return args.weights / f"{args.base}_face" / f"{name}.safetensors"


def base_generator(args: argparse.Namespace) -> Generator:
    """The pretrained generator, not to be trained, on the CPU. Raises WeightsMissing or BadCheckpoint."""
    return build_from_file(Generator, base_file(args, "generator"), "generator")[0].eval().requires_grad_(False)


def base_encoder(args: argparse.Namespace, device: str | torch.device) -> encoding.Encode:
    """Its encoder, on a device. Raises WeightsMissing or BadCheckpoint."""
    return encoding.load_encoder(args.weights, f"{args.base}_hfgi", device=device)
