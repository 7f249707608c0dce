"""The live page's forward pass agrees with the library, in Node and in a browser."""

import base64
import json
import re

import numpy as np
import pytest
from backends import ops_run_as
from browser import opened
from forms import amount
from live_networks import (
    NEAR_TIE,
    SOURCE,
    difference,
    expected,
    live,
    palette_for,
    random_picture,
    rounded,
    run_in_node,
    wrong_classes,
)
from walk_pages import EVERY_KIND, enlivened, network

import tinysegnet as ts
from tinysegnet.errors import SettingError
from tinysegnet.export.network_data import describe_network
from tinysegnet.layers import (
    Conv2d,
    ConvTranspose2d,
    DepthwiseConv2d,
    LocalResponseNorm,
    MaxPool2d,
    MaxUnpool2d,
    Normalize,
    Upsample,
)
from tinysegnet.models import PREPROCESSING
from tinysegnet.weights.checkpoint import open_checkpoint

CLOSE = 3e-6  # of the largest logit: the rounding of sums in float32, which have other orders in the page
SIZES = [(45, 61), (37, 53), (1, 1), (96, 128)]
NETWORKS = amount((EVERY_KIND, "tiny", "basic-encoder-addition", "fcn-basic", "article"), (EVERY_KIND, *ts.models))


@pytest.fixture(autouse=True)
def _without_compiling():
    with ops_run_as("numpy"):
        yield


def build(name):
    return network(name, **({} if name == EVERY_KIND else {"width": 1 / 8}))


def pictures(model):
    return [random_picture(*model.fitting_size(size), seed=k) for k, size in enumerate(SIZES)]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_page_computes_the_same_logits_and_classes_as_the_library(name, tmp_path):
    model = build(name)
    (results,) = run_in_node(tmp_path, [(*live(model), pictures(model))])
    for picture, (labels, logits, _) in zip(pictures(model), results, strict=True):
        right = expected(rounded(model), picture)
        assert difference(logits, right) < CLOSE
        assert wrong_classes(labels, right) == 0


@pytest.mark.parametrize("name", NETWORKS)
def test_rounding_the_weights_to_float16_changes_few_classes(name):
    model = build(name)
    by_index = any(type(layer) is MaxUnpool2d for layer in model.layers.values())
    for picture in pictures(model):
        logits, right = expected(rounded(model), picture), expected(model, picture)
        if by_index:  # rounding can move the maximum of a window with two values that are almost equal
            assert wrong_classes(_labels(logits), right) <= 0.05 * logits[..., 0].size
        else:
            assert difference(logits, right) < 1e-3
            assert wrong_classes(_labels(logits), right) == 0


def _labels(logits):
    return logits.argmax(-1) if logits.shape[-1] > 1 else logits[..., 0] > 0


def test_the_toy_network_has_the_same_weights_in_the_page():
    model = open_checkpoint("toy").model
    for (name, array), (_, in_page) in zip(model.named_parameters(), rounded(model).named_parameters(), strict=True):
        np.testing.assert_array_equal(array, in_page, err_msg=name)


def test_stages_are_reported_with_their_outputs(tmp_path):
    model = network("tiny", width=1 / 8)
    ((_, _, stages),) = run_in_node(tmp_path, [(*live(model), [random_picture(45, 61)])])[0]
    sizes = {"encoder1": (23, 31), "encoder2": (12, 16), "encoder3": (6, 8), "encoder4": (3, 4),
             "decoder4": (6, 8), "decoder3": (12, 16), "decoder2": (23, 31), "decoder1": (45, 61)}  # fmt: skip
    assert [(name, (height, width)) for name, height, width, *_ in stages] == list(sizes.items())
    x, sums = random_picture(45, 61)[None].astype(np.float32), {}
    tape = ts.layers.Tape()
    for name, layer in rounded(model).layers.items():
        x = layer.forward(x, tape)
        sums[name.partition(".")[0]] = x.shape[3], x.size, float(np.abs(x).sum())
    for name, _, _, *found in stages:
        assert found == pytest.approx(sums[name], rel=1e-4), name


# --- the kernels, one at a time, after a convolution that makes the channels -----------------------------------------


def after(channels, *layers):
    """Make a network whose last layers get maps of `channels` channels."""
    named = {"input": Normalize(127.5, 64), "first": Conv2d(3, channels, 1, rng=np.random.default_rng(0))}
    return enlivened(ts.Network(named | {f"layer{k}": layer for k, layer in enumerate(layers)}))


