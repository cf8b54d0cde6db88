"""The embedded pipeline of whole bodies: rendered people as canvas, photographic faces as inset."""

from __future__ import annotations

from pathlib import Path

import torch

from gan_core.checkpoints.embedded import build_from_file, load_face_generator
from gan_core.e4e.encoding import HasEncoder, load_face_encoder
from gan_core.e4e.networks import working_shape
from gan_core.faces.head import load_head
from gan_core.insetgan.body_reader import load_body_reader
from gan_core.insetgan.canvas_encoder import load_canvas_encoder
from gan_core.insetgan.feet import FEET
from gan_core.insetgan.models import BODIES, BODY_REGIONS, ENCODER, FACE
from gan_core.insetgan.pipeline import InsetGANPipeline, Mode
from gan_core.insetgan.sources import load_directions, load_poses
from gan_core.insetgan.whole_body import FaceOfBody, FeetOfBody
from gan_core.perceptual import load_embedded_features
from gan_core.stylegan2 import Generator

CANVAS_RATE = 0.02  # of Adam; with the pipeline's usual rate the place behind a person changes, too
ENLARGED = 2  # results also at 1024 x 512, where the face has about half of its own pixels

# The canvas's face is plain, and an inset that follows it closely becomes as plain. So little is asked of the inside,
# and the codes of a face that was read stay near where they were.
_LIGHT = {"coarse": 0.3, "coarse_perceptual": 20.0, "border_perceptual": 60.0}
BODY_MODES: dict[str, Mode] = {
    "joint": Mode(canvas=True, inset=True, weights={"body": 1.0}),
    "body": Mode(canvas=True, inset=False, weights={"body": 1.0}),
    "face": Mode(canvas=False, inset=True, weights={"face": 1.0, **_LIGHT}, fresh_inset=True),
}


def load_bodies(
    folder: Path | str,
    *,
    inset: Generator | None = None,
    encoder: HasEncoder | None = None,
    device: str | torch.device = "cpu",
) -> InsetGANPipeline:
    """The pipeline of the weights in `folder` (weights/): bodies, the newest faces and the encoder that reads them.

    inset, encoder: shared with other models; read from the folder where they are not given. A generator of feet, an
    encoder of bodies, the sliders' directions and poses are used where they are there. Raises WeightsMissing or
    BadCheckpoint.
    """
    folder = Path(folder)
    own = folder / BODIES
    canvas, _ = build_from_file(Generator, own / "generator.safetensors", "generator of bodies")
    reader = load_body_reader(own / "reader.safetensors")
    inset = inset or load_face_generator(folder, FACE)
    encoder = encoder or load_face_encoder(folder, inset, ENCODER)
    others = {}
    if (own / "feet.safetensors").is_file():
        others["feet"], _ = build_from_file(Generator, own / "feet.safetensors", "generator of feet")
    bodies, canvas_encoder = own / "encoder.safetensors", None
    if bodies.is_file():
        canvas_encoder = load_canvas_encoder(bodies, working_shape(canvas.config["start_shape"]))
    poses = own / "poses.safetensors"
    directions, head = own / "directions.safetensors", folder / "portraits_hfgi" / "head.safetensors"
    return InsetGANPipeline(
        canvas,
        inset,
        load_embedded_features(folder),
        head=load_head(head) if head.is_file() else None,
        regions=BODY_REGIONS,
        finder=FaceOfBody(reader),
        reader=reader,
        others=others,
        finders={"feet": FeetOfBody(reader)},
        other_regions={"feet": FEET},
        encoder=encoder,
        canvas_encoder=canvas_encoder,
        directions=load_directions(directions) if directions.is_file() else {},
        poses=load_poses(poses) if poses.is_file() else None,
        modes=BODY_MODES,
        canvas_rate=CANVAS_RATE,
        tone=True,
        enlarged=ENLARGED,
        device=device,
    )
