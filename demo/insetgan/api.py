"""The endpoint `insetgan_compose`."""

from __future__ import annotations

import gradio as gr

from demo.context import Studio
from demo.insetgan.editor import DEFAULT_STEPS, MOST_STEPS, Editor, Person, Plan
from demo.parts.events import reporter
from demo.parts.numbers import LARGEST_SEED, whole_number
from demo.parts.photo import photo_input
from demo.parts.queued import QUEUE, queued
from gan_core.insetgan.models import EMBEDDED

API_NAME = "insetgan_compose"
_PSI = 0.7


def build(studio: Studio, editor: Editor) -> None:
    """Add the endpoint; its components are never on the page."""

    @queued
    def insetgan_compose(
        request: gr.Request, face_image_or_none: str | None = None, face_seed: float = 0, body_seed: float = 0,
        steps: float = DEFAULT_STEPS, model: str = EMBEDDED, body_pose: float = 0, feet_seed: float = -1,
        progress: gr.Progress = gr.Progress(),
    ) -> tuple[str, str, str]:  # fmt: skip
        """Join a face and a body without a seam.

        Args:
            face_image_or_none: a photo whose largest face is used; only the body moves then. Else: of face_seed
            face_seed: of the random face
            body_seed: of the random body
            steps: of the optimisation, from 1 to 400; about 60 are enough, half a minute on two cores
            model: a choice of weights: "bodies" (whole people, learnt from rendered ones), "portraits" (busts), or
                published ones
            body_pose: of the poses that "bodies" has, counted from 1; 0 leaves the body as it is
            feet_seed: of other feet and shoes, which "bodies" can have; -1 leaves the body's own

        Returns:
            Three PNG files: the composite, the body generator's own picture, and the face generator's.
        """
        session = studio.sessions.get(request.session_hash)
        if face_image_or_none:
            session.own_upload(face_image_or_none)
        choice = editor.model(model)
        feet = whole_number(feet_seed, "The seed of the feet", -1, LARGEST_SEED)
        pose = whole_number(body_pose, "The body's pose", 0, len(choice.poses))
        plan = Plan(
            body=Person(
                whole_number(body_seed, "The body's seed", 0, LARGEST_SEED), _PSI, pose=pose - 1 if pose else None
            ),
            face=Person(whole_number(face_seed, "The face's seed", 0, LARGEST_SEED), _PSI, face_image_or_none or None),
            mode="body" if face_image_or_none else "joint",
            steps=whole_number(steps, "The number of steps", 1, MOST_STEPS),
            second="feet" if feet >= 0 else None,
            second_seed=max(0, feet),
        )
        composed = editor.compose_once(session, model, plan, reporter(progress))
        note = editor.note(choice, plan, composed)
        pictures = (composed.image, composed.body, composed.faces[0])
        composite, body, face = (str(editor.save(session, picture, note, "api")) for picture in pictures)
        return composite, body, face

    with gr.Column(visible=False):
        face_image = photo_input(label="face image or none")
        face_seed = gr.Number(label="face seed", value=0)
        body_seed = gr.Number(label="body seed", value=0)
        steps = gr.Number(label="steps", value=DEFAULT_STEPS)
        model = gr.Textbox(label="model", value=_default(editor))
        body_pose = gr.Number(label="body pose", value=0)
        feet_seed = gr.Number(label="feet seed", value=-1)
        results = [gr.Image(label=label, format="png", type="filepath") for label in ("composite", "body", "face")]
        gr.Button().click(
            insetgan_compose,
            [face_image, face_seed, body_seed, steps, model, body_pose, feet_seed],
            results,
            api_name=API_NAME,
            **QUEUE,
        )


def _default(editor: Editor) -> str:
    """The portraits where they are there: what callers without a choice have always got."""
    return EMBEDDED if EMBEDDED in editor.models else next(iter(editor.models), EMBEDDED)
