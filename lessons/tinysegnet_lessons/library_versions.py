"""The library's versions of the twelve ops of lesson 15, with the arguments and results of the exercises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinysegnet import ops
from tinysegnet.ops.batchnorm import BatchNorm2dCache
from tinysegnet.ops.relu import ReluCache

__all__ = ["MORE", "OPS", "SEVERAL", "OwnOp"]

# Each function takes a variant of a library's op and the arguments of the exercise.


def _conv2d_dx(v: ops.Variant, dout: np.ndarray, weight: np.ndarray) -> Any:
    return v.forward(dout, np.ascontiguousarray(weight[::-1, ::-1].swapaxes(2, 3)))[0]


def _conv2d_dweight_dbias(v: ops.Variant, x: np.ndarray, dout: np.ndarray, K: int) -> Any:
    weight, pads = np.zeros((K, K, x.shape[3], dout.shape[3]), x.dtype), ((K // 2, K // 2),) * 2
    return v.backward(dout, ops.CONV2D.cache(x, weight, True, (1, 1), pads), input_gradient=False)[1:]


def _batchnorm_backward(v: ops.Variant, dout: np.ndarray, x_hat: np.ndarray, inv_std: np.ndarray, gamma: Any) -> Any:
    zeros = np.zeros_like(gamma)  # x_hat is its own normalisation with mean 0 and deviation 1
    return v.backward(dout, BatchNorm2dCache(x_hat, gamma * inv_std, zeros, zeros, zeros + 1, True))


def _max_pool2d(v: ops.Variant, x: np.ndarray) -> Any:
    (out, indices), _ = v.forward(x)
    return out, ops.unpack_indices(indices, x.shape[3])


def _max_unpool2d(v: ops.Variant, z: np.ndarray, position: np.ndarray, output_size: Any) -> Any:
    return v.forward(z, ops.pack_indices(position), output_size=output_size)


def _max_unpool2d_backward(v: ops.Variant, dout: np.ndarray, position: np.ndarray) -> Any:
    _, cache = _max_unpool2d(v, np.zeros(position.shape, dout.dtype), position, dout.shape[1:3])
    return v.backward(dout, cache)


def _cross_entropy(v: ops.Variant, logits: np.ndarray, labels: np.ndarray, ignore_label: int) -> Any:
    return v.forward(logits, labels, ignore_label=ignore_label)


class OwnOp(NamedTuple):
    """An op of the network: where it comes from in the lessons and in the library."""

    lesson: str
    registered: str  # the op in the library's registry
    library: Callable[..., Any]
    kept_as: tuple[str, ...] = ()  # the exercises that it may come from, if they have other names


#: the ops of the network, in the order of the lessons
OPS: dict[str, OwnOp] = {
    "conv2d": OwnOp("01", "conv2d", lambda v, *given: v.forward(*given)[0],
                  ("conv2d_shifted_products", "conv2d_seven_loops")),
    "conv2d_dx": OwnOp("02", "conv2d", _conv2d_dx),
    "conv2d_dweight_dbias": OwnOp("02", "conv2d", _conv2d_dweight_dbias),
    "relu_backward": OwnOp("04", "relu", lambda v, dout, x: v.backward(dout, ReluCache(x))),
    "batchnorm_forward": OwnOp("04", "batchnorm2d", lambda v, *given: v.forward(*given[:3], eps=given[3])[0]),
    "batchnorm_backward": OwnOp("04", "batchnorm2d", _batchnorm_backward),
    "max_pool2d_forward": OwnOp("05", "max_pool2d", _max_pool2d),
    "max_pool2d_backward": OwnOp("05", "max_pool2d", lambda v, dout, x, size: v.backward(
        dout, v.forward(x, size=size, stride=2)[1])),
    "max_unpool2d_forward": OwnOp("05", "max_unpool2d", lambda v, *given: _max_unpool2d(v, *given)[0]),
    "max_unpool2d_backward": OwnOp("05", "max_unpool2d", _max_unpool2d_backward),
    "cross_entropy": OwnOp("06", "softmax_cross_entropy", lambda v, *given: _cross_entropy(v, *given)[0]),
    "cross_entropy_backward": OwnOp("06", "softmax_cross_entropy", lambda v, *given: v.backward(
        1.0, _cross_entropy(v, *given)[1])),
}  # fmt: skip
#: further answers that the network uses if they are kept, with their lessons
MORE = {"he_std": "08", "sgd_step": "08", "adam_step": "08"}
#: the ops with more than one result
SEVERAL = ("conv2d_dweight_dbias", "batchnorm_forward", "batchnorm_backward", "max_pool2d_forward")
