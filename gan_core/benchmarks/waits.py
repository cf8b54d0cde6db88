"""Seconds that a person waits for what each tab computes, on the embedded weights: `gan-studio bench waits`.

Pipelines only: no page, no face detection, no encoding of files. The first run of each prepares kernels and graphs, and
is printed apart from the median of the others. On a GPU the most memory that was allocated is printed, too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_core.benchmarks.timer import Work, clock, place
from gan_core.errors import WeightsMissing
from weights import catalogue

Works = Iterator[tuple[str, Work]]
_LARGE = (3000, 4000)
"""Height and width of a photo of 12 megapixels."""


def _photo(height: int, width: int, seed: int = 0) -> Tensor:
    """Soft shapes with edges and grain (3, height, width) in [-1, 1]."""
    draw = torch.Generator().manual_seed(seed)

    def layer(cells: int) -> Tensor:
        grid = torch.rand(1, 3, cells, cells, generator=draw) * 2 - 1
        return F.interpolate(grid, (height, width), mode="bicubic", align_corners=False)[0]

    shapes = torch.where(layer(9)[:1] > 0, layer(5), layer(24))
    return (0.7 * shapes + 0.05 * torch.randn(3, height, width, generator=draw)).clamp(-1, 1)


def faces(weights: Path, device: str) -> Works:
    """Edit a face."""
    from gan_core.hfgi.pipeline import load_embedded

    pipeline = load_embedded(weights, device=device)
    with torch.inference_mode():
        face = pipeline.decode(pipeline.random_codes(7)).float().clamp(-1, 1)
    inversion = pipeline.invert(face)
    yield "Edit a face: a new face", lambda: pipeline.invert(face)
    yield "Edit a face: a slider", lambda: pipeline.edit(inversion, {"smile": 2.0})
    yield "Edit a face: refine on this photo", lambda: list(pipeline.refine(inversion))


def holes(weights: Path, device: str) -> Works:
    """Fill a hole: one of about a tenth of the picture."""
    from gan_core.comodgan.pipeline import load_embedded

    pipeline = load_embedded(weights / "places_fill" / "generator.safetensors", framing="any", device=device)
    for name, (height, width) in (("1 megapixel", (900, 1200)), ("12 megapixels", _LARGE)):
        photo, hole = _photo(height, width), torch.zeros(1, height, width)
        hole[:, height // 3 : height // 3 + height // 4, width // 3 : width // 3 + 2 * width // 5] = 1

        def fill(photo: Tensor = photo, hole: Tensor = hole) -> Tensor:
            (done,) = pipeline.complete(pipeline.prepare(photo, hole), [0])
            return done.cpu()

        yield f"Fill a hole: 10 % of {name}", fill


def swaps(weights: Path, device: str) -> Works:
    """Swap structure and texture."""
    from gan_core.swapping_autoencoder.codes import Mixture
    from gan_core.swapping_autoencoder.pipeline import load_embedded

    pipeline = load_embedded(weights / "places_swap", device=device)
    pictures = [_photo(512, 768, seed)[None] for seed in (1, 2)]
    first, second = (pipeline.encode(picture) for picture in pictures)
    yield "Swap: read a picture of 768 x 512", lambda: pipeline.encode(pictures[0])
    yield "Swap: draw it with another texture", lambda: pipeline.draw(first, [second], Mixture(weights=(1.0,)))


def bodies(weights: Path, device: str) -> Works:
    """Compose a body, both generators optimised."""
    from gan_core.insetgan.bodies import load_bodies
    from gan_core.insetgan.latents import Schedule
    from gan_core.insetgan.pipeline import CompositionRequest
    from gan_core.insetgan.sources import LatentSource

    pipeline = load_bodies(weights, device=device)

    def composed(steps: int) -> Iterator[object]:
        body, face = LatentSource(1000), LatentSource(5000)
        return pipeline.compose(CompositionRequest(body, face, region="hair", schedule=Schedule(steps)))

    yield "Compose a body: the first picture", lambda: next(composed(40))
    yield "Compose a body: 40 steps", lambda: list(composed(40))
    yield "Compose a body: 100 steps", lambda: list(composed(100))


TABS = {"faces": faces, "holes": holes, "swaps": swaps, "bodies": bodies}


def measure(work: Work, device: str, repeats: int) -> dict[str, float | list[float]]:
    """Seconds of the first run and of the others, and on a GPU the most bytes allocated."""
    cuda = device.startswith("cuda")
    times = []
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    for _ in range(1 + repeats):
        begun = clock(device)
        work()
        times.append(round(clock(device) - begun, 4))
    found: dict[str, float | list[float]] = {
        "first": times[0],
        "median": round(statistics.median(times[1:]), 4),
        "all": times[1:],
    }
    return found | ({"gigabytes": round(torch.cuda.max_memory_allocated() / 1e9, 2)} if cuda else {})


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--weights", type=Path, default=catalogue.FOLDER)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--tab", choices=TABS, nargs="+", default=list(TABS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="on a CPU")
    options = parser.parse_args(arguments)
    if options.device == "cpu":
        torch.set_num_threads(options.threads)
    found: dict[str, object] = {"where": place(options.device), "torch": torch.__version__}
    for tab in options.tab:
        try:
            for name, work in TABS[tab](options.weights, options.device):
                found[name] = measure(work, options.device, options.repeats)
                sys.stderr.write(f"{name}: {found[name]}\n")
        except WeightsMissing as error:
            found[tab] = f"left out: {error}"
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
