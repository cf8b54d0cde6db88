"""Read a checkpoint file into tensors and plain values without ever running code from it.

Formats are told from the first bytes, never from the name: safetensors; torch.save's zip and its older
stream; NVIDIA's PyTorch .pkl (objects of torch_utils.persistence, whose embedded source is ignored);
TensorFlow-era .pkl (dnnlib.tflib.network.Network). Memory is bounded by the file's own size: every claim of
a size is checked against the bytes that are really there before anything is allocated.
"""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch

from gan_core.checkpoints import unpickle
from gan_core.checkpoints.unpickle import ArrayRef, Global, Record, StorageRef, TensorRef
from gan_core.errors import BadCheckpoint, UnsafeFile

_TORCH_MAGIC = 0x1950A86A20F9469CFC6C  # first object of torch.save's older stream
_MAX_DEPTH = 200
_DAMAGED = "This file is cut short or damaged; download it again."
_UNKNOWN = "This file is no checkpoint of a kind known here (.pt, .pth, .pkl or .safetensors)."
_ITEM_SIZE = {"float32": 4, "float64": 8, "float16": 2, "bfloat16": 2, "int64": 8, "int32": 4, "int16": 2,
              "int8": 1, "uint8": 1, "bool": 1}  # fmt: skip


def read_tensors(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The contents of a checkpoint: nested dictionaries and lists of CPU tensors and plain values.

    A file that is one tensor gives {"tensor": it}; a tuple or list gives {"0": ..., "1": ...}, TensorFlow-era
    triples {"G": ..., "D": ..., "Gs": ...}. Objects of NVIDIA's persistence module become {"class_name",
    "tensors" (a flat state_dict), "init_args", "init_kwargs"}; TensorFlow networks {"name", "static_kwargs",
    "variables", "components"}.

    Raises UnsafeFile if the file asks for code to be run, BadCheckpoint if it is damaged or of no known
    format.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            contents = _read(_Bounded(stream, path.stat().st_size))
        return _as_dict(_Plain().convert(contents))
    except (MemoryError, RecursionError) as error:
        raise BadCheckpoint("This file claims more than it can hold; it was not read.") from error
    except OSError as error:
        raise BadCheckpoint(f"The file {path.name} cannot be read: {error.strerror or 'unknown reason'}.") from error


