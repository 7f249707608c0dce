"""Hostile checkpoints raise a one-line error at once and without allocating memory."""

import json
import os
import random

import numpy as np
import pytest
import safetensors.numpy
from forms import amount
from measures import MB, Cost, measured

import tinysegnet as ts
from tinysegnet.errors import CheckpointError
from tinysegnet.weights import checkpoint

MUTANTS = int(os.environ.get("TINYSEGNET_MUTANTS", amount(60, 300)))


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "good.safetensors"
    model = ts.build("tiny", num_classes=3, width=1 / 16)
    slots = {f"{name}/velocity": np.ones_like(array) for name, array in model.named_parameters()}
    checkpoint.save(path, model, training={"size": [20, 28]}, progress={"step": 3}, optimizer=slots)
    return path.read_bytes()


def header_of(data):
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def with_header(header, body):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def change_metadata(**parts):
    """Change metadata of the file, or remove an entry if its value is None."""

    def change(data):
        header, body = header_of(data)
        for name, value in parts.items():
            if value is None:
                header["__metadata__"].pop(name)
            else:
                header["__metadata__"][name] = value if isinstance(value, str) else json.dumps(value)
        return with_header(header, body)

    return change


def model_claims(**claims):
    def change(data):
        config = json.loads(header_of(data)[0]["__metadata__"]["model"])
        return change_metadata(model={**config, **claims})(data)

    return change


def change_tensor(**parts):
    def change(data):
        header, body = header_of(data)
        header["encoder1.conv1.weight"] |= parts
        return with_header(header, body)

    return change


def change_arrays(function, *, sign=False):
    """Change the arrays of the file. With `sign`, also correct the digest, as an attacker would."""

    def change(data):
        arrays = safetensors.numpy.load(data)
        metadata = header_of(data)[0]["__metadata__"]
        function(arrays)
        if sign:
            metadata["sha256"] = checkpoint._digest(arrays)
        return safetensors.numpy.save(arrays, metadata=metadata)

    return change


def poison(arrays):
    arrays["encoder1.conv1.weight"][0, 0, 0, 0] = np.nan


def poison_statistics(arrays):
    arrays["encoder1.bn1.running_var"][0] = np.inf


def round_weights(arrays):
    arrays["classifier.weight"] = arrays["classifier.weight"].astype(np.int32)


