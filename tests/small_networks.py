"""Helpers for tests of networks: NumPy definitions instead of compiled kernels, and networks without memory."""

from contextlib import contextmanager

import numpy as np
import pytest

import tinysegnet as ts
from tinysegnet import ops, runtime
from tinysegnet.models.layer_builder import InitContext
from tinysegnet.ops import conv
from tinysegnet.training import optim


@contextmanager
def ops_run_as(variant):
    """Let every op run its variant "numpy" or "numba". Without numba, all ops stay as they are."""
    with pytest.MonkeyPatch.context() as patch:
        if runtime.BACKEND == "numba":
            for op in ops.REGISTRY.values():
                for name, function in op.variants[variant]._asdict().items():
                    patch.setattr(op, name, function)
                    patch.setattr(ops, f"{op.name}_{name}", function)
            patch.setattr(ops, "conv2d_inference", getattr(conv, f"conv2d_inference_{variant}"))
            patch.setattr(optim, "_sgd", getattr(optim, f"_sgd_{variant}"))
        yield


@pytest.fixture
def compiled_ops():
    """Run the compiled kernels in a test that makes a claim about them."""
    with ops_run_as("numba"):
        yield


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
