"""Layers: an op, plus what must survive between calls: parameters, their gradients, running statistics, the cache.

    layer.forward(x, training=True) -> out      keeps a cache for one backward
    layer.backward(dout) -> dx                  takes the cache, and assigns layer.grads

`params` and `grads` have the same keys; `buffers` are running statistics. A cache is taken once: a second backward,
or one after `training=False`, is an error that names the layer. Class names are torch.nn's.
"""

from .layer import Layer, digest_branches, he_normal
from .segnet import BatchNorm2d, BatchNormReLU2d, Conv2d, MaxPool2d, MaxUnpool2d, Normalize, ReLU
from .variants import (
    ConvTranspose2d,
    DepthwiseConv2d,
    Dropout,
    FixedUnpool2d,
    LocalResponseNorm,
    SkipAdd,
    SkipSource,
    Upsample,
)

__all__ = [
    "BatchNorm2d",
    "BatchNormReLU2d",
    "Conv2d",
    "ConvTranspose2d",
    "DepthwiseConv2d",
    "Dropout",
    "FixedUnpool2d",
    "Layer",
    "LocalResponseNorm",
    "MaxPool2d",
    "MaxUnpool2d",
    "Normalize",
    "ReLU",
    "SkipAdd",
    "SkipSource",
    "Upsample",
    "digest_branches",
    "he_normal",
]
