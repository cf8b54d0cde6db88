"""The command `gan-studio edit`, with the embedded weights on a picture that they drew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_core import edit

EXAMPLE = Path(__file__).resolve().parents[2] / "demo" / "assets" / "examples" / "person_1014.jpg"


def test_photos_are_edited_and_what_fails_is_a_sentence(tmp_path, caplog) -> None:
    Image.new("RGB", (300, 300), "teal").save(tmp_path / "empty.png")
    (tmp_path / "notes.txt").write_text("hello")
    output = tmp_path / "out"
    words = [EXAMPLE, tmp_path / "empty.png", tmp_path / "notes.txt", "--smile", "2", "--hair-length=1"]
    with caplog.at_level("INFO"):
        assert edit.main([*map(str, words), "--output", str(output)]) == 1
    assert [path.name for path in output.iterdir()] == ["person_1014.png"], "nothing half-written either"
    with Image.open(output / "person_1014.png") as result, Image.open(EXAMPLE) as before:
        assert result.size == before.size and "smile +2, hair_length +1" in result.text["Description"]
        change = np.abs(np.asarray(result, float) - np.asarray(before.convert("RGB"), float)).mean(-1)
    assert change.max() > 30 and change[:4, :4].max() < 8, "the face changes, the corner does not"
    assert "empty.png: No face was found" in caplog.text and "notes.txt: This is not a picture." in caplog.text


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["photo.jpg"], 2, "say what to change"),
        (["photo.jpg", "--nose", "2"], 2, "--nose"),
        (["nowhere.jpg", "--smile", "2"], 1, "There is no file nowhere.jpg"),
    ],
)
def test_words_that_cannot_be_used(words, status, said, capsys, caplog) -> None:
    try:
        found = edit.main(words)
    except SystemExit as end:
        found = end.code
    assert found == status and said in capsys.readouterr().err + caplog.text


def test_a_strength_out_of_range_is_a_sentence(tmp_path, caplog) -> None:
    assert edit.main([str(EXAMPLE), "--smile", "99", "--output", str(tmp_path / "out")]) == 1
    assert "must be from -3 to 3" in caplog.text and not (tmp_path / "out").exists()
