"""What several visitors want of one model, computed as one batch: each gets the picture of their own, to rounding."""

import gc
from dataclasses import replace

import pytest
import torch

from gan_core import graphs
from gan_core.comodgan.pipeline import load_embedded as load_comodgan
from gan_core.device_copies import DeviceCopies
from gan_core.errors import BadValue, UnknownName
from gan_core.hfgi.editing import FaceEdit
from gan_core.hfgi.pipeline import Inversion
from gan_core.hfgi.pipeline import load_embedded as load_hfgi
from gan_core.self_conditioned.pipeline import load_embedded as load_self_conditioned
from gan_core.swapping_autoencoder.pipeline import Mixture
from gan_core.swapping_autoencoder.pipeline import load_embedded as load_swapping
from weights import catalogue

GREY_LEVEL = 2 / 255


def same(mine, alone):
    """Whether pictures are those that were drawn alone, and no two of them are the same."""
    assert len(mine) == len(alone)
    for picture, wanted in zip(mine, alone, strict=True):
        assert picture.shape == wanted.shape
        assert (picture - wanted).abs().max() < GREY_LEVEL / 2
    for i, first in enumerate(alone):
        for second in alone[i + 1 :]:
            assert first.shape != second.shape or (first - second).abs().max() > 3 * GREY_LEVEL
    return True


@pytest.fixture(scope="module")
def faces():
    """The face editor, and two inverted faces."""
    pipeline = load_hfgi(catalogue.FOLDER)
    drawn = (pipeline.decode(pipeline.random_codes(seed)).clamp(-1, 1) for seed in range(2))
    return pipeline, [pipeline.invert(face) for face in drawn]


def test_edits_of_faces(faces) -> None:
    pipeline, (first, second) = faces
    offset = torch.randn(first.codes.shape, generator=torch.Generator().manual_seed(0)) / 4
    edits = [
        FaceEdit(first, {"smile": 2.0}),
        FaceEdit(second, {"pose": 2.0, "smile": -1.0}),
        FaceEdit(second, {"smile": 0.0}, consult=False),  # nothing changes
        FaceEdit(second, {}, offset=offset),
    ]
    alone = [pipeline.edit(e.inversion, e.strengths, consult=e.consult, offset=e.offset) for e in edits]
    assert same(pipeline.edit_together(edits), alone)


def test_a_face_whose_generator_was_tuned_to_it_is_drawn_by_its_own(faces) -> None:
    pipeline, (first, second) = faces
    name = next(n for n, _ in pipeline.generator.synthesis.named_parameters() if n.endswith("to_rgb.bias"))
    bias = dict(pipeline.generator.synthesis.named_parameters())[name]
    edits = [FaceEdit(first, {"smile": 2.0}, consult=False)]
    edits += [
        FaceEdit(replace(face, tuned={name: bias + 0.2}), {"smile": 2.0}, consult=False) for face in (first, second)
    ]
    alone = [pipeline.edit(e.inversion, e.strengths, consult=False) for e in edits]
    assert same(pipeline.edit_together(edits), alone)


def test_a_wrong_edit_is_named(faces) -> None:
    pipeline, (first, second) = faces
    with pytest.raises(BadValue, match="smile must be from"):
        pipeline.edit_together([FaceEdit(first, {"smile": 1.0}), FaceEdit(second, {"smile": 99.0})])
    with pytest.raises(UnknownName, match="no attribute 'wit'"):
        pipeline.edit_together([FaceEdit(first, {"smile": 1.0}), FaceEdit(second, {"wit": 1.0})])


def test_edits_at_the_edges() -> None:
    pipeline = load_self_conditioned(catalogue.FOLDER)
    codes = [pipeline.random_face(seed) for seed in range(2)]
    wanted = [{"age": 0.9}, {"smile": 0.1, "age": 0.4}]
    pairs = pipeline.edit_together(list(zip(codes, wanted, strict=True)))
    assert same([own for own, _ in pairs], [pipeline.edit(c, w) for c, w in zip(codes, wanted, strict=True)])
    assert same([plain for _, plain in pairs], [pipeline.edit_plain(c, w) for c, w in zip(codes, wanted, strict=True)])


