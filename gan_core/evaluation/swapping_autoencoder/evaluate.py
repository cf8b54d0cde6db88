"""Measure a model on held-out people: `python -m gan_core.evaluation.swapping_autoencoder.evaluate --data FOLDER ...`.

Measured are: the reconstruction; how well swaps keep the structure (landmarks of the face finder, in shares of the
face's size) and take the texture (distance of colour histograms); and the time to encode a picture compared with 1000
steps of latent optimisation in the embedded face generator, on the same machine in the same run (the paper's claim).
With --grid it writes a sheet of swaps of generated faces, which are of nobody real.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from gan_core.checkpoints.embedded import build_from_file
from gan_core.errors import StudioError
from gan_core.evaluation.metrics.psnr import psnr
from gan_core.images import to_pil
from gan_core.stylegan2 import Generator
from gan_core.swapping_autoencoder.pipeline import Mixture, SwappingAutoencoderPipeline, load_embedded
from gan_core.training.data import load_pictures, split_pictures
from gan_core.training.grids import save_grid
from gan_core.training.people import SHARES, parse_shares, read_people
from gan_core.training.swapping_autoencoder.losses import colour_distance

BINS = 64


def histogram_distance(image: Tensor, other: Tensor, bins: int = BINS) -> float:
    """Earth mover's distance of the histograms of red, green and blue, their mean, in [0, 1].

    Both (1, 3, H, W) in [-1, 1]; sizes may differ.
    """

    def cumulated(x: Tensor) -> Tensor:
        index = ((x.float().clamp(-1, 1) + 1) / 2 * (bins - 1e-3)).long().flatten(2)[0]  # (3, pixels)
        counts = torch.stack([torch.bincount(channel, minlength=bins) for channel in index]).double()
        return (counts / index.shape[1]).cumsum(1)

    return float((cumulated(image) - cumulated(other)).abs().mean(1).mean())


class Landmarks:
    """Face-mesh points of aligned face pictures, by the refiner of the project's face finder."""

    def __init__(self) -> None:
        from gan_core.faces.finder import embedded_finder

        self.finder = embedded_finder()

    def __call__(self, image: Tensor) -> tuple[np.ndarray, float] | None:
        """Points (5, 2) in pixels (eyes, nose, mouth corners) and the face's size; None where no face is found."""
        faces = self.finder.find(to_pil(image))
        return (faces[0].points, faces[0].size) if faces else None


