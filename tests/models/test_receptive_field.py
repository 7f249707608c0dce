"""The receptive field contains exactly the pixels whose changes affect a value, and the figure shows it."""

from __future__ import annotations

import numpy as np
import pytest
from figure_texts import assert_texts_apart_and_inside
from forms import amount

import tinysegnet as ts
from tinysegnet.errors import SettingError
from tinysegnet.layers import Tape
from tinysegnet.models.network import Network
from tinysegnet_lessons import figures
from tinysegnet_lessons.figures.receptive_field_figure import half_box
from tinysegnet_lessons.influence import influence


def effects(model, layer_name, size):
    """Return which pixels affect which values, (h, w, H, W) bool, found by changing each pixel of a picture to NaN."""
    pixels = list(np.ndindex(size))
    picture = np.random.default_rng(0).uniform(0, 255, (1, *size, 3))
    many = picture.repeat(len(pixels), 0)
    for n, pixel in enumerate(pixels):
        many[n][pixel] = np.nan
    tape = Tape(definitions=True)  # fast versions may spread a NaN within a tile
    values = np.concatenate([picture, many])
    for layer in list(model.layers.values())[: list(model.layers).index(layer_name) + 1]:
        values = layer.forward(values, tape)
    same = np.abs(values[1:] - values[:1]) <= 1e-8  # rounding depends on the batch
    return np.moveaxis(~same.all(3), 0, 2).reshape(*values.shape[1:3], *size)


def box_of(changed):
    """Return the smallest box (top, left, bottom, right) around the pixels of a mask (H, W)."""
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1


def box_at(model, layer_name, at, size):
    box = model.receptive_field(layer_name, at, size)
    return box.top, box.left, box.bottom, box.right


FIELDS = [
    ("tiny", "encoder2.relu1", (4, 3)),
    ("tiny", "encoder2.pool", (1, 2)),
    ("tiny", "decoder1.unpool", (6, 8)),
    ("tiny", "encoder3.conv1", (0, 4)),
    ("basic", "encoder1.pool", (3, 3)),
    ("fcn-basic-no-addition", "encoder1.pool", (5, 4)),
]


@pytest.mark.parametrize(("name", "layer", "at"), FIELDS, ids=lambda value: str(value))
def test_the_receptive_field_is_the_box_of_pixels_that_matter(name, layer, at):
    size = (21, 18)
    model = ts.build(name, 3, width=1 / 8, dtype=np.float64)
    assert box_at(model, layer, at, size) == box_of(effects(model, layer, size)[at])


@pytest.mark.parametrize("name", sorted(ts.models))
def test_pixels_outside_the_receptive_field_have_no_gradient(name):
    size = (32, 48)
    model = ts.build(name, 3, width=amount(1 / 16, 1 / 8), seed=1, dtype=np.float64)
    seen = False
    for layer, *_, shape in list(model.output_shapes((1, *size, 3)))[:: amount(-9, -5)]:
        at = shape[1] // 3, shape[2] // 2
        box, strength = model.receptive_field(layer, at, size), influence(model.layers, layer, at, picture(size))
        outside = strength.copy()
        outside[box.slices] = 0
        assert outside.max() <= 1e-12 * strength.max(), layer  # rounding errors can spread within a tile
        np.testing.assert_allclose(strength.sum(), 1 if strength.any() else 0)
        seen |= bool(strength.any())
    assert seen


def picture(size):
    return np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)


@pytest.mark.parametrize("up", ["nearest", "bilinear", "transposed"])
def test_upsampling_layers_pass_on_the_exact_interval(up):
    rng = np.random.default_rng(0)
    pool = ts.layers.MaxPool2d()
    kinds = {"nearest": lambda: ts.layers.Upsample("nearest", pool=pool),
             "bilinear": lambda: ts.layers.Upsample("bilinear", pool=pool),
             "transposed": lambda: ts.layers.ConvTranspose2d(3, 2, 5, stride=2, pool=pool, rng=rng,
                                                             dtype=float)}  # fmt: skip
    layers = {"pool": pool, "up": kinds[up]()}
    if up != "transposed":
        layers["conv"] = ts.layers.Conv2d(3, 2, 1, rng=rng, dtype=float)
    model = Network(layers, {"name": "sample", "num_classes": 2})
    last = list(layers)[-1]
    for size in ((9, 7), (8, 10)):
        found = effects(model, last, size)
        for at in np.ndindex(size):
            assert box_at(model, last, at, size) == box_of(found[at]), at


