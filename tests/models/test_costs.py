"""Shapes, costs and receptive fields of a small network by hand, the printed summary, and kernels of all networks."""

import numpy as np
import pytest
from small_networks import layers, network

import tinysegnet as ts
from tinysegnet.errors import SettingError
from tinysegnet.layers import Conv2d
from tinysegnet.models import models
from tinysegnet.models.receptive_field import Box
from tinysegnet.models.summary import _size, layer_shapes

# --- costs -----------------------------------------------------------------------------------------------------------


def test_the_summary_adds_the_costs_of_all_layers():
    """By hand, for one picture of 6x8 with 8 features and 5 classes: 12 windows with 2 bits per channel."""
    summary = network().summary((6, 8))
    pixels, small = 48, 12
    rows = {row.name: row for row in summary.rows}
    assert list(rows) == list(network().layers)
    assert {n: row.parameters for n, row in rows.items() if row.parameters} == {
        "encoder1.conv1": 216, "encoder1.bn1": 16, "encoder2.conv1": 584, "classifier": 45,
    }  # fmt: skip
    assert {n: row.kept for n, row in rows.items() if row.kept} == {
        "encoder1.conv1": 4 * pixels * 3, "encoder1.bn1": 4 * pixels * 8, "encoder2.conv1": 4 * small * 8,
        "classifier": 4 * pixels * 8,
    }  # fmt: skip
    assert {n: row.indices for n, row in rows.items() if row.indices} == {"encoder1.pool": small * 2}
    assert {n: row.skip_bytes for n, row in rows.items() if row.skip_bytes} == {
        "encoder1.tap": 4 * pixels * 8, "encoder1.pool": small * 2,
    }  # fmt: skip
    products = {"encoder1.conv1": pixels * 216, "encoder2.conv1": small * 576, "classifier": pixels * 40}
    assert {n: row.multiply_adds for n, row in rows.items() if row.multiply_adds} == products
    assert (summary.model, summary.input_shape, summary.itemsize) == ("custom", (1, 6, 8, 3), 4)
    assert summary.kernels == 216 + 576 + 40
    assert summary.gflops == pytest.approx(2 * sum(products.values()) / 1e9)
    kept = 4 * (pixels * 19 + small * 8)
    assert summary.training_bytes == 3 * 861 * 4 + kept + 24
    assert summary.as_dict() | {"layers": 0} == {
        "model": "custom", "input_shape": (1, 6, 8, 3), "parameters": 861, "kernel_parameters": 832,
        "activation_bytes": kept, "index_bytes": 24, "skip_bytes": 1560, "crossing_bytes": 1560,
        "gflops": summary.gflops, "training_bytes": summary.training_bytes, "layers": 0,
    }  # fmt: skip
    assert summary.as_dict()["layers"][5] == {
        "name": "encoder1.pool", "kind": "MaxPool2d", "output_shape": (1, 3, 4, 8), "parameters": 0, "kept": 0,
        "indices": 24, "skip_bytes": 24, "multiply_adds": 0,
    }  # fmt: skip
    assert network().summary((6, 8), batch_size=3).input_shape == (3, 6, 8, 3)
    assert rows["encoder1.relu1"].kind == "ReLU"


def test_the_printed_summary_has_a_row_per_layer_and_the_totals():
    text = str(ts.Network(layers()).summary((60, 80))).splitlines()
    assert text[0] == "custom, input (1, 60, 80, 3)"
    assert text[5] == (
        "encoder1.conv1       Conv2d            1 x 60 x 80 x 8                216   57.6 kB              0.002"
    )
    assert text[9] == (
        "encoder1.pool        MaxPool2d         1 x 30 x 40 x 8                                 2.4 kB         "
    )
    assert text[-6:] == [
        "parameters       861 (3.44 kB), 832 in kernels",
        "activations      403 kB kept for backward",
        "pool indices     2.4 kB at 2 bits per 2x2 window (76.8 kB as PyTorch's int64)",
        "crossing         156 kB from the encoder to the decoder",
        "forward          0.00 GFLOP (a multiply-add counts as 2)",
        "training step    0.01 GFLOP, 416 kB of memory (weights, gradients, momentum, activations, indices)",
    ]
    plain = ts.Network({"conv": Conv2d(3, 2, 3, rng=None)}).summary((4, 5))
    assert "pool indices" not in str(plain)
    assert "crossing         nothing" in str(plain)


