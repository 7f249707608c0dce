"""Pickles that would run programs or make large objects, instead of weights."""

import builtins
import os
import struct

import numpy as np
from measures import MB, Cost, measured
from weight_samples import Call, Name, Stored, dump, tensor

from tinysegnet.errors import CheckpointError
from tinysegnet.weights.weight_files import read_arrays


class Runs:
    """An object whose unpickling calls the function."""

    def __init__(self, function, *arguments):
        self.called = function, arguments

    def __reduce__(self):
        return self.called


TOUCH = Runs(os.system, "touch canary")
OPEN = Runs(builtins.open, "canary", "w")
EVAL = Runs(builtins.eval, "open('canary', 'w')")


def program(*parts, proto=b"\x80\x02"):
    return proto + b"".join(parts) + b"."


def text(words):
    return b"X" + struct.pack("<I", len(words)) + words.encode()


def with_tensor(offset=0, size=(2, 3), stride=(3, 1), count=6, **stored):
    return dump({"a": tensor(Stored("100", count, **stored), offset, size, stride)})


_TENSOR = dump(tensor(Stored("100", 6), 0, (2, 3), (3, 1)))[2:-1]
LAUGHS = b"](" * 45 + b"]q\x00" + b"".join(b"h" + bytes([i]) + b"eq" + bytes([i + 1]) for i in range(45))

