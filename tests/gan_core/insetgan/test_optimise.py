"""The optimisation on small random networks."""

import gc
import weakref

import pytest
import torch

from gan_core.errors import BadValue, NoFaceFound
from gan_core.insetgan.latents import GeneratorLatent, Inset, Schedule
from gan_core.insetgan.objective import TERMS, Weights
from gan_core.insetgan.optimise import optimise
from gan_core.insetgan.regions import Region
from tests.gan_core.insetgan import small

SHORT = Schedule(steps=6, detect=2, preview=3, frame=4, feather=4)


def start(optimised=(True, True), finder=small.find_centre, canvas=None, insets=1, schedule=SHORT, **options):
    canvas = canvas or small.generator()
    inset = small.generator()
    latents = [
        Inset(inset, small.codes(inset, 1 + i), optimised=optimised[1], region=small.WHOLE, finder=finder)
        for i in range(insets)
    ]
    return optimise(
        GeneratorLatent(canvas, small.codes(canvas), optimised=optimised[0]),
        latents,
        small.features(),
        schedule=schedule,
        **options,
    )


def test_pictures_become_alike() -> None:
    reports = list(start(schedule=Schedule(steps=20, detect=50, preview=5, frame=4)))
    assert [report.step for report in reports] == list(range(21))  # on a CPU others may go first after each
    losses = reports[-1].losses
    assert losses.shape == (20, len(TERMS)) and torch.isfinite(losses).all()
    assert losses[-1, :3].sum() < 0.7 * losses[0, :3].sum()
    assert reports[-1].done and not reports[0].done
    assert reports[0].best.hard.shape == (1, 3, 64, 64)
    assert reports[-1].pasted is reports[0].pasted


@pytest.mark.parametrize("optimised", [(True, False), (False, True)])
def test_what_is_fixed_stays_bit_for_bit(optimised) -> None:
    first, *_, last = start(optimised=optimised)
    pictures = [(r.best.canvas, r.best.insets[0]) for r in (first, last)]
    for k in (0, 1):
        assert torch.equal(pictures[0][k], pictures[1][k]) is not optimised[k]
        assert torch.equal(first.best.codes[k], last.best.codes[k]) is not optimised[k]


def test_between_two_reports_gradients_are_as_they_were() -> None:
    reports = start()  # work of others may go on in this thread meanwhile
    next(reports)
    assert torch.is_grad_enabled()
    reports.close()


def test_sides_move_in_turn() -> None:
    schedule = Schedule(steps=4, alternate=2, preview=1, detect=100, frame=4)
    codes = [report.best.codes for report in start(schedule=schedule)]
    # The best state is the one before a step, so it lags by one.
    assert not torch.equal(codes[2][0], codes[0][0]) and torch.equal(codes[2][1], codes[0][1])


def test_same_start_same_picture() -> None:
    results = []
    for _ in range(2):
        torch.manual_seed(3)
        results.append(list(start())[-1].best.image)
    assert torch.equal(*results)


def test_two_insets_and_a_canvas_that_is_not_square() -> None:
    canvas = small.generator(64, start_shape=(4, 2))
    last = list(start(canvas=canvas, insets=2))[-1]
    assert last.best.image.shape == (1, 3, 64, 32) and len(last.best.insets) == 2 and len(last.best.codes) == 3


def test_the_best_is_kept() -> None:
    schedule = Schedule(steps=12, detect=100, preview=12, frame=4)
    canvas = small.generator()
    inset = small.generator()
    wild = [Inset(inset, small.codes(inset, 1), region=small.WHOLE, finder=small.find_centre, rate=30.0)]
    latent = GeneratorLatent(canvas, small.codes(canvas), rate=30.0)  # so fast that it only gets worse
    first, *_, last = optimise(latent, wild, small.features(), schedule=schedule)
    assert last.losses.sum(1)[0] == last.losses.sum(1).min()
    assert torch.allclose(first.best.image, last.best.image, atol=1e-5)


def test_no_face_at_the_start() -> None:
    with pytest.raises(NoFaceFound, match="take another body"):
        next(start(finder=lambda *_: None))


def test_no_face_on_the_way_is_said_and_survived() -> None:
    calls = []

    def once(canvas, inset, region):
        calls.append(1)
        return small.find_centre(canvas, inset, region) if len(calls) == 1 else None

    first, *_, last = start(finder=once)
    assert len(calls) > 1 and last.done
    assert "At step 2 no face was found" in last.notes[0]
    assert last.best.placements == first.best.placements and not first.notes


def test_places_are_looked_for_again() -> None:
    seen = []

    def wander(canvas, inset, region):
        seen.append(canvas.clone())
        shift = 2 * (len(seen) - 1)
        from gan_core.insetgan.placement import Placement

        return Placement(32 + shift, 32, 32, 32)

    first, *_, last = start(finder=wander)
    assert len(seen) == 2  # steps 0 and 2; after half of the steps it stays
    assert not torch.equal(seen[0], seen[1])
    assert last.best.placements[0].x == first.best.placements[0].x + 2


def test_at_least_one_generator_is_optimised() -> None:
    with pytest.raises(BadValue, match="At least one"):
        next(start(optimised=(False, False)))


def test_an_outline_needs_a_head_finder() -> None:
    canvas = small.generator()
    region = Region("outline", "outline", (0, 0, 1, 1), outline="head")
    inset = Inset(canvas, small.codes(canvas), region=region, finder=small.find_centre)
    with pytest.raises(BadValue, match="head finder"):
        next(optimise(GeneratorLatent(canvas, small.codes(canvas)), [inset], small.features(), schedule=SHORT))
    head = torch.zeros(1, 2, 64, 64)
    head[:, :, 16:48, 16:48] = 1
    last = list(optimise(GeneratorLatent(canvas, small.codes(canvas)), [inset], small.features(), schedule=SHORT,
                         head=lambda picture: head))[-1]  # fmt: skip
    assert last.done and (last.best.hard - last.best.canvas)[..., :18, :18].abs().max() < 1e-4


@pytest.mark.parametrize("end", ["close", "error"])
def test_stopping_in_the_middle_frees_everything(end, monkeypatch) -> None:
    canvas = small.generator()
    run = start(canvas=canvas)
    next(run)
    if end == "error":
        monkeypatch.setattr(type(canvas.synthesis), "forward", _out_of_memory)
        with pytest.raises(torch.OutOfMemoryError):
            next(run)
    else:
        next(run)
        run.close()
    network = weakref.ref(canvas)
    del canvas
    gc.collect()
    assert network() is None and run.gi_frame is None
    assert torch.is_grad_enabled()


def _out_of_memory(*_arguments, **_options):
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_weights_do_what_they_say() -> None:
    free, bound = (list(start(weights=Weights(face=face), schedule=Schedule(steps=12, preview=12, frame=4)))
                   for face in (0.0, 20.0))  # fmt: skip
    moved = [(run[-1].best.insets[0] - run[0].best.insets[0]).abs().mean() for run in (free, bound)]
    assert moved[1] < 0.8 * moved[0]
