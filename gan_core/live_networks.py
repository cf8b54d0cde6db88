"""What the live page runs in the browser, as functions of tensors: the finder's two networks and HFGI's steps.

`gan_core.export_live` makes ONNX graphs of them. The names are those of the Python functions that they are: `encode`,
`decode`, `consult` and `put_in_place` of `gan_core.hfgi`, `find_motion` of `gan_core.faces.motion`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_core.checkpoints import store
from gan_core.e4e.networks import WORKING_SIZE, resize
from gan_core.errors import BadCheckpoint
from gan_core.export_networks import Network
from gan_core.faces.head import HEAD_SIZE
from gan_core.faces.motion import find_motion, resized_motion, shifted
from gan_core.faces.networks import REFINER_SIZE, FaceLocator, LandmarkRefiner, five_from_landmarks
from gan_core.hfgi.pipeline import HFGIPipeline, load_embedded
from gan_core.hfgi.regions import PARTS, REGIONS, put_in_place
from gan_core.stylegan2.synthesis import SynthesisNetwork

Shapes = dict[str, tuple[int, ...]]

FILES = {
    "finder": "finder/finder.safetensors",
    "encoder": "people_hfgi/encoder.safetensors",
    "alignment": "people_hfgi/alignment.safetensors",
    "consultation": "people_hfgi/consultation.safetensors",
    "directions": "people_hfgi/directions.safetensors",
    "head": "portraits_hfgi/head.safetensors",
    "generator": "people_face/generator.safetensors",
}
"""Weights of the live page, in the folder weights/."""


@dataclass(frozen=True)
class LiveNetwork:
    """A network with the file that each of its modules was read from.

    `sources` has, in the order of `network.modules`, the key of `FILES` and the prefix of the module's tensors there.
    `sizes` names inputs whose height and width are free; where `single`, the batch is one.
    """

    network: Network
    sources: tuple[tuple[str, str], ...]
    sizes: tuple[str, ...] = ()
    single: bool = False


def live_networks(folder: Path) -> list[LiveNetwork]:
    """The networks of the live page with the weights in `folder` (weights/), in float32 on the CPU.

    Raises WeightsMissing or BadCheckpoint.
    """
    return [*_finder(folder / FILES["finder"]), *_hfgi(load_embedded(folder, dtype=torch.float32))]


# ---------------------------------------------------------------- finder


def _finder(path: Path) -> list[LiveNetwork]:
    """The locator for pictures of any size, and the refiner's five points, without folding batch normalisations, so
    that every weight is one of the file."""
    tensors, config = store.read(path)
    try:
        locator = FaceLocator(config["locator"]["width"], tuple(config["locator"]["dilations"]))
        refiner = LandmarkRefiner(**config["refiner"])
        for name, module in (("locator", locator), ("refiner", refiner)):
            state = {key[len(name) + 1 :]: value for key, value in tensors.items() if key.startswith(name + ".")}
            module.load_state_dict(state, strict=False)  # without the counters of batch normalisation
    except (KeyError, TypeError, RuntimeError) as error:
        raise BadCheckpoint("The face finder's weights file does not fit this version of the program.") from error

    def locate(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        heat, log_size, points = locator(image)
        return heat.sigmoid(), log_size, points

    def refine(crops: Tensor) -> tuple[Tensor, Tensor]:
        points, _, face = refiner(crops)
        return five_from_landmarks(points) * REFINER_SIZE, face.sigmoid()

    side, outputs = REFINER_SIZE, ("heat", "log_size", "points")
    return [
        LiveNetwork(
            Network("locate", locate, (locator,), {"image": (3, 160, 240)}, outputs),
            (("finder", "locator."),),
            ("image",),
        ),
        LiveNetwork(
            Network("refine", refine, (refiner,), {"crops": (3, side, side)}, ("fives", "face")),
            (("finder", "refiner."),),
        ),
    ]


# ---------------------------------------------------------------- HFGI


def _hfgi(pipe: HFGIPipeline) -> list[LiveNetwork]:
    net, head = pipe.generator.synthesis, pipe.head
    assert head is not None  # the embedded one has a head finder
    begin, end = SynthesisPart(net, 0, pipe._fusion_layer), SynthesisPart(net, pipe._fusion_layer, net.num_ws)
    average = nn.ParameterDict({"latent_avg": pipe.latent_avg})
    crop = (3, WORKING_SIZE, WORKING_SIZE)
    codes = (net.num_ws, net.w_dim)
    features = (pipe.consultation.config["channels"], 64, 64)
    colour = (3, 32, 32)

    def encode(face: Tensor) -> Tensor:
        return pipe.encoder(face) + average["latent_avg"]

    def decode(codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features, colour = begin(codes)
        return end(codes, features, colour)[1].clamp(-1, 1), features, colour

    def consult(distortion: Tensor, plain: Tensor, codes: Tensor, features: Tensor, colour: Tensor) -> Any:
        scale, shift = pipe.consultation(pipe.alignment(distortion, plain))
        image = end(codes, features * (1 + scale) + shift, colour)[1].clamp(-1, 1)
        return image, _masks(head, image)

    generator = ("generator", "synthesis.")
    networks = [
        LiveNetwork(
            Network("encode", encode, (pipe.encoder, average), {"face": crop}, ("codes",)),
            (("encoder", ""), ("encoder", "")),
        ),
        LiveNetwork(Network("decode", decode, (net,), {"codes": codes}, ("plain", "features", "colour")), (generator,)),
        LiveNetwork(
            Network(
                "consult",
                consult,
                (net, pipe.alignment, pipe.consultation, head),
                {"distortion": crop, "plain": crop, "codes": codes, "features": features, "colour": colour},
                ("image", "heads"),
            ),
            (generator, ("alignment", ""), ("consultation", ""), ("head", "")),
        ),
    ]
    return [*networks, *(_in_place(region) for region in REGIONS if region != "crop"), _motion()]


class SynthesisPart:
    """The layers of a synthesis network from latent index `first` to before `last`: consultation acts between two
    parts, so the coarse one need be computed only once."""

    def __init__(self, net: SynthesisNetwork, first: int, last: int) -> None:
        self.net, self.first, self.last = net, first, last

    def __call__(self, codes: Tensor, x: Tensor | None = None, image: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Features and colour after the part, of codes (N, num_ws, w_dim) and of what the part before gave."""
        x = self.net.start[None].expand(codes.shape[0], -1, -1, -1) if x is None else x
        for i, block in enumerate(self.net.blocks):
            up, index = 2 * i - 1, 2 * i
            if block.conv_up is not None and self.first < up <= self.last:
                x = block.conv_up(x, codes[:, up], "const")
            if self.first <= index < self.last:
                x = block.conv(x, codes[:, index], "const")
                image = block.to_rgb(x, codes[:, index + 1], image)
        assert image is not None
        return x, image


