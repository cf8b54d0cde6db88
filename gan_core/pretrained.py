"""Models for scripts: from a hub repository, a folder, a published file or the embedded weights; and saved again.

    model = GanModel.from_pretrained("org/name")      # or a folder, or GanModel.embedded("hfgi")
    inverted = model.pipeline.invert(face)

A saved model is three files: model.safetensors (`checkpoints/converted.py`), config.json (what kind of pipeline it is,
and its settings) and README.md, a model card. Nothing in them is run. How each paper's pipeline is taken apart and put
together is in `packing.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gan_core.checkpoints import converted
from gan_core.checkpoints.keys import BuiltCheckpoint
from gan_core.checkpoints.library import build_for_use
from gan_core.checkpoints.reader import read_tensors
from gan_core.comodgan.pipeline import CoModGANPipeline
from gan_core.errors import BadCheckpoint, UnknownName, WeightsMissing
from gan_core.hfgi.pipeline import HFGIPipeline
from gan_core.hfgi.published import with_consultation
from gan_core.packing import KINDS
from gan_core.swapping_autoencoder.pipeline import SwappingAutoencoderPipeline
from weights import catalogue

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
_FILES = (CONFIG, WEIGHTS, CARD)


class GanModel:
    """A paper's pipeline that can be saved, pushed and loaded.

    paper: hfgi, self_conditioned, comodgan, insetgan, swapping_autoencoder, or stylegan2 for a generator alone, whose
    `pipeline` is the network itself.
    """

    def __init__(self, paper: str, pipeline: Any, *, licence: str = "") -> None:
        if paper not in KINDS:
            raise UnknownName(f"There is no kind of model {paper!r}. Known: {', '.join(KINDS)}.")
        self.paper, self.pipeline, self.licence = paper, pipeline, licence

    @classmethod
    def embedded(cls, paper: str, *, device: str = "cpu") -> GanModel:
        """The model that ships with this project for a paper. Raises UnknownName, WeightsMissing or BadCheckpoint."""
        if paper not in KINDS:
            raise UnknownName(f"There is no kind of model {paper!r}. Known: {', '.join(KINDS)}.")
        kind = KINDS[paper]
        return cls(paper, kind.embedded(device), licence=catalogue.embedded(kind.weights).licence)

    @classmethod
    def from_pretrained(
        cls, source: str | Path, *, revision: str | None = None, token: str | None = None, device: str = "cpu"
    ) -> GanModel:
        """A model from a folder that `save_pretrained` wrote, or from a repository "org/name" of the Hugging Face hub.

        revision: branch, tag or commit; token: for private repositories (else HF_TOKEN). The hub's cache and its
        offline mode (HF_HUB_OFFLINE) are respected. Raises WeightsMissing if it cannot be had, BadCheckpoint if it is
        damaged or of another kind.
        """
        folder = Path(source)
        if not folder.is_dir():
            folder = _from_hub(str(source), revision, token)
        try:
            config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            paper, settings, licence = config["paper"], config["settings"], str(config.get("licence", ""))
            kind = KINDS[paper]
        except OSError as error:
            raise WeightsMissing(f"There is no {CONFIG} in {source}, so it is no model of this project.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise BadCheckpoint(f"{CONFIG} of {source} is damaged or of another kind.") from error
        built = converted.read(folder / WEIGHTS, kind.classes)
        try:
            return cls(paper, kind.build(built.modules, built.tensors, settings, device), licence=licence)
        except (KeyError, TypeError) as error:
            raise BadCheckpoint(f"{source} lacks parts of a model of {paper}.") from error

    @classmethod
    def from_published(cls, path: str | Path, *, device: str = "cpu") -> GanModel:
        """A model from a file as its authors publish it, told by its tensors. Raises BadCheckpoint or UnsafeFile.

        Files of HFGI or e4e give HFGI's pipeline (without edit directions, which are files of their own), those of
        CoModGAN and the Swapping Autoencoder theirs, all others the generator.
        """
        built = build_for_use(read_tensors(path))
        modules = built.modules
        if built.format == "hfgi":
            built = with_consultation(built)
            return cls("hfgi", HFGIPipeline.from_checkpoint(built, device=device))
        if built.format == "comodgan":
            pipeline = CoModGANPipeline(modules["generator"], framing="any", device=device)
            return cls("comodgan", pipeline)
        if built.format == "swapping_autoencoder":
            made = SwappingAutoencoderPipeline(modules["encoder"], modules["generator"], device=device)
            return cls("swapping_autoencoder", made)
        return cls("stylegan2", modules["generator"].to(device))

    def save_pretrained(self, folder: str | Path, *, card: str | None = None) -> Path:
        """Write model.safetensors, config.json and a model card into a folder, which is returned.

        card: the card's text; None for a short one that says what it is and how to load it.
        """
        folder = Path(folder)
        packed = KINDS[self.paper].pack(self.pipeline)
        configs = {name: module.config for name, module in packed.modules.items()}
        built = BuiltCheckpoint(f"gan-studio/{self.paper}", packed.modules, packed.tensors, configs)
        converted.write(built, folder / WEIGHTS)
        config = {"paper": self.paper, "licence": self.licence, "settings": packed.settings}
        (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        (folder / CARD).write_text(card or self._card(), encoding="utf-8")
        return folder

    def push_to_hub(self, repository: str, *, private: bool = False, token: str | None = None) -> str:
        """Save and upload to a repository "org/name" of the hub, made if need be; returns the commit's address."""
        import tempfile

        from huggingface_hub import HfApi

        hub = HfApi(token=token)
        hub.create_repo(repository, private=private, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            message = f"GAN Studio model ({self.paper})"
            return str(hub.upload_folder(repo_id=repository, folder_path=folder, commit_message=message))

    def _card(self) -> str:
        licence = f"license: {self.licence.lower()}\n" if self.licence else ""
        if " " in self.licence:  # none of those that the hub knows by a name
            licence = f"license: other\nlicense_name: {self.licence.lower().replace(' ', '-')}\n"
        return (
            f"---\nlibrary_name: gan-studio\ntags:\n- gan\n- {self.paper}\n{licence}---\n\n# {self.paper}\n\n"
            "A model of GAN Studio: networks as safetensors, settings in config.json.\n\n```python\n"
            "from gan_core.pretrained import GanModel\n\n"
            'pipeline = GanModel.from_pretrained("THIS_REPOSITORY").pipeline\n```\n'
        )


def _from_hub(repository: str, revision: str | None, token: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, revision=revision, token=token, allow_patterns=list(_FILES)))
    except (HfHubHTTPError, LocalEntryNotFoundError, HFValidationError, OSError) as error:
        raise WeightsMissing(
            f"{repository} is no folder here and could not be fetched from the hub: {error}"
        ) from error
