"""The networks other than SegNet: published counts, bytes for the decoder, dropout, a single logit, sizes, names."""

import numpy as np
import pytest
from forms import amount
from small_networks import images, without_memory

import tinysegnet as ts
from tinysegnet.errors import SettingError, ShapeError
from tinysegnet.layers import ConvTranspose2d, Dropout, FixedUnpool2d, MaxPool2d, SkipAdd, SkipSource
from tinysegnet.models import PREPROCESSING, count_parameters

# The weights in kernels for 11 classes, and the count in the paper's Table 1 (in millions) if the two agree.
KERNELS = {
    "bilinear-interpolation": (612_224, None),  # the paper's 0.625 is the count of the single-channel decoder
    "basic-encoder-addition": (1_415_040, None),  # the paper's 1.425 does not follow from the network
    "basic-single-channel-decoder": (624_768, 0.625),
    "fcn-basic": (645_312, 0.65),
    "fcn-basic-no-addition": (643_200, None),  # rounds to 0.64, but the paper states 0.65
    "fcn-basic-no-dim-reduction": (1_660_800, None),  # the paper's 1.625 does not follow from the network
    "fcn-basic-no-addition-no-dim-reduction": (1_660_800, None),
    "replication": (1_415_040, None),
    "fixed-index": (1_415_040, None),
    "bayesian-basic": (1_415_040, None),
    "bayesian-vgg16": (29_425_536, None),
}
DECODERS = list(KERNELS)[:9]


@pytest.mark.parametrize(("name", "count", "millions"), [(name, *counts) for name, counts in KERNELS.items()])
def test_kernels_have_the_published_counts(name, count, millions):
    assert without_memory(name).summary((32, 32)).kernels == count
    if millions is not None:
        assert abs(count / 1e6 - millions) < 0.005
    assert ts.build(name, 7, width=1 / 16).num_parameters == count_parameters(name, 7, 1 / 16)


def test_the_article_has_the_parameters_that_keras_counts():
    """Conv2D(64), Conv2D(128), Conv2D(256), Conv2DTranspose(128), Conv2DTranspose(64), Conv2D(1, 1), with biases."""
    model = ts.build("article", 1)
    assert [a.size for _, a in model.named_parameters()] == [
        1728, 64, 73728, 128, 294912, 256, 294912, 128, 73728, 64, 64, 1,
    ]  # fmt: skip
    assert model.num_parameters == 739_713


@pytest.mark.parametrize("name", list(ts.models))
def test_every_model_has_a_description_with_its_source(name):
    text = ts.models[name].__doc__
    assert "pool" in text or "decoder stage" in text
    assert "20" in text or "Table 1" in text or "section" in text or name == "tiny"


@pytest.mark.parametrize("name", list(ts.models))
@pytest.mark.parametrize("size", amount([(1, 1), (17, 13)], [(1, 1), (2, 3), (17, 13), (45, 61), (20, 28)]))
def test_logits_and_gradients_have_the_size_of_the_picture(name, size):
    model = ts.build(name, num_classes=5, width=1 / 16)
    size = model.fitting_size(size)
    x = images(2, *size)
    logits = model.forward(x, training=True)
    assert logits.shape == (2, *size, 5)
    assert logits.dtype == np.float32
    assert model.backward(np.ones_like(logits)).shape == x.shape
    assert [n for n, _ in model.named_parameters()] == [n for n, _ in model.named_gradients()]
    assert model.forward(x).shape == logits.shape
    assert model.summary(size, batch_size=2).rows[-1].output_shape == (2, *size, 5)


