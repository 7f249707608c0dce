"""Choose the variant of the ops: NumPy in most tests, and compiled kernels in tests about them.

Most tests make no claim about kernels, so their short form uses NumPy and compiles nothing.
"""

from contextlib import contextmanager

import pytest
from forms import amount

from tinysegnet import ops, runtime
from tinysegnet.ops import conv, synchronized_batchnorm
from tinysegnet.training import optim


@contextmanager
def ops_run_as(name):
    """Run the variant "numpy" or "numba" of all ops and optimizers. Without numba, nothing changes."""
    with pytest.MonkeyPatch.context() as patch:
        if runtime.HAS_NUMBA:
            for op in ops.REGISTRY.values():
                _choose(patch, op.forward, op.variants[name].forward)
                _choose(patch, op.backward, op.variants[name].backward)
            for part in (ops.picture_moments, ops.gradient_sums, ops.input_gradient):
                _choose(patch, part, getattr(synchronized_batchnorm, f"{part.__name__}_{name}"))
            _choose(patch, ops.conv2d_inference, getattr(conv, f"conv2d_inference_{name}"))
            for update in ("_sgd", "_adam"):
                patch.setattr(optim, update, getattr(optim, f"{update}_{name}"))
        yield


def _choose(patch, public, variant):
    """Replace the closure variable of a public op function, so that every importer of the function is affected."""
    cell = public.__closure__[public.__code__.co_freevars.index("variant")]
    patch.setattr(cell, "cell_contents", variant)


@contextmanager
def numpy_unless_long():
    """Run the NumPy variants in the short form, and the compiled ones in the long form."""
    with ops_run_as(amount("numpy", "numba")):
        yield


@pytest.fixture(scope="module", autouse=True)
def numpy_in_the_short_form():
    """Apply `numpy_unless_long` to every test module of a folder whose conftest.py imports this fixture."""
    with numpy_unless_long():
        yield


@pytest.fixture
def defined_ops():
    """Run the NumPy definitions, which round equally wherever a pixel lies, in a test that compares pixels exactly."""
    with ops_run_as("numpy"):
        yield


@pytest.fixture
def compiled_ops():
    """Run the compiled kernels in a test that makes a claim about them."""
    with ops_run_as("numba"):
        yield
