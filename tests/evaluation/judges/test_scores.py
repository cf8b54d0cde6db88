"""Numbers from pictures and verdicts that are known."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor

from gan_core.evaluation.judges.judge import UNITS, similarity
from gan_core.evaluation.judges.pictures import Drawn, Edits
from gan_core.evaluation.judges.scores import EditorScores, score
from gan_core.evaluation.judges.tables import markdown


def flat(*greys: int) -> Tensor:
    """Pictures of one grey each."""
    return torch.tensor(greys, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 4, 4)


class Grey:
    """Identity: a unit vector at an angle of a picture's grey, in hundredths of a radian."""

    name = "grey"

    def describe(self, images: Tensor) -> Tensor:
        angle = images[:, 0, 0, 0].float() / 100
        return torch.stack([angle.cos(), angle.sin()], 1)


class Brightness:
    """The grey as an age; no face in black pictures."""

    name = "brightness"
    measures: tuple[str, ...] = ("age",)

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        grey = images[:, 0, 0, 0].float()
        return {"age": torch.where(grey == 0, torch.nan, grey)}


DRAWN = Drawn(
    photos=flat(100, 200, 50),
    plain=flat(120, 220, 70),
    consulted=flat(100, 200, 51),
    edits={
        "age": Edits("Age", (-3, 3), flat(90, 190, 0), flat(100, 204, 90)),
        "lost": Edits("Lost", (-1, 1), flat(0, 0, 0), flat(10, 10, 10)),
    },
)


def test_similarity_is_the_cosine_of_unit_vectors() -> None:
    first, second = Grey().describe(flat(10, 20)), Grey().describe(flat(10, 80))
    assert similarity(first, second).tolist() == pytest.approx([1, torch.tensor(0.6).cos().item()])


def test_numbers() -> None:
    scores = score(DRAWN, Grey(), [Brightness()])
    cos = lambda *hundredths: sum(torch.tensor(h / 100).cos().item() for h in hundredths) / len(hundredths)  # noqa: E731
    assert scores.inversion["psnr_plain"] == pytest.approx(-20 * torch.tensor(20 / 255).log10().item(), abs=1e-4)
    assert scores.inversion["psnr_consulted"] > scores.inversion["psnr_plain"]
    assert scores.inversion["identity_plain"] == pytest.approx(cos(20), abs=1e-5)
    assert scores.inversion["identity_strangers"] == pytest.approx(cos(100, 50, 150), abs=1e-5)
    age = scores.sliders["age"]
    assert (age.moves["age"].mean, age.moves["age"].spread, age.moves["age"].people) == (12, 2, 2), "one face was lost"
    assert age.identity == pytest.approx({"low": cos(10, 10, 50), "high": cos(0, 4, 40)}, abs=1e-5)
    assert scores.sliders["lost"].moves == {}, "no face at an end, no number"
    assert json.loads(json.dumps(scores.as_json(), allow_nan=False))["sliders"]["age"]["moves"]["age"]["mean"] == 12


def test_without_judges_there_is_the_ratio() -> None:
    scores = score(DRAWN, None, [])
    assert set(scores.inversion) == {"psnr_plain", "psnr_consulted"}
    text = markdown({"now": scores}, [])
    assert "PSNR" in text and "slider" not in text and "dentity" not in text


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]


def test_table_of_one_editor() -> None:
    text = markdown({"now": score(DRAWN, Grey(), [Brightness()])}, ["grey", "brightness"])
    assert "grey, brightness; 3 people" in text
    table = rows(text)
    assert ["inversion", "now"] in table and ["slider, from end to end", "age, years"] in table
    assert ["age", "+12.0 ± 2.0"] in table and ["lost", "-"] in table
    assert ["slider", "identity at its lowest", "identity at its highest"] in table
    assert all(len(row) in (2, 3) for row in table)


def test_editors_are_side_by_side() -> None:
    one = score(DRAWN, Grey(), [Brightness()])
    other = EditorScores(5, {"psnr_plain": 20.0}, {"hair": one.sliders["age"], "lost": one.sliders["lost"]})
    text = markdown({"old": one, "new": other}, ["grey"])
    table = rows(text)
    assert "3, 5 people" in text
    assert ["slider, from end to end", "age, years: old", "age, years: new"] in table
    assert ["age", "+12.0 ± 2.0", "-"] in table
    assert [row[0] for row in table if len(row) == 3 and row[0] in ("age", "lost", "hair")] == ["age", "lost", "age"], (
        "the label of the first editor that has a slider; sliders in the order in which they come"
    )
    assert [row[1:] for row in table if row[0] == "PSNR with consultation, dB"][0][1] == "-"


def test_every_measure_has_a_unit() -> None:
    from gan_core.evaluation.judges.age import AgeJudge
    from gan_core.evaluation.judges.mesh import MeshJudge

    assert {*AgeJudge.measures, *MeshJudge.measures} == UNITS.keys()
