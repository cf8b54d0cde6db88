"""The judges' numbers as Markdown, for a model card: sliders down, editors across."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gan_core.evaluation.judges.judge import UNITS
from gan_core.evaluation.judges.scores import EditorScores

NONE = "-"
_INVERSION = {
    "psnr_plain": ("PSNR of the plain inversion, dB", 1),
    "psnr_consulted": ("PSNR with consultation, dB", 1),
    "identity_plain": ("identity of the plain inversion", 3),
    "identity_consulted": ("identity with consultation", 3),
    "identity_strangers": ("(identity of two different people's photos)", 3),
}


def markdown(editors: Mapping[str, EditorScores], judges: Sequence[str]) -> str:
    """Tables of inversion, of how far sliders move, and of identity at their ends, of editors by name.

    judges: what judged, in words.
    """
    people = ", ".join(sorted({str(scores.people) for scores in editors.values()}))
    said = [f"Judged by {', '.join(judges)}; {people} people." if judges else f"PSNR only; {people} people."]
    if any("identity_plain" in scores.inversion for scores in editors.values()):
        said.append("Identity is similarity to the photo, 1 - half the squared distance (0.82 and more: one person).")
    return "\n\n".join([" ".join(said), _inversion(editors), *_moves(editors), *_identity(editors)]) + "\n"


def _inversion(editors: Mapping[str, EditorScores]) -> str:
    rows = []
    for key, (title, digits) in _INVERSION.items():
        numbers = [scores.inversion.get(key) for scores in editors.values()]
        if any(number is not None for number in numbers):
            rows.append([title, *(NONE if n is None else f"{n:.{digits}f}" for n in numbers)])
    return _table(["inversion", *editors], rows)


def _moves(editors: Mapping[str, EditorScores]) -> list[str]:
    """A move, mean over people and its standard deviation among them."""
    every = [slider.moves for scores in editors.values() for slider in scores.sliders.values()]
    measures = [measure for measure in UNITS if any(measure in moves for moves in every)]
    if not measures:
        return []
    head = ["slider, from end to end"]
    for measure in measures:
        title, unit, _ = UNITS[measure]
        head += [_of(f"{title}, {unit}", editor, editors) for editor in editors]
    rows = []
    for name, label in _sliders(editors).items():
        row = [label]
        for measure in measures:
            for scores in editors.values():
                slider = scores.sliders.get(name)
                move, digits = slider and slider.moves.get(measure), UNITS[measure][2]
                row.append(f"{move.mean:+.{digits}f} ± {move.spread:.{digits}f}" if move else NONE)
        rows.append(row)
    return [_table(head, rows)]


def _identity(editors: Mapping[str, EditorScores]) -> list[str]:
    if not any(slider.identity for scores in editors.values() for slider in scores.sliders.values()):
        return []
    head = ["slider"]
    for end in ("lowest", "highest"):
        head += [_of(f"identity at its {end}", editor, editors) for editor in editors]
    rows = []
    for name, label in _sliders(editors).items():
        row = [label]
        for end in ("low", "high"):
            for scores in editors.values():
                slider = scores.sliders.get(name)
                row.append(f"{slider.identity[end]:.3f}" if slider and slider.identity else NONE)
        rows.append(row)
    return [_table(head, rows)]


def _sliders(editors: Mapping[str, EditorScores]) -> dict[str, str]:
    """Labels of all sliders by name, in the order in which they come."""
    found: dict[str, str] = {}
    for scores in editors.values():
        for name, slider in scores.sliders.items():
            found.setdefault(name, slider.label.lower())
    return found


def _of(title: str, editor: str, editors: Mapping[str, EditorScores]) -> str:
    return f"{title}: {editor}" if len(editors) > 1 else title


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
