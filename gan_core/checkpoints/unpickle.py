"""A pickle interpreter that cannot run code: globals are inert names, the few known calls are written here.

Python's own unpickler imports whatever a file names and calls it. This one walks the opcodes (as
`pickletools` decodes them) and keeps every global as a plain `Global` value; calling one works only if it is
listed in `_CALLS`, where the "call" builds a plain value. So a hostile file can at worst be refused: no
import, no attribute access, no method of a real class ever happens on its behalf.
"""

from __future__ import annotations

import io
import math
import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any, BinaryIO, cast

import numpy as np

from gan_core.errors import BadCheckpoint, UnsafeFile

MAX_OPCODES = 20_000_000
_MARK = object()
_LARGE = 1 << 16  # bytes


@dataclass(frozen=True)
class Global:
    """The name of a class or function, never the thing itself."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass
class Record:
    """An object of a known class, kept as its name, its constructor's arguments and its state."""

    kind: str
    args: tuple[Any, ...] = ()
    state: Any = None


@dataclass
class StorageRef:
    """A tensor's memory: element type by numpy-like name, number of elements, and the bytes (maybe read
    later)."""

    dtype: str
    numel: int
    data: bytearray | memoryview | None = None


@dataclass
class TensorRef:
    """A strided view of a storage; checked and built once the storage's bytes are there."""

    storage: StorageRef
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass
class DType:
    """A numpy element type such as '<f4'."""

    code: str


@dataclass
class ArrayRef:
    """A numpy array being rebuilt."""

    array: np.ndarray | None = field(default=None)


# torch's storage classes and dtypes -> the element type's name in torch
STORAGE_TYPES = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16", "BFloat16Storage":
    "bfloat16", "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool", "UntypedStorage": "uint8",
}  # fmt: skip
_TORCH_VALUES = {*STORAGE_TYPES, *STORAGE_TYPES.values(), "complex64", "float", "double", "half", "long",
                 "int", "contiguous_format", "channels_last", "preserve_format", "strided"}  # fmt: skip
_EXTENSION_OPS = {"EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER", "PERSID", "INST", "OBJ"}


def load(
    stream: BinaryIO | io.RawIOBase,
    *,
    find_storage: Callable[[tuple[Any, ...]], StorageRef] | None = None,
    nested: Callable[[bytes], Any] | None = None,
) -> Any:
    """Interpret one pickle from `stream` and leave the stream just behind it.

    `find_storage` answers a persistent id of torch's (kind, type, key, location, elements); `nested` reads
    the bytes of a `torch.storage._load_from_bytes`. Returns plain values, `Record`, `TensorRef`, `ArrayRef`
    and `Global`. Raises UnsafeFile for a global or an opcode off the list, BadCheckpoint for a damaged
    stream.
    """
    machine = _Machine(find_storage, nested)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(cast(IO[bytes], stream))):
            if count > MAX_OPCODES:
                raise BadCheckpoint("This file holds far more objects than a checkpoint of weights does.")
            if opcode.name == "STOP":
                return machine.pop()
            machine.step(opcode.name, argument)
    except (BadCheckpoint, MemoryError, RecursionError):
        raise
    except (ValueError, IndexError, KeyError, TypeError, EOFError, OverflowError, AttributeError) as error:
        raise BadCheckpoint("This file is cut short or damaged; download it again.") from error
    raise BadCheckpoint("This file is cut short; download it again.")


