"""The scores command: pairs, features, bins of the hole's size, what is written, and what is refused."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from gan_core.checkpoints.fetch import main as fetch_main
from gan_core.errors import BadCheckpoint, BadImage, BadValue, UnknownName, WeightsMissing
from gan_core.evaluation.metrics import inception, scores
from gan_core.evaluation.metrics.features import EmbeddedFeatures
from gan_core.evaluation.metrics.ids import discriminative_scores, frechet_distance, to_8_bits
from gan_core.evaluation.metrics.plot import plot_scores
from gan_core.evaluation.metrics.results import BinScore, Scores
from weights.published import published


class Means:
    """Mean colours as features, to know what comes out."""

    title, prefix = "mean colours", "plain "

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        self.seen.append(images)
        return images.mean((2, 3))


@pytest.fixture
def folders(tmp_path):
    """40 pairs of small pictures with masks of rising size; completions of larger holes are further off."""
    rng = np.random.default_rng(0)
    for name in ("real", "fake", "masks"):
        (tmp_path / name).mkdir()
    for i in range(40):
        picture = rng.integers(60, 190, (20, 20, 3)).astype(np.uint8)
        mask = np.zeros((20, 20), np.uint8)
        mask.flat[: 10 * i + 5] = 255
        completed = picture.copy()
        completed[mask > 0] = (completed[mask > 0] + 3 * i // 2).clip(0, 255)
        Image.fromarray(picture).save(tmp_path / "real" / f"{i:02d}.png")
        Image.fromarray(completed).save(tmp_path / "fake" / f"{i:02d}.png")
        Image.fromarray(mask).save(tmp_path / "masks" / f"{i:02d}.png")
    return tmp_path


def normal(count: int, shift: float = 0.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 4)) + shift


def test_scores_are_those_of_the_definition() -> None:
    real, fake = normal(100), normal(100, 0.3, seed=1)
    found = scores.score_features(real, fake)
    both = discriminative_scores(real, fake)
    assert found == Scores(frechet_distance(real, fake), both.paired, both.unpaired)


def test_bins_of_hole_size() -> None:
    ratios = np.linspace(0, 1, 101)
    real = normal(101)
    fake = real + 3 * ratios[:, None]  # the larger the hole, the worse
    bins = scores.score_by_hole(real, fake, ratios)
    assert [(one.low, one.high, one.count) for one in bins[::9]] == [(0, 0.1, 10), (0.9, 1, 11)]
    assert bins[9].scores.fid > bins[5].scores.fid > bins[0].scores.fid
    where = (ratios >= 0.3 - 1e-9) & (ratios < 0.4 - 1e-9)
    assert bins[3].scores == scores.score_features(real[where], fake[where])
    heard = []
    few = scores.score_by_hole(real[:3], fake[:3], [0.1, 0.55, 0.56], progress=lambda *done: heard.append(done))
    assert [one.count for one in few] == [0, 1, 0, 0, 0, 2, 0, 0, 0, 0]
    assert few[1].scores is None and few[5].scores is not None and heard[-1] == (10, 10)
    # A ratio on the edge of a bin belongs to the upper one, whatever floating point makes of it.
    edges = scores.score_by_hole(real[:10], fake[:10], [i / 10 for i in range(10)])
    assert [one.count for one in edges] == [1] * 10


@pytest.mark.parametrize("ratios", [[0.5], [0.5, 1.2], [0.5, float("nan")], [-0.1, 0.5]])
def test_bad_ratios(ratios) -> None:
    with pytest.raises(BadValue):
        scores.score_by_hole(normal(2), normal(2), ratios)


def test_pictures_are_rounded_before_their_features_are_taken() -> None:
    features = Means()
    real, fake = torch.rand(6, 3, 8, 8) * 2.4 - 1.2, torch.rand(6, 3, 8, 8) * 2.4 - 1.2
    scores.score_pairs(real, fake, np.full(6, 0.5), features)
    for seen, images in zip(features.seen, (real, fake), strict=True):
        assert torch.equal(to_8_bits(seen), to_8_bits(images)) and seen.abs().max() <= 1.01
        assert torch.equal(scores.rounded(seen), seen)


def test_pairs_are_files_of_one_name(folders) -> None:
    pairs = scores.pairs_in(folders / "real", folders / "fake")
    assert len(pairs) == 40 and all(a.stem == b.stem for a, b in pairs)
    Image.open(folders / "fake" / "07.png").save(folders / "fake" / "07.jpg")
    (folders / "fake" / "07.png").unlink()  # another format is fine
    assert len(scores.pairs_in(folders / "real", folders / "fake", folders / "masks")) == 40
    (folders / "fake" / "12.png").unlink()
    with pytest.raises(BadValue, match="12 is in one of them only"):
        scores.pairs_in(folders / "real", folders / "fake")
    (folders / "empty").mkdir()
    with pytest.raises(BadImage, match="no pictures"):
        scores.pairs_in(folders / "empty", folders / "fake")


def test_pictures_of_several_sizes_and_the_share_of_a_mask(tmp_path) -> None:
    paths = []
    for i, size in enumerate([(8, 8), (8, 8), (9, 5), (8, 8)]):
        paths.append(tmp_path / f"{i}.png")
        Image.new("RGB", size, (i, 0, 255)).save(paths[-1])
    found = scores.features_of(paths, Means(), "real")
    assert np.allclose(found[:, 0], np.arange(4) / 127.5 - 1) and np.allclose(found[:, 2], 1)
    mask = Image.new("L", (10, 10))
    mask.paste(255, (0, 0, 3, 10))
    mask.save(tmp_path / "mask.png")
    assert scores.hole_share(tmp_path / "mask.png") == pytest.approx(0.3)


def test_the_command_with_embedded_features(folders, capsys, monkeypatch) -> None:
    whole = EmbeddedFeatures.__call__  # eigenvalues of all features, for eleven scores, would take minutes
    monkeypatch.setattr(EmbeddedFeatures, "__call__", lambda self, images: whole(self, images)[:, ::16])
    out = folders / "plots" / "scores.png"
    paths = [f"--{name}={folders / name}" for name in ("real", "fake", "masks")]
    assert scores.main([*paths, f"--plot={out}", f"--weights={folders / 'none'}", "--device=cpu"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["pairs"] == 40 and "no published score" in found["features"]
    assert set(found) == {"features", "pairs", "embedded FID", "embedded P-IDS", "embedded U-IDS", "by_hole_size"}
    rows = found["by_hole_size"]
    assert [row["pairs"] for row in rows] == [4] * 10 and rows[3]["hole"] == "30% to 40%"
    assert rows[9]["embedded FID"] > rows[0]["embedded FID"] >= 0
    assert all(bar in said.err for bar in ("real", "completed", "masks", "scores"))
    with Image.open(out) as plot:
        assert plot.width > 600 and np.asarray(plot.convert("L")).std() > 5


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (["--features=inception"], "checkpoints.fetch inception_fid"),
        (["--features=vgg"], "There are no features 'vgg'"),
    ],
)
def test_the_command_says_what_is_wrong(folders, capsys, extra, words) -> None:
    paths = [f"--{name}={folders / name}" for name in ("real", "fake")]
    assert scores.main([*paths, f"--weights={folders / 'none'}", *extra]) == 1
    assert words in capsys.readouterr().err


def test_the_command_names_a_bad_picture_and_needs_masks_for_a_plot(folders, capsys) -> None:
    paths = [f"--{name}={folders / name}" for name in ("real", "fake")]
    for picture in [*(folders / "real").glob("[123]*"), *(folders / "fake").glob("[123]*")]:
        picture.unlink()
    (folders / "fake" / "03.png").write_text("no picture")
    assert scores.main([*paths, f"--weights={folders / 'none'}", "--device=cpu"]) == 1
    assert "not a picture" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        scores.main([*paths, "--plot=x.png"])
    assert "--plot needs --masks" in capsys.readouterr().err


def test_numbers_are_named_after_their_features() -> None:
    one = Scores(1.23456, 0.1, 0.2)
    found = scores.report(inception.InceptionFeatures, 7, one, [BinScore(0, 0.1, 1, None)])
    assert found["FID"] == 1.2346 and found["by_hole_size"] == [{"hole": "0% to 10%", "pairs": 1}]
    assert "plain FID" in scores.report(Means, 7, one) and "FID" not in scores.report(Means, 7, one)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_plot_of_two_curves_with_gaps(tmp_path, suffix) -> None:
    def bins(slope: float) -> list[BinScore]:
        found = [BinScore(i / 10, (i + 1) / 10, 9, Scores(slope * i, 0.4 - 0.03 * i, 0.01)) for i in range(10)]
        return [*found[:4], BinScore(0.4, 0.5, 0, None), *found[5:]]

    one = plot_scores({"co-modulation": bins(3)}, tmp_path / f"one.{suffix}", Means())
    two = plot_scores({"co-modulation": bins(3), "plain": bins(5)}, tmp_path / f"two.{suffix}", Means())
    pictures = [np.asarray(Image.open(path).convert("RGB"), int) for path in (one, two)]
    assert pictures[0].shape == pictures[1].shape

    def red(picture: np.ndarray) -> int:
        return int((np.abs(picture - (220, 38, 38)).sum(-1) < 60).sum())

    assert red(pictures[1]) > red(pictures[0]) + 300
    with pytest.raises(BadValue, match="no scores to draw"):
        plot_scores({"nothing": [BinScore(0, 0.1, 0, None)]}, tmp_path / "none.png", Means())


@pytest.mark.parametrize("highest", [0.0, 0.013, 0.5, 1, 7.3, 140, float("nan")])
def test_plot_of_any_range(tmp_path, highest) -> None:
    highest = 0.0 if np.isnan(highest) else highest
    bins = [BinScore(i / 10, (i + 1) / 10, 9, Scores(highest * i / 9, 0, highest / 2)) for i in range(10)]
    assert plot_scores({"one": bins}, tmp_path / "plot.png", Means()).is_file()


# ---------------------------------------------------------------- the published network


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    net = inception.build().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(0, 0.05)
    return net


def save_as_published(net, folder) -> None:
    """As pytorch-fid's file is: no counters."""
    (folder / inception.ENTRY).mkdir(parents=True)
    state = {name: value for name, value in net.state_dict().items() if not name.endswith("num_batches_tracked")}
    torch.save(state, folder / inception.ENTRY / inception.FILE)


