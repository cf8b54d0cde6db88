"""The authors' weights from their files: the right names, the right directions, and clear refusals."""

import pytest
import torch

from gan_core.checkpoints.hfgi_parts import join
from gan_core.errors import BadCheckpoint, UnsafeFile, WeightsMissing
from gan_core.hfgi import published
from gan_core.hfgi.models import _published_sliders, hfgi_models, published_is_here
from gan_core.models import declare_models
from gan_core.registry import ModelRegistry
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
