"""Published generators of bodies (InsetGAN's, StyleGAN-Human's) joined with the published FFHQ face generator."""

from __future__ import annotations

from pathlib import Path

from gan_core.checkpoints import nvidia, stylegan_human
from gan_core.checkpoints.converted import open_model
from gan_core.checkpoints.embedded import build_from_file
from gan_core.insetgan.labels import FACE_ENTRY, PUBLISHED_REGIONS
from gan_core.insetgan.pipeline import InsetGANPipeline
from gan_core.perceptual import perceptual
from gan_core.stylegan2 import Discriminator, Generator
from weights.published import files_here, published

_ADAPTERS = (stylegan_human, nvidia)
# The authors' rates, in their latents' own units: 0.035 for the canvas and 0.006 for the inset.
_CANVAS_RATE, _INSET_RATE = 0.035, 0.006


def load_generator(entry: str, folder: Path) -> Generator:
    """The generator of an entry of weights/published.py, square or not, from `folder`.

    Raises WeightsMissing, or BadCheckpoint if its file is of another kind.
    """
    files = files_here(published(entry), folder) or ()
    return open_model(folder / entry, files, _ADAPTERS, f"The published generator {entry!r}").modules["generator"]


def load_published(entry: str, folder: Path, weights: Path) -> InsetGANPipeline:
    """Canvas `entry` of weights/published.py and the published faces, from `folder`; perceptual distance by LPIPS
    where it is here, else by the embedded discriminator in `weights`. Raises WeightsMissing or BadCheckpoint."""
    canvas, inset = (load_generator(name, folder) for name in (entry, FACE_ENTRY))
    path = weights / "portraits_face" / "discriminator.safetensors"
    discriminator, _ = build_from_file(Discriminator, path, "discriminator")
    return InsetGANPipeline(
        canvas,
        inset,
        perceptual(discriminator),
        regions=PUBLISHED_REGIONS,
        canvas_rate=_CANVAS_RATE,
        inset_rate=_INSET_RATE,
    )
