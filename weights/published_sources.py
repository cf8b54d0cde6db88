"""Addresses and entries that are made alike."""

from __future__ import annotations

from typing import Any

from weights.entry import PublishedFile as File
from weights.entry import PublishedModel as Model

ADA = "Karras et al., Training Generative Adversarial Networks with Limited Data, NeurIPS 2020 (arXiv 2006.06676)"
NVIDIA_LICENCE = "NVIDIA Source Code License: non-commercial research or evaluation only"
NGC = "https://api.ngc.nvidia.com/v2/models/nvidia/research/stylegan2/versions/1/files"
CDN = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained"
W = "W+ ({}, 512)"


def hub(repository: str, path: str, revision: str = "main") -> str:
    """A file of a Hugging Face repository."""
    return f"https://huggingface.co/{repository}/resolve/{revision}/{path}"


def drive(key: str) -> str:
    """A file on Google Drive."""
    return f"https://drive.usercontent.google.com/download?id={key}&export=download&confirm=t"


def folder(key: str) -> str:
    """A folder on Google Drive, which only a person can open."""
    return f"https://drive.google.com/drive/folders/{key}"


def raw(repository: str, commit: str, path: str) -> str:
    """A file of a GitHub repository at a commit."""
    return f"https://raw.githubusercontent.com/{repository}/{commit}/{path}"


def generator(name: str, title: str, size: int, file: File, alignment: str = "face", **more: Any) -> Model:
    """A StyleGAN2 generator of square pictures by NVIDIA or converted from theirs."""
    return Model(
        name=name,
        title=title,
        licence=NVIDIA_LICENCE,
        source=more.pop("source", "NVIDIA (stylegan2-ada-pytorch)"),
        paper=more.pop("paper", ADA),
        size=(size, size),
        memory={256: 121, 512: 124, 1024: 133}[size] * 1_000_000,
        latent_layout=W.format(2 * size.bit_length() - 4),
        alignment=alignment,
        format=more.pop("format", "nvidia_stylegan2"),
        files=(file,),
        **more,
    )