@pytest.mark.parametrize(("count", "text"), [(0, ""), (1, "1 B"), (999, "999 B"), (1000, "1 kB"), (1234, "1.23 kB"),
                                             (10**6, "1 MB"), (10**9 - 10**6, "999 MB"), (10**9, "1 GB")])  # fmt: skip
def test_sizes_have_three_digits_and_a_unit(count, text):
    assert _size(count) == text


def test_shapes_follow_the_layers_and_restore_those_of_pools():
    shapes = {name: (before, after) for name, _, before, after in layer_shapes(layers(), (2, 5, 7, 3))}
    assert shapes["encoder1.pool"] == ((2, 5, 7, 8), (2, 3, 4, 8))
    assert shapes["decoder1.unpool"] == ((2, 3, 4, 8), (2, 5, 7, 8))
    assert shapes["classifier"] == ((2, 5, 7, 8), (2, 5, 7, 5))
    assert [row.after for row in network().output_shapes((1, 4, 4, 3))][-1] == (1, 4, 4, 5)


def test_a_box_has_a_size_and_slices_of_a_picture():
    box = Box(top=1, left=2, bottom=4, right=7)
    assert box.size == (3, 5)
    assert np.zeros((9, 9))[box.slices].shape == (3, 5)
    assert box.slices == (slice(1, 4), slice(2, 7))


def test_the_receptive_field_includes_what_a_skip_connection_and_an_unpooling_need():
    """At (5, 4): the tap sees 3x3 pixels; the unpooled value needs the 3x3 windows around window (2, 2)."""
    model = network()
    assert model.receptive_field("encoder1.tap", (5, 4), (12, 12)) == Box(4, 3, 7, 6)
    assert model.receptive_field("encoder1.pool", (2, 2), (12, 12)) == Box(3, 3, 7, 7)
    assert model.receptive_field("classifier", (5, 4), (12, 12)) == Box(1, 1, 9, 9)
    assert model.receptive_field("classifier", (0, 11), (12, 12)) == Box(0, 7, 5, 12)
    assert model.receptive_field("input", (3, 2), (12, 12)) == Box(3, 2, 4, 3)
    for at in ((12, 0), (0, 12), (-1, 0), (0, -1)):
        with pytest.raises(SettingError, match=r"12 x 12"):
            model.receptive_field("classifier", at, (12, 12))


# --- architectures ---------------------------------------------------------------------------------------------------

KERNELS = {  # kernel size of the encoder, of the decoder, and of the classifier
    "tiny": (3, 3, 3), "basic": (7, 7, 1), "vgg16": (3, 3, 3), "article": (3, 3, 1), "bilinear-interpolation": (7, 1),
    "fcn-basic": (7, 8, 1), "replication": (7, 7, 1), "basic-single-channel-decoder": (7, 7, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_and_biases_are_the_published_ones(name):
    model = ts.build(name, 2, width=1 / 64)
    sizes = {key.split(".")[0][:7]: layer.params["weight"].shape[0]
             for key, layer in model.layers.items() if "weight" in layer.params and "score" not in key}  # fmt: skip
    assert tuple(size for size in (sizes.get(k) for k in ("encoder", "decoder", "classif")) if size) == KERNELS[name]
    biased = {key: "bias" in layer.params for key, layer in model.layers.items() if "weight" in layer.params}
    without = {key for key in biased if not biased[key]}
    if name == "tiny":
        assert without == {key for key in biased if ".conv" in key}  # a batch norm follows
    else:
        assert without == {key for key in biased if key.endswith(".up")}
    for key, layer in model.layers.items():
        if key.endswith(".up") and "weight" in layer.params:
            assert layer.stride == 2
            assert layer.params["weight"].min() >= 0  # bilinear
            assert layer.params["weight"][3:5, 3:5, 0, 0].sum() > 0


def test_widths_apply_to_every_stage_of_each_architecture():
    article = models["article"]().scaled(0.5)
    assert (article.encoder, article.decoder, article.size_multiple) == ((32, 64, 128), (64, 32), 4)
    assert models["article"]().scaled(0.001).encoder == (1, 1, 1)
    for width, channels in ((0.5, 32), (0.001, 1)):
        fcn, indices = models["fcn-basic"]().scaled(width), models["basic-encoder-addition"]().scaled(width)
        assert fcn.encoder == indices.encoder == indices.decoder == ((channels,),) * 4
        assert fcn.decoder == ((),) * 4
    tiny = models["tiny"]().scaled(0.1)
    assert (tiny.encoder, tiny.decoder) == (((3,), (6,), (13,), (13,)), ((13,), (6,), (3,), (3,)))
