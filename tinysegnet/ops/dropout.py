"""Dropout: set random activations to zero and scale up the others, which keeps the expected sum.

    out = x * mask / (1 - rate)        dx = dout * mask / (1 - rate)        mask: True with probability 1 - rate

The mask is an argument, because ops draw no random numbers. Source: Srivastava et al. 2014. As in Caffe, activations
are scaled up in training, so inference needs no factor. Bayesian SegNet (Kendall, Badrinarayanan & Cipolla 2015) also
draws masks in inference: the mean of its outputs is the prediction, and their spread is the uncertainty.
"""

from collections import namedtuple

from ..errors import SettingError, ShapeError
from ..runtime.settings import convert
from .array_checks import check_dout, check_floats
from .op import Op, Variant

# keep: 1 - rate
DropoutCache = namedtuple("DropoutCache", "mask keep")


def dropout_forward_numpy(x, mask, *, rate=0.5):
    """Multiply the activations by 0 where the mask is False, and scale up the others. A NaN stays NaN.

    Args:
        x: the activations, of any shape.
        mask: a bool array of the same shape, True where x is kept.
        rate: the probability that an activation is set to zero, 0 <= rate < 1.

    Returns:
        out, of x's shape, and the cache.
    """
    check_floats("dropout", x=x)
    if mask.shape != x.shape or mask.dtype != bool:
        raise ShapeError(f"dropout needs a mask of bool {x.shape}, True where x is kept, got {mask.dtype} {mask.shape}")
    rate = convert("rate", rate, float)
    if not 0 <= rate < 1:
        raise SettingError(f"rate: {rate} is not in the range 0 <= rate < 1")
    keep = x.dtype.type(1 - rate)
    return x * (mask / keep), DropoutCache(mask, keep)


def dropout_backward_numpy(dout, cache):
    """Return dx for dout; both have x's shape."""
    mask, keep = cache
    check_dout("dropout", dout, mask.shape, keep.dtype)
    return dout * (mask / keep)


DROPOUT = Op("dropout", cache=DropoutCache, differentiable=("x",),
             numpy=Variant(dropout_forward_numpy, dropout_backward_numpy))  # fmt: skip
dropout_forward, dropout_backward = DROPOUT.forward, DROPOUT.backward
