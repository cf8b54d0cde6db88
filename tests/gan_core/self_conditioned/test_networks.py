"""Blended start, attribute head, and published names at sizes and attribute counts that the fixture does not have."""

import pytest
import torch

from gan_core.checkpoints.formats import build
from gan_core.errors import BadCheckpoint, BadValue
from gan_core.self_conditioned.networks import SelfConditionedDiscriminator, SelfConditionedGenerator
from gan_core.stylegan2 import Generator
from tests.gan_core.checkpoints.test_adapters import FILTER, rosinality_names

SMALL = {"channel_base": 256, "channel_max": 16}


def generator(attributes: int, resolution: int = 32, **changes: object) -> SelfConditionedGenerator:
    sizes = {"z_dim": 8, "w_dim": 8, "mapping_layers": 2, **SMALL, **changes}
    net = SelfConditionedGenerator(resolution, attributes=attributes, **sizes)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        net.constants.normal_()
    return net.eval()


def published(net: SelfConditionedGenerator, discriminator: SelfConditionedDiscriminator) -> dict:
    """The pair as a file of sc-gan's."""
    plain = Generator(**{name: value for name, value in net.config.items() if name != "attributes"})
    plain.load_state_dict({name: value for name, value in net.state_dict().items() if name != "constants"})
    g_ema = rosinality_names(plain)
    every = torch.cat([g_ema.pop("input.input"), net.constants.detach()])
    g_ema["input.multiinput"] = every.movedim(0, -1)[None].clone()
    d = {}
    for name, value in discriminator.state_dict().items():
        parts = name.split(".")
        if parts[0] == "from_rgb":
            name = {"weight": "convs.0.0.weight", "bias": "convs.0.1.bias"}[parts[1]]
        elif parts[0] == "blocks":
            at = f"convs.{int(parts[1]) + 1}"
            table = {"conv.weight": "conv1.0.weight", "conv.bias": "conv1.1.bias", "conv_down.weight": "conv2.1.weight",
                     "conv_down.bias": "conv2.2.bias", "skip.weight": "skip.1.weight"}  # fmt: skip
            name = f"{at}.{table['.'.join(parts[2:])]}"
            d |= {f"{at}.conv2.0.kernel": FILTER, f"{at}.skip.0.kernel": FILTER}
        elif parts[0] == "attribute_head":
            name = "final_class." + ".".join(parts[1:])
        else:
            table = {"conv.weight": "final_conv.0.weight", "conv.bias": "final_conv.1.bias"}
            rest = ".".join(parts[1:])
            name = table.get(rest) or rest.replace("fc", "final_linear.0").replace("out", "final_linear.1")
        d[name] = value.clone()
    return {"g_ema": g_ema, "d": d, "latent_avg": net.mapping.w_avg.clone(), "args": {"modes": net.modes}}


@pytest.mark.parametrize(("attributes", "resolution"), [(1, 8), (2, 32), (4, 64)])
def test_round_trip(attributes: int, resolution: int) -> None:
    net = generator(attributes, resolution)
    discriminator = SelfConditionedDiscriminator(resolution, attributes=attributes, **SMALL).eval()
    built = build(published(net, discriminator))
    assert built.format == "sc_gan" and "args" in built.dropped
    assert built.config["generator"]["attributes"] == built.config["discriminator"]["attributes"] == attributes
    z, values = torch.randn(3, 8), torch.rand(3, attributes)
    ours, theirs = (one(z, values=values, psi=0.7, noise="const") for one in (net, built.modules["generator"]))
    assert torch.equal(ours, theirs)
    for a, b in zip(
        discriminator.score_and_attributes(ours), built.modules["discriminator"].score_and_attributes(ours), strict=True
    ):
        assert torch.equal(a, b)


def test_neutral_is_the_plain_generator() -> None:
    net = generator(2)
    plain = Generator(32, z_dim=8, w_dim=8, mapping_layers=2, **SMALL).eval()
    missing, extra = plain.load_state_dict(net.state_dict(), strict=False)
    assert not missing and extra == ["constants"]
    z = torch.randn(2, 8)
    neutral = net(z, noise="const")
    torch.testing.assert_close(neutral, plain(z, noise="const"))
    torch.testing.assert_close(neutral, net(z, values=torch.full((2, 2), 0.5), noise="const"))
    assert not torch.allclose(neutral, net(z, values=torch.tensor([[0.5, 0.9]] * 2), noise="const"))


def test_one_latent_with_several_attribute_values_learns() -> None:
    net = generator(2).requires_grad_(True)
    w_plus = net.broadcast(net.mapping(torch.randn(1, 8)))
    weights = torch.eye(7)
    weights[:, 0] = 1
    images = net.draw(w_plus, weights, noise="none")
    assert images.shape == (7, 3, 32, 32)
    images.square().mean().backward()
    assert net.constants.grad.abs().amax((1, 2, 3)).min() > 0


def test_score_of_the_plain_forward_is_the_same() -> None:
    discriminator = SelfConditionedDiscriminator(32, attributes=3, **SMALL).eval()
    image = torch.randn(4, 3, 32, 32)
    score, logits = discriminator.score_and_attributes(image)
    assert torch.equal(score, discriminator(image)) and logits.shape == (4, 10)


def test_what_does_not_fit_is_refused() -> None:
    net, discriminator = generator(2), SelfConditionedDiscriminator(32, attributes=2, **SMALL)
    with pytest.raises(BadValue, match="neutral"):
        net(torch.randn(1, 8), values=torch.tensor([[2.0, 0.5]]))
    with pytest.raises(ValueError, match="expected"):
        net.start(torch.ones(1, 6))
    file = published(net, discriminator)
    file["g_ema"]["input.multiinput"] = file["g_ema"]["input.multiinput"][..., :6]
    with pytest.raises(BadCheckpoint, match="6 modes"):
        build(file)
    file = published(net, discriminator)
    del file["d"]["final_class.1.bias"]
    with pytest.raises(BadCheckpoint, match="final_class"):
        build(file)
