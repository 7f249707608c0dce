"""Reference implementations of every op in PyTorch, on NHWC arrays, with gradients by autograd.

They use none of our code, not even for the padding, so they are independent of its errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)


def _planes(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 3, 1, 2)


def _pixels(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 2, 3, 1)


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _same(size: Any, kernel: Any, stride: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the zeros before and after a picture of `size` along each axis for Keras's "same"."""
    surplus = [max((math.ceil(n / s) - 1) * s + k - n, 0) for n, s, k in zip(size, stride, kernel, strict=True)]
    return [(n // 2, n - n // 2) for n in surplus]


def conv2d(x, weight, bias=None, *, stride=1, padding="same", groups=1):
    stride = _pair(stride)
    if padding == "same":
        (top, bottom), (left, right) = _same(x.shape[1:3], weight.shape[:2], stride)
    else:
        top, left = bottom, right = (0, 0) if padding == "valid" else _pair(padding)
    padded = F.pad(_planes(x), (left, right, top, bottom))
    return (_pixels(F.conv2d(padded, weight.permute(3, 2, 0, 1).contiguous(), bias, stride, groups=groups)),)


def depthwise_conv2d(x, weight, bias=None, *, stride=1, padding="same"):
    return conv2d(x, weight, bias, stride=stride, padding=padding, groups=x.shape[3])


def conv_transpose2d(x, weight, bias=None, *, stride=1, padding="same", output_size=None):
    """Compute the result without padding, then cut a window out of it, with zeros where the window extends past it."""
    stride, (H, W), (KH, KW) = _pair(stride), x.shape[1:3], weight.shape[:2]
    whole = F.conv_transpose2d(_planes(x), weight.permute(3, 2, 0, 1).contiguous(), None, stride)
    if padding == "same":
        rows, columns = output_size or (H * stride[0], W * stride[1])
        (top, _), (left, _) = _same((rows, columns), (KH, KW), stride)
    else:
        top, left = (0, 0) if padding == "valid" else _pair(padding)
        rows, columns = output_size or (whole.shape[2] - 2 * top, whole.shape[3] - 2 * left)
    cut = F.pad(whole, (0, left + columns, 0, top + rows))[:, :, top : top + rows, left : left + columns]
    return (_pixels(cut) + (0 if bias is None else bias),)


def max_pool2d(x, *, size=2, stride=2):
    out, indices = F.max_pool2d(_planes(x), _pair(size), _pair(stride), ceil_mode=True, return_indices=True)
    return _pixels(out), _pixels(indices)


def max_unpool2d(x, indices, *, output_size, size=2, stride=2):
    out = F.max_unpool2d(_planes(x), _planes(indices), _pair(size), _pair(stride), output_size=tuple(output_size))
    return (_pixels(out),)


def batchnorm2d(x, gamma, beta, *, mean=None, var=None, eps=1e-5):
    out = F.batch_norm(_planes(x), mean, var, gamma, beta, training=mean is None, eps=eps)
    axes = (0, 1, 2)
    statistics = (x.mean(axes), x.var(axes, correction=0)) if mean is None else (mean, var)
    return (_pixels(out), *(s.detach() for s in statistics))


def batchnorm2d_relu(x, gamma, beta, *, mean=None, var=None, eps=1e-5):
    out, mean, var = batchnorm2d(x, gamma, beta, mean=mean, var=var, eps=eps)
    return torch.relu(out), mean, var


def relu(x):
    return (torch.relu(x),)


def softmax(x):
    return (torch.softmax(x, -1),)


def sigmoid(x):
    return (torch.sigmoid(x),)


def dropout(x, mask, *, rate=0.5):
    return (x.masked_fill(~mask, 0) / (1 - rate),)


def local_response_norm(x, *, size=5, alpha=1e-4, beta=0.75, k=1.0):
    return (_pixels(F.local_response_norm(_planes(x), size, alpha, beta, k)),)


def _upsampled(x, factor, output_size, **mode):
    out = _pixels(F.interpolate(_planes(x), scale_factor=tuple(map(float, _pair(factor))), **mode))
    H, W = output_size or out.shape[1:3]
    return (out[:, :H, :W],)


def upsample_nearest2d(x, *, factor=2, output_size=None):
    return _upsampled(x, factor, output_size, mode="nearest")


def upsample_bilinear2d(x, *, factor=2, output_size=None):
    return _upsampled(x, factor, output_size, mode="bilinear", align_corners=False)


def softmax_cross_entropy(
    logits, labels, *, class_weights=None, ignore_label=None, normalizer="count", label_smoothing=0.0
):
    ignore = -100 if ignore_label is None else int(ignore_label)
    settings = {"reduction": "mean" if normalizer == "weights" else "sum", "label_smoothing": label_smoothing}
    loss = F.cross_entropy(_planes(logits), labels.long(), class_weights, ignore_index=ignore, **settings)
    return (loss if normalizer == "weights" else loss / (labels != ignore).sum(),)


def sigmoid_cross_entropy(logits, labels, *, class_weights=None, ignore_label=None, normalizer="count"):
    labelled = labels != (-100 if ignore_label is None else int(ignore_label))
    z, y = logits[..., 0][labelled], labels[labelled].long()
    weights = torch.ones(2, dtype=z.dtype) if class_weights is None else class_weights
    loss = F.binary_cross_entropy_with_logits(z, y.to(z.dtype), weights[y], reduction="sum")
    return (loss / (weights[y].sum() if normalizer == "weights" else labelled.sum()),)


def focal_loss(logits, labels, *, gamma=2.0, class_weights=None, ignore_label=None):
    ignore = -100 if ignore_label is None else int(ignore_label)
    losses = F.cross_entropy(_planes(logits), labels.long(), class_weights, ignore_index=ignore, reduction="none")
    others = torch.softmax(logits, -1) * (labels.long()[..., None] != torch.arange(logits.shape[-1]))
    return ((others.sum(-1) ** gamma * losses).sum() / (labels != ignore).sum(),)


def dice_loss(logits, labels, *, ignore_label=None):
    labelled = labels != (-100 if ignore_label is None else int(ignore_label))
    probs, truth = torch.softmax(logits, -1)[labelled], F.one_hot(labels[labelled].long(), logits.shape[-1])
    dice = 2 * (probs * truth).sum(0) / (probs.sum(0) + truth.sum(0))
    return (1 - dice[truth.sum(0) > 0].mean(),)


def results_and_gradients(
    op: str, arrays: list[Any], kwargs: dict[str, Any], dout: Callable
) -> tuple[list, list, np.ndarray]:
    """Run `op` in PyTorch and return results, the gradient or None for each argument, and dout.

    dout: a function of the shape of the first result.
    """
    tensors = [torch.tensor(a) if a is not None else None for a in arrays]
    for t in tensors:
        if t is not None and t.is_floating_point():
            t.requires_grad_(True)
    settings = {name: torch.tensor(v) if isinstance(v, np.ndarray) else v for name, v in kwargs.items()}
    results = globals()[op](*tensors, **settings)
    cotangent = dout(tuple(results[0].shape))
    results[0].backward(torch.as_tensor(cotangent, dtype=results[0].dtype))
    gradients = [t.grad.numpy() if t is not None and t.is_floating_point() else None for t in tensors]
    return [r.detach().numpy() for r in results], gradients, cotangent
