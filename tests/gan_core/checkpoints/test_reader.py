"""The reader on real files of every kind, and on hostile ones that would leave a marker file if they were
executed."""

from __future__ import annotations

import argparse
import collections
import io
import os
import pickle
import struct
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gan_core.checkpoints.reader import read_tensors
from gan_core.errors import BadCheckpoint, UnsafeFile

TREE = {
    "g_ema": collections.OrderedDict(a=torch.randn(3, 4), b=torch.randn(2).to(torch.bfloat16), c=torch.arange(5)),
    "args": argparse.Namespace(size=256, name="x", nested=[1, 2.5, None, True]),
    "view": torch.randn(6, 4).t()[1:3],
    "half": torch.randn(3).half(),
    "parameter": torch.nn.Parameter(torch.randn(2, 2)),
    "scalar": torch.tensor(3.5),
    "empty": torch.empty(0, 4),
}


def assert_same_tree(got: dict) -> None:
    assert got["args"] == {"size": 256, "name": "x", "nested": [1, 2.5, None, True]}
    for name in ("view", "half", "parameter", "scalar", "empty"):
        assert got[name].dtype == TREE[name].dtype and torch.equal(got[name], TREE[name].detach()), name
    for name, tensor in TREE["g_ema"].items():
        assert torch.equal(got["g_ema"][name], tensor)


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "x.pt"
    torch.save(TREE, path, _use_new_zipfile_serialization=zipped)
    assert_same_tree(read_tensors(path))


