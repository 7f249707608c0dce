"""ONNX models compute the same logits in onnxruntime as the networks do here, at any size and batch size."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from forms import amount
from onnx_runs import check, pictures, randomize, session
from PIL import Image

import tinysegnet as ts
from tinysegnet.cli.main import main
from tinysegnet.data import CAMVID
from tinysegnet.errors import SettingError
from tinysegnet.export import to_onnx
from tinysegnet.layers import Conv2d, Normalize, ReLU, SkipSource
from tinysegnet.models import PREPROCESSING

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SIZES = (45, 61), (37, 53), (1, 1)
SHAPES = amount([(count, *size) for count, size in enumerate(SIZES, start=1)],
                [(count, *size) for count in (1, 2, 3) for size in SIZES])  # fmt: skip
LARGE = amount((), ("tiny", "basic"))  # onnx_table.py compares all networks at this size, which takes some minutes
PAGE = Path(__file__).parents[2] / "lessons/site/pages/export.md"


@pytest.mark.parametrize("name", ts.models)
def test_every_network_agrees_with_onnxruntime(name):
    check(randomize(ts.build(name, width=amount(1 / 8, 1))), [*SHAPES, *([(1, 360, 480)] if name in LARGE else [])])


@pytest.mark.parametrize("preprocessing", PREPROCESSING)
def test_the_normalisation_is_in_the_file(preprocessing):
    check(randomize(ts.build("tiny", 3, width=1 / 16, preprocessing=preprocessing)), [(2, 13, 10)])


@pytest.mark.parametrize("name", ["tiny", "article", "fcn-basic"])
def test_a_single_logit_becomes_two(name):
    model = randomize(ts.build(name, 1, width=1 / 16))
    check(model, [(2, 13, 10)])
    (logits,) = session(to_onnx(model)).run(None, {"image": pictures(1, 8, 12)})
    assert logits.shape == (1, 8, 12, 2)
    assert not logits[..., 0].any()


def test_a_network_in_float64_is_exported_in_float32():
    check(randomize(ts.build("tiny", 3, width=1 / 16, dtype=np.float64)), [(2, 13, 10)])


# --- the file --------------------------------------------------------------------------------------------------------


def after_a_convolution(*layers):
    named = {f"layer{number}": layer for number, layer in enumerate(layers)}
    return ts.Network({"input": Normalize(127.5, 64), "conv": Conv2d(3, 4, 3, rng=None), **named})


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def metadata(runner):
    return {name: json.loads(text) for name, text in runner.get_modelmeta().custom_metadata_map.items()}


def test_the_command_writes_a_file_with_names_and_colours(here, capsys):
    assert main(["export", "toy", "--onnx", "nets/net.onnx"]) == 0
    assert "nets/net.onnx" in capsys.readouterr().out
    proto = onnx.load("nets/net.onnx")
    onnx.checker.check_model(proto, full_check=True)
    assert (proto.producer_name, proto.producer_version) == ("tinysegnet", ts.__version__)
    runner = session(proto)
    (image,), (logits,) = runner.get_inputs(), runner.get_outputs()
    assert (image.name, image.type, image.shape) == ("image", "tensor(uint8)", ["batch", "height", "width", 3])
    assert (logits.name, logits.type, logits.shape) == ("logits", "tensor(float)", ["batch", "height", "width", 11])
    found = metadata(runner)
    assert found["names"] == list(CAMVID.names)
    assert found["colors"] == [list(color) for color in CAMVID.colors]
    assert (found["ignore_label"], found["ignore_color"]) == (11, [0, 0, 0])
    assert (found["size"], found["size_multiple"]) == ([96, 128], 1)
    assert found["model"] == ts.load_bundled("toy").config


def test_argmax_returns_labels(here):
    assert main(["export", "toy", "--onnx", "net.onnx", "--argmax"]) == 0
    (labels,) = session(onnx.load("net.onnx")).get_outputs()
    assert (labels.name, labels.type, labels.shape) == ("labels", "tensor(uint8)", ["batch", "height", "width"])


def test_weights_are_named_as_in_a_checkpoint_batch_norm_is_folded_and_padding_explicit():
    proto = to_onnx(ts.build("tiny", 3, width=1 / 16))
    names = {tensor.name: tuple(tensor.dims) for tensor in proto.graph.initializer}
    assert names["encoder1.conv1.weight"] == (2, 3, 3, 3)
    assert "BatchNormalization" not in {node.op_type for node in proto.graph.node}
    assert "auto_pad" not in {attribute.name for node in proto.graph.node for attribute in node.attribute}


def test_a_network_for_multiples_of_a_size_says_so():
    assert metadata(session(to_onnx(ts.build("article", 3, width=1 / 16))))["size_multiple"] == 4


def test_an_output_of_another_size_has_other_names():
    proto = to_onnx(after_a_convolution(Conv2d(4, 3, 1, stride=2, rng=None)))
    dims = [dim.dim_param or dim.dim_value for dim in proto.graph.output[0].type.tensor_type.shape.dim]
    assert dims == ["batch", "output_height", "output_width", 3]


def test_the_network_itself_is_unchanged():
    model = randomize(ts.build("tiny", 3, width=1 / 16))
    before = {name: array.copy() for name, array in model.state().items()}
    to_onnx(model, palette=None, size=(96, 128))
    assert all(np.array_equal(array, before[name]) for name, array in model.state().items())
    assert len(before) == len(model.state())


# --- refusals --------------------------------------------------------------------------------------------------------


class Doubled(ReLU):
    """A layer that computes something else than its base class."""

    def _forward(self, x, tape):
        return 2 * x, None


class Sharp(Conv2d):
    """A convolution of one's own."""


