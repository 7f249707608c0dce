"""Networks and inputs for tests: networks without memory, random pictures, parameters away from 0 and 1."""

import numpy as np

import tinysegnet as ts
from tinysegnet.layers import BatchNorm2d, Conv2d, Dropout, MaxPool2d, MaxUnpool2d, Normalize, ReLU, SkipAdd, SkipSource
from tinysegnet.models.layer_builder import LayerBuilder


def without_memory(name, num_classes=11):
    """Make a network of full size whose weights are zeros that take no memory, for tests of its shapes."""
    architecture = ts.models[name]()
    builder = LayerBuilder(None, np.float32, architecture.preprocessing)
    return ts.Network(architecture.layers(num_classes, builder), {"name": name, "num_classes": num_classes})


def images(*shape, dtype=np.float32, seed=0):
    """Draw random pictures (..., 3) in 0..255."""
    return np.random.default_rng(seed).uniform(0, 255, (*shape, 3)).astype(dtype)


def shaken(model, seed=0):
    """Move all parameters and statistics away from 0 and 1, as training does."""
    rng = np.random.default_rng(seed)
    for array in model.state().values():
        array += 0.1 * rng.random(array.shape).astype(array.dtype)
    return model


def pointwise(weight, *, p=None):
    """Make a network whose logits are a linear function of each pixel, optionally after dropout."""
    layers = {"input": Normalize(0, 1)} | ({} if p is None else {"dropout": Dropout(p)})
    layers["classifier"] = classifier = Conv2d(3, len(weight), 1, rng=None)
    classifier.params = {"weight": np.float32(weight).T[None, None], "bias": np.zeros(len(weight), np.float32)}
    return ts.Network(layers)


def noise(*size, seed=0):
    """Draw a random picture (H, W, 3) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)


def layers(features=8, classes=5, dropout=()):
    """Make the layers of a network with a pool, a skip connection and an unpooling."""
    rng, pool = np.random.default_rng(0), MaxPool2d()
    source = SkipSource()
    return {
        "input": Normalize(127.5, 64),
        "encoder1.conv1": Conv2d(3, features, 3, bias=False, rng=rng),
        "encoder1.bn1": BatchNorm2d(features),
        "encoder1.relu1": ReLU(),
        "encoder1.tap": source,
        "encoder1.pool": pool,
        **{name: Dropout(0.25) for name in dropout},
        "encoder2.conv1": Conv2d(features, features, 3, rng=rng),
        "decoder1.unpool": MaxUnpool2d(pool),
        "decoder1.add": SkipAdd(source),
        "classifier": Conv2d(features, classes, 1, rng=rng),
    }


def network(**settings):
    """Make a network of these layers."""
    return shaken(ts.Network(layers(**settings)))