class _Machine:
    """The pickle stack machine: a stack, marks in it, and a memo."""

    def __init__(self, find_storage: Callable | None, nested: Callable | None) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[int, int] = {}  # id of a large bytes object: its place in the memo
        self.find_storage = find_storage
        self.nested = nested

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a mark where a value belongs")
        return value

    def pop_to_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:  # an IndexError here is a damaged file
            at -= 1
            if at < 0:
                raise ValueError("no mark")
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    def step(self, name: str, argument: Any) -> None:
        """Carry out one opcode."""
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _EXTENSION_OPS:
            raise UnsafeFile("This file uses a pickle feature that can run code, which weights never need.")
        else:
            getattr(self, "op_" + name.lower())(argument)

    def op_proto(self, _: Any) -> None: ...

    def op_frame(self, _: Any) -> None: ...

    def op_mark(self, _: Any) -> None:
        self.stack.append(_MARK)

    def op_pop(self, _: Any) -> None:
        self.stack.pop()

    def op_pop_mark(self, _: Any) -> None:
        self.pop_to_mark()

    def op_dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    # --- memo ---
    def op_put(self, index: int) -> None:
        value = self.stack[-1]
        self.memo[index] = value
        if type(value) is bytes and len(value) > _LARGE:
            self.storages[id(value)] = index

    op_binput = op_long_binput = op_put

    def op_memoize(self, _: Any) -> None:
        self.op_put(len(self.memo))

    def op_get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    op_binget = op_long_binget = op_get

    # --- containers ---
    def op_append(self, _: Any) -> None:
        item = self.pop()
        self._list().append(item)

    def op_appends(self, _: Any) -> None:
        items = self.pop_to_mark()
        self._list().extend(items)

    def _list(self) -> list[Any]:
        if type(self.stack[-1]) is not list:
            raise TypeError("append to something that is no list")
        return self.stack[-1]

    def op_list(self, _: Any) -> None:
        self.stack.append(self.pop_to_mark())

    def op_tuple(self, _: Any) -> None:
        self.stack.append(tuple(self.pop_to_mark()))

    def _tuple_of(self, count: int) -> None:
        items = [self.pop() for _ in range(count)]
        self.stack.append(tuple(reversed(items)))

    def op_tuple1(self, _: Any) -> None:
        self._tuple_of(1)

    def op_tuple2(self, _: Any) -> None:
        self._tuple_of(2)

    def op_tuple3(self, _: Any) -> None:
        self._tuple_of(3)

    def op_dict(self, _: Any) -> None:
        items = self.pop_to_mark()
        self.stack.append({})
        self._set(items)

    def op_setitem(self, _: Any) -> None:
        value, key = self.pop(), self.pop()
        self._set([key, value])

    def op_setitems(self, _: Any) -> None:
        self._set(self.pop_to_mark())

    def _set(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise TypeError("items for something that is no dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_plain_key(key)] = value

    def op_additems(self, _: Any) -> None:
        items = self.pop_to_mark()
        if type(self.stack[-1]) is not set:
            raise TypeError("items for something that is no set")
        self.stack[-1].update(_plain_key(item) for item in items)

    def op_frozenset(self, _: Any) -> None:
        self.stack.append(frozenset(_plain_key(item) for item in self.pop_to_mark()))

    # --- globals and objects ---
    def op_global(self, names: str) -> None:
        module, name = names.split(" ", 1)
        self.stack.append(_allowed(module, name))

    def op_stack_global(self, _: Any) -> None:
        name, module = self.pop(), self.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise TypeError("a global's name must be text")
        self.stack.append(_allowed(module, name))

    def op_reduce(self, _: Any) -> None:
        arguments, target = self.pop(), self.pop()
        self.stack.append(self._call(target, arguments))

    def op_newobj(self, _: Any) -> None:
        arguments, target = self.pop(), self.pop()
        self.stack.append(_new_object(target, arguments))

    def op_newobj_ex(self, _: Any) -> None:
        _, arguments, target = self.pop(), self.pop(), self.pop()
        self.stack.append(_new_object(target, arguments))

    def op_build(self, _: Any) -> None:
        state = self.pop()
        target = self.stack[-1]
        if isinstance(target, Record):
            target.state = state
        elif isinstance(target, ArrayRef):
            _, shape, dtype, fortran, raw = state
            target.array = _array(raw, dtype, shape, "F" if fortran else "C")
        elif isinstance(target, DType):
            if state[1] in ("<", ">", "|", "="):
                target.code = state[1] + target.code.lstrip("<>|=")
        elif type(target) is not dict:  # an OrderedDict's attributes (a state_dict's _metadata) are not needed
            raise TypeError("state for something that has none")

    def op_binpersid(self, _: Any) -> None:
        pid = self.pop()
        if self.find_storage is None or type(pid) is not tuple:
            raise ValueError("a persistent id outside a torch file")
        self.stack.append(self.find_storage(pid))

    def _call(self, target: Any, arguments: Any) -> Any:
        if not isinstance(target, Global) or type(arguments) is not tuple:
            raise TypeError("a call of something that is no global")
        if str(target) == "torch.storage._load_from_bytes":
            if self.nested is None or not isinstance(arguments[0], bytes):
                raise ValueError("a storage inside a storage")
            # What it was read from is let go, else every such file would be held twice.
            place = self.storages.pop(id(arguments[0]), None)
            if place is not None:
                self.memo[place] = None
            return self.nested(arguments[0])
        if str(target) in _CALLS:
            return _CALLS[str(target)](*arguments)
        return _new_object(target, arguments)


_LITERALS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING",
    "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES",
    "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False, "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple, "EMPTY_DICT": dict, "EMPTY_SET": set,
}  # fmt: skip


def _plain_key(key: Any) -> Any:
    # hashing a nested tuple can take exponential time, so only scalars may be keys
    if key is None or isinstance(key, (str, int, float, bool, bytes)):
        return key
    raise TypeError("a key that is no plain value")


def _ints(values: Any) -> tuple[int, ...]:
    result = tuple(values)
    if not all(type(value) is int and 0 <= value < 2**48 for value in result):
        raise ValueError("sizes must be whole numbers")
    return result


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> TensorRef:
    if not isinstance(storage, StorageRef):
        raise TypeError("a tensor without a storage")
    size, stride, (offset,) = _ints(size), _ints(stride), _ints((offset,))
    if len(size) != len(stride):
        raise ValueError("as many strides as sizes")
    count = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if count else 0
    if count > storage.numel or (count and last >= storage.numel):
        raise BadCheckpoint("This file claims a tensor larger than the data it holds.")
    return TensorRef(storage, offset, size, stride)


def _passed_on(data: Any, *_: Any) -> Any:
    return data


def _array(raw: Any, dtype: Any, shape: Any, order: Any = "C") -> np.ndarray:
    if not isinstance(dtype, DType) or not isinstance(raw, (bytes, bytearray)):
        raise TypeError("an array of something that is no number")
    kind, shape = np.dtype(dtype.code), _ints(shape if isinstance(shape, tuple) else (shape,))
    if math.prod(shape) * kind.itemsize != len(raw):
        raise BadCheckpoint("This file claims an array larger than the data it holds.")
    return np.frombuffer(raw, dtype=kind).reshape(shape, order="F" if order == "F" else "C")


def _dtype(code: Any, *_: Any) -> DType:
    code = str(code)
    if not re.fullmatch(r"[<>|=]?([fiubc]\d{1,2}|\?|float\d\d|u?int\d\d?|bool)", code):
        raise UnsafeFile("This file holds an array of Python objects, which weights never need.")
    return DType(np.dtype(code).str)


def _encode(text: Any, encoding: Any) -> bytes:  # how protocol 2 stores bytes
    if encoding not in ("latin1", "latin-1"):
        raise ValueError("an unexpected encoding")
    return text.encode("latin1")


def _frombuffer(raw: Any, dtype: Any, shape: Any, order: Any) -> ArrayRef:
    return ArrayRef(_array(raw, dtype, shape, order))


def _reconstructor(target: Any, *_: Any) -> Any:
    return _new_object(target, ())


_CALLS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": _passed_on,
    "torch._utils._rebuild_parameter_with_state": _passed_on,
    "torch.nn.parameter.Parameter": _passed_on,
    "torch.Size": lambda sizes=(): tuple(sizes),
    "torch.device": lambda *names: ":".join(map(str, names)),
    "torch.serialization._get_layout": str,
    "collections.OrderedDict": lambda pairs=(): {_plain_key(key): value for key, value in pairs},
    "collections.defaultdict": lambda *_: {},
    "builtins.dict": lambda pairs=(): {_plain_key(key): value for key, value in pairs},
    "builtins.set": lambda items=(): {_plain_key(item) for item in items},
    "builtins.frozenset": lambda items=(): frozenset(_plain_key(item) for item in items),
    "builtins.bytearray": lambda *_: bytearray(),
    "builtins.complex": lambda real, imag=0.0: [float(real), float(imag)],
    "_codecs.encode": _encode,
    "numpy.dtype": _dtype,
    "numpy.core.multiarray._reconstruct": lambda *_: ArrayRef(),
    "numpy.core.multiarray.scalar": lambda dtype, raw: _array(raw, dtype, ()).item(),
    "numpy.core.numeric._frombuffer": _frombuffer,
    "copyreg._reconstructor": _reconstructor,
    "torch_utils.persistence._reconstruct_persistent_obj": lambda meta: Record("persistent", (), meta),
}
_DICTIONARIES = {"dnnlib.util.EasyDict", "dnnlib.EasyDict", "collections.OrderedDict", "builtins.dict"}
_RECORDS = {"argparse.Namespace", "dnnlib.tflib.network.Network", "types.SimpleNamespace",
            "pathlib.PosixPath", "pathlib.PurePosixPath"}  # fmt: skip