def _masks(head: nn.Module, images: Tensor) -> Tensor:
    """`HeadNet.masks` of pictures of 256 pixels: the mean of 2x2 pixels is its "area" resizing."""
    side = images.shape[-1]
    soft = torch.sigmoid(head(nn.functional.avg_pool2d(images, side // HEAD_SIZE)))
    return resize(soft, side)


def _in_place(region: str) -> LiveNetwork:
    crop, masks = (3, WORKING_SIZE, WORKING_SIZE), (2, WORKING_SIZE, WORKING_SIZE)
    shapes: Shapes = {"unedited": crop, "edited": crop, "plain": crop, "old_heads": masks, "new_heads": masks}
    function: Callable[..., Tensor] = lambda a, b, c, old, new: put_in_place(region, a, b, c, (old, new))  # noqa: E731
    if region == "face":  # an ellipse, which needs no heads
        shapes = {"unedited": crop, "edited": crop}
        function = lambda a, b: put_in_place(region, a, b, b, None)  # noqa: E731
    elif region in (*PARTS, "face_and_hair"):
        del shapes["plain"]
        function = lambda a, b, old, new: put_in_place(region, a, b, b, (old, new))  # noqa: E731
    return LiveNetwork(Network(f"put_in_place_{region}", function, (), shapes, ("picture",)), (), single=True)


def _motion() -> LiveNetwork:
    """`gan_core.faces.reference._moved_along`: values without their tone, and what is moved."""

    def moved_along(changed: Tensor, plain: Tensor, both: Tensor) -> Tensor:
        return shifted(both, resized_motion(find_motion(changed, plain), WORKING_SIZE))

    crop = (3, WORKING_SIZE, WORKING_SIZE)
    shapes: Shapes = {"changed": crop, "plain": crop, "both": (6, *crop[1:])}
    return LiveNetwork(Network("moved_along", moved_along, (), shapes, ("moved",)), (), single=True)