def measure_swaps(
    pipe: SwappingAutoencoderPipeline,
    pictures: Tensor,
    pairs: int,
    landmarks: Callable | None,
    *,
    detail: float = 0.0,
    write: Path | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Reconstruction of all pictures (N, 3, R, R), without their own detail, and numbers of `pairs` random swaps.

    detail: see `Mixture`; of swaps. write: a folder for the pictures of each pair, for `mesh.py`.
    """
    mixture = Mixture(detail=detail)
    codes = [pipe.encode(image) for image in pictures.split(1)]
    result: dict[str, float] = {
        "psnr": float(
            np.mean([psnr(pipe.draw(c).cpu(), x).item() for c, x in zip(codes, pictures.split(1), strict=True)])
        )
    }
    draw = np.random.RandomState(seed)
    near, far, sliced, moved, recon_moved, lost = [], [], [], [], [], 0
    for number in tqdm(range(pairs), desc="swaps"):
        a, b = draw.choice(len(codes), 2, replace=False)
        first, second = pictures[a : a + 1], pictures[b : b + 1]
        swap = pipe.draw(codes[a], [codes[b]], mixture).cpu()
        recon = pipe.draw(codes[a]).cpu()
        if write is not None:
            write.mkdir(parents=True, exist_ok=True)
            for kind, image in {"structure": first, "texture": second, "swap": swap, "reconstruction": recon}.items():
                to_pil(image).save(write / f"{number:03d}_{kind}.png")
        near.append(histogram_distance(swap, second))
        far.append(histogram_distance(first, second))
        sliced.append((colour_distance(swap, second).item(), colour_distance(first, second).item()))
        if landmarks is not None:
            before, after, again = (landmarks(x) for x in (first, swap, recon))
            if before is None or after is None or again is None:
                lost += before is not None
                continue
            points, size = before
            moved.append(np.linalg.norm(after[0] - points, axis=1).mean() / size)
            recon_moved.append(np.linalg.norm(again[0] - points, axis=1).mean() / size)
    result |= {
        "histogram_ratio": float(np.mean(near) / np.mean(far)),
        "histogram_ratio_median": float(np.median(np.array(near) / np.maximum(far, 1e-6))),
        "sliced_colour_ratio": float(np.mean(sliced, 0)[0] / np.mean(sliced, 0)[1]),
    }
    if landmarks is not None and moved:
        result |= {"landmarks_moved": float(np.mean(moved)), "landmarks_moved_p90": float(np.quantile(moved, 0.9))}
        result |= {"landmarks_moved_reconstruction": float(np.mean(recon_moved)), "faces_lost": lost / pairs}
    return result


def seconds_of(work: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Median time of a call after two to warm up."""
    times = []
    for _ in range(repeats + 2):
        begin = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return float(np.median(times[2:]))


def optimise_latent(generator: Generator, image: Tensor, steps: int) -> float:
    """Seconds of `steps` Adam steps on a w+ code of `generator` towards a picture (1, 3, R, R): squared error and
    that of a picture a quarter of its size, as Image2StyleGAN without its backbone."""
    w = generator.mapping.w_avg.expand(1, generator.num_ws, -1).clone().requires_grad_()
    adam = torch.optim.Adam([w], lr=0.02)
    small = F.avg_pool2d(image, 4)
    begin = time.perf_counter()
    for _ in tqdm(range(steps), desc="latent optimisation"):
        drawn = generator.synthesis(w)
        loss = F.mse_loss(drawn, image) + F.mse_loss(F.avg_pool2d(drawn, 4), small)
        adam.zero_grad()
        loss.backward()
        adam.step()
    if image.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def measure_speed(
    pipe: SwappingAutoencoderPipeline, generator: Generator, image: Tensor, steps: int
) -> dict[str, float]:
    """Milliseconds of encoding, drawing and a whole swap; and of latent optimisation against one encoding."""
    device = pipe.device
    image = image.to(device)
    codes = pipe.encode(image)
    encode = seconds_of(lambda: pipe.encode(image), 15, device)
    draw = seconds_of(lambda: pipe.draw(codes, [codes], Mixture(amount=0.5, detail=1.0)), 15, device)
    swap = seconds_of(lambda: pipe.draw(pipe.encode(image), [pipe.encode(image)], Mixture(detail=1.0)), 15, device)
    result = {"encode_ms": 1e3 * encode, "draw_ms": 1e3 * draw, "swap_ms": 1e3 * swap}
    if steps:
        generator = generator.to(device).requires_grad_(False)
        optimise_latent(generator, image, 3)
        took = optimise_latent(generator, image, steps)
        result |= {"optimisation_s": took, "optimisation_steps": steps, "times_faster": took / encode}
    return result


@torch.inference_mode()
def swap_sheet(pipe: SwappingAutoencoderPipeline, faces: Tensor, detail: float = 0.0) -> Tensor:
    """(n + 1)^2 pictures of n faces (n, 3, R, R): textures along the top, structures at the left, white corner."""
    mixture = Mixture(detail=detail)
    codes = [pipe.encode(face) for face in faces.split(1)]
    rows = [torch.ones_like(faces[:1]), faces]
    for i, first in enumerate(codes):
        rows += [faces[i : i + 1], *(pipe.draw(first, [other], mixture).cpu() for other in codes)]
    return torch.cat(rows)


@torch.no_grad()  # not inference_mode, whose tensors cannot take part in an optimisation
def generated_faces(generator: Generator, seeds: list[int], psi: float = 0.7) -> Tensor:
    """Faces (n, 3, R, R) in [-1, 1] of the embedded generator, one a seed, on the CPU."""
    device = generator.mapping.w_avg.device
    z = torch.cat(
        [torch.randn(1, generator.config["z_dim"], generator=torch.Generator().manual_seed(s)) for s in seeds]
    )
    return torch.cat([generator(part.to(device), psi=psi, noise="const").clamp(-1, 1).cpu() for part in z.split(4)])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--weights", type=Path, default=Path("weights"), help="the project's weights folder")
    parser.add_argument("--model", default="people_swap", help="folder of the model in --weights")
    parser.add_argument("--data", type=Path, help="folder of aligned faces; only held-out people are used")
    parser.add_argument("--people", type=Path, help="collections instead (gan_core.training.people); the same")
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--write", type=Path, help="write the pairs' pictures here (of real people: keep them private)")
    parser.add_argument("--steps", type=int, default=1000, help="of latent optimisation; 0 for none")
    parser.add_argument("--detail", type=float, default=0.0, help="share of the first picture's own detail in swaps")
    parser.add_argument("--finder", action="store_true", help="landmarks by the project's own face finder (slow)")
    parser.add_argument("--grid", type=Path, help="write a sheet of swaps of generated faces here")
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 7, 11, 19, 23, 31], help="of the sheet's faces")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="CPU threads")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    pipe = load_embedded(args.weights / args.model, device=args.device)
    generator, _ = build_from_file(Generator, args.weights / "people_face" / "generator.safetensors", "generator")
    result: dict[str, float | str] = {"device": args.device}
    if args.data is not None or args.people is not None:
        if args.people is not None:
            held_out = read_people(args.people, pipe.resolution, parse_shares(SHARES), held_out=True).pictures
        else:
            held_out = load_pictures(split_pictures(args.data)[1], pipe.resolution)
        pictures = held_out.float() / 127.5 - 1
        landmarks = Landmarks() if args.finder else None
        result |= {"pictures": len(pictures), "detail": args.detail}
        result |= measure_swaps(pipe, pictures, args.pairs, landmarks, detail=args.detail, write=args.write)
    faces = generated_faces(generator, args.seeds)
    result |= measure_speed(pipe, generator, faces[:1], args.steps)
    if args.grid is not None:
        save_grid(swap_sheet(pipe, faces, args.detail), args.grid, len(faces) + 1, quality=90)
    tqdm.write(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in result.items()}, indent=1))


if __name__ == "__main__":
    try:
        main()
    except StudioError as error:
        raise SystemExit(str(error)) from error