_VALUES = {"numpy.ndarray", "builtins.object", "builtins.list", "builtins.int", "builtins.float",
           "builtins.str", "builtins.bool"}  # fmt: skip
# renamed between releases of Python, numpy and torch
_ALIASES = {
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
    "numpy._core.multiarray": "numpy.core.multiarray",
    "numpy._core.numeric": "numpy.core.numeric",
    "torch._tensor": "torch",
}


def _allowed(module: str, name: str) -> Global:
    """The inert name of a global on the list. Raises UnsafeFile for any other."""
    module = _ALIASES.get(module, module)
    full = f"{module}.{name}"
    listed = full in _CALLS or full in _DICTIONARIES or full in _RECORDS or full in _VALUES
    layer = module.startswith("torch.nn.modules.") and name.isidentifier()  # kept as a name, never built
    if listed or layer or full == "torch.storage._load_from_bytes" or (module == "torch" and name in _TORCH_VALUES):
        return Global(module, name)
    shown = re.sub(r"[^\w.]", "?", full)[:80]
    raise UnsafeFile(f"This file asks Python for {shown}, which weights never need; it was refused and not run.")


def _new_object(target: Any, arguments: Any) -> Any:
    if not isinstance(target, Global) or type(arguments) is not tuple:
        raise TypeError("an object of something that is no class")
    full = str(target)
    if full in _DICTIONARIES:
        return {}
    if full in _RECORDS or target.module.startswith("torch.nn.modules."):
        return Record(full, arguments)
    raise UnsafeFile(f"This file asks Python to call {full}, which weights never need; it was refused.")
