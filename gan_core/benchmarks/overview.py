"""Times of the app's costly tasks, one line each, compared with their goals.

    python -m gan_core.benchmarks.overview

Times are medians of repeated runs after warm-up, by CUDA events on a GPU and by the clock on the CPU; networks have the
published sizes and random weights, on which the time does not depend. cuDNN's search for the fastest algorithms is on;
in the app it is off, because it would cost seconds at the first use and gain a few hundredths of a second.
`--stylegan2`, `--hfgi` and `--swapping` name checkouts of the authors' code, which is then timed in the same run; the
ratio is printed.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from gan_core.benchmarks.authors import time_authors
from gan_core.benchmarks.timer import Work, measure, place
from gan_core.e4e.networks import Encoder4Editing
from gan_core.graphs import Captured
from gan_core.hfgi.networks import ConsultationEncoder, DistortionAlignment
from gan_core.hfgi.pipeline import HFGIPipeline
from gan_core.stylegan2 import Generator
from gan_core.stylegan2.fused import FusedSynthesis
from gan_core.swapping_autoencoder import networks as swapping
from gan_core.swapping_autoencoder.pipeline import SwappingAutoencoderPipeline
from ops_cuda import status


@dataclass(frozen=True)
class Benchmark:
    """A task to time: `make(device)` prepares it and returns the function to run."""

    name: str
    make: Callable[[torch.device], Work]
    pictures: int = 1
    gpu_goal: float | None = None  # milliseconds a picture on one H200
    cpu_goal: float | None = None  # on two CPU cores
    measured: float | None = None  # the authors' code on one H200, with its compiled kernels


def published_generator(device: torch.device) -> Generator:
    """StyleGAN2 for 1024 px, channel_base 32768."""
    torch.manual_seed(0)
    return Generator(1024).eval().requires_grad_(False).to(device, memory_format=torch.channels_last)


def codes_of(generator: Generator, count: int) -> Tensor:
    """Random latents (count, num_ws, w_dim)."""
    z = torch.randn(count, generator.config["z_dim"], device=generator.mapping.w_avg.device)
    return generator.broadcast(generator.mapping(z)).contiguous()


def synthesis(batch: int) -> Callable[[torch.device], Work]:
    """Pictures from w+."""

    def make(device: torch.device) -> Work:
        generator = published_generator(device)
        codes = codes_of(generator, batch)
        if device.type == "cpu":
            return lambda: generator.synthesis(codes)
        draw = Captured(FusedSynthesis(generator.synthesis))
        return lambda: draw(codes)

    return make


def latent_step(device: torch.device) -> Work:
    """Forward and backward to w of one picture: a step of latent optimisation."""
    generator = published_generator(device)
    codes = codes_of(generator, 1)
    target = torch.randn(1, 3, 1024, 1024, device=device)
    dtype = torch.bfloat16 if device.type == "cuda" else None  # small gradients would underflow in float16

    def gradient(codes: Tensor) -> Tensor:
        with torch.enable_grad():
            codes = codes.detach().requires_grad_()
            loss = (generator.synthesis(codes, dtype=dtype) - target).square().mean()
            return torch.autograd.grad(loss, codes)[0]

    step = Captured(gradient)
    return lambda: step(codes)


def hfgi(*, slider_only: bool) -> Callable[[torch.device], Work]:
    """HFGI's published networks: encode, decode, align, consult, decode; or only the part for a moved slider."""

    def make(device: torch.device) -> Work:
        generator = published_generator(device)
        modules = Encoder4Editing(), DistortionAlignment(), ConsultationEncoder()
        pipeline = HFGIPipeline(generator, *modules, torch.zeros(18, 512), {}, device=device)
        face = torch.rand(1, 3, 256, 256, device=device) * 2 - 1

        def slide(codes: Tensor, distortion: Tensor) -> Tensor:
            return pipeline.decode(codes, pipeline.consult(pipeline.align(distortion, pipeline.decode(codes))))

        codes = codes_of(generator, 1)
        if slider_only:
            return lambda: slide(codes, face)
        return lambda: slide(pipeline.encode(face) + pipeline.latent_avg, face)

    return make


