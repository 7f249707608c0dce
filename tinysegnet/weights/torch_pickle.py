"""A reader for pickled data that executes no code.

A pickle is a program for a stack machine. Its instructions push strings and build tuples, but they can also import and
call any function, and Python's own reader executes them. This machine supports only the instructions that build data.
It accepts the following names without importing them, and replaces each call by the value on the right:

    collections.OrderedDict(pairs)                                      a dict
    torch._utils._rebuild_tensor(storage, offset, size, stride)         a `Tensor`, a description without values
    torch._utils._rebuild_tensor_v2(..., requires_grad, hooks)          the same
    torch._utils._rebuild_parameter(tensor, requires_grad, hooks)       the tensor, as for torch.nn.parameter.Parameter
    ("storage", torch.FloatStorage, key, place, count)                  a `Storage`, which refers to the values

The last row is a persistent id. Any other name raises an error that mentions it.
"""

import math
import pickletools
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, NamedTuple, NoReturn

import numpy as np

from ..errors import CheckpointError
from .limits import MAX_AXES, damaged, shown

MAX_INSTRUCTIONS = 200_000  # about 30 per tensor
MAX_MARKS = 50
MAX_COUNT = 1 << 48

DTYPES = {"torch.DoubleStorage": "<f8", "torch.FloatStorage": "<f4", "torch.HalfStorage": "<f2",
          "torch.LongStorage": "<i8", "torch.IntStorage": "<i4", "torch.ShortStorage": "<i2",
          "torch.CharStorage": "<i1", "torch.ByteStorage": "<u1"}  # fmt: skip


class Storage(NamedTuple):
    """A reference to `length` values elsewhere in the file, under `key`."""

    key: str
    dtype: np.dtype
    length: int


class Tensor(NamedTuple):
    """A view of a storage: element (i, j, ...) is its value number offset + i stride[0] + j stride[1] + ..."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """The size of the array in bytes."""
        return math.prod(self.size) * self.storage.dtype.itemsize


class _Import(NamedTuple):
    name: str


def read_pickle(stream: BinaryIO, storages: dict[str, Storage] | None = None) -> Any:
    """Read the next pickled value of a stream: plain data or a `Tensor`. The keys of a dict must be strings.

    The stream must be in memory and limited in size. Every storage that the value uses is added to the dict
    `storages` under its key. Raises CheckpointError for anything but data. Malformed pickles raise Python's own errors.
    """
    stack: list[Any] = []  # the values since the last mark
    below: list[list[Any]] = []  # the stacks below the marks
    memo: dict[int, Any] = {}  # values for later use
    storages = {} if storages is None else storages
    for _ in range(MAX_INSTRUCTIONS):
        instruction: Any = _OPCODES.get(stream.read(1))
        if instruction is None:
            raise ValueError("its pickle is incomplete or has an unknown instruction")
        name, items = instruction.name, list[Any]()
        # an instruction that is refused does not read its argument
        value: Any = instruction.arg.reader(stream) if name in _WITH_ARGUMENT else None
        if name in _TAKES:
            items = [stack.pop() for _ in range(_TAKES[name])][::-1]
        elif name in ("TUPLE", "APPENDS", "SETITEMS"):
            items, stack = stack, below.pop()
        match name:
            case "STOP":
                return stack.pop()
            case "PROTO" | "FRAME":
                pass
            case name if name in _VALUES:
                stack.append(value)
            case name if name in _CONSTANTS:
                stack.append(_CONSTANTS[name]())
            case "BINPUT" | "LONG_BINPUT":
                memo[value] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[value])
            case "MARK":
                if len(below) >= MAX_MARKS:
                    raise CheckpointError("its pickle is nested too deeply")
                below.append(stack)
                stack = []
            case "TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(items))
            case "APPEND" | "APPENDS":
                stack[-1] += items
            case "SETITEM" | "SETITEMS":
                _fill(items, stack[-1])
            case "GLOBAL":
                stack.append(_import(value.replace(" ", ".")))  # pickletools puts a space before the name
            case "STACK_GLOBAL":
                stack.append(_import(".".join(items)))
            case "REDUCE" | "NEWOBJ":
                function, arguments = items
                if type(function) is not _Import:
                    raise TypeError("it calls something that is not a function")
                if function.name not in _CALLS:
                    _refuse_call(function.name)
                stack.append(_CALLS[function.name](*arguments))
            case "INST":
                _refuse_call(value.replace(" ", "."))
            case "BUILD":
                stack.pop()  # a dict's versions of its modules, or a Parameter's flag
            case "BINPERSID":
                stack.append(_storage(stack.pop(), storages))
            case _:
                raise CheckpointError(
                    f"its pickle instruction {name} is refused, because tensors do not need it. No code was"
                    " run. Get the file from a source that you trust"
                )
    raise CheckpointError(f"its pickle has more than {MAX_INSTRUCTIONS:,} instructions")


def _import(name: str) -> _Import:
    if name not in _CALLS and name not in DTYPES:
        _refuse_call(name)
    return _Import(name)


def _refuse_call(name: str) -> NoReturn:
    raise CheckpointError(f"its call of {shown(name)} is refused. No code was run. Only tensors can be read: save the "
                          "state_dict() of a network, not the network")  # fmt: skip


def _fill(items: Sequence[Any], target: Any) -> dict[str, Any]:
    """Set target[key] = value for items key, value, key, value, ..."""
    for key, value in zip(items[::2], items[1::2], strict=True):
        if type(key) is not str:
            raise TypeError(f"the name of an item is {type(key).__name__}, not a string")
        if key in target:
            raise damaged(f"{shown(key)} occurs twice")
        target[key] = value
    return target


def _ordered_dict(pairs: Any = ()) -> dict[str, Any]:
    return _fill([item for key, value in pairs for item in (key, value)], {})


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_COUNT


def _storage(value: Any, storages: dict[str, Storage]) -> Storage:
    kind, dtype, key, place, count, *view = value
    known = kind == "storage" and type(dtype) is _Import and dtype.name in DTYPES and view in ([], [None])
    if not known or type(key) is not str or type(place) is not str or not _is_count(count):
        raise CheckpointError("it has a storage of a kind that torch.save does not write for a network")
    storage = Storage(key, np.dtype(DTYPES[dtype.name]), count)
    if storages.setdefault(key, storage) != storage:
        raise damaged(f"its storage {shown(key)} has two sizes or types")
    return storage


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    """Make a tensor that lies within its storage and has no more values than the storage."""
    counts = all(map(_is_count, (offset, *size, *stride)))
    if type(storage) is not Storage or not counts or not len(size) == len(stride) <= MAX_AXES:
        raise damaged("a malformed tensor")
    count = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if count else offset - 1
    if last >= storage.length or count > storage.length:
        shape = " x ".join(map(str, size))
        raise damaged(f"a tensor of {shape}, offset {offset}, strides {stride} exceeds its {storage.length:,} values")
    return Tensor(storage, offset, tuple(size), tuple(stride))


_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
_VALUES = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINSTRING",
           "SHORT_BINSTRING"}  # fmt: skip
_WITH_ARGUMENT = _VALUES | {"PROTO", "FRAME", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET", "GLOBAL", "INST"}
_TAKES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3, "APPEND": 1, "SETITEM": 2, "STACK_GLOBAL": 2, "REDUCE": 2, "NEWOBJ": 2}
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False, "EMPTY_TUPLE": tuple, "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}  # fmt: skip
_CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered_dict,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch.nn.parameter.Parameter": lambda tensor, *_: tensor,
}
