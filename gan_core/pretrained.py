"""Models for scripts: from a hub repository, a folder, a published file or the embedded weights; and saved again.

    model = GanModel.from_pretrained("org/name")      # or a folder, or GanModel.embedded("hfgi")
    inverted = model.pipeline.invert(face)

A saved model is three files: model.safetensors (`checkpoints/converted.py`), config.json (what kind of pipeline it is,
and its settings) and README.md, a model card. Nothing in them is run.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_core.checkpoints import converted
from gan_core.checkpoints.keys import BuiltCheckpoint
from gan_core.checkpoints.library import build_for_use
from gan_core.checkpoints.reader import read_tensors
from gan_core.comodgan import pipeline as comodgan
from gan_core.comodgan.networks import CoModGenerator
from gan_core.e4e.encoding import load_encoder
from gan_core.e4e.networks import Encoder4Editing
from gan_core.errors import BadCheckpoint, UnknownName, WeightsMissing
from gan_core.faces.head import HeadNet
from gan_core.hfgi import pipeline as hfgi
from gan_core.hfgi.networks import ConsultationEncoder, DistortionAlignment
from gan_core.hfgi.published import with_consultation
from gan_core.insetgan import pipeline as insetgan
from gan_core.perceptual import perceptual
from gan_core.self_conditioned import pipeline as self_conditioned
from gan_core.self_conditioned.networks import SelfConditionedGenerator
from gan_core.self_conditioned.predictors import FacePredictor
from gan_core.self_conditioned.space import Attribute, AttributeSpace
from gan_core.stylegan2 import Discriminator, Generator
from gan_core.swapping_autoencoder import networks as swapping_networks
from gan_core.swapping_autoencoder import pipeline as swapping_autoencoder
from weights import catalogue

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
_FILES = (CONFIG, WEIGHTS, CARD)


@dataclass(frozen=True)
class _Bundle:
    """A pipeline as modules, tensors and settings that JSON can hold."""

    modules: dict[str, nn.Module]
    tensors: dict[str, Tensor]
    settings: dict[str, Any]


@dataclass(frozen=True)
class _Kind:
    """How a paper's pipeline is taken apart and put together."""

    classes: dict[str, type[nn.Module]]
    pack: Callable[[Any], _Bundle]
    build: Callable[[dict[str, Any], dict[str, Tensor], dict[str, Any], str], Any]
    embedded: Callable[[str], Any]


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
        return cls(paper, KINDS[paper].embedded(device), licence="cc0-1.0")

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
            return cls("hfgi", hfgi.HFGIPipeline.from_checkpoint(built, device=device))
        if built.format == "comodgan":
            pipeline = comodgan.CoModGANPipeline(modules["generator"], framing="any", device=device)
            return cls("comodgan", pipeline)
        if built.format == "swapping_autoencoder":
            made = swapping_autoencoder.SwappingAutoencoderPipeline(
                modules["encoder"], modules["generator"], device=device
            )
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
        licence = f"license: {self.licence}\n" if self.licence else ""
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


# ---------------------------------------------------------------- the papers' pipelines


def _pack_hfgi(pipe: hfgi.HFGIPipeline) -> _Bundle:
    modules: dict[str, nn.Module] = {
        name: getattr(pipe, name) for name in ("generator", "encoder", "alignment", "consultation")
    }
    if pipe.head is not None:
        modules["head"] = pipe.head
    tensors = {f"direction.{name}": attribute.direction for name, attribute in pipe.attributes.items()}
    return _Bundle(modules, {"latent_avg": pipe.latent_avg, **tensors}, {"attributes": _described(pipe.attributes)})


def _build_hfgi(modules: dict[str, Any], tensors: dict[str, Tensor], settings: dict[str, Any], device: str) -> Any:
    attributes = {
        entry["name"]: hfgi.EditDirection(direction=tensors[f"direction.{entry['name']}"], **entry)
        for entry in settings["attributes"]
    }
    return hfgi.HFGIPipeline(
        modules["generator"],
        modules["encoder"],
        modules["alignment"],
        modules["consultation"],
        tensors["latent_avg"],
        attributes,
        head=modules.get("head"),
        device=device,
    )


def _pack_edges(pipe: self_conditioned.SelfConditionedPipeline) -> _Bundle:
    modules: dict[str, nn.Module] = {"generator": pipe.generator, "plain": pipe.plain}
    if pipe.predictor is not None:
        modules["predictor"] = pipe.predictor
    tensors = {f"space.{name}": value for name, value in pipe.space.state_dict().items()}
    attributes = [asdict(attribute) for attribute in pipe.space.attributes]
    return _Bundle(modules, tensors, {"attributes": attributes, "embedded_encoder": pipe.encode is not None})


def _build_edges(modules: dict[str, Any], tensors: dict[str, Tensor], settings: dict[str, Any], device: str) -> Any:
    attributes = [Attribute(**entry) for entry in settings["attributes"]]
    space = {name[6:]: value for name, value in tensors.items() if name.startswith("space.")}
    return self_conditioned.SelfConditionedPipeline(
        modules["generator"],
        modules["plain"],
        AttributeSpace(attributes, **space),
        predictor=modules.get("predictor"),
        encode=load_encoder(catalogue.FOLDER, device=device) if settings["embedded_encoder"] else None,
        device=device,
    )