def test_completions() -> None:
    pipeline = load_comodgan(catalogue.embedded("people_fill/generator").path, framing="face")
    draw = torch.Generator().manual_seed(1)
    wanted = []
    for i, size in enumerate(((256, 256), (300, 200))):
        image = torch.nn.functional.interpolate(torch.rand(1, 3, 8, 8, generator=draw) * 2 - 1, size, mode="bicubic")
        hole = torch.zeros(1, *size)
        hole[:, 30 : 60 + 20 * i, 40:100] = 1
        wanted.append((pipeline.prepare(image[0].clamp(-1, 1), hole), [i, i + 10][: 1 + i], 1.0 - 0.2 * i))
    found = pipeline.complete_together(wanted)
    alone = [list(pipeline.complete(prepared, seeds, psi=psi)) for prepared, seeds, psi in wanted]
    assert [len(one) for one in found] == [1, 2]
    assert same(sum(found, []), sum(alone, []))
    with pytest.raises(BadValue, match="psi"):
        pipeline.complete_together([wanted[0], (*wanted[1][:2], 7.0)])


def test_mixtures_of_pictures() -> None:
    pipeline = load_swapping(catalogue.embedded("people_swap/encoder").path.parent)
    draw = torch.Generator().manual_seed(2)

    def codes(height, width):
        grid = torch.rand(1, 3, 6, 6, generator=draw) * 2 - 1
        return pipeline.encode(torch.nn.functional.interpolate(grid, (height, width), mode="bicubic").clamp(-1, 1))

    a, b, c = codes(256, 256), codes(256, 256), codes(200, 256)
    mask = torch.zeros(256, 256)
    mask[64:192, 64:192] = 1
    name = next(iter(pipeline.directions))
    wanted = [
        (a, [b], Mixture()),
        (b, [a], Mixture(0.5)),
        (a, [], Mixture(strengths={name: 1.5})),
        (c, [b], Mixture()),  # of another size
        (b, [c], Mixture(mask=mask, region="both")),
    ]
    assert same(pipeline.draw_together(wanted), [pipeline.draw(*one) for one in wanted])


def test_batches_are_computed_in_a_few_sizes() -> None:
    """Each size is recorded; the rows that nobody asked for repeat the last one."""
    assert [graphs.rows_for(n) for n in (1, 2, 3, 5, 9, 16, 17)] == [1, 2, 4, 8, 16, 16, 17]
    assert [graphs.pictures_at_once(side, side) for side in (64, 256, 512, 1024, 4096)] == [16, 16, 16, 4, 1]
    x = torch.arange(24.0).view(3, 2, 2, 2).contiguous(memory_format=torch.channels_last)
    wide = graphs.with_rows(x, 4)
    assert wide.shape == (4, 2, 2, 2) and wide.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(wide[:3], x) and torch.equal(wide[3], x[2])
    shared = torch.ones(1, 5)
    assert graphs.with_rows(shared, 4).shape == (1, 5) and graphs.with_rows(shared, 4) is not shared


def test_copies_live_as_long_as_what_they_were_made_of(faces) -> None:
    _, (first, second) = faces
    made = []

    class Moved(Inversion):
        def to(self, device):
            made.append(self)
            return super().to(device)

    originals = [Moved(**vars(face)) for face in (first, second, first)]
    copies, device = DeviceCopies(most=2 * first.size), torch.device("cpu")
    kept = [copies.of(original, device) for original in originals[:2]]
    assert copies.of(originals[0], device) is kept[0] and len(made) == 2
    copies.of(originals[2], device)  # no room for three: the one used last but one goes
    assert copies.of(originals[0], device) is kept[0] and copies.of(originals[1], device) is not kept[1]
    made.clear()
    del originals
    gc.collect()
    assert len(copies) == 0
