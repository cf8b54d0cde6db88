"""Lines of pictures, and lines of what a person draws with any ink on any paper."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from gan_core.comodgan.drawings import drawing_of
from gan_core.comodgan.edges import PENS, edges_of, lines


def disc(side: int = 128) -> torch.Tensor:
    """A dark disc on light ground, (1, 3, side, side), softened as a photo is."""
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, side)] * 2, indexing="ij")
    edge = torch.sigmoid(((x**2 + y**2).sqrt() - 0.5) * 80)
    return (edge * 1.2 - 0.6).expand(1, 3, -1, -1)


@pytest.mark.parametrize("pen", PENS)
def test_a_line_where_the_picture_changes(pen) -> None:
    drawn = lines(disc(), pen)
    assert drawn.shape == (1, 1, 128, 128) and drawn.min() >= 0 and drawn.max() > 0.4
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, 128)] * 2, indexing="ij")
    ring = ((x**2 + y**2).sqrt() - 0.5).abs() < 0.12
    assert drawn[0, 0][ring].mean() > 0.1 and drawn[0, 0][~ring].max() == 0
    assert drawn.mean() < 0.1


def test_lines_carry_gradients() -> None:
    image = disc(48).clone().requires_grad_()
    lines(image).sum().backward()
    assert image.grad.abs().sum() > 0 and torch.isfinite(image.grad).all()


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (700, 900)])
def test_edges_of_any_size(size: tuple[int, int]) -> None:
    drawn = edges_of(torch.rand(3, *size) * 2 - 1)
    assert drawn.shape == (1, *size) and torch.isfinite(drawn).all() and drawn.min() >= 0 and drawn.max() <= 1


def drawn_with(ink, paper, width: int, mode: str = "RGB", side: int = 400) -> Image.Image:
    picture = Image.new(mode, (side, side), paper)
    ImageDraw.Draw(picture).ellipse([0.2 * side, 0.2 * side, 0.8 * side, 0.8 * side], outline=ink, width=width)
    return picture


CASES = {
    "black on white": drawn_with("black", "white", 3),
    "white on black": drawn_with("white", "black", 3),
    "red on yellow": drawn_with("red", "yellow", 3),
    "faint": drawn_with((200, 200, 200), "white", 3),
    "thick": drawn_with("black", "white", 24),
    "hairline": drawn_with("black", "white", 1),
    "transparent": drawn_with((0, 0, 255, 255), (0, 0, 0, 0), 3, "RGBA"),
    "grey": drawn_with(0, 255, 3, "L"),
    "two colours": drawn_with("black", "white", 3).convert("1"),
    "huge": drawn_with("black", "white", 9, side=1600),
}


@pytest.mark.parametrize("name", CASES)
def test_any_ink_on_any_paper(name: str) -> None:
    drawing = drawing_of(CASES[name])
    side = drawing.shape[-1]
    assert drawing.shape == (1, side, side) and side <= 512
    y, x = np.mgrid[:side, :side] / (side - 1) * 2 - 1
    away = np.abs(np.hypot(x, y) - 0.6)
    line = drawing[0].numpy()
    assert line[away > 0.16].max() < 0.2, "the paper is clean"
    assert (line.max(0) > 0.8).mean() > 0.5, "the line is black"
    assert 0.004 < line.mean() < 0.05, "and as wide as a trained one"


def test_a_photo_is_traced_and_an_empty_paper_stays_empty() -> None:
    photo = Image.fromarray(((disc(256)[0, 0].numpy() + 1) * 127).astype(np.uint8)).convert("RGB")
    assert 0 < drawing_of(photo).mean() < 0.2
    assert drawing_of(Image.new("RGB", (90, 70), "white")).max() == 0
