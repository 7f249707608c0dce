"""Networks of one's own, with every layer and setting, compute the same in onnxruntime as here."""

import numpy as np
import pytest
from onnx_runs import BOUND, check, randomize

import tinysegnet as ts
from tinysegnet.export.onnx_layers import _LAYERS
from tinysegnet.layers import (
    BatchNorm2d,
    BatchNormReLU2d,
    Conv2d,
    ConvTranspose2d,
    DepthwiseConv2d,
    Dropout,
    FixedUnpool2d,
    Layer,
    LocalResponseNorm,
    MaxPool2d,
    MaxUnpool2d,
    Normalize,
    ReLU,
    SkipAdd,
    SkipSource,
    Upsample,
)

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SHAPES = [(1, 45, 61), (2, 37, 53), (2, 6, 4)]


def conv(channels, features, kernel_size, **settings):
    return Conv2d(channels, features, kernel_size, rng=np.random.default_rng(kernel_size), **settings)


def up(kernel_size, stride, **settings):
    return ConvTranspose2d(4, 4, kernel_size, stride=stride, rng=np.random.default_rng(kernel_size), **settings)


def depthwise(kernel_size, **settings):
    return DepthwiseConv2d(4, kernel_size, rng=np.random.default_rng(kernel_size), **settings)


def pooled(pool, *following):
    """Return layers that pool 4 feature maps, and then apply layers that are made for this pool."""
    return [pool, conv(4, 4, 3), *(make(pool) for make in following)]


def skip(through):
    source = SkipSource(through)
    return [source, conv(4, 4, 3), ReLU(), SkipAdd(source)]


# layers between a convolution to 4 channels and the classifier
CUSTOM = {
    "convolutions with strides": [conv(4, 4, 3, stride=2), conv(4, 4, 1, stride=2), conv(4, 4, 4, stride=(1, 3))],
    "convolutions with other paddings": [conv(4, 4, 3, padding=(0, 2)), conv(4, 4, 4), conv(4, 4, 3, padding=1),
                                         conv(4, 4, 2, bias=False), conv(4, 4, 3, stride=2, padding=2)],
    "a kernel without padding": [conv(4, 4, 2, padding="valid", stride=2)],
    "depthwise convolutions": [depthwise(3), BatchNorm2d(4), depthwise(4, bias=False), ReLU()],
    "batch norms that remain": [BatchNorm2d(4), ReLU(), BatchNorm2d(4, eps=0.1), BatchNormReLU2d(BatchNorm2d(4))],
    "local response norms": [LocalResponseNorm(3, alpha=0.5, beta=0.5, k=2), LocalResponseNorm(7)],
    "dropout and normalisation": [Dropout(0.9), Normalize([1, 2, 3, 4], [4, 3, 2, 1], bgr=True)],
    "overlapping pools": [MaxPool2d(3, 2), MaxPool2d(4, 1), MaxPool2d(5, 3)],
    "pools with gaps": [MaxPool2d(1, 2), MaxPool2d(2, 3)],
    "pools of 3x3": pooled(MaxPool2d(3, 3), MaxUnpool2d),
    "pools with gaps and unpooling": pooled(MaxPool2d(2, 3), MaxUnpool2d),
    "fixed unpooling": pooled(MaxPool2d(3, 3), FixedUnpool2d),
    "fixed unpooling of a pool with gaps": pooled(MaxPool2d(2, 3), FixedUnpool2d),
    "two unpoolings with the same indices": pooled(MaxPool2d(), MaxUnpool2d) + pooled(MaxPool2d(), MaxUnpool2d),
    "upsampling without a pool": [Upsample("nearest", scale_factor=3), Upsample("bilinear", scale_factor=2),
                                  Upsample("bilinear", scale_factor=3)],
    "upsampling to the size of a pool": [
        *pooled(MaxPool2d(3, 3), lambda pool: Upsample("bilinear", scale_factor=3, pool=pool)),
        *pooled(MaxPool2d(), lambda pool: Upsample("nearest", pool=pool)),
    ],
    "transposed without a pool": [up(4, 2), up(2, 3), up(3, 1)],
    "transposed without a pool, with an odd kernel": [up(3, 2, bias=False), up(1, 2)],
    "transposed to the size of a pool": [
        *pooled(MaxPool2d(3, 3), lambda pool: up(5, 3, pool=pool)),
        *pooled(MaxPool2d(2, 3), lambda pool: up(2, 3, pool=pool)),
        *pooled(MaxPool2d(), lambda pool: up(8, 2, pool=pool)),
        *pooled(MaxPool2d(3, 3), lambda pool: up(1, 3, pool=pool)),
    ],
    "a skip connection": skip(None),
    "a skip connection through a convolution": skip(conv(4, 4, 3)),
}  # fmt: skip


def custom(layers, classes=3):
    named = {f"layer{number}": layer for number, layer in enumerate(layers)}
    first = {"input": Normalize(127.5, 64), "conv": conv(3, 4, 3), "norm": BatchNorm2d(4)}
    return randomize(ts.Network({**first, **named, "classifier": conv(4, classes, 1)}))


@pytest.mark.parametrize("name", CUSTOM)
def test_every_layer_agrees_with_onnxruntime(name):
    smallest = (3, 3, 2) if "padding" in name else (3, 1, 1)  # their kernels fit no smaller picture
    check(custom(CUSTOM[name]), [*SHAPES, smallest], tie=BOUND)


def test_the_size_before_a_folded_convolution_is_restored():
    down = conv(4, 4, 3, stride=2)
    check(custom([down, BatchNorm2d(4), Upsample("nearest", pool=down)]), [*SHAPES, (3, 1, 1)])


def test_every_layer_of_the_library_is_tested():
    tested = {type(layer) for layers in CUSTOM.values() for layer in custom(layers).layers.values()}
    assert tested >= set(_LAYERS)
    assert {kind for kind in map(vars(ts.layers).get, ts.layers.__all__)
            if isinstance(kind, type) and issubclass(kind, Layer)} == {*_LAYERS, Layer}  # fmt: skip
