"""A walk shows the numbers of the network: logits as in predict, gradients as finite differences, sums that add up."""

import re
from importlib import import_module

import numpy as np
import pytest
from backends import numpy_unless_long
from forms import LONG, amount
from walk_pages import EVERY_KIND, FIVE, IMAGE, NETWORKS, SIZE, Page, every_kind, labels_for, lively, network

import tinysegnet as ts
from tinysegnet.errors import DataError, SettingError, ShapeError
from tinysegnet.layers import Windows
from tinysegnet.models import Network
from tinysegnet.ops.conv import conv2d_inference_numpy
from tinysegnet.walk.overview import describe_weighting
from tinysegnet.walk.payload import even_grid
from tinysegnet.walk.trace import definition, trace

STEP = 1e-5  # step of the finite differences
PAGE = import_module("tinysegnet.walk.page")  # as ts.walk is the function


quick = pytest.mark.usefixtures("without_compiling")


# --- the run ----------------------------------------------------------------------------------------------------------


def test_every_kind_of_layer_is_in_the_short_form():
    kinds = {type(layer) for name in ts.models for layer in network(name).layers.values()}
    assert kinds <= {type(layer) for layer in every_kind().layers.values()}


@pytest.mark.parametrize("name", amount(("tiny",), list(ts.models)))
def test_logits_are_those_of_the_fast_ops(name):
    check_logits(network(name, dtype=amount(np.float64, np.float32)))  # other tests compile the kernels of float64, too


@quick
@pytest.mark.parametrize("name", NETWORKS)
def test_logits_are_those_of_predict(name):
    check_logits(network(name))


def check_logits(model):
    found = trace(model, IMAGE, None)
    logits = model.forward(IMAGE[None].astype(model.dtype))
    np.testing.assert_allclose(found.logits, logits, rtol=1e-4, atol=1e-5 * np.abs(logits).max())
    walk = ts.walk(model, IMAGE)
    assert (walk.labels == ts.predict(model, IMAGE)).mean() > 0.999  # ties between logits may be resolved differently
    assert walk.loss is None


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_slopes_of_the_loss(name):
    """Compare slopes along a random direction of the picture, and of all parameters together."""
    model, rng = network(name, dtype=np.float64), np.random.default_rng(3)
    labels, picture = labels_for(model), IMAGE.astype(float)
    found = trace(model, picture, labels, ignore_label=255)
    gradients = [(p.layer.params[key], dparam) for p in found.layers for key, dparam in p.dparams.items()]
    assert len(gradients) == len(dict(model.named_parameters()))
    for pairs in ([(picture, found.layers[0].dx[0])], gradients):
        directions = [rng.standard_normal(array.shape) / np.sqrt(array.size) for array, _ in pairs]
        slope = _slope(lambda: trace(model, picture, labels, ignore_label=255).loss.value, pairs, directions)
        expected = sum((gradient * d).sum() for (_, gradient), d in zip(pairs, directions, strict=True))
        size = np.sqrt(
            sum((gradient**2).sum() * (d**2).mean() for (_, gradient), d in zip(pairs, directions, strict=True))
        )
        assert abs(expected - slope) <= 1e-5 * size + 1e-14 * abs(found.loss.value) / STEP  # rounding errors


def _slope(loss, pairs, directions, h=STEP):
    """Return the central difference of the loss along the directions of all arrays."""
    values = []
    for step in (h, -2 * h):
        for (array, _), direction in zip(pairs, directions, strict=True):
            array += step * direction
        values.append(loss())
    for (array, _), direction in zip(pairs, directions, strict=True):
        array += h * direction
    return (values[0] - values[1]) / (2 * h)


@pytest.mark.parametrize("name", amount(("article", "tiny"), ("tiny", "basic", "article")))
def test_gradients_without_batch_norm_are_the_networks_own(name):
    model = ts.fold_batchnorm(network(name, dtype=np.float64))
    labels = labels_for(model)
    found = trace(model, IMAGE, labels, ignore_label=255)
    with numpy_unless_long():
        logits = model.forward(IMAGE[None].astype(float), training=True)
        forward, backward = definition(f"{found.activation}_cross_entropy")
        loss, cache = forward(logits, labels[None], ignore_label=255)
        dx = model.backward(backward(1.0, cache))
    assert found.loss.value == pytest.approx(loss, rel=1e-9)
    np.testing.assert_allclose(found.layers[0].dx, dx, atol=1e-9 * np.abs(dx).max())
    for passage in found.layers:
        for key, gradient in passage.dparams.items():
            own = passage.layer.grads[key]
            np.testing.assert_allclose(gradient, own, atol=1e-9 * np.abs(own).max())


