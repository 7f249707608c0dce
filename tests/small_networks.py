"""Networks and inputs for tests: networks without memory, random pictures, parameters away from 0 and 1."""

import numpy as np

import tinysegnet as ts
from tinysegnet.layers import Conv2d, Dropout, Normalize
from tinysegnet.models.layer_builder import InitContext


def without_memory(name, num_classes=11):
    """Make a network of full size whose weights are zeros that take no memory, for tests of its shapes."""
    architecture = ts.models[name]()
    context = InitContext(None, np.float32, architecture.preprocessing)
    return ts.Network(architecture.layers(num_classes, context), {"name": name, "num_classes": num_classes})


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