def swap(side: int) -> Callable[[torch.device], Work]:
    """Swapping Autoencoder as published for churches: two pictures encoded, one decoded."""

    def make(device: torch.device) -> Work:
        torch.manual_seed(0)
        pipeline = SwappingAutoencoderPipeline(swapping.Encoder(), swapping.SwappingGenerator(), device=device)
        pictures = torch.rand(2, 3, side, side, device=device) * 2 - 1

        def work() -> Tensor:
            structure, texture = pipeline.read(pictures)
            return pipeline.render(structure[:1], texture[1:])

        return work

    return make


BENCHMARKS = {
    "synthesis": Benchmark("StyleGAN2 1024, batch 1", synthesis(1), gpu_goal=1.9, measured=12.2),
    "synthesis16": Benchmark("StyleGAN2 1024, batch 16", synthesis(16), 16, gpu_goal=1.0, measured=3.49),
    "latent": Benchmark("latent step 1024, forward and backward", latent_step, gpu_goal=6.0, measured=34.5),
    "hfgi": Benchmark("HFGI edit 1024", hfgi(slider_only=False), gpu_goal=6.0, cpu_goal=5000, measured=50.8),
    "slider": Benchmark("HFGI 1024, slider moved", hfgi(slider_only=True), gpu_goal=4.0),
    "swap": Benchmark("Swapping Autoencoder 512", swap(512), gpu_goal=2.5, cpu_goal=4000, measured=14.6),
}
CHECKOUTS = {
    "stylegan2": "NVlabs/stylegan2-ada-pytorch",
    "hfgi": "Tengfei-Wang/HFGI",
    "swapping": "taesungp/swapping-autoencoder-pytorch",
}
CPU_BENCHMARKS = ("hfgi", "slider", "swap")


def timed(
    names: list[str], device: torch.device, repeats: int, checkouts: dict[str, Path]
) -> Iterator[tuple[Benchmark, list[float], float | None]]:
    """Benchmark, milliseconds a picture of each run, and the median of the authors' code where there is a checkout."""
    gpu = device.type == "cuda"
    repeats = repeats if gpu else max(3, repeats // 10)
    for name in names:
        task = BENCHMARKS[name]
        work = task.make(device)
        with torch.inference_mode(not gpu):
            found = measure(work, device, repeats=repeats, warm_up=5 if gpu else 1, events=True)
        del work
        if gpu:
            torch.cuda.empty_cache()
        theirs = time_authors(name, checkouts, device, repeats)
        authors = None if theirs is None else statistics.median(theirs) / task.pictures
        yield task, [1000 * t / task.pictures for t in found.raw_times], authors


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--only", nargs="*", choices=list(BENCHMARKS), help="these tasks; all that the device is asked for"
    )
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--threads", type=int, default=2, help="on the CPU")
    for name, what in CHECKOUTS.items():
        parser.add_argument(f"--{name}", type=Path, help=f"checkout of {what}")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    args = parser.parse_args()
    device = torch.device(args.device)
    gpu = device.type == "cuda"
    torch.set_num_threads(args.threads)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    where = place(device)
    print(f"{where}, PyTorch {torch.__version__}, operations: {status().name}")  # noqa: T201
    numbers: dict[str, object] = {"where": where}
    names = args.only or (list(BENCHMARKS) if gpu else list(CPU_BENCHMARKS))
    checkouts = {name: getattr(args, name) for name in CHECKOUTS if getattr(args, name) is not None}
    for task, times, authors in timed(names, device, args.repeats, checkouts):
        median, goal = statistics.median(times), task.gpu_goal if gpu else task.cpu_goal
        line = f"{task.name:42s} {median:9.2f} ms ({min(times):.2f} to {max(times):.2f})"
        line += f", goal {goal:g}: {'reached' if median <= goal else 'MISSED'}" if goal else ""
        if authors is not None:
            line += f"; authors' code {authors:.2f}, {authors / median:.1f} times as long"
        elif gpu and task.measured:
            line += f"; authors' code was measured at {task.measured:g} on an H200"
        print(line, flush=True)  # noqa: T201
        numbers[task.name] = {"ours": median, "authors": authors}
    if args.json:
        args.json.write_text(json.dumps(numbers, indent=1))


if __name__ == "__main__":
    main()