@quick
def test_walk_does_not_change_the_model():
    model = network(EVERY_KIND)
    state = {name: array.copy() for name, array in model.state().items()}
    generator = model.generator.bit_generator.state
    ts.walk(model, IMAGE, labels_for(model), palette=FIVE)
    assert all(np.array_equal(array, state[name]) for name, array in model.state().items())
    assert model.generator.bit_generator.state == generator
    assert not any(layer.grads for layer in model.layers.values())


@quick
def test_page_says_that_predict_averages_passes():
    model = lively("tiny")
    same = Page(ts.walk(model, IMAGE).page)
    assert same.data["notice"] == ""
    assert "one pass of predict" in str(same.data["overview"])
    once = ts.predict(model, IMAGE)
    for how, words in (
        ({"mirror": True}, "averages 2 passes over the picture and its mirror image at scale 1."),
        ({"scales": (0.75, 1, 1.5)}, "averages 3 passes over the picture at scales 0.75, 1 and 1.5."),
        ({"mirror": True, "scales": (0.5, 1.0)}, "averages 4 passes over the picture and its mirror image at scales"),
        ({"scales": (2.0,)}, "makes one pass over the picture at scale 2."),
    ):
        notice = Page(ts.walk(model, IMAGE, **how).page).data["notice"]
        other = (ts.predict(model, IMAGE, **how) != once).sum()
        assert words in notice
        assert other > 0
        assert f"differs at {other} of the picture's 768 pixels" in notice
    with pytest.raises(SettingError, match="scales"):
        ts.walk(model, IMAGE, scales=(0.0,))


@pytest.mark.parametrize(
    ("class_weights", "trained_weights", "words"),
    [
        (None, None, ("every class has weight 1", "may have used")),
        (None, "none", ("every class has weight 1", "Training used no class weights")),
        (None, "sqrt_median_frequency", ("every class has weight 1", "by the square root of median frequency")),
        ([2.0] * 5, None, ("uses class weights",)),
    ],
)
def test_page_says_how_the_loss_is_weighted(class_weights, trained_weights, words):
    text = describe_weighting(class_weights, trained_weights)
    assert all(word in text for word in words)


@quick
def test_page_lists_the_classes_of_the_label_map():
    model, labels = lively("tiny"), np.zeros(SIZE, np.uint8)
    labels[:6], labels[6:9] = 4, 255
    facts = dict(Page(ts.walk(model, IMAGE, labels, palette=FIVE).page).data["overview"])
    assert facts["Labels"] == "sky & sea 62.5%, Straße 25.0%, not labelled 12.5%"
    assert "Labels" not in dict(Page(ts.walk(model, IMAGE).page).data["overview"])


def test_page_explains_differences_by_ties_in_pooling_windows(monkeypatch):
    """In areas of one colour, float32 and float64 select different maxima, which causes all of the difference.

    The short form rounds at random to imitate the fast ops, which round differently because they add in another order.
    """
    rng = np.random.default_rng(5)

    def convolve(*args, **kwargs):
        out = conv2d_inference_numpy(*args, **kwargs)
        return out * rng.uniform(1 - 1e-7, 1 + 1e-7, out.shape).astype(np.float32)

    flat = np.array(FIVE.colors, np.uint8)[np.random.default_rng(3).integers(0, 5, (2, 2)).repeat(24, 0).repeat(32, 1)]
    model = ts.load_bundled("toy")
    with numpy_unless_long():
        if not LONG:
            monkeypatch.setattr(ts.ops, "conv2d_inference", convolve)
        facts = dict(Page(ts.walk(model, flat).page).data["overview"])
    count = re.search(r"In ([\d,]+) pooling windows", facts["Precision"])
    assert int(count[1].replace(",", "")) > 100
    rest = re.search(r"With the choice of predict .* by at most (\S+); (.*)", facts["Precision"])
    assert float(rest[1]) < 1e-3
    assert rest[2] == "the class is the same at every pixel."


@quick
def test_class_weights_scale_the_loss():
    model = lively("tiny")
    labels = labels_for(model)
    heavy = ts.walk(model, IMAGE, labels, palette=FIVE, class_weights=[2.0] * 5)
    assert heavy.loss == pytest.approx(2 * ts.walk(model, IMAGE, labels, palette=FIVE).loss)
    assert "uses class weights" in Page(heavy.page).data["weighting"]