def test_published_weights_are_read_and_used(network, tmp_path) -> None:
    save_as_published(network, tmp_path)
    features = scores.choose_features("auto", tmp_path, "cpu")
    assert isinstance(features, inception.InceptionFeatures) and features.prefix == ""
    images = torch.rand(3, 3, 64, 64) * 2 - 1
    found = features(images, batch=2)
    assert found.shape == (3, inception.WIDTH) and found.isfinite().all()
    larger = F.interpolate(images, (inception.SIDE, inception.SIDE), mode="bilinear", align_corners=False)
    assert torch.allclose(features(larger), found, atol=1e-5)


def test_damaged_weights_are_refused(network, tmp_path) -> None:
    save_as_published(network, tmp_path / "a")
    path = tmp_path / "a" / inception.ENTRY / inception.FILE
    state = torch.load(path, weights_only=True)
    for change in ({"fc.bias": torch.zeros(5)}, {"more": torch.zeros(1)}):
        torch.save(state | change, path)
        with pytest.raises(BadCheckpoint, match="Inception network"):
            inception.load_features(tmp_path / "a")
    torch.save({name: value for name, value in state.items() if name != "fc.bias"}, path)
    with pytest.raises(BadCheckpoint, match="fc.bias"):
        inception.load_features(tmp_path / "a")
    with pytest.raises(WeightsMissing, match=re.escape("gan_core.checkpoints.fetch inception_fid")):
        inception.load_features(tmp_path / "nowhere")
    with pytest.raises(UnknownName):
        scores.choose_features("vgg", tmp_path, "cpu")


def test_pooling_differs_from_torchvision_where_it_should(network) -> None:
    even = torch.ones(1, 192, 5, 5)
    branch = network.Mixed_5b.branch_pool
    assert torch.allclose(network.Mixed_5b._forward(even)[-1], branch(even), atol=1e-5)  # no zeros at the border
    wide = torch.randn(1, 2048, 5, 5)
    largest = F.max_pool2d(wide, 3, stride=1, padding=1)
    assert torch.allclose(network.Mixed_7c._forward(wide)[-1], network.Mixed_7c.branch_pool(largest))


def test_it_can_be_fetched_by_name(capsys) -> None:
    entry = published(inception.ENTRY)
    assert entry.files[0].file == inception.FILE and entry.files[0].sha256
    assert fetch_main([]) == 0
    assert inception.ENTRY in capsys.readouterr().out