def test_state_dict_with_metadata_and_optimiser(tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    optimiser = torch.optim.Adam(net.parameters())
    net(torch.randn(4, 3)).sum().backward()
    optimiser.step()
    torch.save({"net": net.state_dict(), "optimiser": optimiser.state_dict()}, tmp_path / "x.pth")
    got = read_tensors(tmp_path / "x.pth")
    assert got["net"].keys() == net.state_dict().keys()
    assert torch.equal(got["optimiser"]["state"][0]["exp_avg"], optimiser.state_dict()["state"][0]["exp_avg"])


def test_single_tensor_and_safetensors(tmp_path: Path) -> None:
    torch.save(torch.ones(1, 512), tmp_path / "direction.pt")
    assert torch.equal(read_tensors(tmp_path / "direction.pt")["tensor"], torch.ones(1, 512))
    save_file({"a": torch.ones(2)}, tmp_path / "x.safetensors")
    assert torch.equal(read_tensors(tmp_path / "x.safetensors")["a"], torch.ones(2))


# ------------------------------------------------------------ pickles of NVIDIA's, PyTorch and TensorFlow


@pytest.fixture
def fake_modules(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """Classes under the names that NVIDIA's pickles use, so that files like theirs can be written here."""

    def module(name: str) -> types.ModuleType:
        made = types.ModuleType(name)
        monkeypatch.setitem(sys.modules, name, made)
        return made

    for name in ("torch_utils", "dnnlib", "dnnlib.tflib"):
        module(name)
    persistence, util, network = (
        module("torch_utils.persistence"), module("dnnlib.util"), module("dnnlib.tflib.network"))  # fmt: skip

    def _reconstruct_persistent_obj(meta: dict) -> None:
        raise AssertionError("the reader must not call this")

    class EasyDict(dict):
        pass

    class Network:
        def __init__(self, state: dict) -> None:
            self.__dict__.update(state)

    for made, owner in ((_reconstruct_persistent_obj, persistence), (EasyDict, util), (Network, network)):
        made.__module__, made.__qualname__ = owner.__name__, made.__name__
        setattr(owner, made.__name__, made)

    class Persistent(torch.nn.Module):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__()
            self._init_args, self._init_kwargs = args, EasyDict(kwargs)

        def __reduce__(self) -> tuple:
            state = {k: v for k, v in self.__dict__.items() if not k.endswith("_hooks")}
            meta = EasyDict(type="class", module_src="raise SystemExit", class_name="Generator", state=state)
            return _reconstruct_persistent_obj, (meta,)

    return types.SimpleNamespace(Persistent=Persistent, EasyDict=EasyDict, Network=Network)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_nvidia_pickle(tmp_path: Path, fake_modules: types.SimpleNamespace, protocol: int) -> None:
    outer = fake_modules.Persistent(512, 0, img_resolution=256)
    outer.mapping = fake_modules.Persistent()
    outer.mapping.weight = torch.nn.Parameter(torch.randn(3, 3))
    outer.mapping.register_buffer("w_avg", torch.randn(3))
    outer.mapping.register_buffer("scratch", torch.randn(3), persistent=False)
    path = tmp_path / "network.pkl"
    contents = {"G_ema": outer, "augment_pipe": None, "p": np.float32(0.5)}
    path.write_bytes(pickle.dumps(contents, protocol=protocol))
    got = read_tensors(path)
    assert got["G_ema"]["class_name"] == "Generator" and got["G_ema"]["init_args"] == [512, 0]
    assert got["G_ema"]["init_kwargs"] == {"img_resolution": 256} and got["p"] == 0.5
    assert got["G_ema"]["tensors"].keys() == {"mapping.weight", "mapping.w_avg"}
    assert torch.equal(got["G_ema"]["tensors"]["mapping.weight"], outer.mapping.weight.detach())


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_tensorflow_pickle(tmp_path: Path, fake_modules: types.SimpleNamespace, protocol: int) -> None:
    weight = np.random.RandomState(0).randn(3, 3, 4, 2).astype(np.float32)
    inner = {
        "name": "G_synthesis",
        "static_kwargs": fake_modules.EasyDict(resolution=256),
        "components": {},
        "variables": [("4x4/Const/const", np.asfortranarray(weight)), ("lod", np.float32(0))],
    }
    mapping = fake_modules.Network(inner)
    parts = fake_modules.EasyDict(synthesis=mapping)
    outer = fake_modules.Network({**inner, "name": "G", "components": parts})
    path = tmp_path / "network.pkl"
    path.write_bytes(pickle.dumps((outer, outer, outer), protocol=protocol))
    got = read_tensors(path)["Gs"]["components"]["synthesis"]
    assert got["name"] == "G_synthesis" and got["static_kwargs"] == {"resolution": 256}
    assert np.array_equal(got["variables"]["4x4/Const/const"].numpy(), weight)


# ------------------------------------------------------------ hostile files


class Call:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.parts = (function, arguments)

    def __reduce__(self) -> tuple:
        return self.parts


def hostile_values(marker: Path) -> dict[str, object]:
    code = f"open({str(marker)!r}, 'w').close()"
    return {
        "system": Call(os.system, f"touch {marker}"),
        "eval": Call(eval, code),
        "exec": Call(exec, code),
        "import": Call(__import__, "os"),
        "getattr": Call(getattr, argparse.Namespace(a=1), "a"),
        "copyreg": Call(__import__("copyreg").add_extension, "os", "system", 1),
        "torch load": Call(torch.load, str(marker)),
        "open": Call(open, str(marker), "w"),
        "inside a tensor tree": {"a": torch.ones(2), "b": [({"c": Call(os.system, f"touch {marker}")},)]},
    }


NAMES = list(hostile_values(Path("x")))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("container", ["pickle 2", "pickle 4", "zip", "legacy"])
def test_hostile_pickles_are_refused_and_not_run(tmp_path: Path, name: str, container: str) -> None:
    marker, path = tmp_path / "marker", tmp_path / "x.pt"
    value = hostile_values(marker)[name]
    if container.startswith("pickle"):
        path.write_bytes(pickle.dumps(value, protocol=int(container[-1])))
    else:
        torch.save(value, path, _use_new_zipfile_serialization=container == "zip")
    with pytest.raises(UnsafeFile, match="never need"):
        read_tensors(path)
    assert not marker.exists()


def test_hostile_bytes_nested_in_a_storage(tmp_path: Path) -> None:
    marker, inner = tmp_path / "marker", io.BytesIO()
    torch.save(Call(os.system, f"touch {marker}"), inner, _use_new_zipfile_serialization=False)
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(Call(torch.storage._load_from_bytes, inner.getvalue())))
    with pytest.raises(UnsafeFile):
        read_tensors(tmp_path / "x.pkl")
    assert not marker.exists()


HAND_MADE = {
    # a state set on a global: would rewrite the function's defaults in the real unpickler
    "build on a function": b"\x80\x02ccollections\nOrderedDict\n}X\x01\x00\x00\x00aK\x01sb.",
    "extension registry": b"\x80\x02\x82\x01.",
    "old-style instance": b"\x80\x02(S'touch marker'\nios\nsystem\n.",
    "dotted attribute": b"\x80\x04\x8c\x05torch\x8c\x12serialization.load\x93.",
    "call of a dtype": b"\x80\x02ctorch\nfloat32\nX\x01\x00\x00\x00a\x85R.",
    "call of a listed class as function": b"\x80\x02cbuiltins\nint\nX\x01\x00\x00\x00a\x85R.",
    "object array": b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00O8\x85R.",
    "unhashable key": b"\x80\x02}]K\x01s.",
    "huge memo index": b"\x80\x02Nr\xff\xff\xff\xff.",
    "huge bytes": b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x0fabc.",
    "huge frame": b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x0fN.",
    "huge integer": b"\x80\x02\x8b\xff\xff\xff\x7fabc.",
    "a bare mark": b"\x80\x02(.",
    "empty stack": b"\x80\x02.",
    "no stop": b"\x80\x02NN",
}


@pytest.mark.parametrize("name", HAND_MADE)
def test_hand_made_pickles(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(HAND_MADE[name])
    with pytest.raises(BadCheckpoint) as caught:
        read_tensors(path)
    assert str(caught.value).endswith(".") and len(str(caught.value)) > 30


def test_exponential_sharing_and_deep_nesting(tmp_path: Path) -> None:
    shared: list = [torch.ones(1)]
    for _ in range(100):
        shared = [shared, shared]  # 2^100 leaves if walked naively
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"a": shared}))
    assert list(read_tensors(tmp_path / "x.pkl")) == ["a"]
    (tmp_path / "deep.pkl").write_bytes(b"\x80\x02" + b"]" * 300_000 + b"a" * 299_999 + b".")
    with pytest.raises(BadCheckpoint, match="nested"):
        read_tensors(tmp_path / "deep.pkl")