class _Bounded(io.RawIOBase):
    """A read-only view of a stream whose reads never ask for more than is left, whatever a file claims."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self.size = stream, size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def read(self, count: int = -1) -> bytes:
        left = max(0, self.size - self._stream.tell())
        return self._stream.read(left if count is None or count < 0 else min(count, left))

    def readline(self, limit: int | None = -1) -> bytes:
        return self._stream.readline(4096 if limit is None or limit < 0 else min(limit, 4096))


def _read(stream: _Bounded) -> Any:
    head = stream.read(16)
    stream.seek(0)
    if head[:4] == b"PK\x03\x04":
        return _read_zip(stream)
    if len(head) > 9 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] < stream.size:
        return _read_safetensors(stream)
    if head[:1] == b"\x80" and len(head) > 2:
        return _read_pickles(stream)
    raise BadCheckpoint(_UNKNOWN)


# ---------------------------------------------------------------- torch.save, zip


def _read_zip(stream: _Bounded) -> Any:
    """torch.save's format since 1.6: <name>/data.pkl and one stored (uncompressed) member per storage."""
    try:
        with zipfile.ZipFile(stream) as archive:  # type: ignore[arg-type]
            members = {info.filename: info for info in archive.infolist()}
            if any(name.endswith("constants.pkl") for name in members):
                raise UnsafeFile("This file is a TorchScript program, not a checkpoint of weights; it was not opened.")
            pickles = [name for name in members if name == "data.pkl" or name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise BadCheckpoint(_UNKNOWN)
            claimed = sum(info.file_size for info in members.values())
            if claimed > stream.size or any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
                raise BadCheckpoint("This archive claims more data than the file holds, so it was not read.")
            root = pickles[0][: -len("data.pkl")]
            if root + "byteorder" in members and archive.read(root + "byteorder") != b"little":
                raise BadCheckpoint("This file was written by a big-endian machine, which is not supported.")
            storages: dict[str, StorageRef] = {}

            def find_storage(pid: tuple[Any, ...]) -> StorageRef:
                dtype, key, numel = _storage_id(pid)
                if key not in storages:
                    info = members.get(f"{root}data/{key}")
                    if info is None or info.file_size < numel * _ITEM_SIZE[dtype]:
                        raise BadCheckpoint("This file names data that it does not hold; download it again.")
                    data = bytearray(info.file_size)
                    with archive.open(info) as member:
                        if cast(io.BufferedIOBase, member).readinto(data) != info.file_size:
                            raise BadCheckpoint(_DAMAGED)
                    storages[key] = StorageRef(dtype, numel, data)
                return storages[key]

            with archive.open(pickles[0]) as member:
                return unpickle.load(io.BytesIO(member.read()), find_storage=find_storage)
    except (zipfile.BadZipFile, EOFError, RuntimeError, ValueError, struct.error) as error:
        raise BadCheckpoint(_DAMAGED) from error


def _storage_id(pid: tuple[Any, ...]) -> tuple[str, str, int]:
    """(element type, key, number of elements) of a persistent id of torch's."""
    kind, storage_type, key, _, numel = pid[:5]
    known = isinstance(storage_type, Global) and storage_type.name in unpickle.STORAGE_TYPES
    if kind != "storage" or not known or type(numel) is not int or not 0 <= numel < 2**48:
        raise BadCheckpoint(_DAMAGED)
    return unpickle.STORAGE_TYPES[storage_type.name], str(key), numel


# ---------------------------------------------------------------- pickles: torch's older stream, NVIDIA,
# TensorFlow


def _read_pickles(stream: _Bounded) -> Any:
    first = unpickle.load(stream, nested=_read_nested)
    if type(first) is int and first == _TORCH_MAGIC:
        return _read_torch_stream(stream)
    return first


def _read_nested(data: bytes) -> Any:
    """The bytes inside a `torch.storage._load_from_bytes`: one storage, saved by torch.save."""
    stream = _Bounded(io.BytesIO(data), len(data))
    if data[:4] == b"PK\x03\x04":
        return _read_zip(stream)
    if unpickle.load(stream) != _TORCH_MAGIC:
        raise BadCheckpoint(_DAMAGED)
    return _read_torch_stream(stream)


def _read_torch_stream(stream: _Bounded) -> Any:
    """torch.save's format before 1.6, behind its magic number: version, system, object, keys, then raw
    storages."""
    version, system = unpickle.load(stream), unpickle.load(stream)
    if version != 1001 or not isinstance(system, dict) or system.get("little_endian") is not True:
        raise BadCheckpoint("This file was written in a way that is not supported (version or byte order).")
    storages: dict[str, StorageRef] = {}

    def find_storage(pid: tuple[Any, ...]) -> StorageRef:
        dtype, key, numel = _storage_id(pid)
        if len(pid) > 5 and pid[5] is not None:
            raise BadCheckpoint("This file is in a form older than PyTorch 0.4, which is not supported.")
        return storages.setdefault(key, StorageRef(dtype, numel))

    contents = unpickle.load(stream, find_storage=find_storage)
    keys = unpickle.load(stream)
    if not isinstance(keys, list) or len(keys) > len(storages):
        raise BadCheckpoint(_DAMAGED)
    for key in keys:
        storage = storages.get(str(key))
        header = stream.read(8)
        if storage is None or len(header) != 8 or struct.unpack("<q", header)[0] != storage.numel:
            raise BadCheckpoint(_DAMAGED)
        size = storage.numel * _ITEM_SIZE[storage.dtype]
        data = stream.read(size)
        if len(data) != size:
            raise BadCheckpoint("This file is cut short; download it again.")
        storage.data = bytearray(data)
    return contents


# ---------------------------------------------------------------- safetensors


def _read_safetensors(stream: _Bounded) -> dict[str, torch.Tensor]:
    from safetensors.torch import load as load_safetensors

    (length,) = struct.unpack("<Q", stream.read(8))
    if length > min(stream.size - 8, 100_000_000):
        raise BadCheckpoint(_DAMAGED)
    try:
        json.loads(stream.read(length))
        stream.seek(0)
        return load_safetensors(stream.read())
    except BadCheckpoint:
        raise
    except Exception as error:  # safetensors has its own exception type, one per release
        raise BadCheckpoint(_DAMAGED) from error


# ---------------------------------------------------------------- to plain values


class _Plain:
    """Turns the interpreter's values into tensors and plain values; each object once, however often it is
    named."""

    def __init__(self) -> None:
        self.done: dict[int, tuple[Any, Any]] = {}  # id -> (the source, kept alive; the result)

    def convert(self, value: Any, depth: int = 0) -> Any:
        if depth > _MAX_DEPTH:
            raise BadCheckpoint("This file is nested far deeper than a checkpoint of weights is.")
        if value is None or isinstance(value, (bool, int, float, str, bytes, bytearray, torch.Tensor)):
            return value
        if id(value) not in self.done:
            self.done[id(value)] = (value, None)  # a reference back to a parent becomes None
            self.done[id(value)] = (value, self._convert(value, depth + 1))
        return self.done[id(value)][1]

    def _convert(self, value: Any, depth: int) -> Any:
        if isinstance(value, TensorRef):
            return _build_tensor(value)
        if isinstance(value, StorageRef):
            return _build_tensor(TensorRef(value, 0, (value.numel,), (1,)))
        if isinstance(value, ArrayRef):
            if value.array is None:
                raise BadCheckpoint(_DAMAGED)
            array, value.array = value.array, None  # let go, so that it is not held twice
            return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=True, order="C"))
        if isinstance(value, dict):
            return {key: self.convert(item, depth) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.convert(item, depth) for item in value]
        if isinstance(value, (set, frozenset)):
            return sorted(value, key=str)
        if isinstance(value, Record):
            return self._convert_record(value, depth)
        if isinstance(value, Global):
            return str(value)
        return str(value)

    def _convert_record(self, record: Record, depth: int) -> Any:
        if record.kind == "persistent":
            meta = record.state if isinstance(record.state, dict) else {}
            result: dict[str, Any] = {
                "class_name": str(meta.get("class_name", "")),
                "tensors": {},
                "init_args": [],
                "init_kwargs": {},
            }
            state = meta.get("state")
            if isinstance(state, dict):
                result["init_args"] = self.convert(state.get("_init_args", []), depth)
                result["init_kwargs"] = self.convert(state.get("_init_kwargs", {}), depth)
                self._collect(state, "", result["tensors"], depth)
            return result
        if record.kind.startswith("torch.nn.modules."):
            tensors: dict[str, torch.Tensor] = {}
            self._collect(record.state, "", tensors, depth)
            return {"class_name": record.kind, "tensors": tensors, "init_args": [], "init_kwargs": {}}
        if record.kind == "dnnlib.tflib.network.Network":
            state = record.state if isinstance(record.state, dict) else {}
            variables = self.convert([list(pair) for pair in state.get("variables") or []], depth)
            return {
                "name": str(state.get("name", "")),
                "static_kwargs": self.convert(state.get("static_kwargs", {}), depth),
                "variables": {str(name): tensor for name, tensor in variables},
                "components": self.convert(state.get("components") or {}, depth),
            }
        if record.kind.startswith("pathlib."):
            return "/".join(str(part) for part in record.args)
        return self.convert(record.state if isinstance(record.state, dict) else {}, depth)

    def _collect(self, state: Any, prefix: str, out: dict[str, torch.Tensor], depth: int) -> None:
        """Flatten a module's __dict__ into state_dict names."""
        if depth > _MAX_DEPTH or len(out) > 100_000:
            raise BadCheckpoint("This file is nested far deeper than a checkpoint of weights is.")
        if not isinstance(state, dict):
            return
        transient = state.get("_non_persistent_buffers_set") or ()
        for group in ("_parameters", "_buffers"):
            for name, value in (state.get(group) or {}).items():
                if value is not None and not (group == "_buffers" and name in transient):
                    tensor = self.convert(value, depth)
                    if isinstance(tensor, torch.Tensor):
                        out[prefix + str(name)] = tensor
        for name, child in (state.get("_modules") or {}).items():
            if isinstance(child, Record):
                inner = child.state
                if child.kind == "persistent" and isinstance(inner, dict):
                    inner = inner.get("state")
                self._collect(inner, f"{prefix}{name}.", out, depth + 1)


def _build_tensor(ref: TensorRef) -> torch.Tensor:
    storage = ref.storage
    if storage.data is None:
        raise BadCheckpoint("This file is cut short; download it again.")
    dtype = getattr(torch, storage.dtype)
    if storage.numel == 0 or 0 in ref.size:
        return torch.empty(ref.size, dtype=dtype)
    flat = torch.frombuffer(storage.data, dtype=dtype, count=storage.numel)
    return flat.as_strided(ref.size, ref.stride, ref.offset)


def _as_dict(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    if isinstance(value, torch.Tensor):
        return {"tensor": value}
    if isinstance(value, list) and value:
        names = [str(i) for i in range(len(value))]
        if len(value) == 3 and all(isinstance(item, dict) and "variables" in item for item in value):
            names = ["G", "D", "Gs"]  # the triple that TensorFlow-era training scripts save
        return dict(zip(names, value, strict=True))
    raise BadCheckpoint(_UNKNOWN)
