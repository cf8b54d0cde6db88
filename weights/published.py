"""Checkpoints that others published, as data. They are fetched on request only and never shipped.

`python -m gan_core.checkpoints.fetch NAME` puts the files of an entry into a folder of that name. Whether
each address still answers was not tried when this was written; a file without a known sha256 is accepted as
it comes, and the fetcher says which hash it saw.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path


@dataclass(frozen=True)
class PublishedFile:
    """One file of a published model."""

    file: str
    """Its name in the model's folder."""
    url: str
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class PublishedModel:
    """Files that make one model together."""

    name: str
    """Also its folder below the published weights' folder."""
    licence: str
    source: str
    paper: str
    resolution: int
    latent_layout: str
    alignment: str
    format: str
    files: tuple[PublishedFile, ...]
    pixel_range: str = "[-1, 1] RGB"


_RELEASE = "https://github.com/FeiiYin/StyleHEAT/releases/download/styleheat"
_EDITINGS = "https://raw.githubusercontent.com/Tengfei-Wang/HFGI/e30f33cbdf37fc57b9e8354b11a528a62d476049/editings"
# The host has no https. What comes from it is read as tensors only, so a file changed on the way runs nothing.
_EFROS = "http://efrosgans.eecs.berkeley.edu/SwappingAutoencoder"
_SWAPPING = "Park et al., Swapping Autoencoder for Deep Image Manipulation, NeurIPS 2020 (arXiv 2007.00653)"

_INSETGAN = "Fruehstueck et al., InsetGAN for Full-Body Image Generation, CVPR 2022 (arXiv 2203.07293)"
_HUMAN = "Fu et al., StyleGAN-Human, ECCV 2022 (arXiv 2204.11823)"
_HUMAN_LICENCE = "none stated; trained on SHHQ (non-commercial research) with NVIDIA's code (non-commercial)"
_HUMAN_MODELS = "https://huggingface.co/public-data/StyleGAN-Human/resolve/main/models"

_COMODGAN = "Zhao et al., Large Scale Image Completion via Co-Modulated GANs, ICLR 2021 (arXiv 2103.10428)"
_COMODGAN_LICENCE = "not stated for the weights; the authors' code under a BSD licence and NVIDIA's (non-commercial)"
_DRIVE = "https://drive.usercontent.google.com/download?id={}&export=download&confirm=t"