PROGRAMS = {  # pickles instead of {name: tensor}, and a part of the error
    "os.system": (dump(TOUCH), f"{os.system.__module__}.system"),
    "os.system as a value": (dump({"a": TOUCH}), ".system"),
    "os.system deep inside": (dump({"a": [({"b": (1, [TOUCH])},)]}), ".system"),
    "os.system behind good tensors": (program(b"}(", text("a"), _TENSOR, text("b"), dump(TOUCH)[2:-1], b"u"), ".sys"),
    "os.system, protocol 4": (dump({"a": TOUCH}, protocol=4), ".system"),
    "os.system, protocol 0": (dump({"a": TOUCH}, protocol=0), "refused"),
    "open": (dump(OPEN), "open"),
    "eval": (dump(EVAL), "builtin"),
    "getattr of a known name": (dump(Call(Name("builtins", "getattr"), (Name("torch", "ByteStorage"), "x"))), "getat"),
    "numpy": (dump({"a": np.ones(3)}), "numpy"),
    "a network": (dump(Call(Name("torchvision.models.vgg", "VGG"), ())), "torchvision.models.vgg.VGG"),
    "a known name called": (dump(Call(Name("torch", "FloatStorage"), (3,))), "torch.FloatStorage"),
    "a name with a line end": (program(b"\x8c\x04os\ns\x8c\x06system\x93)R", proto=b"\x80\x04"), "'os\\ns.system'"),
    "a name of a megabyte": (program(b"c" + b"x" * 900_000 + b"\nsystem\n)R"), "xxxx"),
    "INST": (program(b"(", text("touch canary"), b"ios\nsystem\n"), "os.system"),
    "OBJ": (program(b"(cos\nsystem\n", text("touch canary"), b"o"), "os.system"),
    "OBJ of a known name": (program(b"(ccollections\nOrderedDict\no"), "OBJ"),
    "a name with escapes": (program(b"cos\nsys\\x74em\n)R"), "refused"),
    "NEWOBJ": (program(b"cos\nsystem\n(", text("touch canary"), b"t\x81"), "os.system"),
    "an extension": (program(b"\x82\x01"), "EXT1"),
    "a persistent id that is text": (program(b"Pcanary\n"), "PERSID"),
    "a persistent id of os.system": (dump({"a": Stored("100", 6, Name("os", "system"))}), "os.system"),
    "a storage that is a dict": (dump({"a": Stored("100", 6, Name("collections", "OrderedDict"))}), "storage"),
    "attributes of a name": (program(b"ctorch\nFloatStorage\n}b"), "not a dict of tensors"),
    "bytes": (dump({"a": b"xyz"}, protocol=3), "SHORT_BINBYTES"),
    "a set": (dump({"a": {1}}, protocol=4), "EMPTY_SET"),
    "a dict in itself": (program(b"}q\x00", text("a"), b"h\x00s"), "a is dict, not a tensor"),
    "a list in itself": (program(b"}", text("a"), b"]q\x00h\x00as"), "a is list, not a tensor"),
    "90,000 lists in each other": (program(b"}", text("a"), b"]" * 90_000 + b"a" * 89_999 + b"s"), "not a tensor"),
    "100,000 marks": (program(b"(" * 100_000), "nested too deeply"),
    "100,000 tuples as a name": (program(b"})" + b"\x85" * 100_000 + b"K\x01s"), "the name of an item"),
    "a list that doubles 45 times": (program(b"}", text("a"), LAUGHS, b"s"), "a is list, not a tensor"),
    "a million instructions": (program(b"N0" * 300_000), "refused"),
    "200,001 instructions": (program(b"N" * 199_999), "more than 200,000 instructions"),
    "a memo number of 2^32": (program(b"}r\xff\xff\xff\xff"), "not a dict of tensors"),
    "nothing remembered": (program(b"h\x05"), "damaged"),
    "nothing on the stack": (program(b"R"), "damaged"),
    "no mark": (program(b"}u"), "damaged"),
    "no value": (program(), "damaged"),
    "no end": (b"\x80\x02}", ""),
    "an unknown instruction": (program(b"\xff"), "damaged"),
    "an int of 2 GB": (program(b"\x8b\xff\xff\xff\x7f"), "LONG4"),
    "an int of 255 bytes from 2": (program(b"\x8a\xff\xff"), ""),
    "a text of 4 GB": (program(b"X\xff\xff\xff\xff"), "damaged"),
    "a text of 2^62 bytes": (program(b"\x8d" + struct.pack("<Q", 1 << 62), proto=b"\x80\x04"), "BINUNICODE8"),
    "a frame of 2^62 bytes": (program(b"\x95" + struct.pack("<Q", 1 << 62), proto=b"\x80\x04"), "damaged"),
    "an int of 5,000 digits": (program(b"I" + b"9" * 5000 + b"\n"), "INT"),
    "a number": (dump(3), "not a dict of tensors"),
    "an empty dict": (dump({}), "not a dict of tensors"),
    "a dict of numbers": (dump({"epoch": 3}), "epoch is int, not a tensor"),
    "checkpoint": (dump({"epoch": 3, "state_dict": {"a": tensor(Stored("100", 6), 0, (6,), (1,))}}), "epoch is int"),
    "a number as a name": (dump({3: tensor(Stored("100", 6), 0, (6,), (1,))}), "the name of an item"),
    "a name that cannot be printed": (dump({"a\n\x1b[2J": tensor(Stored("100", 6), 0, (6,), (1,))}), "'a\\n\\x1b[2J'"),
    "a name twice": (program(b"}(", text("a"), _TENSOR, text("a"), _TENSOR, b"u"), "a occurs twice"),
    "2^60 numbers": (with_tensor(size=(1 << 30, 1 << 30), stride=(1 << 30, 1)), "forged"),
    "2^60 numbers in the storage too": (with_tensor(size=(1 << 60,), stride=(1,), count=1 << 60), "storage"),
    "2^44 numbers in the storage": (with_tensor(size=(1 << 44,), stride=(1,), count=1 << 44), ""),
    "one number 2^40 times": (with_tensor(size=(1 << 20, 1 << 20), stride=(0, 0)), "forged"),
    "strides past the end": (with_tensor(stride=(4, 1)), "forged: a tensor of 2 x 3"),
    "strides of 2^40": (with_tensor(stride=(1 << 40, 1)), "forged"),
    "an offset past the end": (with_tensor(offset=1), "forged"),
    "a negative offset": (with_tensor(offset=-1), "a malformed tensor"),
    "a negative stride": (with_tensor(offset=5, stride=(-3, -1)), "a malformed tensor"),
    "a negative size": (with_tensor(size=(-2, -3)), "a malformed tensor"),
    "a size of True": (with_tensor(size=(True, 6)), "a malformed tensor"),
    "a size of 2^100": (with_tensor(size=(1 << 100, 1)), "a malformed tensor"),
    "a size of text": (with_tensor(size="23"), "a malformed tensor"),
    "a size without strides": (with_tensor(stride=()), "a malformed tensor"),
    "20 axes": (with_tensor(size=(1,) * 20, stride=(1,) * 20), "a malformed tensor"),
    "a tensor of a tensor": (dump({"a": tensor(tensor(Stored("100", 6), 0, (6,), (1,)), 0, (6,), (1,))}), "malformed"),
    "too many numbers by steps of 0": (with_tensor(size=(7,), stride=(0,)), "forged: a tensor of 7"),
    "a storage of two types": (
        dump({"a": tensor(Stored("100", 6), 0, (6,), (1,)),
              "b": tensor(Stored("100", 3, Name("torch", "DoubleStorage")), 0, (3,), (1,))}), "two sizes or types",
    ),
}  # fmt: skip


def attempt(data, total=None, path="x.pth"):
    """Read a file within a second and with little memory; return the arrays or the one-line error."""
    with open(path, "wb") as file:
        file.write(data)
    with measured(total or Cost()) as cost:
        try:
            found = read_arrays(path)
        except CheckpointError as error:
            found = str(error)
    assert not cost.exceeds(seconds=1, growth=50 * MB)
    if isinstance(found, str):
        assert found.startswith(f"{path}: ")
        assert found.isprintable()
        assert len(found) < 500
    return found
