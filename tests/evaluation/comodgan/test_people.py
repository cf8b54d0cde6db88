"""Scores of completed faces, with judges whose answers are known."""

import torch

from gan_core.comodgan.pipeline import CoModGANPipeline
from gan_core.evaluation.comodgan.people import HIDDEN, complete_all, read, score, table
from tests.gan_core.comodgan.test_pipeline import generator


class ByColour:
    """Descriptors: mean colours. Age: a hundredth of red. A man: more green than blue."""

    name, measures = "colours", ("age", "male")

    def describe(self, images: torch.Tensor) -> torch.Tensor:
        assert images.dtype == torch.uint8
        return images.float().mean((2, 3)) / 255

    def measure(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        assert images.dtype == torch.uint8, "judges get pictures as a visitor does"
        red, green, blue = images.float().mean((2, 3)).T
        return {"age": red / 100, "male": (green > blue).float()}


def flat(*colours: tuple[int, int, int]) -> torch.Tensor:
    return torch.tensor(colours, dtype=torch.uint8)[:, :, None, None].expand(-1, -1, 8, 8)


def test_the_same_pictures_score_best_and_changes_are_counted() -> None:
    judge = ByColour()
    real = read(flat((100, 200, 50), (200, 50, 90), (0, 10, 20)), judge, judge)
    same = score(real, [real, real])
    assert (same.pictures, same.identity, same.years, same.gender) == (6, 1, 0, 1) and score(
        real, [real]
    ).frechet < 1e-6
    other = read(flat((200, 200, 50), (200, 90, 50), (0, 10, 20)), judge, judge)
    found = score(real, [other])
    assert abs(found.years - 1 / 3) < 1e-6 and abs(found.gender - 2 / 3) < 1e-6
    assert found.identity < 1 and found.frechet > 0.001
    text = table({"a": {"all": same}, "b": {"all": found}})
    assert "| all (6) | 1.000 | " in text and "100% | 67%" in text


def test_each_part_is_hidden_and_the_rest_stays() -> None:
    torch.manual_seed(0)
    pipeline = CoModGANPipeline(generator(32), framing="face")
    pictures = torch.rand(2, 3, 32, 32) * 2 - 1
    kept = pictures.add(1).mul(127.5).round().to(torch.uint8)
    for part in HIDDEN:
        done = complete_all(pipeline, pictures, part, 0.8)
        changed = (done != kept).any(1).float().mean((1, 2))
        assert done.dtype == torch.uint8 and ((changed > 0.02) & (changed < 0.7)).all(), part