NESTED = "[" * 100_000 + "]" * 100_000
CRAFTED = {
    "empty": lambda data: b"",
    "one byte": lambda data: b"\x00",
    "eight zeros": lambda data: bytes(8),
    "a header of 2^63 bytes": lambda data: b"\xff" * 8 + data[8:],
    "a header of 2 GB": lambda data: (2 << 30).to_bytes(8, "little") + data[8:],
    "a header longer than the file": lambda data: (len(data) + 1).to_bytes(8, "little") + data[8:],
    "a header of spaces": lambda data: with_header(b" " * 1000, b""),
    "a header of 2 MB": lambda data: with_header(b"{" + b" " * (2 << 20) + b"}", b""),
    "a header that is a list": lambda data: with_header([], b""),
    "a header that is not JSON": lambda data: with_header(b"{nothing", b""),
    "a header that is not text": lambda data: with_header(b"\xff\xfe\xfd", b""),
    "no tensors": lambda data: with_header({"__metadata__": header_of(data)[0]["__metadata__"]}, b""),
    "no metadata": lambda data: safetensors.numpy.save(safetensors.numpy.load(data)),
    "another format": change_metadata(format="pytorch"),
    "no model": change_metadata(model=None),
    "a model that is text": change_metadata(model='"tiny"'),
    "a model that is a list": change_metadata(model=[]),
    "a model nested deeply": change_metadata(model=NESTED),
    "a model that is not JSON": change_metadata(model="{"),
    "an unknown model": model_claims(name="resnet"),
    "a model's name that is a list": model_claims(name=["tiny"]),
    "another model": model_claims(name="basic"),
    "10^9 classes": model_claims(num_classes=10**9),
    "-1 classes": model_claims(num_classes=-1),
    "classes that are text": model_claims(num_classes="3"),
    "more classes than saved": model_claims(num_classes=200),
    "width 10^9": model_claims(width=1e9),
    "width 8": model_claims(width=8),
    "a width that is not a number": model_claims(width=float("nan")),
    "an endless width": model_claims(width=float("inf")),
    "a dtype of objects": model_claims(dtype="object"),
    "a dtype of text": model_claims(dtype="U1000"),
    "an unexpected setting": model_claims(command="rm"),
    "a palette without names": change_metadata(palette={}),
    "a palette of numbers": change_metadata(palette={"names": 3, "colors": 3, "ignore_label": 3, "ignore_color": 3}),
    "no training": change_metadata(training=None),
    "training is a number": change_metadata(training=3),
    "progress that is text": change_metadata(progress='"far"'),
    "no digest": change_metadata(sha256=None),
    "another digest": change_metadata(sha256="0" * 64),
    "half of the file": lambda data: data[: len(data) // 2],
    "a byte too many": lambda data: data + b"\x00",
    "a byte too few": lambda data: data[:-1],
    "one flipped bit in the arrays": lambda data: data[:-100] + bytes([data[-100] ^ 1]) + data[-99:],
    "a tensor of 2^40 numbers": change_tensor(shape=[2**20, 2**20]),
    "a negative shape": change_tensor(shape=[-1, 3]),
    "offsets that overlap": change_tensor(data_offsets=[0, 4]),
    "offsets past the end": change_tensor(data_offsets=[2**40, 2**41]),
    "an unknown dtype": change_tensor(dtype="F13"),
    "whole numbers for weights": change_tensor(dtype="I32"),
    "whole numbers with a right digest": change_arrays(round_weights, sign=True),
    "a missing tensor": change_arrays(lambda arrays: arrays.pop("classifier.bias"), sign=True),
    "an extra tensor": change_arrays(lambda arrays: arrays.update(extra=np.zeros(2, np.float32)), sign=True),
    "a NaN": change_arrays(poison),
    "a NaN with a right digest": change_arrays(poison, sign=True),
    "an infinite variance with a right digest": change_arrays(poison_statistics, sign=True),
}


def refused(path, data, total):
    """Return whether a file is refused. Reading must take little time and memory, and errors must name the file."""
    path.write_bytes(data)
    with measured(total) as cost:
        try:
            checkpoint.read(path)
            message = ""
        except CheckpointError as error:
            message = str(error)
    assert not cost.exceeds(seconds=1, growth=50 * MB)
    assert not message or (message.startswith(f"{path}: ") and "\n" not in message)
    return bool(message)


@pytest.fixture(scope="module")
def crafted_cost():
    return Cost()


@pytest.mark.parametrize("change", CRAFTED.values(), ids=CRAFTED)
def test_crafted_files_are_refused(tmp_path, good, crafted_cost, change):
    assert not refused(tmp_path / "good.safetensors", good, crafted_cost)
    assert refused(tmp_path / "crafted.safetensors", change(good), crafted_cost)


def test_the_figures_of_the_crafted_files_are_recorded(record_property, crafted_cost):
    assert len(CRAFTED) >= 40
    record_property("crafted checkpoints", f"{len(CRAFTED)} files, all refused, {crafted_cost}")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(CheckpointError, match=r"pipe\.safetensors: a pipe"):
        checkpoint.read(tmp_path / "pipe.safetensors")


def test_mutated_files_are_refused(tmp_path, good, record_property):
    """Random bytes are changed, removed or inserted. Every changed array raises a CheckpointError."""
    rng, path, total = random.Random(0), tmp_path / "mutant.safetensors", Cost()
    path.write_bytes(good)
    state = {name: array.tobytes() for name, array in checkpoint.read(path).model.state().items()}
    accepted = 0
    for _ in range(MUTANTS):
        data = bytearray(good)
        for _ in range(rng.choice([1, 1, 2, 5, 50])):
            place = rng.randrange(8 if rng.random() < 0.2 else 3000 if rng.random() < 0.5 else len(data))
            kind = rng.randrange(4)
            if kind == 0:
                data[place] ^= 1 << rng.randrange(8)
            elif kind == 1:
                data[place] = rng.randrange(256)
            elif kind == 2:
                del data[place : place + rng.randrange(1, 20)]
            else:
                data[place:place] = rng.randbytes(rng.randrange(1, 20))
        if not refused(path, bytes(data), total):
            accepted += 1  # for example, if only a word in "training" has changed
            found = checkpoint.read(path).model.state()
            assert {name: array.tobytes() for name, array in found.items()} == state
    assert accepted < 0.2 * MUTANTS
    record_property(
        "mutated checkpoints",
        f"{MUTANTS} files, {MUTANTS - accepted} refused, {accepted} with every number as it was, {total}",
    )
