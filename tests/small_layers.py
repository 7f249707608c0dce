"""Single layers with float64 parameters away from 0 and 1, and their input."""

import numpy as np

from tinysegnet.layers import BatchNorm2d, Conv2d

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 5, 6, 3))


def conv(features=4, size=3, **settings):
    return Conv2d(3, features, size, rng=np.random.default_rng(1), dtype=np.float64, **settings)


def shaken(layer):
    """Move all parameters and statistics away from 0 and 1."""
    rng = np.random.default_rng(2)
    for array in (*layer.params.values(), *layer.buffers.values()):
        array += rng.uniform(0.1, 1, array.shape)
    return layer


def norm(channels=4, **settings):
    return shaken(BatchNorm2d(channels, dtype=np.float64, **settings))
