"""If a command gets a file of the wrong kind, one line says what the file is, whatever its name is."""

import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tinysegnet as ts
from tinysegnet.cli.main import main
from tinysegnet.files import UNKNOWN, kind_of


def picture(format):
    buffer = io.BytesIO()
    Image.new("RGB", (20, 12)).save(buffer, format=format)
    return buffer.getvalue()


def archive(name):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(name, "x")
    return buffer.getvalue()


def array():
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


TOY = (Path(ts.__file__).parent / "weights" / "toy.safetensors").read_bytes()
KINDS = {  # the content of a file of each kind
    "a PNG picture": picture("PNG"), "a JPEG picture": picture("JPEG"), "a GIF picture": picture("GIF"),
    "a WebP picture": picture("WEBP"), "a BMP picture": picture("BMP"), "a TIFF picture": picture("TIFF"),
    "a HEIC picture": b"\0\0\0\x18ftypheic" + bytes(50), "a video": b"\0\0\0\x20ftypisom" + bytes(50),
    "an AVIF picture": b"\0\0\0\x20ftypavis" + bytes(50), "a Photoshop picture": b"8BPS\0\1" + bytes(50),
    "a JPEG 2000 picture": picture("JPEG2000"), "a JPEG XL picture": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50),
    "an SVG drawing": b'<?xml version="1.0"?>\n<!-- drawn -->\n<svg width="9"></svg>',
    "a PDF document": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a zip archive": archive("readme.txt"),
    "a PyTorch file": archive("archive/data.pkl"), "a pickle": pickle.dumps([1]),
    "a gzip archive": b"\x1f\x8b\x08" + bytes(9),
    "an HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(50), "a NumPy array": array(), "a safetensors file": TOY,
    "a Jupyter notebook": json.dumps({"cells": [], "nbformat": 4}, indent=1).encode(),
    "a text file": "BMW und Ägypten\n".encode(), "an empty file": b"", UNKNOWN: bytes(range(256)),
}  # fmt: skip
LABEL_MAPS = ("a PNG picture", "a BMP picture", "a TIFF picture")
PICTURES = (*LABEL_MAPS, "a JPEG picture", "a GIF picture", "a WebP picture")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder that contains a run, and a file of each kind whose name says nothing about it."""
    folder = tmp_path_factory.mktemp("kinds")
    for number, content in enumerate(KINDS.values()):
        (folder / f"file{number}").write_bytes(content)
    (folder / "run").mkdir()
    (folder / "run" / "config.json").write_text("{}")
    (folder / "run" / "best.safetensors").write_bytes(TOY)
    (folder / "empty").mkdir()
    return folder


@pytest.fixture
def told(folder, monkeypatch, capsys):
    """Run a command that must fail, and return the one line that it prints."""
    monkeypatch.chdir(folder)

    def run(command):
        assert main(command.split()) == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("warning")]
        assert line.startswith("error: ")
        assert "Errno" not in line
        return line

    return run


def names(*excluded):
    return [pytest.param(f"file{number}", kind, id=kind) for number, kind in enumerate(KINDS) if kind not in excluded]


@pytest.mark.parametrize(("name", "kind"), names())
def test_a_kind_is_recognised_by_content(folder, name, kind):
    assert kind_of(folder / name) == kind


def test_folders_and_pipes_are_recognised(folder, tmp_path):
    assert kind_of(folder / "run") == "the folder of a run"
    assert kind_of(folder / "empty") == "a folder"
    os.mkfifo(tmp_path / "pipe")
    assert kind_of(tmp_path / "pipe") == "a pipe or a device"


@pytest.mark.parametrize(("name", "kind"), names("a safetensors file", UNKNOWN))
def test_every_command_refuses_another_kind_as_a_checkpoint(told, name, kind):
    for command in ("predict {} file0 --out o", "walk {} file0 --out w.html", "evaluate {} --limit 1",
                    "export {} --out e.safetensors"):  # fmt: skip
        line = told(command.format(name))
        assert f"{name}: {kind}, not a checkpoint" in line


@pytest.mark.parametrize(("name", "kind"), names(*PICTURES))
@pytest.mark.parametrize("command", ["predict toy {} --out o", "walk toy {} --out w.html"])
def test_every_command_refuses_another_kind_as_a_picture(told, command, name, kind):
    line = told(command.format(name))
    if (kind, command[:7]) == ("a video", "predict"):  # this one has no frames, and needs PyAV
        assert "video" in line
    else:
        assert f"{name}: " in line
        assert kind in line or kind == UNKNOWN
        assert "PNG" in line


@pytest.mark.parametrize(("name", "kind"), names(*LABEL_MAPS))
def test_a_walk_refuses_another_kind_as_a_label_map(told, name, kind):
    line = told(f"walk toy file0 --labels {name} --out w.html")
    assert f"{name}: " in line
    assert kind in line or kind == UNKNOWN
    assert "PNG" in line


@pytest.mark.parametrize(("name", "kind"), names())
def test_every_command_refuses_a_file_as_a_folder(told, name, kind):
    for command in ("train --data {}", "evaluate toy --data {}", "data check {}", "data crops {} --out c", "lessons {}",
                    "data baselines --data {}", "predict toy file0 --out {}", "data scenes --out {}"):  # fmt: skip
        assert f"{name}: {kind}, not a folder" in told(command.format(name))
    assert f"{name}: {kind}, not a folder" in told(f"train --resume {name}")


@pytest.mark.parametrize(("name", "kind"), names("a safetensors file", "a PyTorch file", "a zip archive", "a pickle",
                                                 "an HDF5 file"))  # fmt: skip
def test_other_kinds_are_refused_as_an_encoder(told, name, kind):
    assert f"{name}: {kind}, not a known weights file" in told(f"train --model vgg16 --encoder {name} --limit 2")


@pytest.mark.parametrize("command", ["predict {} file0 --out o", "walk {} file0 --out w.html", "evaluate {}"])
def test_the_folder_of_a_run_suggests_its_best_checkpoint(told, command):
    assert "Did you mean run/best.safetensors?" in told(command.format("run"))
    assert "empty: a folder, not a checkpoint" in told(command.format("empty"))


def test_a_checkpoint_as_a_run_suggests_its_folder(told):
    assert "Did you mean run?" in told("train --resume run/best.safetensors")


@pytest.mark.parametrize("checkpoint", ["toy", "run/best.safetensors"])
@pytest.mark.parametrize("command", ["predict {} {} --out o", "walk {} {} --out w.html", "predict {} {}", "walk {} {}"])
@pytest.mark.parametrize("first", ["file0", "file1", "empty"])
def test_swapped_arguments_are_recognised(told, command, first, checkpoint):
    line = told(command.format(first, checkpoint))
    assert "swap" in line
    assert first in line
    assert checkpoint in line
    assert "CHECKPOINT IMAGE" in line


def test_a_folder_is_refused_as_a_picture_of_a_walk(told):
    for name in ("run", "empty"):
        assert f"{name}: " in told(f"walk toy {name} --out w.html")


def test_a_missing_file_is_not_mistaken_for_a_kind(told):
    assert "missing: no such file" in told("evaluate missing")
