"""Local response normalisation: each value is divided by a power of the energy of its neighbouring channels.

    s_c   = k + alpha / size * sum of x_j^2 over the window, the `size` channels around c that exist
    out_c = x_c / s_c^beta
    dx_c  = dout_c / s_c^beta - 2 alpha beta / size * x_c * sum of dout_j x_j / s_j^(beta + 1) over the window of c

The sum in dx is over the channels j whose windows contain c. These are the channels in the window of c.

Source: Krizhevsky, Sutskever & Hinton 2012, section 3.3, with alpha divided by size, as in Caffe and PyTorch. It is the
first layer of SegNet-Basic, where it normalises RGB in 0..255. There, a window of 5 spans all 3 channels, so the three
values of a pixel have the same divisor, about 3.3 for white. Bright pixels become darker and keep their hue.
"""

from collections import namedtuple

import numpy as np

from ..errors import SettingError, ShapeError
from ..runtime.settings import convert
from .array_checks import check_dout, check_floats
from .op import Op, Variant

# half: the number of channels on either side of a window's centre; share: alpha / size
LocalResponseNormCache = namedtuple("LocalResponseNormCache", "x half share beta k")


def _window_sum(values, half):
    """Sum each channel and its `half` neighbours on either side. Channels outside count as 0.

    If every window is the whole pixel, as in the first layer of a network, return one sum per pixel, (..., 1).
    """
    C = values.shape[-1]
    if half == C - 1:
        return values.sum(-1, keepdims=True)
    padded = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(half, half)])
    return sum(padded[..., j : j + C] for j in range(2 * half + 1))


def local_response_norm_forward_numpy(x, *, size=5, alpha=1e-4, beta=0.75, k=1.0):
    """Divide each value by s^beta, where s comes from the window of channels around it.

    Args:
        x: the values, (..., C).
        size: the number of channels in a window, an odd number.
        alpha, beta, k: the constants of the formula.

    Returns:
        out (..., C), and the cache.

    Raises:
        SettingError: if size is even, alpha < 0, or k <= 0.
    """
    if x.ndim < 1 or 0 in x.shape:
        raise ShapeError(f"local_response_norm needs x (..., C) with no empty axis, got {x.shape}")
    check_floats("local_response_norm", x=x)
    size, beta = convert("size", size, int), convert("beta", beta, float)
    alpha, k = convert("alpha", alpha, float), convert("k", k, float)
    if size < 1 or size % 2 == 0:
        raise SettingError(f"size: {size} is not a positive odd number. A window has a channel at its centre.")
    if alpha < 0 or k <= 0:
        raise SettingError(f"alpha: {alpha}, k: {k} could lead to a division by 0. alpha must be >= 0, and k > 0.")
    half, share = min(size // 2, x.shape[-1] - 1), alpha / size
    s = k + share * _window_sum(x * x, half)
    return x * s**-beta, LocalResponseNormCache(x, half, share, beta, k)


def local_response_norm_backward_numpy(dout, cache):
    """Return dx (..., C) for dout (..., C)."""
    x, half, share, beta, k = cache
    check_dout("local_response_norm", dout, x.shape, x.dtype)
    s = k + share * _window_sum(x * x, half)
    power = s**-beta
    return dout * power - 2 * share * beta * x * _window_sum(dout * x * power / s, half)


LOCAL_RESPONSE_NORM = Op("local_response_norm", cache=LocalResponseNormCache, differentiable=("x",),
    numpy=Variant(local_response_norm_forward_numpy, local_response_norm_backward_numpy))  # fmt: skip
local_response_norm_forward, local_response_norm_backward = LOCAL_RESPONSE_NORM.forward, LOCAL_RESPONSE_NORM.backward