def test_the_encoder_passes_the_published_number_of_bytes_to_the_decoder():
    """At 360x480. The paper's multiplier counts feature maps at pool 1: 64 for EncoderAddition, 11 for FCN-Basic."""
    crossing = {name: without_memory(name).summary((360, 480)).total("skip_bytes") for name in DECODERS}
    positions = 180 * 240 + 90 * 120 + 45 * 60  # of the first three pools
    indices = 16 * (positions + 23 * 30)  # 64 channels with 2 bits each
    assert crossing["basic-single-channel-decoder"] == indices
    assert crossing["fcn-basic"] == 4 * 11 * positions
    assert crossing["fcn-basic-no-dim-reduction"] == 4 * 64 * positions
    assert crossing["basic-encoder-addition"] == indices + 4 * 64 * positions
    assert not any(crossing[name] for name in DECODERS if name in (
        "bilinear-interpolation", "replication", "fixed-index", "fcn-basic-no-addition",
        "fcn-basic-no-addition-no-dim-reduction"))  # fmt: skip


@pytest.mark.parametrize("pools_input", [8, 45])
def test_a_transposed_convolution_starts_as_interpolation(pools_input):
    pool = MaxPool2d()
    small, _ = pool.forward(np.ones((1, pools_input, 6, 3))), None
    layer = ConvTranspose2d(3, 3, 8, stride=2, pool=pool, bilinear=True, rng=np.random.default_rng(0), dtype=np.float64)
    out = layer.forward(small)
    assert out.shape == (1, pools_input, 6, 3)
    inside = slice(4, pools_input - 4) if pools_input > 8 else slice(3, 5)
    np.testing.assert_allclose(out[:, inside, 3:3], 1)
    ramp = np.broadcast_to(np.arange(40.0)[None, :, None, None], (1, 40, 40, 3))
    out = ConvTranspose2d(3, 3, 8, stride=2, bilinear=True, rng=np.random.default_rng(0), dtype=np.float64).forward(
        ramp
    )
    np.testing.assert_allclose(np.diff(out[0, 10:-10, 40, 0]), 0.5)  # a straight line stays straight
    np.testing.assert_allclose(out[0, 10:-10, 40, 0], out[0, 10:-10, 40, 2])


def test_the_article_rejects_sizes_that_4_does_not_divide():
    with pytest.raises(ShapeError, match=r"4.*45x60.*44x60.*tiny"):
        ts.build("article", width=1 / 16).forward(images(1, 45, 60))
    labels = ts.predict(ts.build("article", 1, width=1 / 16), images(45, 61).astype(np.uint8))
    assert labels.shape == (45, 61)


def test_a_single_logit_means_the_sigmoid_of_class_1():
    model = ts.build("article", 1, width=1 / 16)
    image = images(20, 28).astype(np.uint8)
    probs = ts.predict_probs(model, image)
    z = model.forward(image[None].astype(np.float32))[0, ..., 0]
    np.testing.assert_allclose(probs[..., 1], 1 / (1 + np.exp(-z)), rtol=1e-5)
    np.testing.assert_array_equal(ts.predict(model, image), z > 0)


def test_dropout_follows_the_stages_of_the_model_files():
    def places(name):
        return [key for key, layer in ts.build(name, width=1 / 16).layers.items() if isinstance(layer, Dropout)]

    assert places("bayesian-basic") == [f"{s}.dropout" for s in ("encoder3", "encoder4", "decoder4", "decoder3")]
    assert places("bayesian-vgg16") == [
        f"{s}.dropout" for s in ("encoder3", "encoder4", "encoder5", "decoder5", "decoder4", "decoder3")
    ]
    names = list(ts.build("bayesian-basic", width=1 / 16).layers)
    assert names[names.index("encoder3.dropout") - 1] == "encoder3.pool"  # the pool stores its indices before dropout
    assert names[names.index("decoder4.dropout") - 1] == "decoder4.bn1"


def test_a_bayesian_network_without_sampling_equals_the_plain_network():
    plain, bayesian = ts.build("basic", width=1 / 8, seed=1), ts.build("bayesian-basic", width=1 / 8, seed=1)
    np.testing.assert_array_equal(plain.forward(images(1, 20, 28)), bayesian.forward(images(1, 20, 28)))


