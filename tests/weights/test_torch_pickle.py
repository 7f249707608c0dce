"""The reader of pickles returns plain data as `pickle` does, and refuses everything else."""

import io
import pickle
import struct

import numpy as np
import pytest
from pickle_programs import program, text
from weight_samples import Stored, dump, tensor

from tinysegnet.errors import CheckpointError
from tinysegnet.weights.torch_pickle import Storage, Tensor, read_pickle

SHARED = ["x", "y"]
PLAIN = {
    "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), ((1,), (2, (3,)))),
    "lists": ([], [1], [1, 2, 3], [[], [[1], 2]]), "dicts": ({}, {"a": 1}, {"a": 1, "b": {"c": 2, "d": 3}}),
    "numbers": (0, 1, 255, 256, 65535, 65536, -1, 2**31 - 1, -(2**31), 2**31, 2**63, -(2**80), 0.1, -1e300),
    "constants": (None, True, False), "text": ("", "a", "ä" * 300, "漢"),
    "shared": [SHARED, SHARED, {"again": SHARED}], "many": [str(k) for k in range(400)],
}  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 4])
def test_plain_data_are_read_as_by_pickle(protocol):
    stream = io.BytesIO(pickle.dumps(PLAIN, protocol) + b"rest")
    found = read_pickle(stream)
    assert found == PLAIN
    assert str(found) == str(PLAIN)  # 1 and True are equal
    assert found["shared"][0] is found["shared"][1]
    assert stream.read() == b"rest"


def test_a_tensor_is_described_and_its_storage_noted():
    storages = {}
    found = read_pickle(io.BytesIO(dump([tensor(Stored("7", 60), 1, (2, 3, 4), (12, 4, 1))])), storages)
    storage = Storage("7", np.dtype("<f4"), 60)
    assert found == [Tensor(storage, 1, (2, 3, 4), (12, 4, 1))]
    assert found[0].nbytes == 96
    assert storages == {"7": storage}


def stored(*parts):
    """A program that refers to a storage with these parts of a persistent id."""
    return program(b"(", *parts, b"tQ")


KIND, FLOAT, KEY, PLACE, COUNT = text("storage"), b"ctorch\nFloatStorage\n", text("0"), text("cpu"), b"K\x06"
STORAGES = {
    "of another kind": (text("module"), FLOAT, KEY, PLACE, COUNT),
    "of a type as text": (KIND, text("torch.FloatStorage"), KEY, PLACE, COUNT),
    "of another type": (KIND, b"ccollections\nOrderedDict\n", KEY, PLACE, COUNT),
    "with a number as its key": (KIND, FLOAT, b"K\x00", PLACE, COUNT),
    "with a number as its place": (KIND, FLOAT, KEY, b"K\x00", COUNT),
    "of a negative length": (KIND, FLOAT, KEY, PLACE, b"J\xff\xff\xff\xff"),
    "of length True": (KIND, FLOAT, KEY, PLACE, b"\x88"),
    "of half a number": (KIND, FLOAT, KEY, PLACE, b"G" + struct.pack(">d", 0.5)),
    "that is a view": (KIND, FLOAT, KEY, PLACE, COUNT, b"K\x00"),
    "with two more parts": (KIND, FLOAT, KEY, PLACE, COUNT, b"N", b"N"),
}


@pytest.mark.parametrize("parts", STORAGES.values(), ids=STORAGES)
def test_storages_of_other_kinds_are_refused(parts):
    for rest in ((), (b"N",)):
        assert read_pickle(io.BytesIO(stored(KIND, FLOAT, KEY, PLACE, COUNT, *rest))).length == 6
    with pytest.raises(CheckpointError, match="a storage of a kind"):
        read_pickle(io.BytesIO(stored(*parts)))


MALFORMED = {
    "a call of a dict": (b"})R", TypeError), "a call of a number": (b"K\x01)R", TypeError),
    "arguments that are a number": (b"ccollections\nOrderedDict\nK\x01R", TypeError),
    "appending to a dict": (b"}K\x01a", TypeError), "appending to a tuple": (b")K\x01a", TypeError),
    "an item of a list": (b"]", text("a"), b"K\x01s", TypeError),
    "an item of a tuple": (b")", text("a"), b"Ns", TypeError),
    "a key without a value": (b"}(", text("a"), b"u", ValueError),
    "a name that is a number": (b"K\x01", text("system"), b"\x93", TypeError),
    "a name of a number": (text("os"), b"K\x01", b"\x93", TypeError),
}  # fmt: skip


@pytest.mark.parametrize("parts", MALFORMED.values(), ids=MALFORMED)
def test_malformed_pickles_are_refused(parts):
    *parts, error = parts
    with pytest.raises(error):
        read_pickle(io.BytesIO(program(*parts)))


def test_marks_may_be_nested_50_times():
    value = read_pickle(io.BytesIO(program(b"(" * 50 + b"t" * 50)))
    for _ in range(49):
        (value,) = value
    assert value == ()
    with pytest.raises(CheckpointError, match="nested too deeply"):
        read_pickle(io.BytesIO(program(b"(" * 51 + b"t" * 51)))


def test_a_pickle_has_up_to_200000_instructions():
    assert read_pickle(io.BytesIO(program(b"N" * 199_998))) is None
