"""Pictures of any size with holes of any shape: the hole is filled, and nothing else changes, to the last bit."""

import dataclasses
import gc
import weakref

import pytest
import torch

from gan_core.checkpoints import store
from gan_core.comodgan import blending, models
from gan_core.comodgan.fast import FastNetworks
from gan_core.comodgan.framing import SquareCrop, face_region, grown, region_around
from gan_core.comodgan.networks import hole_condition
from gan_core.comodgan.pipeline import CoModGANPipeline, Prepared, load_embedded
from gan_core.errors import BadImage, BadValue
from gan_core.faces.geometry import Face
from gan_core.registry import ModelRegistry
from tests.gan_core.comodgan import published_names
from tests.gan_core.comodgan.test_networks import generator
from weights.published import published

SIZES = [(64, 64), (151, 97), (33, 200), (1, 1), (2, 3), (300, 20)]


def hole(kind: str, height: int, width: int) -> torch.Tensor:
    mask = torch.zeros(1, height, width)
    if kind == "one pixel":
        mask[0, height // 3, width // 2] = 1
    elif kind == "half":
        mask[:, :, : max(1, width // 2)] = 1
    elif kind == "opposite corners":
        mask[0, 0, 0] = mask[0, -1, -1] = 1
    else:
        mask[:] = 1
    return mask


def calm() -> torch.nn.Module:
    """A generator whose pictures stay within [-1, 1], so that every change shows."""
    net = generator(32, skip_gain=True)
    for block in net.synthesis.blocks:
        block.to_rgb.weight.mul_(0.02)
        block.to_rgb.bias.zero_()
    return net


@pytest.mark.parametrize("kind", ["one pixel", "half", "opposite corners", "everything"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_only_the_hole_changes(size: tuple[int, int], kind: str) -> None:
    pipeline = CoModGANPipeline(calm(), framing="any" if size[0] > size[1] else "face")
    pixels = torch.randint(0, 256, (3, *size), dtype=torch.uint8)
    image, mask = pixels.float() / 127.5 - 1, hole(kind, *size)
    done = list(pipeline.complete(pipeline.prepare(image, mask), [1, 2, 1]))
    known = (mask[0] == 0).expand(3, -1, -1)
    for one in done:
        assert one.shape == image.shape and torch.isfinite(one).all() and one.abs().max() <= 1
        assert torch.equal(one[known], image[known])
        assert torch.equal(((one + 1) * 127.5).round().to(torch.uint8)[known], pixels[known])
        assert not torch.equal(one, image)
    assert torch.equal(done[0], done[2]), "the same seed, the same picture"
    assert not torch.equal(done[0], done[1])


def test_hardly_larger_squares_are_blended_as_they_were() -> None:
    """Up to 1.3 times the network's resolution the result is `blend`'s to the last bit; beyond, detail is added."""
    pipeline = CoModGANPipeline(calm(), framing="face")
    for side, same in ((20, True), (32, True), (42, True), (90, False)):
        prepared = pipeline.prepare(torch.rand(3, side, side) * 2 - 1, hole("half", side, side))
        (done,) = pipeline.complete(prepared, [1])
        z = torch.randn(1, 8, generator=torch.Generator().manual_seed(1))
        w = pipeline.generator.mapping.truncate(pipeline.generator.mapping(z), 1.0)
        raw = pipeline.generator.decode(prepared.encoding, w, noise="const")
        assert torch.equal(done, blending.blend(raw, prepared.square, prepared.known)[0]) == same


def test_what_is_in_the_hole_has_no_influence() -> None:
    pipeline = CoModGANPipeline(calm())
    image, mask = torch.rand(3, 90, 70) * 2 - 1, hole("half", 90, 70)
    other = torch.where(mask == 1, -image, image)
    one, two = (next(pipeline.complete(pipeline.prepare(x, mask), [7])) for x in (image, other))
    assert torch.equal(one, two)


@pytest.mark.parametrize("side", [64, 160])
def test_a_tone_that_is_off_everywhere_is_put_right_once(side: int) -> None:
    """A network that draws all of the picture a little too light: neither the seam nor its opposite is left."""
    image = torch.linspace(-0.5, 0.5, side).expand(1, 3, side, side)
    known = torch.ones(1, 1, side, side)
    known[..., side // 4 : side // 2, side // 4 : side // 2] = 0
    raw = torch.nn.functional.interpolate(image, (64, 64), mode="bilinear") + 0.06
    off = (blending.blend(raw, image, known) - image)[0, 0]
    assert off.min() > -0.02 and off.max() < 0.045, "of 0.06; the correction fades out towards the middle"
    assert off[side // 4, side // 4 : side // 2].abs().max() < 0.012, "at the rim"


def test_no_seam() -> None:
    """On a smooth picture the joint is no rougher than the picture is, however far the raw picture is off."""
    side = 256
    image = torch.linspace(-0.5, 0.5, side).expand(1, 3, side, side)
    known = torch.ones(1, 1, side, side)
    known[..., 80:180, 60:200] = 0
    raw = torch.nn.functional.interpolate(image, (64, 64), mode="bilinear") + 0.3  # all of it too light
    done = blending.blend(raw, image, known)
    steps = (
        (done[..., 1:] - done[..., :-1]).abs().amax((0, 1)),
        (done[..., 1:, :] - done[..., :-1, :]).abs().amax((0, 1)),
    )
    assert max(float(step.max()) for step in steps) < 0.12, "of 0.3"
    assert torch.equal(done[known.expand_as(done) == 1], image[known.expand_as(image) == 1])


def test_a_tint_is_taken_back_and_another_thing_is_not() -> None:
    """A hole in even ground: a tint of its own goes; a thing that begins at the rim, far from the ground, stays."""
    image, known = torch.zeros(1, 3, 64, 64), torch.ones(1, 1, 64, 64)
    known[..., 20:44, 16:50] = 0
    tint = torch.tensor([0.15, 0.05, -0.1])[None, :, None, None] * (1 - known)
    done = blending.blend(image + tint, image, known)
    assert done[..., 20:44, 16:19].abs().max() < 0.25 * 0.15, "no step at the rim"
    half = image.clone()
    half[..., 20:44, 33:50] = 0.9  # touches the rim on three sides
    kept = blending.blend(half, image, known)
    assert kept[0, 0, 25:40, 38:48].min() > 0.8 and kept[0, 0, 25:40, 18:28].abs().max() < 0.1


def test_pixels_known_in_part_are_hole() -> None:
    image, known = torch.rand(1, 3, 100, 100), torch.ones(1, 1, 100, 100)
    known[..., 51, 51] = 0
    small, small_known = blending.shrink_known(image, known, 25)
    assert small_known.min() == 0 and small_known.sum() >= 25 * 25 - 9
    other = image.clone()
    other[..., 51, 51] = 9
    assert torch.equal(blending.shrink_known(other, known, 25)[0], small)


def test_bad_input_is_said() -> None:
    pipeline = CoModGANPipeline(calm())
    image = torch.zeros(3, 40, 50)
    with pytest.raises(BadValue, match="Nothing is marked"):
        pipeline.prepare(image, torch.zeros(1, 40, 50))
    with pytest.raises(BadValue, match="50 x 40"):
        pipeline.prepare(image, torch.ones(1, 50, 40))
    with pytest.raises(BadImage, match="colour"):
        pipeline.prepare(image[:1], torch.ones(1, 40, 50))
    prepared = pipeline.prepare(image, torch.ones(1, 40, 50))
    for psi in (-0.1, 1.5, float("nan")):
        with pytest.raises(BadValue, match="psi"):
            list(pipeline.complete(prepared, [0], psi=psi))
    with pytest.raises(ValueError, match="kind"):
        pipeline.draw(torch.ones(1, 32, 32), [0])
    assert prepared.size > image.numel() * 4 and prepared.to("cpu").region == prepared.region


def test_the_square() -> None:
    eye = (400, 300, 440, 330)
    assert region_around(eye, (800, 600), framing="any", resolution=256) == SquareCrop(292, 187, 256)
    assert region_around(eye, (800, 600), framing="face", resolution=256) == SquareCrop(0, 15, 600)
    whole = region_around((0, 0, 600, 800), (800, 600), framing="face", resolution=256)
    assert whole == SquareCrop(-100, 0, 800)
    assert grown(SquareCrop(10, 10, 50), (20, 20, 40, 40)) == SquareCrop(10, 10, 50)
    outside = grown(SquareCrop(10, 10, 50), (0, 55, 30, 70))
    assert outside == SquareCrop(0, 20, 50)
    larger = grown(SquareCrop(10, 10, 50), (5, 0, 95, 90))
    assert larger.side == 90 and larger.left <= 5 and larger.left + 90 >= 95
    face = Face((0, 0, 1, 1), 1.0, torch.tensor([[96, 120], [160, 120], [128, 150], [104, 190], [152, 190.0]]).numpy())
    inner, outer = (face_region(face, framing=framing) for framing in ("face", "bust"))
    assert outer.side > inner.side and outer.left <= inner.left


def test_small_holes_leave_less_open() -> None:
    def spread(width: int, full_psi_area: float) -> float:
        pipeline = CoModGANPipeline(calm(), full_psi_area=full_psi_area)
        image, mask = torch.zeros(3, 32, 32), torch.zeros(1, 32, 32)
        mask[:, :, :width] = 1
        one, two = pipeline.complete(pipeline.prepare(image, mask), [1, 2])
        return (one - two)[:, :, :width].abs().mean().item()

    torch.manual_seed(0)
    state = torch.get_rng_state()
    found = []
    for width, full_psi_area in ((4, 0.0), (4, 0.5), (16, 0.0), (16, 0.5)):
        torch.set_rng_state(state)  # the same network
        found.append(spread(width, full_psi_area))
    assert found[1] < 0.8 * found[0] and found[3] == found[2] > 0


def test_a_given_square_is_shown() -> None:
    pipeline = CoModGANPipeline(calm())
    image, mask = torch.rand(3, 100, 120) * 2 - 1, hole("one pixel", 100, 120)
    prepared = pipeline.prepare(image, mask, region=SquareCrop(30, 5, 64))
    assert prepared.region == SquareCrop(30, 5, 64)
    assert torch.equal(prepared.square[0], image[:, 5:69, 30:94])


def test_drawings() -> None:
    pipeline = CoModGANPipeline(generator(32, in_channels=1))
    assert pipeline.kind == "drawing"
    for shape in ((1, 32, 32), (1, 200, 71), (1, 5, 5)):
        drawing = torch.zeros(shape)
        drawing[0, 2] = 1
        one, two = pipeline.draw(drawing, [3, 4])
        assert one.shape == (3, 32, 32) and one.abs().max() <= 1 and not torch.equal(one, two)
    with pytest.raises(BadValue, match="Nothing is drawn"):
        pipeline.draw(torch.zeros(1, 32, 32), [0])
    with pytest.raises(ValueError, match="kind"):
        pipeline.prepare(torch.zeros(3, 32, 32), torch.ones(1, 32, 32))


@pytest.mark.parametrize("gains", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_arranged_for_speed_it_draws_the_same(dtype: torch.dtype, gains: bool) -> None:
    net = generator(64, skip_gain=gains)
    known = (torch.rand(1, 1, 64, 64) > 0.5).float()
    condition, w = hole_condition(torch.rand(1, 3, 64, 64) * 2 - 1, known), net.mapping(torch.randn(3, 8))
    want = net.decode(net.encode(condition), w, noise="const")
    fast = FastNetworks(net, dtype)
    got = fast.decode(fast.encode(condition), w)
    assert (got - want).abs().max() < (1e-4 if dtype == torch.float32 else 0.01) * want.abs().max()


def test_features_beyond_half_precision_are_computed_in_single() -> None:
    net = generator(32)
    net.encoder.from_rgb.weight.mul_(1e6)
    pipeline = CoModGANPipeline(net, dtype=torch.float16)
    image, mask = torch.rand(3, 32, 32) * 2 - 1, hole("half", 32, 32)
    assert torch.isfinite(next(pipeline.complete(pipeline.prepare(image, mask), [0]))).all()


def test_models_that_are_here_are_offered(tmp_path) -> None:
    weights, theirs = tmp_path / "weights", tmp_path / "published"
    assert models.comodgan_models(theirs, weights) == {}
    face, drawing = generator(32), generator(32, in_channels=1)
    for folder, net in (("people_fill", face), ("people_draw", drawing)):
        store.save(weights / folder / "generator.safetensors", net.state_dict(), config=net.config | {"training": {}})
    entry = theirs / "comodgan_places512" / published("comodgan_places512").files[0].file
    entry.parent.mkdir(parents=True)
    torch.save(published_names.port(face), entry)
    offered = models.comodgan_models(theirs, weights)
    assert list(offered) == ["portraits", "faces", "drawing", "places512"]
    assert offered["portraits"].model == offered["faces"].model and offered["drawing"].kind == "drawing"
    registry = ModelRegistry(lambda: ("cpu",))
    models.declare_comodgan_models(registry, theirs, weights)
    for model in offered.values():
        with registry.use(model.model) as pipeline:
            assert pipeline.kind == model.kind and pipeline.framing == model.alignment
    store.save(weights / "portraits_fill_bust" / "generator.safetensors", face.state_dict(), config=face.config)
    assert models.comodgan_models(theirs, weights)["portraits"].alignment == "bust"
    assert load_embedded(weights / "people_draw" / "generator.safetensors", framing="face").kind == "drawing"


def test_seeds_together_give_what_each_gives_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = CoModGANPipeline(calm(), framing="face")
    image, mask = torch.rand(3, 40, 40) * 2 - 1, hole("half", 40, 40)
    prepared = pipeline.prepare(image, mask)
    alone = [next(iter(pipeline.complete(prepared, [seed]))) for seed in (1, 2, 3, 4, 5)]
    rows, decode = [], pipeline.generator.decode
    monkeypatch.setattr(CoModGANPipeline, "together", 4)
    monkeypatch.setattr(
        pipeline.generator, "decode", lambda encoding, w, **named: rows.append(len(w)) or decode(encoding, w, **named)
    )
    together = list(pipeline.complete(prepared, [1, 2, 3, 4, 5]))
    assert rows == [4, 1]
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(together[0], together[1], atol=1e-3)


def test_a_prepared_picture_crosses_to_the_device_once_and_goes_with_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = CoModGANPipeline(calm(), framing="face")
    prepared = pipeline.prepare(torch.rand(3, 40, 40) * 2 - 1, hole("half", 40, 40))
    crossed = []

    def to(self: Prepared, device: object) -> Prepared:
        crossed.append(device)
        return dataclasses.replace(self)

    monkeypatch.setattr(Prepared, "to", to)
    pipeline.device = torch.device("meta")  # a name only: another device than the picture's
    first = pipeline._here(prepared)
    assert pipeline._here(prepared) is first and len(crossed) == 1
    gone = weakref.ref(first)
    del first, prepared
    gc.collect()
    assert gone() is None, "nothing of a picture stays behind"
