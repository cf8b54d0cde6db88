"""The networks of each paper's pipeline as functions of tensors, as they are exported (`gan_core.export`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class Network:
    """A function of tensors whose first side is the batch."""

    name: str
    function: Callable[..., Any]
    modules: tuple[nn.Module, ...]
    shapes: dict[str, tuple[int, ...]]
    """Shape of each input, without the batch."""
    outputs: tuple[str, ...]


def _generator(net: Any, prefix: str = "") -> list[Network]:
    latent: dict[str, tuple[int, ...]] = {"w_plus": (net.num_ws, net.synthesis.w_dim)}
    return [
        Network(f"{prefix}mapping", net.mapping, (net.mapping,), {"z": (net.mapping.z_dim,)}, ("w",)),
        Network(f"{prefix}synthesis", lambda w: net.synthesis(w, noise="const"), (net,), latent, ("image",)),
    ]


def _hfgi(pipe: Any) -> list[Network]:
    net, average = pipe.generator, pipe.latent_avg
    side, layer = 64, pipe._fusion_layer
    channels = pipe.consultation.config["channels"]
    small = (3, 256, 256)

    def consulted(w_plus: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        inject = {layer: lambda x: x * (1 + scale) + shift}
        return net.synthesis(w_plus, noise="const", inject=inject)

    shapes = {"w_plus": (net.num_ws, net.synthesis.w_dim), "scale": (channels, side, side)}
    return [
        Network("encoder", lambda image: pipe.encoder(image) + average, (pipe.encoder,), {"image": small}, ("w_plus",)),
        Network("alignment", pipe.alignment, (pipe.alignment,), {"distortion": small, "image": small}, ("aligned",)),
        Network("consultation", pipe.consultation, (pipe.consultation,), {"aligned": small}, ("scale", "shift")),
        Network("synthesis_consulted", consulted, (net,), {**shapes, "shift": shapes["scale"]}, ("image",)),
        *_generator(net),
    ]


def _self_conditioned(pipe: Any) -> list[Network]:
    net = pipe.generator
    shapes = {"w_plus": (net.num_ws, net.synthesis.w_dim), "class_weights": (net.modes,)}
    return [
        *_generator(pipe.plain, "plain_"),
        Network("synthesis", lambda w, c: net.draw(w, c, noise="const"), (net,), shapes, ("image",)),
    ]


def _comodgan(pipe: Any) -> list[Network]:
    net = pipe.generator
    condition = (net.config["in_channels"], net.resolution, net.resolution)
    shapes = {"condition": condition, "w": (net.config["w_dim"],)}
    return [
        Network("mapping", net.mapping, (net.mapping,), {"z": (net.config["z_dim"],)}, ("w",)),
        Network("complete", lambda y, w: net.decode(net.encode(y), w, noise="const"), (net,), shapes, ("image",)),
    ]


def _insetgan(pipe: Any) -> list[Network]:
    return [*_generator(pipe.canvas, "canvas_"), *_generator(pipe.inset, "inset_")]


def _swapping_autoencoder(pipe: Any) -> list[Network]:
    encoder, net, side = pipe.encoder, pipe.generator, pipe.resolution
    size = side // encoder.step
    shapes = {"structure": (net.config["structure_dim"], size, size), "texture": (net.config["texture_dim"],)}
    return [
        Network("encoder", encoder, (encoder,), {"image": (3, side, side)}, ("structure", "texture")),
        Network("generator", lambda s, t: net(s, t, noise="none"), (net,), shapes, ("image",)),
    ]


NETWORKS: dict[str, Callable[[Any], list[Network]]] = {
    "hfgi": _hfgi,
    "self_conditioned": _self_conditioned,
    "comodgan": _comodgan,
    "insetgan": _insetgan,
    "swapping_autoencoder": _swapping_autoencoder,
    "stylegan2": _generator,
}
