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
    machine = _Machine(storages if storages is not None else {})
    for _ in range(MAX_INSTRUCTIONS):
        instruction = _OPCODES.get(stream.read(1))
        if instruction is None:
            raise ValueError("its pickle is incomplete or has an unknown instruction")
        if instruction.name == "STOP":
            return machine.stack.pop()
        if instruction.name not in _ACTIONS:  # refused before its argument is read
            raise CheckpointError(f"its pickle instruction {instruction.name} is refused, because tensors do not need "
                                  "it. No code was run. Get the file from a source that you trust")  # fmt: skip
        argument = instruction.arg and instruction.arg.reader(stream)
        _ACTIONS[instruction.name](machine, argument)
    raise CheckpointError(f"its pickle has more than {MAX_INSTRUCTIONS:,} instructions")


class _Machine:
    def __init__(self, storages: dict[str, Storage]) -> None:
        self.stack: list[Any] = []  # the values since the last mark
        self.below: list[list[Any]] = []  # the stacks below the marks
        self.memo: dict[int, Any] = {}  # values for later use
        self.storages = storages

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop_to_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.below.pop()
        return items

    def mark(self, _: Any) -> None:
        if len(self.below) >= MAX_MARKS:
            raise CheckpointError("its pickle is nested too deeply")
        self.below.append(self.stack)
        self.stack = []

    def remember(self, index: Any) -> None:
        self.memo[len(self.memo) if index is None else index] = self.stack[-1]

    def pop_last(self, count: int) -> list[Any]:
        return [self.stack.pop() for _ in range(count)][::-1]

    def extend(self, items: Sequence[Any]) -> None:
        self.stack[-1] += items

    def import_name(self, name: str) -> None:
        name = name.replace(" ", ".")  # pickletools puts a space between module and name
        if name not in _CALLS and name not in DTYPES:
            _refuse_call(name)
        self.push(_Import(name))

    def import_from_stack(self, _: Any) -> None:
        self.import_name(".".join(self.pop_last(2)))

    def call(self, _: Any) -> None:
        function, arguments = self.pop_last(2)
        if type(function) is not _Import:
            raise TypeError("it calls something that is not a function")
        if function.name not in _CALLS:
            _refuse_call(function.name)
        self.push(_CALLS[function.name](*arguments))

    def storage(self, _: Any) -> None:
        storage = _storage(self.stack.pop())
        if self.storages.setdefault(storage.key, storage) != storage:
            raise damaged(f"its storage {shown(storage.key)} has two sizes or types")
        self.push(storage)


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


def _storage(value: Any) -> Storage:
    kind, dtype, key, place, count, *view = value
    known = kind == "storage" and type(dtype) is _Import and dtype.name in DTYPES and view in ([], [None])
    if not known or type(key) is not str or type(place) is not str or not _is_count(count):
        raise CheckpointError("it has a storage of a kind that torch.save does not write for a network")
    return Storage(key, np.dtype(DTYPES[dtype.name]), count)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    """Make a tensor that lies within its storage and has no more values than the storage."""
    counts = all(map(_is_count, (offset, *size, *stride)))
    if type(storage) is not Storage or not counts or not len(size) == len(stride) <= MAX_AXES:
        raise damaged("a malformed tensor")
    count = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if count else offset - 1
    if last >= storage.length or count > storage.length:
        shape = " x ".join(map(str, size))
        raise damaged(
            f"a tensor of {shape}, offset {offset}, strides {stride} exceeds its storage of {storage.length:,}"
        )
    return Tensor(storage, offset, tuple(size), tuple(stride))


_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
_LITERALS = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINSTRING",
             "SHORT_BINSTRING")  # fmt: skip
_ACTIONS: dict[str, Callable[[_Machine, Any], object]] = {
    **dict.fromkeys(_LITERALS, _Machine.push),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    **dict.fromkeys(("PROTO", "FRAME"), lambda machine, _: None),
    "MARK": _Machine.mark,
    **dict.fromkeys(("BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.remember),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda machine, index: machine.push(machine.memo[index])),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_to_mark())),
    "TUPLE1": lambda machine, _: machine.push(tuple(machine.pop_last(1))),
    "TUPLE2": lambda machine, _: machine.push(tuple(machine.pop_last(2))),
    "TUPLE3": lambda machine, _: machine.push(tuple(machine.pop_last(3))),
    "APPEND": lambda machine, _: machine.extend(machine.pop_last(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.pop_to_mark()),
    "SETITEM": lambda machine, _: _fill(machine.pop_last(2), machine.stack[-1]),
    "SETITEMS": lambda machine, _: _fill(machine.pop_to_mark(), machine.stack[-1]),
    "GLOBAL": _Machine.import_name,
    "INST": lambda _, name: _refuse_call(name.replace(" ", ".")),
    "STACK_GLOBAL": _Machine.import_from_stack,
    **dict.fromkeys(("REDUCE", "NEWOBJ"), _Machine.call),
    "BUILD": lambda machine, _: machine.stack.pop(),  # a dict's versions of its modules, or a Parameter's flag
    "BINPERSID": _Machine.storage,
}
_CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered_dict,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch.nn.parameter.Parameter": lambda tensor, *_: tensor,
}