def test_a_skip_connection_with_a_larger_window_extends_the_field_on_both_sides():
    rng = np.random.default_rng(0)
    source = ts.layers.SkipSource(ts.layers.Conv2d(3, 3, 5, rng=rng, dtype=float))
    model = Network({"skip": source, "add": ts.layers.SkipAdd(source), "conv": ts.layers.Conv2d(3, 2, 1, rng=rng,
                     dtype=float)}, {"name": "sample", "num_classes": 2})  # fmt: skip
    found = effects(model, "conv", (9, 8))
    for at in ((0, 0), (4, 3), (8, 7)):
        assert box_at(model, "conv", at, (9, 8)) == box_of(found[at])


def test_segnet_basic_has_the_published_receptive_field():
    """Section 3.1 states 106 x 106 at the end of SegNet-Basic's encoder. The field never exceeds the picture."""
    model = ts.build("basic", width=1 / 64)
    assert model.receptive_field("encoder4.pool", (10, 10), (360, 480)).size == (106, 106)
    assert model.receptive_field("encoder4.pool", (0, 0), (360, 480)).size == (61, 61)
    assert model.receptive_field("encoder4.pool", (0, 0), (40, 30)).size == (40, 30)


def test_influence_is_the_gradient_and_does_not_change_the_model():
    model = ts.build("tiny", 3, width=1 / 8, dtype=np.float64)
    for layer in model.layers.values():  # as if it had been trained
        for array in layer.buffers.values():
            array += np.random.default_rng(0).uniform(-0.2, 0.2, array.shape)
    before = {name: array.copy() for name, array in model.state().items()}
    x = picture((16, 20)).astype(float)
    strength = influence(model.layers, "classifier", (8, 9), x, channel=1)

    def slopes(pixel):
        """Compute the sum of the absolute slopes of the three colours by finite differences."""
        steps = np.zeros((6, *x.shape))
        for k in range(6):
            steps[k, pixel[0], pixel[1], k % 3] = 1e-4 if k < 3 else -1e-4
        values = model.forward(x + steps)[:, 8, 9, 1]
        return np.abs(values[:3] - values[3:]).sum() / 2e-4

    strongest = np.unravel_index(np.argsort(-strength, axis=None)[:9], strength.shape)
    numeric = np.array([slopes(pixel) for pixel in zip(*strongest, strict=True)])
    np.testing.assert_allclose(strength[strongest] / strength.max(), numeric / numeric[0], rtol=1e-5)
    for name, array in model.state().items():
        np.testing.assert_array_equal(array, before[name])
    assert not any(layer.grads for layer in model.layers.values())


def test_the_figure_shows_the_theoretical_and_the_effective_field():
    model = ts.build("tiny", 3, width=1 / 8)
    figure = figures.show_receptive_field(picture((48, 64)), model, "encoder3.pool", (2, 3))
    box = model.receptive_field("encoder3.pool", (2, 3), (48, 64))
    left, right = figure.axes
    for axes in (left, right):
        (patch,) = [p for p in axes.patches if p.get_gid() == "theoretical"]
        assert patch.get_xy() == (box.left - 0.5, box.top - 0.5)
        assert (patch.get_height(), patch.get_width()) == box.size
    assert [p.get_gid() for p in right.patches] == ["theoretical", "effective"]
    assert_texts_apart_and_inside(figure)


def test_half_box_contains_half_of_the_influence():
    strength = np.zeros((9, 9))
    strength[4, 4], strength[0, 0], strength[8, 8] = 2, 1, 1
    assert half_box(strength).size == (1, 1)
    assert half_box(np.ones((4, 6))).size[0] <= 4
    assert half_box(np.zeros((4, 6))).size == (4, 6)


def test_unknown_layers_and_pixels_are_rejected():
    model = ts.build("tiny", 3, width=1 / 8)
    with pytest.raises(SettingError, match=r"encoder1\.conv1"):
        model.receptive_field("conv9", (0, 0), (16, 16))
    with pytest.raises(SettingError, match="outside"):
        model.receptive_field("encoder4.pool", (1, 0), (16, 16))