PUBLISHED: tuple[PublishedModel, ...] = (
    PublishedModel(
        name="hfgi_ffhq",
        licence="none stated for HFGI; its generator is NVIDIA's StyleGAN2 (non-commercial)",
        source="HFGI's networks as the StyleHEAT authors republish them, and HFGI's own edit directions",
        paper="Wang et al., High-Fidelity GAN Inversion for Image Attribute Editing, CVPR 2022 (arXiv 2109.06590)",
        resolution=1024,
        latent_layout="W+ (18, 512)",
        alignment="FFHQ square from eyes and mouth",
        format="hfgi",
        files=(
            PublishedFile("hfgi.pth", f"{_RELEASE}/hfgi.pth"),
            PublishedFile("Encoder_e4e.pth", f"{_RELEASE}/Encoder_e4e.pth"),
            PublishedFile("StyleGAN_e4e.pth", f"{_RELEASE}/StyleGAN_e4e.pth"),
            PublishedFile(
                "age.pt",
                f"{_EDITINGS}/interfacegan_directions/age.pt",
                2808,
                "50074516b1629707d89b5e43d6b8abd1792212fa3b961a87a11323d6a5222ae0",
            ),
            PublishedFile(
                "smile.pt",
                f"{_EDITINGS}/interfacegan_directions/smile.pt",
                2808,
                "817a7e732b59dee9eba862bec8bd7e8373568443bc9f9731a21cf9b0356f0653",
            ),
            PublishedFile(
                "pose.pt",
                f"{_EDITINGS}/interfacegan_directions/pose.pt",
                37624,
                "736e0eacc8488fa0b020a2e7bd256b957284c364191dfea693705e5d06d43e7d",
            ),
            PublishedFile(
                "ffhq_pca.pt",
                f"{_EDITINGS}/ganspace_pca/ffhq_pca.pt",
                167562,
                "4d7f9df1c96180d9026b9cb8d04753579fbf385f321a9d0e263641601c5e5d36",
            ),
        ),
    ),
    PublishedModel(
        name="swapping_models",
        licence="Adobe Research License: non-commercial research only",
        source="The authors' models for churches, bedrooms, mountains and faces (FFHQ, 512 and 1024 pixels)",
        paper=_SWAPPING,
        resolution=1024,
        latent_layout="structure (8, H / 16, W / 16) and texture (2048); other sizes for ffhq1024",
        alignment="any picture; faces FFHQ square from eyes and mouth",
        format="swapping_autoencoder, in a zip archive",
        files=(
            PublishedFile(
                "swapping_autoencoder_models_and_test_images.zip",
                f"{_EFROS}/swapping_autoencoder_models_and_test_images.zip",
            ),
        ),
    ),
    PublishedModel(
        name="swapping_afhq",
        licence="Adobe Research License: non-commercial research only",
        source="The authors' model for animal faces (AFHQ: cats, dogs and wild animals), with test pictures",
        paper=_SWAPPING,
        resolution=256,
        latent_layout="structure (8, H / 16, W / 16) and texture (2048)",
        alignment="animal faces as in AFHQ",
        format="swapping_autoencoder, in a zip archive",
        files=(PublishedFile("afhq_models_and_test_images.zip", f"{_EFROS}/afhq_models_and_test_images.zip"),),
    ),
    PublishedModel(
        name="insetgan_face",
        licence="NVIDIA Source Code License: non-commercial research or evaluation only",
        source="NVIDIA's FFHQ generator (stylegan2-ada-pytorch), InsetGAN's face",
        paper=_INSETGAN,
        resolution=1024,
        latent_layout="W+ (18, 512)",
        alignment="FFHQ square from eyes and mouth",
        format="nvidia_stylegan2",
        files=(
            PublishedFile(
                "ffhq.pkl",
                "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/ffhq.pkl",
                381_624_121,
                "a205a346e86a9ddaae702e118097d014b7b8bd719491396a162cca438f2f524c",
            ),
        ),
    ),
    PublishedModel(
        name="insetgan_deepfashion",
        licence="not stated for the weights (the code is MIT); trained with NVIDIA's code (non-commercial)",
        source="InsetGAN's authors: bodies of DeepFashion, 1024x768",
        paper=_INSETGAN,
        resolution=1024,
        latent_layout="W+ (18, 512)",
        alignment="whole standing person",
        format="nvidia_stylegan2",
        files=(
            PublishedFile(
                "DeepFashion_1024x768.pkl",
                "https://www.dropbox.com/s/h25ooumivw2usc8/DeepFashion_1024x768.pkl?dl=1",
            ),
        ),
    ),
    PublishedModel(
        name="stylegan_human_v2",
        licence=_HUMAN_LICENCE,
        source="StyleGAN-Human's authors, as a public copy on Hugging Face has it: bodies, 1024x512",
        paper=_HUMAN,
        resolution=1024,
        latent_layout="W+ (18, 512)",
        alignment="whole standing person",
        format="stylegan_human",
        files=(
            PublishedFile(
                "stylegan_human_v2_1024.pkl",
                f"{_HUMAN_MODELS}/stylegan_human_v2_1024.pkl",
                362_022_337,
                "16946ec5dd1718daa236999e1ceed3b5a40b8faa8c3de3ad5fda396620f29e7a",
            ),
        ),
    ),
    PublishedModel(
        name="stylegan_human_v2_512",
        licence=_HUMAN_LICENCE,
        source="StyleGAN-Human's authors, as a public copy on Hugging Face has it: bodies, 512x256",
        paper=_HUMAN,
        resolution=512,
        latent_layout="W+ (16, 512)",
        alignment="whole standing person",
        format="stylegan_human",
        files=(
            PublishedFile(
                "stylegan_human_v2_512.pkl",
                "https://huggingface.co/DragGan/DragGan-Models/resolve/main/stylegan_human_v2_512.pkl",
                352_745_981,
                "7af33f638e3b3aba7bf99456eec3e9d4a022d8a7dd67683a3605a7dd37665a3b",
            ),
        ),
    ),
    PublishedModel(
        name="comodgan_ffhq512",
        licence=_COMODGAN_LICENCE,
        source="CoModGAN's authors: faces (FFHQ), 512 pixels",
        paper=_COMODGAN,
        resolution=512,
        latent_layout="W+ (16, 512) and a global vector (1024)",
        alignment="FFHQ square from eyes and mouth",
        format="comodgan",
        files=(PublishedFile("co-mod-gan-ffhq-9-025000.pkl", _DRIVE.format("1b3XxfAmJ9k2vd73j-3nPMr_lvNMQOFGE")),),
    ),
    PublishedModel(
        name="comodgan_ffhq1024",
        licence=_COMODGAN_LICENCE,
        source="CoModGAN's authors: faces (FFHQ), 1024 pixels",
        paper=_COMODGAN,
        resolution=1024,
        latent_layout="W+ (18, 512) and a global vector (1024)",
        alignment="FFHQ square from eyes and mouth",
        format="comodgan",
        files=(PublishedFile("co-mod-gan-ffhq-10-025000.pkl", _DRIVE.format("1M2dSxlJnCFNM6LblpB2nQCnaimgwaaKu")),),
    ),
    PublishedModel(
        name="comodgan_places512",
        licence=_COMODGAN_LICENCE,
        source="CoModGAN's authors: scenes (Places2), 512 pixels",
        paper=_COMODGAN,
        resolution=512,
        latent_layout="W+ (16, 512) and a global vector (1024)",
        alignment="any picture",
        format="comodgan",
        files=(PublishedFile("co-mod-gan-places2-050000.pkl", _DRIVE.format("1dJa3DRWIkx6Ebr8Sc0v1FdvWf6wkd010")),),
    ),
    PublishedModel(
        name="inception_fid",
        licence="Apache-2.0 (pytorch-fid's conversion of Google's network)",
        source="The Inception network of 2015-12-05 that FID is defined with, as pytorch-fid publishes it",
        paper="Heusel et al., GANs Trained by a Two Time-Scale Update Rule, NeurIPS 2017 (arXiv 1706.08500)",
        resolution=299,
        latent_layout="none",
        alignment="any picture",
        format="torchvision's inception_v3, 1008 classes",
        files=(
            PublishedFile(
                "pt_inception-2015-12-05-6726825d.pth",
                "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
                "pt_inception-2015-12-05-6726825d.pth",
                95_628_359,
                "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
            ),
        ),
    ),
)


def default_folder() -> Path:
    """Where they are kept: the environment variable STUDIO_WEIGHTS, else the user's data folder."""
    return Path(os.environ.get("STUDIO_WEIGHTS") or user_data_path("gan-studio") / "weights")


def is_complete(model: PublishedModel, folder: Path) -> bool:
    """Whether every file of the model lies under its final name below `folder`."""
    return all((folder / model.name / entry.file).is_file() for entry in model.files)


def published(name: str) -> PublishedModel:
    """The published model of that name. Raises KeyError."""
    for entry in PUBLISHED:
        if entry.name == name:
            return entry
    raise KeyError(name)
