"""What a number inside a network can see is what changing pixels finds, and its picture shows that."""

from __future__ import annotations

import numpy as np
import pytest
from figure_texts import assert_texts_apart_and_inside

import tinysegnet as ts
from tinysegnet.errors import SettingError
from tinysegnet.models.network import Network
from tinysegnet_lessons import figures
from tinysegnet_lessons.figures.receptive_field_figure import half_box
from tinysegnet_lessons.influence import influence


def field_by_trying(model, layer_name, at, size, tries):
    """The box of all pixels that change the number when they are changed, in some picture."""
    rng, changed = np.random.default_rng(0), np.zeros(size, bool)
    layers = list(model.layers.values())[: list(model.layers).index(layer_name) + 1]

    def value(pictures):
        for layer in layers:
            pictures = layer.forward(pictures)
        return pictures[:, at[0], at[1]]

    for _ in range(tries):
        picture = rng.uniform(0, 255, (1, *size, 3))
        there, pixels = value(picture), list(np.ndindex(size))
        for k in range(0, len(pixels), 64):
            for sign in (-1e4, 1e4):
                many = picture.repeat(len(pixels[k : k + 64]), 0)
                for n, pixel in enumerate(pixels[k : k + 64]):
                    many[n][pixel] += sign
                for pixel, now in zip(pixels[k : k + 64], value(many), strict=True):
                    changed[pixel] |= bool(np.any(now != there))
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1


FIELDS = [
    ("tiny", "encoder2.relu1", (4, 3)),
    ("tiny", "encoder2.pool", (1, 2)),
    ("tiny", "decoder1.unpool", (7, 8)),
    ("tiny", "encoder3.conv1", (0, 4)),
    ("basic", "encoder1.pool", (3, 3)),
    ("fcn-basic-no-addition", "encoder1.pool", (5, 4)),
]


@pytest.mark.parametrize(("name", "layer", "at"), FIELDS, ids=lambda value: str(value))
def test_the_box_is_what_changing_pixels_finds(name, layer, at):
    size = (21, 18)
    model = ts.build(name, 3, width=1 / 8, dtype=np.float64)
    box = model.receptive_field(layer, at, size)
    assert (box.top, box.left, box.bottom, box.right) == field_by_trying(model, layer, at, size, 4)


@pytest.mark.parametrize("name", sorted(ts.models))
def test_no_pixel_outside_the_box_has_a_gradient(name):
    size = (32, 48)
    model = ts.build(name, 3, width=1 / 8, seed=1, dtype=np.float64)
    seen = False
    for layer, *_, shape in list(model.output_shapes((1, *size, 3)))[::-5]:
        at = shape[1] // 3, shape[2] // 2
        box, strength = model.receptive_field(layer, at, size), influence(model.layers, layer, at, picture(size))
        outside = strength.copy()
        outside[box.slices] = 0
        assert outside.max() <= 1e-12 * strength.max(), layer  # rounding may spread within a tile
        np.testing.assert_allclose(strength.sum(), 1 if strength.any() else 0)
        seen |= bool(strength.any())
    assert seen


def picture(size):
    return np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)


@pytest.mark.parametrize("up", ["nearest", "bilinear", "transposed"])
def test_boxes_through_what_upsamples(up):
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
    for size in ((9, 7), (8, 10)):
        for at in np.ndindex(size):
            box = model.receptive_field(list(layers)[-1], at, size)
            assert (box.top, box.left, box.bottom, box.right) == field_by_trying(
                model, list(layers)[-1], at, size, 1
            ), at


def test_the_papers_receptive_field():
    """Section 3.1: 106 x 106 at the bottom of SegNet-Basic's encoder; it cannot be more than the picture."""
    model = ts.build("basic", width=1 / 64)
    assert model.receptive_field("encoder4.pool", (10, 10), (360, 480)).size == (106, 106)
    assert model.receptive_field("encoder4.pool", (0, 0), (360, 480)).size == (61, 61)
    assert model.receptive_field("encoder4.pool", (0, 0), (40, 30)).size == (40, 30)


def test_influence_leaves_the_model_alone_and_is_its_gradient():
    model = ts.build("tiny", 3, width=1 / 8, dtype=np.float64)
    for layer in model.layers.values():  # as if it had been trained
        for array in layer.buffers.values():
            array += np.random.default_rng(0).uniform(-0.2, 0.2, array.shape)
    before = {name: array.copy() for name, array in model.state().items()}
    x = picture((16, 20)).astype(float)
    strength = influence(model.layers, "classifier", (8, 9), x, channel=1)

    def slopes(pixel):
        """The same by differences: the three colours' slopes, their sizes added up."""
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


def test_the_figure_shows_both_boxes():
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


def test_half_of_an_influence_lies_in_its_square():
    strength = np.zeros((9, 9))
    strength[4, 4], strength[0, 0], strength[8, 8] = 2, 1, 1
    assert half_box(strength).size == (1, 1)
    assert half_box(np.ones((4, 6))).size[0] <= 4
    assert half_box(np.zeros((4, 6))).size == (4, 6)


def test_unknown_layers_and_pixels_are_refused():
    model = ts.build("tiny", 3, width=1 / 8)
    with pytest.raises(SettingError, match=r"encoder1\.conv1"):
        model.receptive_field("conv9", (0, 0), (16, 16))
    with pytest.raises(SettingError, match="outside"):
        model.receptive_field("encoder4.pool", (1, 0), (16, 16))