def convolutions():
    rng, cases = np.random.default_rng(1), {}
    for kernel, stride, padding in [(1, 1, "same"), (3, 1, "same"), (3, 2, "same"), (5, 3, "same"), (7, 1, "same"),
                                    (3, 1, "valid"), (5, 2, (3, 0)), (7, (2, 1), (1, 4)), (2, 1, "same")]:  # fmt: skip
        for C, F in amount([(5, 3), (17, 11)], [(1, 5), (3, 1), (5, 17), (11, 3), (17, 11), (4, 8), (8, 4)]):
            convolution = Conv2d(C, F, kernel, stride=stride, padding=padding, rng=rng)
            cases[f"conv {kernel} {stride} {padding} {C} {F}"] = after(C, convolution)
    for kernel, stride in [(1, 1), (3, 1), (4, 2), (8, 2), (1, 2), (2, 3), (5, 3)]:
        for C, F in [(1, 11), (5, 3)]:
            transposed = ConvTranspose2d(C, F, kernel, stride=stride, rng=rng)
            cases[f"transposed {kernel} {stride} {C} {F}"] = after(C, transposed)
    for kernel in (1, 3, 5, 7, 2):
        for C in (1, 11, 17):
            cases[f"depthwise {kernel} {C}"] = after(C, DepthwiseConv2d(C, kernel, rng=rng))
    return cases


def others():
    cases = {}
    for C in (1, 3, 5, 11, 17):
        for size, stride in [(2, 2), (3, 3), (2, 3), (5, 5)]:
            pool = MaxPool2d(size, stride)
            cases[f"unpool {size} {stride} {C}"] = after(C, pool, MaxUnpool2d(pool))
        cases[f"overlapping pool {C}"] = after(C, MaxPool2d(3, 2))
        cases[f"norm {C}"] = after(C, LocalResponseNorm(3, alpha=0.5), LocalResponseNorm(5, beta=0.5, k=2.0))
        for factor, mode in [(1, "nearest"), (2, "bilinear"), (3, "nearest"), (3, "bilinear")]:
            cases[f"upsample {factor} {mode} {C}"] = after(C, Upsample(mode, scale_factor=factor))
    return cases


@pytest.mark.parametrize("cases", [convolutions, others])
def test_every_kernel_agrees_with_its_definition(cases, tmp_path):
    models, shown = cases(), [random_picture(9, 14, 3), random_picture(13, 7, 4)]
    results = run_in_node(tmp_path, [(*live(model), shown) for model in models.values()])
    for (name, model), found in zip(models.items(), results, strict=True):
        for picture, (_, logits, _) in zip(shown, found, strict=True):
            assert difference(logits, expected(rounded(model), picture)) < CLOSE, name


def test_the_first_of_equal_maxima_is_chosen(tmp_path):
    pool, rng = MaxPool2d(3, 3), np.random.default_rng(3)
    model = ts.Network({"pool": pool, "unpool": MaxUnpool2d(pool), "classifier": Conv2d(3, 4, 3, rng=rng)})
    picture = rng.choice(np.array([0, 255], np.uint8), (10, 11, 3))
    (((_, logits, _),),) = run_in_node(tmp_path, [(*live(model), [picture])])
    assert difference(logits, expected(rounded(model), picture)) < CLOSE


@pytest.mark.parametrize("classes", [1, 4])
def test_the_first_of_equal_logits_is_chosen(classes, tmp_path):
    model = ts.Network({"input": Normalize(127.5, 64), "classifier": Conv2d(3, classes, 1, rng=None)})
    (((labels, _, _),),) = run_in_node(tmp_path, [(*live(model), [random_picture(4, 5)])])
    assert not labels.any()


def test_the_output_may_be_smaller_than_the_picture(tmp_path):
    model = after(4, Conv2d(4, 3, 3, stride=2, rng=np.random.default_rng(4)))
    (((labels, logits, _),),) = run_in_node(tmp_path, [(*live(model), [random_picture(9, 14)])])
    assert (labels.size, logits.size) == (5 * 7, 5 * 7 * 3)
    assert wrong_classes(labels, expected(rounded(model), random_picture(9, 14))) == 0


@pytest.mark.parametrize("name", PREPROCESSING)
def test_every_normalisation_agrees(name, tmp_path):
    model = ts.build("tiny", 3, width=1 / 16, preprocessing=name)
    (((_, logits, _),),) = run_in_node(tmp_path, [(*live(model), [random_picture(8, 8)])])
    assert difference(logits, expected(rounded(model), random_picture(8, 8))) < CLOSE


# --- the description -------------------------------------------------------------------------------------------------


def test_large_and_tiny_weights_keep_their_precision(tmp_path):
    models = [after(5, Conv2d(5, 4, 3, rng=np.random.default_rng(2))) for _ in range(3)]
    for model, factor in zip(models, (1e9, 1e-9, 0), strict=True):
        model.layers["layer0"].params["weight"] *= factor
        model.layers["layer0"].params["bias"] *= factor or 1
    results = run_in_node(tmp_path, [(*live(model), [random_picture(9, 14)]) for model in models])
    for model, ((_, logits, _),) in zip(models, results, strict=True):
        assert difference(logits, expected(model, random_picture(9, 14))) < 1e-3


