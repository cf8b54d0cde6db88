"""The authors' weights from their files: the right names, the right directions, and clear refusals."""

import pytest
import torch

from gan_core.checkpoints.hfgi_parts import join
from gan_core.checkpoints.keys import BuiltCheckpoint
from gan_core.errors import BadCheckpoint, UnsafeFile, WeightsMissing
from gan_core.hfgi import published
from gan_core.hfgi.models import MOST_PRINCIPAL, _published_sliders, hfgi_models, published_is_here
from gan_core.hfgi.pipeline import HFGIPipeline
from gan_core.models import declare_models
from gan_core.registry import ModelRegistry
from gan_core.stylegan2 import Generator
from weights.published import PUBLISHED


@pytest.fixture
def release(tmp_path):
    """The published weights' folder with stand-ins for all files of the release."""
    folder = tmp_path / "hfgi_ffhq"
    folder.mkdir()
    torch.save({"encoder": {"a": torch.zeros(1)}, "aligner": {"b": torch.zeros(2)}}, folder / "hfgi.pth")
    torch.save({"encoder": {"c": torch.zeros(3)}, "latent_avg": torch.zeros(18, 512)}, folder / "Encoder_e4e.pth")
    torch.save({"d.weight": torch.zeros(4)}, folder / "StyleGAN_e4e.pth")
    for name in ("age", "smile"):
        torch.save(torch.full((1, 512), 3.0), folder / f"{name}.pt")
    torch.save(torch.arange(18.0).reshape(1, 18, 1).expand(1, 18, 512).clone(), folder / "pose.pt")
    table = {"mean": torch.zeros(1, 512), "std": torch.full((80,), 2.0), "comp": torch.ones(80, 1, 512)}
    torch.save(table, folder / "ffhq_pca.pt")
    return tmp_path


def test_release_files_are_put_together(release):
    tree = join(release / "hfgi_ffhq")
    assert set(tree["state_dict"]) == {"residue.a", "grid_align.b", "encoder.c", "decoder.d.weight"}
    assert tree["latent_avg"].shape == (18, 512)


def test_the_authors_single_file_is_preferred(release):
    folder = release / "hfgi_ffhq"
    torch.save({"state_dict": {"encoder.styles.0.linear.weight": torch.zeros(1)}, "opts": {"n": 1}}, folder / "ckpt.pt")
    with pytest.raises(BadCheckpoint, match="lacks latent_avg"):  # which the release's files have
        published.load_published(folder)


def test_directions(release):
    attributes = published._read_attributes(release / "hfgi_ffhq", 18)
    assert list(attributes) == ["smile", "age", "pose", "eyes", "beard", "lips"]
    assert all(attribute.direction.shape == (18, 512) for attribute in attributes.values())
    assert torch.allclose(attributes["age"].direction, torch.tensor(5.0))
    assert torch.allclose(attributes["pose"].direction[:, 0], torch.arange(18.0) * 5 / 3)
    beard = attributes["beard"].direction[:, 0]
    assert beard.nonzero().flatten().tolist() == [7, 8] and torch.allclose(beard[7], torch.tensor(-40 / 3))


def test_sliders_are_those_of_the_pipeline(release):
    attributes = published._read_attributes(release / "hfgi_ffhq", 18)
    sliders = _published_sliders(release / "hfgi_ffhq")
    assert [(s.name, s.label, s.kind) for s in sliders] == [(a.name, a.label, a.kind) for a in attributes.values()]


def test_offered_only_where_the_files_are(release, tmp_path):
    assert published_is_here(release) and "ffhq" in hfgi_models(release)
    registry = ModelRegistry()
    declare_models(registry, release)
    assert "ffhq/hfgi" in registry.names()
    (release / "hfgi_ffhq" / PUBLISHED[0].files[0].file).unlink()
    assert not published_is_here(release) and list(hfgi_models(release)) == ["portraits"]
    with pytest.raises(WeightsMissing, match=r"hfgi\.pth.*gan_core\.checkpoints\.fetch"):
        published.load_published(release / "hfgi_ffhq")


def test_wrong_files_are_refused(release):
    folder = release / "hfgi_ffhq"
    torch.save({"something": torch.zeros(1)}, folder / "hfgi.pth")
    with pytest.raises(BadCheckpoint, match="belong together"):
        published.load_published(folder)

    class Evil:
        def __reduce__(self):
            return print, ("this must never be run",)

    torch.save({"encoder": Evil()}, folder / "hfgi.pth")
    with pytest.raises(UnsafeFile):
        published.load_published(folder)


def narrow(resolution: int) -> Generator:
    torch.manual_seed(0)
    return Generator(resolution, z_dim=16, w_dim=16, mapping_layers=2, channel_base=512, channel_max=8).eval()


def test_without_files_of_directions_there_are_principal_ones(tmp_path):
    sliders = _published_sliders(tmp_path)
    found = published.principal_directions(narrow(64))
    assert [(s.name, s.label, s.kind) for s in sliders] == [(a.name, a.label, a.kind) for a in found.values()]
    assert len(sliders) == MOST_PRINCIPAL and all(a.direction.shape == (10, 16) for a in found.values())


def test_principal_directions_are_those_of_most_spread_in_its_deviations():
    net = narrow(64)
    with torch.no_grad():
        w = net.mapping(torch.randn(20_000, 16, generator=torch.Generator().manual_seed(9)))
    steps = [attribute.direction[0] for attribute in published.principal_directions(net).values()]
    for step in steps:
        length = step.norm()
        along = (w - w.mean(0)) @ (step / length)
        assert along.std().item() == pytest.approx(length.item(), rel=0.1)
    lengths = [step.norm().item() for step in steps]
    assert lengths == sorted(lengths, reverse=True)
    assert abs(steps[0] @ steps[1]) < 1e-3 * lengths[0] * lengths[1]
    again = published.principal_directions(net)["principal_1"].direction[0]
    assert torch.equal(again, steps[0]), "a saved strength means the same tomorrow"


@pytest.mark.parametrize(("entry", "alignment", "size"), [("e4e_cars", "wide", 512), ("e4e_horse", "object", 256)])
def test_models_of_objects_are_offered_with_the_whole_picture(tmp_path, entry, alignment, size):
    (tmp_path / entry).mkdir()
    (tmp_path / entry / f"{entry}_encode.pt").touch()
    offered = hfgi_models(tmp_path)[entry[4:]]
    assert (offered.alignment, offered.resolution) == (alignment, size)
    assert "without consultation" in offered.label and offered.sliders
    assert {model.alignment for model in hfgi_models(tmp_path / "nothing").values()} == {"face"}


def test_the_encoder_looks_at_the_picture_between_the_bars():
    """e4e's authors give cars to the encoder as 192 x 256 pixels."""
    seen = []

    class Encoder(torch.nn.Module):
        def forward(self, images):
            seen.append(images)
            return torch.zeros(1, 14, 16)

    net = Generator(256, z_dim=16, w_dim=16, mapping_layers=2, channel_base=2048, channel_max=8).eval()
    built = BuiltCheckpoint("hfgi", {"generator": net, "encoder": Encoder()}, {"latent_avg": torch.zeros(14, 16)})
    pipeline = HFGIPipeline.from_checkpoint(published.with_consultation(built))
    pipeline._fast = None
    face = torch.full((1, 3, 256, 256), -1.0)
    face[:, :, 32:224] = 0.5
    pipeline.rows = published.WIDE_ROWS
    pipeline.invert(face)
    assert seen[0].shape == (1, 3, 192, 256) and torch.allclose(seen[0], torch.tensor(0.5))