def test_samples_differ_and_their_seed_repeats_them():
    model, x = ts.build("bayesian-basic", width=1 / 8), images(1, 20, 28)
    model.reseed(3)
    first = list(model.samples(x, 3))
    model.reseed(3)
    again = list(model.samples(x, 3))
    assert np.abs(first[0] - first[1]).max() > 1e-3
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    model.reseed(3)
    np.testing.assert_array_equal(model.forward(x, sample=True), first[0])
    with pytest.raises(SettingError, match=r"tiny.*dropout.*bayesian-basic"):
        next(ts.build("tiny", width=1 / 16).samples(x, 1))


def test_predictions_are_the_mean_and_variance_of_the_samples():
    model, image = ts.build("bayesian-basic", 5, width=1 / 8), images(20, 28).astype(np.uint8)
    mean, variance = ts.predict_samples(model, image, samples=6, seed=2)
    model.reseed(2)
    probs = np.concatenate([ts.ops.softmax_forward(z)[0] for z in model.samples(image[None].astype(np.float32), 6)])
    np.testing.assert_allclose(mean, probs.mean(0), atol=1e-6)
    np.testing.assert_allclose(variance, probs.var(0), atol=1e-7)
    labels, uncertainty = ts.predict_with_uncertainty(model, image, samples=6, seed=2)
    np.testing.assert_array_equal(labels, mean.argmax(-1))
    np.testing.assert_allclose(uncertainty, variance.mean(-1), atol=1e-7)
    with pytest.raises(SettingError, match="samples: 0"):
        ts.predict_samples(model, image, samples=0)


def test_skip_source_and_add_pass_maps_forward_and_gradients_back():
    source = SkipSource()
    add = SkipAdd(source)
    x, other, dout = np.random.default_rng(0).standard_normal((3, 1, 2, 3, 4))
    assert source.forward(x, training=True) is x
    np.testing.assert_array_equal(add.forward(other, training=True), x + other)
    np.testing.assert_array_equal(add.backward(dout), dout)
    np.testing.assert_array_equal(source.backward(other), other + dout)


def test_fixed_unpooling_writes_to_the_first_corner():
    pool = MaxPool2d()
    out = FixedUnpool2d(pool).forward(pool.forward(np.ones((1, 5, 3, 2))))
    assert out.shape == (1, 5, 3, 2)
    assert out[0, ::2, ::2].all()
    assert out.sum() == 3 * 2 * 2


def test_build_uses_the_preprocessing_of_the_architecture_or_the_given_one():
    assert ts.build("basic", width=1 / 16).config["preprocessing"] == "local_response"
    assert ts.build("vgg16", width=1 / 16, preprocessing="imagenet").config["preprocessing"] == "imagenet"
    with pytest.raises(SettingError, match=r"preprocessing.*'x'.*scaled, unit"):
        ts.build("tiny", preprocessing="x")
    red = np.zeros((1, 1, 1, 3), np.float32)
    red[..., 0] = 255
    first = {name: make(np.float32).forward(red)[0, 0, 0] for name, make in PREPROCESSING.items()}
    np.testing.assert_allclose(first["caffe"], [-103.939, -116.779, 255 - 123.68], rtol=1e-6)
    np.testing.assert_allclose(first["imagenet"], [(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225], rtol=1e-5)
    np.testing.assert_allclose(first["unit"], [1, 0, 0])
    np.testing.assert_allclose(first["scaled"], np.array([127.5, -127.5, -127.5]) / 64)
    np.testing.assert_allclose(first["bgr"], [0, 0, 255])
    np.testing.assert_allclose(first["local_response"], [255 / (1 + 2e-5 * 255**2) ** 0.75, 0, 0], rtol=1e-6)


@pytest.mark.parametrize("name", list(ts.models))
def test_a_loaded_network_computes_what_the_saved_one_did(name, tmp_path):
    model = ts.build(name, 1 if name == "article" else 4, width=1 / 16)
    x = images(1, 16, 20)
    model.forward(x, training=True)
    ts.save(tmp_path / "m.safetensors", model)
    np.testing.assert_array_equal(ts.load(tmp_path / "m.safetensors").forward(x), model.forward(x))