@pytest.mark.parametrize(("name", "layers"), [
    ("Doubled", [Doubled()]),
    ("Sharp", [Sharp(4, 4, 1, rng=None)]),
    ("Sharp", [SkipSource(Sharp(4, 4, 1, rng=None))]),
])  # fmt: skip
def test_layers_of_other_classes_are_refused(name, layers):
    with pytest.raises(SettingError, match=rf"layer0.*{name}"):
        to_onnx(after_a_convolution(*layers))


def test_a_network_of_more_than_2_gb_is_refused():
    model = ts.Network({"conv": Conv2d(3, 3, 1, rng=None), "large": Conv2d(3, 250, 1000, rng=None)})
    with pytest.raises(SettingError, match=r"3\.0 GB"):
        to_onnx(model)


def test_a_palette_of_another_network_is_refused():
    with pytest.raises(SettingError, match=r"11 classes.* 3"):
        to_onnx(ts.build("tiny", 3, width=1 / 16), palette=CAMVID)
    with pytest.raises(SettingError, match="Network"):
        to_onnx(None)


@pytest.mark.parametrize(("words", "facts"), [
    ("", ("--out", "--onnx", "--html")),
    ("--onnx a.onnx --out b.safetensors", ("--onnx", "--out")),
    ("--onnx a.onnx --html b.html", ("--onnx", "--html")),
    ("--onnx a.onnx --half", ("--half", "--onnx")),
    ("--onnx a.onnx --fold", ("--fold", "--onnx")),
    ("--onnx a.onnx --torch", ("--torch", "--onnx")),
    ("--html a.html --half", ("--half", "--html")),
    ("--html a.html --argmax", ("--argmax", "--html")),
    ("--out a.safetensors --argmax", ("--argmax", "--onnx")),
    ("--onnx taken.onnx", ("taken.onnx", "exists")),
    ("--html taken.onnx", ("taken.onnx", "--html", ".html")),
    ("--onnx a.html", ("a.html", "--onnx", ".onnx")),
])  # fmt: skip
def test_contradictions_are_one_line(here, capsys, words, facts):
    Path("taken.onnx").write_text("mine")
    assert main(["export", "toy", *words.split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert [fact for fact in facts if fact not in line] == []
    assert [path.name for path in here.iterdir()] == ["taken.onnx"]
    assert Path("taken.onnx").read_text() == "mine"


def test_a_missing_package_is_one_line_with_the_command(here, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main(["export", "toy", "--onnx", "net.onnx"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert 'pip install "tinysegnet[onnx]"' in line
    assert not Path("net.onnx").exists()


# --- the page of the site --------------------------------------------------------------------------------------------


def test_the_example_of_the_page_runs(here):
    street = ts.data.open_dataset("toy", "val")[0]
    Image.fromarray(street.image).save("street.png")
    text = PAGE.read_text(encoding="utf-8")
    (command,) = re.findall(r"^tinysegnet (export .*--onnx net\.onnx)$", text, re.M)
    assert main(command.replace("runs/NAME/best.safetensors", "toy").split()) == 0
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    names = {}
    exec(compile(code, PAGE.name, "exec"), names)
    expected = ts.predict(ts.load_bundled("toy"), street.image)
    assert (names["labels"] == expected).mean() > 0.999
    with Image.open("labels.png") as picture:
        np.testing.assert_array_equal(np.array(picture.convert("RGB")), CAMVID.colorize(names["labels"]))
