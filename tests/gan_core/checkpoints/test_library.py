"""Files in the published layouts, under any name: recognised, converted once, loaded, listed, removed."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from gan_core.checkpoints import converted, library
from gan_core.checkpoints.formats import build
from gan_core.checkpoints.install import main as command
from gan_core.checkpoints.library import install, load, recognise
from gan_core.checkpoints.places import Place, installed, not_writable, places, remove
from gan_core.comodgan.networks import CoModGenerator
from gan_core.errors import BadCheckpoint, Cancelled, UnknownName, UnsafeFile, WeightsMissing
from gan_core.swapping_autoencoder.published import PUBLISHED as SWAPPERS
from gan_core.swapping_autoencoder.published import is_here, load_published
from tests.gan_core.checkpoints.test_adapters import nvidia_names, random_generator, rosinality_names
from tests.gan_core.comodgan import published_names
from tests.gan_core.swapping_autoencoder.launchers import LAUNCHERS, checkpoint
from weights.published import PUBLISHED

NARROW = {"channel_base": 4096, "channel_max": 8, "mapping_layers": 1}


def canvas(resolution: int = 512, width: int = 2) -> dict:
    return {"G_ema": nvidia_names(random_generator(resolution, start_shape=(4, width), **NARROW)), "G": {}, "D": None}


def filler(resolution: int, **changes: object) -> CoModGenerator:
    torch.manual_seed(1)
    return CoModGenerator(resolution, z_dim=8, w_dim=8, global_dim=8, **NARROW, **changes).eval()


def saved(folder: Path, tree: dict, name: str = "whatever.bin") -> Path:
    path = folder / name
    torch.save(tree, path)
    return path


CASES = {
    "bodies, 512x256": (lambda: canvas(), {"stylegan_human_v2_512", "shhq_sg2_512"}),
    "bodies, 1024x768": (lambda: canvas(1024, 3), {"insetgan_deepfashion"}),
    "faces, 1024": (
        lambda: {"G_ema": nvidia_names(random_generator(1024, **NARROW))},
        {"insetgan_face", "sg2ada_metfaces", "sg2_ffhq1024_transfer"},
    ),
    "holes, 512": (
        lambda: published_names.port(filler(512)),
        {"comodgan_ffhq512", "comodgan_places512", "comodgan_places512_migan"},
    ),
    "holes, 256, MI-GAN": (lambda: published_names.migan(filler(256)), {"comodgan_ffhq256", "comodgan_places256"}),
    "edges": (
        lambda: published_names.port(filler(256, in_channels=3)),
        {"comodgan_edges2shoes", "comodgan_edges2handbags"},
    ),
    "rosinality, 256": (
        lambda: {"g_ema": rosinality_names(random_generator(256, z_dim=16, **NARROW)), "g_optim": {"state": {}}},
        {"stylegan2_ffhq256_rosinality"},
    ),
    "churches": (
        lambda: checkpoint(LAUNCHERS["church, bedroom, afhq"].scaled(1 / 16)),
        {"swapping_models", "swapping_afhq"},
    ),
    "mountains": (lambda: checkpoint(LAUNCHERS["mountain, ffhq512"].scaled(1 / 16)), {"swapping_models"}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_file_is_recognised_by_its_tensors_and_installed(case: str, tmp_path: Path) -> None:
    make, entries = CASES[case]
    torch.manual_seed(0)
    tree = make()
    path = saved(tmp_path, tree)
    found = recognise(path)
    assert {place.entry for place in found.places} == entries
    assert found.sure == (len(found.places) == 1)
    place, root = found.places[-1], tmp_path / "weights"
    target = install(path, place, root)
    assert path.is_file(), "the file that was named stays where it is"
    assert [p.name for p in target.parent.iterdir()] == ["model.safetensors"]
    (here,) = installed(root)
    assert here.place == place and here.converted and here.source == "whatever.bin"
    ours, theirs = load(place, root), build(library._prepared(tree))
    assert ours.config == theirs.config and ours.format == theirs.format == found.format
    for name, module in theirs.modules.items():
        state = ours.modules[name].state_dict()
        for key, tensor in module.state_dict().items():
            if "noise_const" not in key and "w_avg" not in key:  # drawn or estimated where the file has none
                assert torch.equal(state[key], tensor), (name, key)
    assert remove(place, root) == here.bytes and installed(root) == []
    with pytest.raises(UnknownName):
        remove(place, root)


def test_a_name_or_a_hash_decides_between_networks_of_one_shape(tmp_path: Path, monkeypatch) -> None:
    path = saved(tmp_path, canvas(), "SHHQ-1.0_sg2_512.pkl")
    found = recognise(path)
    assert found.sure and found.places[0] == Place("shhq_sg2_512")
    model = library.published("stylegan_human_v2_512")
    file = dataclasses.replace(model.files[0], bytes=path.stat().st_size, sha256=library.sha256_of(path))
    entries = tuple(dataclasses.replace(entry, files=(file,)) if entry is model else entry for entry in PUBLISHED)
    monkeypatch.setattr(library, "published", {entry.name: entry for entry in entries}.__getitem__)
    assert recognise(path).places[0] == Place("stylegan_human_v2_512"), "the hash counts more than the name"


def test_what_belongs_elsewhere_or_is_hostile_leaves_nothing(tmp_path: Path) -> None:
    root, place = tmp_path / "weights", Place("stylegan_human_v2_512")
    other = saved(tmp_path, {"G_ema": nvidia_names(random_generator(64))})
    assert recognise(other).places == () and "no tab can use it" in recognise(other).what
    with pytest.raises(BadCheckpoint, match="is not StyleGAN-Human"):
        install(other, place, root)

    class Evil:
        def __reduce__(self):
            return print, ("this must never be run",)

    for tree in ({"G_ema": Evil()}, {"just": "text"}):
        with pytest.raises(UnsafeFile if "G_ema" in tree else BadCheckpoint):
            install(saved(tmp_path, tree), place, root)
    broken = canvas()
    broken["G_ema"]["synthesis.b8.conv1.bias"][0] = float("nan")
    with pytest.raises(BadCheckpoint, match="not finite"):
        install(saved(tmp_path, broken), place, root)
    with pytest.raises(Cancelled):
        install(saved(tmp_path, canvas()), place, root, stop=lambda: True)
    assert installed(root) == [] and not [path for path in root.rglob("*") if path.is_file()]


def test_an_archive_is_unpacked_and_converted(tmp_path: Path) -> None:
    root = tmp_path / "weights"
    archive = root / "swapping_afhq" / "afhq_models_and_test_images.zip"
    archive.parent.mkdir(parents=True)
    tensors = checkpoint(LAUNCHERS["church, bedroom, afhq"].scaled(1 / 16))
    tensors["D.stylegan2_D.surprise"] = torch.ones(1)  # a discriminator of another kind does not stop editing
    member = saved(tmp_path, tensors)
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.write(member, "checkpoints/afhq_pretrained/latest_checkpoint.pth")
    animals = next(one for one in SWAPPERS if one.name == "animals")
    assert is_here(animals, root)
    library.unpack("swapping_afhq", root)
    assert not archive.exists() and is_here(animals, root)
    assert [place.place for place in installed(root)] == [Place("swapping_afhq", "afhq_pretrained")]
    assert load_published(animals, root).encoder.step == 16


def test_hfgi_in_three_files_is_kept_until_all_are_here(tmp_path: Path) -> None:
    """As the StyleHEAT authors publish it, given one by one; what is no part of it is not taken for one."""
    place, root, said = Place("hfgi_ffhq"), tmp_path / "weights", []
    small = {"conv1.conv.modulation.weight": torch.zeros(1)}
    trees = {
        "hfgi.pth": {"encoder": {"a": torch.zeros(1)}, "aligner": {"b": torch.zeros(1)}},
        "Encoder_e4e.pth": {"encoder": {"c": torch.zeros(1)}, "latent_avg": torch.zeros(18, 512)},
    }
    for name, tree in trees.items():
        found = recognise(saved(tmp_path, tree), "renamed.bin")
        assert found.part == name and found.places == (place,)
        install(tmp_path / "whatever.bin", place, root, report=lambda fraction, text: said.append(text))
    assert "StyleGAN_e4e.pth is still missing" in said[-1] and installed(root) == []
    third = saved(tmp_path, small, "StyleGAN_e4e.pth")
    assert recognise(third).part == "StyleGAN_e4e.pth"
    with pytest.raises(BadCheckpoint):  # all are here, and these are no networks
        install(third, place, root)
    assert not (root / "hfgi_ffhq" / "model.safetensors").exists()


def test_a_damaged_converted_file_is_said(tmp_path: Path) -> None:
    place = Place("stylegan_human_v2_512")
    target = install(saved(tmp_path, canvas()), place, tmp_path)
    target.write_bytes(target.read_bytes()[:-100])
    with pytest.raises(BadCheckpoint, match="damaged"):
        load(place, tmp_path)
    with pytest.raises(WeightsMissing, match="Models page"):
        load(Place("shhq_sg2_512"), tmp_path)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "is a file" in not_writable(tmp_path / "file" / "weights")
    assert not_writable(tmp_path / "new" / "weights") == "" and not (tmp_path / "new").exists()
    built = build(canvas())
    with pytest.raises(WeightsMissing, match="cannot be written"):
        converted.write(built, tmp_path / "file" / "model.safetensors")


def test_every_place_is_named_once() -> None:
    labels = [place.label for place in places()]
    assert len(set(labels)) == len(labels)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    path, folder = saved(tmp_path, canvas()), ["--folder", str(tmp_path / "weights")]
    assert command([str(path), *folder]) == 2 and "shhq_sg2_512: SHHQ" in caplog.text
    assert command([str(path), "nothing_like_it", *folder]) == 1
    assert command([str(path), "shhq_sg2_512", *folder]) == 0 and "non-commercial" in caplog.text
    assert command(folder) == 0 and "shhq_sg2_512: SHHQ" in capsys.readouterr().out
    assert command([str(tmp_path / "missing"), *folder]) == 1


MEASURE = """
import resource, sys, torch
from pathlib import Path
from gan_core.checkpoints.library import install
from gan_core.checkpoints.places import Place
import gan_core.checkpoints.formats
path = Path(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
install(path, Place(sys.argv[2]), path.parent / "weights")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / path.stat().st_size)
"""


@pytest.mark.parametrize("layout", ["torch", "nvidia"])
def test_converting_takes_little_more_memory_than_the_file(layout: str, tmp_path: Path) -> None:
    net = random_generator(512, start_shape=(4, 2), channel_base=32768, channel_max=512, w_dim=512, z_dim=512)
    tree = {"G_ema": nvidia_names(net)}
    path = tmp_path / "big.pkl"
    if layout == "nvidia":
        save_as_nvidia(tree["G_ema"], path)
    else:
        torch.save(tree, path)
    command = [sys.executable, "-c", MEASURE, str(path), "stylegan_human_v2_512"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    assert float(done.stdout) < 1.3, f"{float(done.stdout):.2f} of the file's size"


def save_as_nvidia(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """A pickle like NVIDIA's: each tensor's storage is a byte string with torch.save's older stream in it."""
    import pickle

    with path.open("wb") as file:
        pickle.dump({"G_ema": {name: torch.nn.Parameter(tensor) for name, tensor in tensors.items()}}, file, protocol=4)