# --- windows ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("K", "stride", "size"), [(3, 1, (7, 9)), (7, 1, (5, 4)), (4, 2, (8, 9)), (2, 2, (7, 6))])
def test_needed_pixels_are_those_that_a_convolution_reads(K, stride, size):
    x = np.zeros((1, *size, 1))
    convolve, gradients = definition("conv2d")
    out, cache = convolve(x, np.ones((K, K, 1, 1)), stride=stride)
    pads = cache[-1]
    windows = Windows((K, K), (stride, stride), (pads[0][0], pads[1][0]), "in")
    for pixel in np.ndindex(out.shape[1:3]):
        wanted = np.zeros(out.shape[1:3], bool)
        wanted[pixel] = True
        dx, _, _ = gradients(wanted[None, ..., None].astype(float), cache)
        np.testing.assert_array_equal(windows.needed(wanted, size, of="out"), dx[0, ..., 0] > 0)
    for pixel in np.ndindex(size):
        wanted = np.zeros(size, bool)
        wanted[pixel] = True
        seen, _ = convolve(wanted[None, ..., None].astype(float), np.ones((K, K, 1, 1)), stride=stride)
        np.testing.assert_array_equal(windows.needed(wanted, out.shape[1:3], of="in"), seen[0, ..., 0] > 0)


@pytest.mark.parametrize("size", [(96, 128), (6, 8), (1, 1), (1, 300), (300, 1), (5, 90), (8, 8)])
def test_even_grid_has_64_pixels_or_all(size):
    rows, columns = even_grid(size, 64)
    assert len(rows) * len(columns) >= min(64, size[0] * size[1])
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (0, size[0] - 1, 0, size[1] - 1) or min(size) == 1
    assert np.all(np.diff(rows) > 0)
    assert np.all(np.diff(columns) > 0)


@quick
def test_walk_resizes_a_picture_to_the_given_size():
    model = lively("article", 1)
    image = np.random.default_rng(1).integers(0, 256, (50, 70, 3), np.uint8)
    walk = ts.walk(model, image, labels_for(model, (50, 70)), size=(24, 32))
    assert walk.labels.shape == (24, 32)
    assert "resized from 50 x 70" in walk.page


# --- errors ---------------------------------------------------------------------------------------------------------


def test_walk_rejects_arguments_that_do_not_fit():
    model = lively("tiny")
    good = labels_for(model)
    with pytest.raises(ShapeError, match=r"labels .*\(24, 31\).*\(24, 32\)"):
        ts.walk(model, IMAGE, good[:, :-1])
    with pytest.raises(ShapeError, match=r"labels .*float64"):
        ts.walk(model, IMAGE, good.astype(float))
    wrong = good.copy()
    wrong[4, 6] = 9
    with pytest.raises(DataError, match=r"label 9 at row 4, column 6"):
        ts.walk(model, IMAGE, wrong, palette=FIVE)
    with pytest.raises(SettingError, match=r"palette .*11 classes.* 5"):
        ts.walk(model, IMAGE, palette=ts.data.CAMVID)
    with pytest.raises(ShapeError, match="uint8"):
        ts.walk(model, IMAGE.astype(float))
    with pytest.raises(SettingError, match=r"2000x3000.*smaller"):
        ts.walk(ts.build("tiny", 5), np.zeros((2000, 3000, 3), np.uint8), palette=FIVE)


@quick
def test_walk_rejects_pictures_whose_page_is_too_large(monkeypatch):
    monkeypatch.setattr(PAGE, "PLANS", ())
    with pytest.raises(SettingError, match=r"24x32.*25 MB.*smaller"):
        ts.walk(lively("tiny"), IMAGE)


@quick
def test_custom_layer_is_explained_by_its_docstring_and_source():
    class Mine(ts.layers.Layer):
        """Half of <everything>."""

        def _forward(self, x, tape):
            return x / 2, None

        def _backward(self, dout, cache, tape, input_gradient):
            return dout / 2

        def explanation(self):
            return {"formula": "out = x / 2"}

    model = lively("tiny")
    model = Network({**model.layers, "mine": Mine()}, model.config)
    page = Page(ts.walk(model, IMAGE, labels_for(model), palette=FIVE).page)
    forward, backward = (step for step in page.data["steps"] if step["title"] == "Mine")
    assert forward["what"] == "Half of &lt;everything&gt;."
    assert "return x / 2, None" in page.data["sources"][forward["source"]]["text"]
    assert "return dout / 2" in page.data["sources"][backward["source"]]["text"]
    node = page.node("mine")
    assert forward["formula"] == "out = x / 2", "its own"
    assert backward["formula"] == "dx = Mine.backward(dout)", "the default"
    before, after = (trace(model, IMAGE, None).layers[-1].__dict__[name] for name in ("x", "out"))
    np.testing.assert_array_equal(after, before / 2)
    assert node["kind"] == "Mine"
