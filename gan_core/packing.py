"""The papers' pipelines taken apart into modules, tensors and settings, and put together again.

`gan_core.pretrained` saves and loads them so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from gan_core.comodgan import pipeline as comodgan
from gan_core.comodgan.networks import CoModGenerator
from gan_core.e4e.encoding import load_encoder
from gan_core.e4e.networks import Encoder4Editing
from gan_core.faces.head import HeadNet
from gan_core.hfgi import pipeline as hfgi
from gan_core.hfgi.networks import ConsultationEncoder, DistortionAlignment
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


@dataclass(frozen=True)
class Bundle:
    """A pipeline as modules, tensors and settings that JSON can hold."""

    modules: dict[str, nn.Module]
    tensors: dict[str, Tensor]
    settings: dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """How a paper's pipeline is taken apart and put together."""

    classes: dict[str, type[nn.Module]]
    pack: Callable[[Any], Bundle]
    build: Callable[[dict[str, Any], dict[str, Tensor], dict[str, Any], str], Any]
    embedded: Callable[[str], Any]
    weights: str
    """The catalogue's name of the embedded weights that say under which licence all of it is."""


def _pack_hfgi(pipe: hfgi.HFGIPipeline) -> Bundle:
    modules: dict[str, nn.Module] = {
        name: getattr(pipe, name) for name in ("generator", "encoder", "alignment", "consultation")
    }
    if pipe.head is not None:
        modules["head"] = pipe.head
    tensors = {f"direction.{name}": attribute.direction for name, attribute in pipe.attributes.items()}
    return Bundle(modules, {"latent_avg": pipe.latent_avg, **tensors}, {"attributes": _described(pipe.attributes)})


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


def _pack_self_conditioned(pipe: self_conditioned.SelfConditionedPipeline) -> Bundle:
    modules: dict[str, nn.Module] = {"generator": pipe.generator, "plain": pipe.plain}
    if pipe.predictor is not None:
        modules["predictor"] = pipe.predictor
    tensors = {f"space.{name}": value for name, value in pipe.space.state_dict().items()}
    attributes = [asdict(attribute) for attribute in pipe.space.attributes]
    return Bundle(modules, tensors, {"attributes": attributes, "embedded_encoder": pipe.encode is not None})


def _build_self_conditioned(
    modules: dict[str, Any], tensors: dict[str, Tensor], settings: dict[str, Any], device: str
) -> Any:
    attributes = [Attribute(**entry) for entry in settings["attributes"]]
    space = {name[6:]: value for name, value in tensors.items() if name.startswith("space.")}
    return self_conditioned.SelfConditionedPipeline(
        modules["generator"],
        modules["plain"],
        AttributeSpace(attributes, **space),
        predictor=modules.get("predictor"),
        encode=load_encoder(catalogue.FOLDER, "people_hfgi", device=device) if settings["embedded_encoder"] else None,
        device=device,
    )


def _pack_comodgan(pipe: comodgan.CoModGANPipeline) -> Bundle:
    settings = {"framing": pipe.framing, "full_psi_area": pipe.full_psi_area}
    return Bundle({"generator": pipe.generator}, {}, settings)


def _build_comodgan(modules: dict[str, Any], tensors: dict[str, Tensor], settings: dict[str, Any], device: str) -> Any:
    return comodgan.CoModGANPipeline(modules["generator"], device=device, **settings)


def _pack_insetgan(pipe: insetgan.InsetGANPipeline) -> Bundle:
    modules: dict[str, nn.Module] = {"canvas": pipe.canvas, "inset": pipe.inset}
    if pipe.head is not None:
        modules["head"] = pipe.head
    settings = {"regions": list(pipe.regions), "canvas_rate": pipe.canvas_rate, "inset_rate": pipe.inset_rate}
    settings["tone"] = pipe.tone
    return Bundle(modules, {}, settings)


def _build_insetgan(modules: dict[str, Any], tensors: dict[str, Tensor], settings: dict[str, Any], device: str) -> Any:
    from gan_core.checkpoints.embedded import build_from_file

    path = catalogue.embedded("portraits_face/discriminator").path  # its features, where LPIPS is not here
    discriminator, _ = build_from_file(Discriminator, path, "discriminator")
    settings = settings | {"regions": tuple(settings["regions"])}
    canvas, inset = modules["canvas"], modules["inset"]
    features = perceptual(discriminator)
    return insetgan.InsetGANPipeline(canvas, inset, features, head=modules.get("head"), device=device, **settings)


def _pack_swapping_autoencoder(pipe: swapping_autoencoder.SwappingAutoencoderPipeline) -> Bundle:
    tensors = {f"direction.{name}": direction.vector for name, direction in pipe.directions.items()}
    if pipe.colours is not None:
        tensors["colours"] = pipe.colours
    settings = {"directions": _described(pipe.directions), "resolution": pipe.resolution}
    return Bundle({"encoder": pipe.encoder, "generator": pipe.generator}, tensors, settings)


def _build_swapping_autoencoder(
    modules: dict[str, Any], tensors: dict[str, Tensor], settings: dict[str, Any], device: str
) -> Any:
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


KINDS: dict[str, Kind] = {
    "hfgi": Kind(
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
        "people_hfgi/encoder",
    ),
    "self_conditioned": Kind(
        {"generator": SelfConditionedGenerator, "plain": Generator, "predictor": FacePredictor},
        _pack_self_conditioned,
        _build_self_conditioned,
        lambda device: self_conditioned.load_embedded(catalogue.FOLDER, device=device),
        "people_edges/generator",
    ),
    "comodgan": Kind(
        {"generator": CoModGenerator},
        _pack_comodgan,
        _build_comodgan,
        _embedded_comodgan,
        "portraits_fill_bust/generator",
    ),
    "insetgan": Kind(
        {"canvas": Generator, "inset": Generator, "head": HeadNet},
        _pack_insetgan,
        _build_insetgan,
        lambda device: insetgan.load_embedded(catalogue.FOLDER, device=device),
        "people_bust/generator",
    ),
    "swapping_autoencoder": Kind(
        {"encoder": swapping_networks.Encoder, "generator": swapping_networks.Generator},
        _pack_swapping_autoencoder,
        _build_swapping_autoencoder,
        lambda device: swapping_autoencoder.load_embedded(catalogue.FOLDER / "people_swap", device=device),
        "people_swap/encoder",
    ),
    "stylegan2": Kind(
        {"generator": Generator},
        lambda net: Bundle({"generator": net}, {}, {}),
        lambda modules, tensors, settings, device: modules["generator"].to(device),
        _embedded_generator,
        "portraits_face/generator",
    ),
}