# ------------------------------------------------------------ oversized claims and damage


def rezip(source: Path, target: Path, change: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", method) as new:
        for info in old.infolist():
            content = old.read(info)
            for name, replacement in change.items():
                content = replacement if info.filename.endswith(name) else content
            new.writestr(info.filename, content)


def test_claims_larger_than_the_data(tmp_path: Path) -> None:
    good = tmp_path / "good.pt"
    torch.save({"a": torch.zeros(1000)}, good)
    with zipfile.ZipFile(good) as archive:
        pickled = archive.read(next(n for n in archive.namelist() if n.endswith("data.pkl")))
    small = struct.pack("<H", 1000)
    bigger = pickled.replace(b"M" + small, b"J" + struct.pack("<i", 2_000_000_000))
    assert bigger != pickled
    rezip(good, tmp_path / "claims.pt", {"data.pkl": bigger})
    rezip(good, tmp_path / "short.pt", {"data/0": b"abcd"})
    rezip(good, tmp_path / "bomb.pt", {"data/0": bytes(50_000_000)}, zipfile.ZIP_DEFLATED)
    for name in ("claims.pt", "short.pt", "bomb.pt"):
        with pytest.raises(BadCheckpoint):
            read_tensors(tmp_path / name)
    torch.save({"a": torch.zeros(1).expand(1_000_000_000)}, tmp_path / "broadcast.pt")
    with pytest.raises(BadCheckpoint, match="larger than the data"):
        read_tensors(tmp_path / "broadcast.pt")


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle", "safetensors"])
def test_truncated_anywhere(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "safetensors":
        save_file({"a": torch.ones(100)}, path)
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"a": np.ones(100)}))
    else:
        torch.save({"a": torch.ones(100)}, path, _use_new_zipfile_serialization=kind == "zip")
    whole = path.read_bytes()
    for keep in sorted({0, 1, 2, 8, 20, 100, len(whole) // 2, len(whole) - 30, len(whole) - 1}):
        path.write_bytes(whole[:keep])
        with pytest.raises(BadCheckpoint):
            read_tensors(path)


@pytest.mark.parametrize("content", [b"", b"hello world", b"\x89PNG\r\n" + bytes(50), b"<html></html>" * 9])
def test_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(BadCheckpoint, match="no checkpoint"):
        read_tensors(tmp_path / "x.pt")
    with pytest.raises(BadCheckpoint):
        read_tensors(tmp_path / "missing.pt")


def test_torchscript_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        for name in ("x/data.pkl", "x/constants.pkl", "x/code/__torch__.py"):
            archive.writestr(name, b"\x80\x02N.")
    with pytest.raises(UnsafeFile, match="TorchScript"):
        read_tensors(tmp_path / "x.pt")