class Own(Conv2d):
    """A class of the user, which could compute something else."""


@pytest.mark.parametrize("layer", [Own(5, 4, 3, rng=None), ts.layers.SkipSource(Own(5, 4, 1, rng=None)),
                                   Normalize(0, 1)])  # fmt: skip
def test_layers_that_the_page_cannot_run_are_refused(layer):
    model = after(5, layer)
    with pytest.raises(SettingError, match=r"layer0|Own"):
        describe_network(model, palette_for(model))


def test_only_the_first_layer_may_normalise():
    with pytest.raises(SettingError, match="again"):
        live(ts.Network({"input": Normalize(0, 1), "again": Normalize(0, 1), "conv": Conv2d(3, 2, 1, rng=None)}))


def test_a_palette_of_other_classes_is_refused():
    with pytest.raises(SettingError, match=r"11 classes.* 5"):
        describe_network(network("tiny"), ts.data.CAMVID)


@pytest.mark.parametrize("value", [np.nan, 1e300])
def test_weights_that_are_not_finite_are_refused(value):
    model = network("tiny", dtype=np.float64)
    model.layers["encoder2.conv1"].params["weight"][0, 0, 0, 0] = value
    with pytest.raises(SettingError, match=r"encoder2\.conv1\.weight.*not finite"):
        describe_network(model, palette_for(model))


def test_the_description_is_json_with_classes_and_size():
    description, weights = describe_network(network("tiny"), palette_for(network("tiny")), size=(96, 128))
    assert json.loads(json.dumps(description, allow_nan=False)) == description
    assert description["classes"][2] == {"name": "class 2", "color": [2, 253, 0]}
    assert description["size"] == [96, 128]
    *_, last = [layer["weights"] for layer in description["layers"] if "weights" in layer]
    assert len(weights) == 2 * (last["at"] + last["length"])


# --- a browser -------------------------------------------------------------------------------------------------------

LOAD = """async ({source, description, weights, wasm}) => {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const url = URL.createObjectURL(new Blob([source], {type: "text/javascript"}));
  const {LiveNetwork} = await import(url);
  const network = await LiveNetwork.create(description, bytes(weights), bytes(wasm));
  window.run = (rgb, height, width) => {
    const {labels, logits} = network.forward(bytes(rgb), height, width);
    return [[...labels], [...logits]];
  };
  window.refuse = (length, height, width) => {
    try {
      network.forward(new Uint8Array(length), height, width);
    } catch (error) {
      return error.message;
    }
  };
}"""


def encoded(data):
    return base64.b64encode(data).decode()


@pytest.fixture(scope="module")
def toy_page():
    description, weights = live(open_checkpoint("toy").model)
    with opened() as browser:
        browser.page.evaluate(LOAD, {
            "source": (SOURCE / "forward.js").read_text(encoding="utf-8"), "description": description,
            "weights": encoded(weights), "wasm": encoded((SOURCE / "kernels.wasm").read_bytes()),
        })  # fmt: skip
        yield browser


@pytest.mark.long
@pytest.mark.parametrize("size", [(96, 128), (45, 61), (37, 53)])
def test_a_browser_computes_the_toy_networks_logits_and_classes(size, toy_page):
    picture = random_picture(*size)
    labels, logits = toy_page.page.evaluate("(call) => run(...call)", [encoded(picture.tobytes()), *size])
    right = expected(open_checkpoint("toy").model, picture)
    assert difference(np.array(logits), right) < CLOSE
    assert wrong_classes(np.array(labels), right) == 0
    assert toy_page.take() == []


@pytest.mark.parametrize(("length", "height", "width", "message"), [
    (30, 2, 4, "24 bytes, not 30"), (0, 0, 4, "0 x 4"), (3, 1.5, 2, "1.5 x 2"),
    (75_000_000, 5000, 5000, r"5000 x 5000 pixels needs 6\.\d GB"),
])  # fmt: skip
def test_pictures_that_cannot_be_predicted_are_refused_with_a_reason(length, height, width, message, toy_page):
    picture = random_picture(5, 6)
    before = toy_page.page.evaluate("(call) => run(...call)", [encoded(picture.tobytes()), 5, 6])
    assert re.search(message, toy_page.page.evaluate("(call) => refuse(...call)", [length, height, width]))
    assert toy_page.page.evaluate("(call) => run(...call)", [encoded(picture.tobytes()), 5, 6]) == before


def test_a_near_tie_is_no_difference_and_a_clear_difference_is():
    right = np.float32([[[1, 1 - NEAR_TIE / 2, 0]], [[1, 0.5, 0]]])
    assert wrong_classes(np.array([1, 0]), right) == 0
    assert wrong_classes(np.array([1, 1]), right) == 1