def _pack_comodgan(pipe: comodgan.CoModGANPipeline) -> _Bundle:
    settings = {"framing": pipe.framing, "full_psi_area": pipe.full_psi_area}
    return _Bundle({"generator": pipe.generator}, {}, settings)


def _build_comodgan(modules: dict[str, Any], tensors: dict[str, Tensor], settings: dict[str, Any], device: str) -> Any:
    return comodgan.CoModGANPipeline(modules["generator"], device=device, **settings)


def _pack_insetgan(pipe: insetgan.InsetGANPipeline) -> _Bundle:
    modules: dict[str, nn.Module] = {"canvas": pipe.canvas, "inset": pipe.inset}
    if pipe.head is not None:
        modules["head"] = pipe.head
    settings = {"regions": list(pipe.regions), "canvas_rate": pipe.canvas_rate, "inset_rate": pipe.inset_rate}
    return _Bundle(modules, {}, settings)


def _build_insetgan(modules: dict[str, Any], tensors: dict[str, Tensor], settings: dict[str, Any], device: str) -> Any:
    from gan_core.checkpoints.embedded import build_from_file

    path = catalogue.embedded("portraits_face/discriminator").path  # its features, where LPIPS is not here
    discriminator, _ = build_from_file(Discriminator, path, "discriminator")
    settings = settings | {"regions": tuple(settings["regions"])}
    canvas, inset = modules["canvas"], modules["inset"]
    features = perceptual(discriminator)
    return insetgan.InsetGANPipeline(canvas, inset, features, head=modules.get("head"), device=device, **settings)


def _pack_swapping(pipe: swapping_autoencoder.SwappingAutoencoderPipeline) -> _Bundle:
    tensors = {f"direction.{name}": direction.vector for name, direction in pipe.directions.items()}
    if pipe.colours is not None:
        tensors["colours"] = pipe.colours
    settings = {"directions": _described(pipe.directions), "resolution": pipe.resolution}
    return _Bundle({"encoder": pipe.encoder, "generator": pipe.generator}, tensors, settings)


def _build_swapping(modules: dict[str, Any], tensors: dict[str, Tensor], settings: dict[str, Any], device: str) -> Any:
    directions = {
        entry["name"]: swapping_autoencoder.Direction(vector=tensors[f"direction.{entry['name']}"], **entry)
        for entry in settings["directions"]
    }
    return swapping_autoencoder.SwappingAutoencoderPipeline(
        modules["encoder"],
        modules["generator"],
        directions,
        resolution=settings["resolution"],
        colours=tensors.get("colours"),
        device=device,
    )


def _described(named: Any) -> list[dict[str, Any]]:
    """Dataclasses without their tensors."""
    return [
        {f.name: getattr(one, f.name) for f in fields(one) if not isinstance(getattr(one, f.name), torch.Tensor)}
        for one in named.values()
    ]


def _embedded_generator(device: str) -> Generator:
    from gan_core.checkpoints.embedded import load_face_generator

    return load_face_generator(catalogue.FOLDER).to(device)


def _embedded_comodgan(device: str) -> Any:
    path = catalogue.embedded("portraits_fill_bust/generator").path
    return comodgan.load_embedded(path, framing="bust", device=device)


KINDS: dict[str, _Kind] = {
    "hfgi": _Kind(
        {
            "generator": Generator,
            "encoder": Encoder4Editing,
            "alignment": DistortionAlignment,
            "consultation": ConsultationEncoder,
            "head": HeadNet,
        },
        _pack_hfgi,
        _build_hfgi,
        lambda device: hfgi.load_embedded(catalogue.FOLDER, device=device),
    ),
    "self_conditioned": _Kind(
        {"generator": SelfConditionedGenerator, "plain": Generator, "predictor": FacePredictor},
        _pack_edges,
        _build_edges,
        lambda device: self_conditioned.load_embedded(catalogue.FOLDER, device=device),
    ),
    "comodgan": _Kind({"generator": CoModGenerator}, _pack_comodgan, _build_comodgan, _embedded_comodgan),
    "insetgan": _Kind(
        {"canvas": Generator, "inset": Generator, "head": HeadNet},
        _pack_insetgan,
        _build_insetgan,
        lambda device: insetgan.load_embedded(catalogue.FOLDER, device=device),
    ),
    "swapping_autoencoder": _Kind(
        {"encoder": swapping_networks.Encoder, "generator": swapping_networks.Generator},
        _pack_swapping,
        _build_swapping,
        lambda device: swapping_autoencoder.load_embedded(catalogue.FOLDER / "portraits_swap", device=device),
    ),
    "stylegan2": _Kind(
        {"generator": Generator},
        lambda net: _Bundle({"generator": net}, {}, {}),
        lambda modules, tensors, settings, device: modules["generator"].to(device),
        _embedded_generator,
    ),
}
