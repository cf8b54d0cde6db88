"""Models saved, loaded and pushed; the document's and the notebook's lines run as they stand."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import torch

from gan_core.errors import BadCheckpoint, UnknownName, WeightsMissing
from gan_core.packing import KINDS
from gan_core.pretrained import GanModel
from tests.gan_core.checkpoints.test_adapters import nvidia_names, random_generator
from tests.gan_core.comodgan import published_names
from tests.gan_core.comodgan.test_networks import generator as filler
from tests.gan_core.swapping_autoencoder.launchers import LAUNCHERS, checkpoint

ROOT = Path(__file__).resolve().parents[2]


def draw(model: GanModel) -> torch.Tensor:
    """A picture that depends on everything that is saved."""
    pipe = model.pipeline
    torch.manual_seed(0)
    face = torch.rand(1, 3, 256, 256) * 2 - 1
    if model.paper == "hfgi":
        return pipe.edit(pipe.invert(face), {"smile": 1.5})
    if model.paper == "self_conditioned":
        read = pipe.encoded(face).flatten()[:64].mean()
        return read + pipe.edit_plain(pipe.random_face(3), {"age": 0.9}) + pipe.edit(pipe.random_face(3), {"age": 0.9})
    if model.paper == "comodgan":
        return next(pipe.complete(pipe.prepare(face[0], torch.ones(1, 256, 256)), [0]))
    if model.paper == "insetgan":
        from gan_core.insetgan.sources import LatentSource

        return pipe.draw("body", LatentSource(1)).image + pipe.draw("face", LatentSource(1)).image
    if model.paper == "swapping_autoencoder":
        from gan_core.swapping_autoencoder.pipeline import Mixture

        name = next(iter(pipe.directions))
        return pipe.draw(pipe.encode(face), [], Mixture(strengths={name: 1.0}))
    return pipe(torch.ones(1, pipe.mapping.z_dim), noise="const")


@pytest.mark.parametrize("paper", KINDS)
def test_saved_and_loaded_it_draws_the_same(paper: str, tmp_path: Path) -> None:
    model = GanModel.embedded(paper)
    folder = model.save_pretrained(tmp_path / "model")
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    plain = paper in ("stylegan2", "comodgan")
    licence = "cc0-1.0" if plain else "other\nlicense_name: cc0-1.0-with-attribution"
    assert f"license: {licence}\n" in (folder / "README.md").read_text()
    again = GanModel.from_pretrained(folder)
    assert again.paper == paper and again.licence == model.licence
    ours, theirs = draw(model), draw(again)  # the layout of the weights in memory moves the last digits
    assert (ours - theirs).abs().max() < 1e-3 * ours.abs().max()


def test_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    folder = GanModel("stylegan2", random_generator(32)).save_pretrained(tmp_path / "repository")
    asked = []

    def snapshot_download(repository: str, **named: object) -> str:
        asked.append((repository, named["revision"], named["token"]))
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert GanModel.from_pretrained("org/name", revision="abc", token="t").paper == "stylegan2"
    assert asked == [("org/name", "abc", "t")]
    monkeypatch.undo()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsMissing, match="could not be fetched from the hub"):
        GanModel.from_pretrained("org/never-there")


def test_pushed(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    seen = {}

    class Hub:
        def __init__(self, token: str | None) -> None:
            seen["token"] = token

        def create_repo(self, repository: str, **named: object) -> None:
            seen["made"] = repository, named

        def upload_folder(self, *, repo_id: str, folder_path: str, commit_message: str) -> str:
            seen["files"] = sorted(path.name for path in Path(folder_path).iterdir())
            return f"https://hub.example/{repo_id}/commit/1"

    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    address = GanModel("stylegan2", random_generator(32)).push_to_hub("org/name", private=True, token="t")
    assert address.endswith("org/name/commit/1") and seen["token"] == "t"
    assert seen["made"] == ("org/name", {"private": True, "exist_ok": True})
    assert seen["files"] == ["README.md", "config.json", "model.safetensors"]


def test_published_files_become_pipelines(tmp_path: Path) -> None:
    path = tmp_path / "file"
    cases = {
        "stylegan2": {"G_ema": nvidia_names(random_generator(32))},
        "comodgan": published_names.port(filler(32)),
        "swapping_autoencoder": checkpoint(LAUNCHERS["church, bedroom, afhq"].scaled(1 / 16)),
    }
    for paper, tree in cases.items():
        torch.save(tree, path)
        model = GanModel.from_published(path)
        assert model.paper == paper
        again = GanModel.from_pretrained(model.save_pretrained(tmp_path / paper))
        assert type(again.pipeline) is type(model.pipeline)


def test_what_is_no_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnknownName):
        GanModel.embedded("pix2pix")
    with pytest.raises(WeightsMissing, match=r"config\.json"):
        GanModel.from_pretrained(tmp_path)
    folder = GanModel("stylegan2", random_generator(32)).save_pretrained(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    for changed in ({**config, "paper": "pix2pix"}, {"paper": "stylegan2"}, []):
        (folder / "config.json").write_text(json.dumps(changed))
        with pytest.raises(BadCheckpoint):
            GanModel.from_pretrained(folder)


# ---------------------------------------------------------------- documents that run


def run_all(cells: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> set[str]:
    """Run the cells one after another, in a folder where the repository's examples are; the pictures they made."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").symlink_to(ROOT / "demo")
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    names: dict[str, object] = {}
    for cell in cells:
        exec(compile(cell, "document", "exec"), names)
    return {path.name for path in tmp_path.glob("*.png")}


MADE = {"smiling.png", "old.png", "filled_0.png", "filled_1.png", "composed.png", "swapped.png"}


def document() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "scripts.md").read_text(), re.S)


def test_each_task_takes_five_lines() -> None:
    for cell in document():
        lines = [line for line in cell.splitlines() if line.strip() and not re.match(r"from |import ", line)]
        assert len(lines) <= 5, cell


def test_the_notebook_runs_and_has_the_documents_lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    notebook = json.loads((ROOT / "docs" / "scripts.ipynb").read_text())
    assert notebook["nbformat"] == 4 and all("id" in cell for cell in notebook["cells"])
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell.get("outputs") for cell in notebook["cells"]), "pictures of people stay out of the repository"
    assert [cell.strip() for cell in cells[1:]] == [cell.strip() for cell in document()]
    assert run_all(cells[1:], monkeypatch, tmp_path) == MADE
