"""The steps from a photo to an edited photo: open, find the faces, align one, invert it once, edit, paste back.

This module is independent of the page: its arguments and results are plain values. Costly results are kept in the
visitor's session, so that moving a slider only draws and pastes.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from demo import gpu
from demo.gpu import Done, Progress, Steps
from demo.hfgi import tasks
from demo.hfgi.strengths import checked_strengths
from demo.hfgi.tasks import EditedFace, InvertedFace
from demo.hfgi.work import Edited, Work
from demo.parts.choices import choice_of
from demo.parts.editor import PaperEditor
from demo.parts.results import save_result
from demo.parts.uploads import MAX_PIXELS, read_upload
from demo.session import Session
from gan_core.errors import BadImage, BadValue, FaceTooSmall, NoFaceFound
from gan_core.hfgi.models import HFGIModel, one_of_each_region
from gan_core.images import open_image, resize_within

if TYPE_CHECKING:
    from gan_core.faces import AlignedFace, Face
    from gan_core.own_direction import OwnDirection

MIN_SIDE = 64
PREVIEW_SIDE = 1280  # longer side of the preview that is shown while sliders move
MOST_FACES = 12

Point = tuple[float, float]


class Editor(PaperEditor[HFGIModel]):
    """The steps of editing a face in a photo with HFGI."""

    def model(self, name: str) -> HFGIModel:
        """The choice of weights of that name. Raises UnknownName."""
        return choice_of(self.models, name, "the face editor")

    def warm_up(self) -> None:
        """Load the face finder and the first model, and run both once on an empty picture."""
        choice = next(iter(self.models.values()))
        blank = Image.new("RGB", (choice.resolution, choice.resolution), "grey")
        self._faces_or_reason(blank)
        inverted = gpu.run(tasks.invert(choice.model, blank))
        if choice.sliders:
            self._draw(choice, inverted, {choice.sliders[0].name: 1.0}, False, None)
            gpu.run(tasks.warm_batches(choice.model, inverted.inversion, one_of_each_region(choice.sliders)))

    def open(self, session: Session, path: str | None, progress: Progress | None = None) -> Work:
        """The photo at `path` with its faces, from the session where it has been opened before.

        Raises BadImage.
        """
        data = read_upload(session, path)
        digest = hashlib.sha256(data).hexdigest()
        work = session.recall(("photo", digest))
        if work is None:
            _tell(progress, 0.1, "Looking for faces")
            photo = open_image(data, max_pixels=MAX_PIXELS, min_side=MIN_SIDE)
            faces, trouble = self._faces_or_reason(photo)
            preview = resize_within(photo, PREVIEW_SIDE)
            work = Work(digest, photo, preview, faces[:MOST_FACES], len(faces), trouble)
            if faces:
                work.choose(faces[0])
            session.keep(("photo", digest), work, work.size)
        return work

    def choose(self, work: Work, index: int) -> None:
        """Choose another one of the faces found."""
        if not 0 <= index < len(work.faces):
            raise BadValue(f"There is no face number {index + 1} in this picture.")
        work.choose(work.faces[index])

    def mark(self, work: Work, points: Sequence[Point]) -> None:
        """Choose the face given by three points of the *preview*: both eyes and the mouth. Raises BadValue."""
        from gan_core.faces import face_from_points

        if len(points) != 3:
            raise BadValue("Please mark three points: one eye, the other eye, the mouth.")
        scale = work.photo.width / work.preview.width
        first, second, mouth = ((x * scale, y * scale) for x, y in points)
        work.choose(face_from_points(first, second, mouth))

    def edit(
        self,
        session: Session,
        work: Work,
        model: str,
        strengths: Mapping[str, float],
        *,
        full_size: bool = False,
        with_plain: bool = False,
        refined: bool = False,
        own: tuple[OwnDirection, float] | None = None,
        progress: Progress | None = None,
    ) -> Edited:
        """The photo with its chosen face edited; the preview unless full_size. refined: by the refined inversion, where
        there is one (see `refine`). own: a direction of the visitor's own, and its strength.

        Only the change is added to the photo (see `gan_core.faces.reference`), so with all sliders at 0 the photo is
        returned unchanged.
        Raises NoFaceFound, FaceTooSmall, UnknownName, BadValue.
        """
        choice = self.model(model)
        strengths = checked_strengths(choice, strengths)
        aligned = self.align(work, choice)
        inverted = self.invert(session, work, choice, progress)
        if refined:
            inverted = work.refined.get(choice.model, inverted)
        edited = self._draw(choice, inverted, strengths, with_plain, progress, own)
        before = work.photo if full_size else work.preview
        _tell(progress, 0.9, "Putting the face back")
        after = self.pasted(work, choice, inverted, edited.consulted, before)
        return Edited(before, after, aligned.crop, inverted.plain, edited.plain, edited.consulted, inverted.refined)

    def refine(self, session: Session, work: Work, model: str, progress: Progress | None = None) -> Steps[InvertedFace]:
        """Bring the inversion of the chosen face closer to the photo: reports, `RefinementPreview`s among them, and at
        last the refined face. What a preview has is kept in `work.refined` at once, so it stays when the iterator is
        closed, which stops the work. A face that was refined to the end is not refined again.

        Raises NoFaceFound, FaceTooSmall or UnknownName.
        """
        choice = self.model(model)
        inverted, face = self.invert(session, work, choice, progress), work.face
        begun = work.refined.get(choice.model)
        if begun is not None and choice.model in work.complete:
            yield Done(begun)
            return
        with contextlib.closing(gpu.stream(tasks.refine(choice.model, inverted.inversion), progress)) as steps:
            for step in steps:
                found = step.value if isinstance(step, Done) else getattr(step, "face", None)
                if found is not None and work.face is face:  # else another face was chosen meanwhile
                    work.refined[choice.model] = found
                    session.keep(("photo", work.digest), work, work.size)
                    if isinstance(step, Done):
                        work.complete.add(choice.model)
                yield step

    def edit_once(
        self,
        session: Session,
        path: str | None,
        attribute: str,
        strength: float,
        align: bool = True,
        model: str = "portraits",
        refine: bool = False,
        progress: Progress | None = None,
    ) -> tuple[Image.Image, Image.Image, int]:
        """The API's call: the edited picture, the plain inversion, and the steps of refinement that it had.

        With align, whole photos in which the largest face is changed; without it the picture must be a square, aligned
        face, and such faces are returned. Raises any StudioError.
        """
        from gan_core.faces import paste_back

        if path:
            session.own_upload(path)
        choice = self.model(model)
        strengths = checked_strengths(choice, {attribute: strength})
        if align:
            work = self.open(session, path, progress)
            if refine:
                gpu.result(self.refine(session, work, model, progress), progress)
            result = self.edit(session, work, model, strengths, full_size=True, refined=refine, progress=progress)
            plain = paste_back(work.photo, self.align(work, choice), result.plain_inversion)
            return result.after, plain, result.refined
        crop = self._open_crop(path, choice.resolution)
        inverted = gpu.run(tasks.invert(choice.model, crop), progress)
        if refine:
            inverted = gpu.run(tasks.refine(choice.model, inverted.inversion), progress)
        return self._draw(choice, inverted, strengths, False, progress).consulted, inverted.plain, inverted.refined

    def edit_many(
        self, session: Session, path: str | None, strengths: Any, model: str, refine: bool = False
    ) -> tuple[Image.Image, dict[str, float], int]:
        """A photo whose largest face has several attributes changed: the photo at its size, the strengths as checked,
        and the steps of refinement that the inversion had. Raises any StudioError."""
        if not isinstance(strengths, Mapping):
            raise BadValue('The strengths are given by attribute, like {"smile": 2}.')
        checked = checked_strengths(self.model(model), strengths)
        work = self.open(session, path)
        if refine:
            gpu.result(self.refine(session, work, model))
        result = self.edit(session, work, model, checked, full_size=True, refined=refine)
        return result.after, checked, result.refined

    def save(
        self,
        session: Session,
        picture: Image.Image,
        model: str,
        strengths: Mapping[str, float],
        refined: int = 0,
        own: tuple[OwnDirection, float] | None = None,
    ) -> Path:
        """Write a result as a PNG that says how it was edited; the path lives as long as the session. refined: steps of
        refinement that its inversion had."""
        return save_result(session, picture, self.note(self.model(model), strengths, refined, own), "edited")

    def note(
        self,
        choice: HFGIModel,
        strengths: Mapping[str, float],
        refined: int = 0,
        own: tuple[OwnDirection, float] | None = None,
    ) -> str:
        """Description of an edit for the result's metadata."""
        if own is not None:
            strengths = {**strengths, f"own direction {own[0].name!r}": own[1]}
        used = ", ".join(f"{name} {value:+g}" for name, value in strengths.items() if value)
        how = f"; the inversion was refined on the photo in {refined} steps" if refined else ""
        return f"edited with GAN Studio, HFGI ({choice.label}): {used or 'nothing changed'}{how}"

    def _faces_or_reason(self, photo: Image.Image) -> tuple[list[Face], str]:
        """The faces, or none and the reason. It is no error, because a person may still mark a face by hand."""
        try:
            return self.find_faces(photo), ""
        except (NoFaceFound, FaceTooSmall) as error:
            return [], str(error)

    def has_subject(self, work: Work, model: str) -> bool:
        """Whether there is something that this model can edit: a face, or for a model of objects the picture itself."""
        return work.face is not None or self.model(model).alignment != "face"

    def align(self, work: Work, choice: HFGIModel) -> AlignedFace:
        """The chosen face cut out for this model, or the part of the picture that it edits. Raises NoFaceFound or
        FaceTooSmall."""
        from gan_core.faces import align
        from gan_core.faces.whole import whole_square

        kind, size = key = choice.alignment, choice.resolution
        if key not in work.aligned:
            if kind != "face":
                work.aligned[key] = whole_square(work.photo, size, wide=kind == "wide")
            elif work.face is None:
                raise NoFaceFound(work.trouble)
            else:
                work.aligned[key] = align(work.photo, work.face, size)
        return work.aligned[key]

    def invert(self, session: Session, work: Work, choice: HFGIModel, progress: Progress | None = None) -> InvertedFace:
        """The chosen face inverted, as it was if it has been before. Raises NoFaceFound or FaceTooSmall."""
        if choice.model not in work.inverted:
            crop = self.align(work, choice).crop
            work.inverted[choice.model] = gpu.run(tasks.invert(choice.model, crop), progress)
            session.keep(("photo", work.digest), work, work.size)
        return work.inverted[choice.model]

    def pasted(
        self, work: Work, choice: HFGIModel, inverted: InvertedFace, edited: Image.Image, before: Image.Image
    ) -> Image.Image:
        """`before`, the photo or a copy of another size, with an edited aligned face in it."""
        from gan_core.faces import paste_back
        from gan_core.faces.preview import at_size
        from gan_core.faces.reference import reference_for

        aligned = self.align(work, choice)
        reference = reference_for(aligned.crop, inverted.consulted, edited)
        return paste_back(before, at_size(aligned, before.size), edited, reference=reference)

    def _draw(
        self,
        choice: HFGIModel,
        inverted: InvertedFace,
        strengths: Mapping[str, float],
        with_plain: bool,
        progress: Progress | None,
        own: tuple[OwnDirection, float] | None = None,
    ) -> EditedFace:
        if not any(strengths.values()) and own is None:
            return EditedFace(inverted.consulted, inverted.plain)
        offset = None if own is None else own[0].offset(own[1])
        return gpu.run(tasks.edit(choice.model, inverted.inversion, strengths, with_plain, offset), progress)

    def _open_crop(self, path: str | None, size: int) -> Image.Image:
        if not path:
            raise BadImage("Please choose a picture first.")
        crop = open_image(path, max_pixels=MAX_PIXELS, min_side=MIN_SIDE)
        if crop.width != crop.height:
            raise BadImage(
                f"Without aligning, the picture must be a square cut-out face; this one is {crop.width} x "
                f"{crop.height}."
            )
        return crop.resize((size, size), Image.Resampling.LANCZOS) if crop.width != size else crop


def _tell(progress: Progress | None, fraction: float, text: str) -> None:
    if progress:
        progress(fraction, text)
