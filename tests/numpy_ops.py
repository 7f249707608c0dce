"""Let a test compute with NumPy only, since compiling the fast ops would take most of its time."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tinysegnet import ops
from tinysegnet.ops.conv import conv2d_inference_numpy
from tinysegnet.training import optim

__all__ = ["numpy_ops"]


@contextmanager
def numpy_ops(conv2d_inference=conv2d_inference_numpy) -> Iterator[None]:
    """Replace the fast variants of ops and optimizers by the NumPy variants."""
    with pytest.MonkeyPatch.context() as patch:
        for op in ops.REGISTRY.values():
            for direction, function in op.variants["numpy"]._asdict().items():
                patch.setattr(op, direction, function)
                patch.setattr(ops, f"{op.name}_{direction}", function)
        patch.setattr(ops, "conv2d_inference", conv2d_inference)
        patch.setattr(optim, "_sgd", optim._sgd_numpy)
        patch.setattr(optim, "_adam", optim._adam_numpy)
        yield
