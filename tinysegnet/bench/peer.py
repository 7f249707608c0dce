"""The same works with PyTorch: eager, in both of its memory formats, and compiled where that works.

Written for this comparison as its users write it: NCHW tensors, autograd, torch.nn modules. Imported only in the
process that measures PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..layers import BatchNorm2d, Conv2d, MaxPool2d, MaxUnpool2d, Normalize, ReLU
from ..models import build
from .ours import CLASSES, draw, picture_and_labels
from .works import Work

__all__ = ["FORMATS", "outputs", "prepare"]

FORMATS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}


def prepare(work: Work, memory_format: str, dtype: torch.dtype = torch.float32) -> Callable[[], Any]:
    """-> a function that does the work once, with tensors in that memory format."""
    make = {"conv": _conv, "batchnorm_relu": _batchnorm_relu, "pool_unpool": _pool_unpool, "loss": _loss,
            "train": _train, "infer": _infer}[work.kind]  # fmt: skip
    return make(work, FORMATS[memory_format], dtype)


def outputs(work: Work, dtype: str) -> dict[str, np.ndarray]:
    """Do the work once; -> its results by name, NHWC and (K, K, C, F) as ours."""
    results = prepare(work, "contiguous", getattr(torch, dtype))()
    return {name: _to_numpy(name, tensor) for name, tensor in results.items() if tensor is not None}


def _to_numpy(name: str, tensor: torch.Tensor) -> np.ndarray:
    array = tensor.detach().numpy()
    if name == "dweight":
        return array.transpose(2, 3, 1, 0)
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def _tensor(array: np.ndarray, memory_format: Any, dtype: Any, *, grad: bool = False) -> torch.Tensor:
    """From (N, H, W, C), or (C,)."""
    tensor = torch.from_numpy(array).to(dtype)
    if array.ndim == 4:
        tensor = tensor.permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
    return tensor.requires_grad_(grad)


def _conv(work: Work, memory_format: Any, dtype: Any) -> Callable[[], Any]:
    C, features, K = work.shape[3], work.features, work.kernel
    grad = work.backward
    x = _tensor(draw(work.shape, 1), memory_format, dtype, grad=grad and work.input_gradient)
    weight = torch.from_numpy(draw((K, K, C, features), 2, (K * K * C) ** -0.5).transpose(3, 2, 0, 1).copy())
    weight = weight.to(dtype).contiguous(memory_format=memory_format).requires_grad_(grad)
    bias = _tensor(draw((features,), 3), memory_format, dtype, grad=grad)
    dout = _tensor(draw((*work.shape[:3], features), 4), memory_format, dtype)

    def run() -> dict[str, Any]:
        out = F.conv2d(x, weight, bias, padding=K // 2)
        if not grad:
            return {"out": out}
        wanted = [tensor for tensor in (x, weight, bias) if tensor.requires_grad]
        gradients = list(torch.autograd.grad(out, wanted, dout))
        dx = gradients.pop(0) if work.input_gradient else None
        return {"out": out, "dx": dx, "dweight": gradients[0], "dbias": gradients[1]}

    return run


def _batchnorm_relu(work: Work, memory_format: Any, dtype: Any) -> Callable[[], Any]:
    C = work.shape[3]
    x = _tensor(draw(work.shape, 1), memory_format, dtype, grad=True)
    gamma = _tensor(1 + draw((C,), 2, 0.1), memory_format, dtype, grad=True)
    beta = _tensor(draw((C,), 3, 0.1), memory_format, dtype, grad=True)
    dout = _tensor(draw(work.shape, 4), memory_format, dtype)

    def run() -> dict[str, Any]:
        out = torch.relu_(F.batch_norm(x, None, None, gamma, beta, training=True))
        dx, dgamma, dbeta = torch.autograd.grad(out, [x, gamma, beta], dout)
        return {"out": out, "dx": dx, "dgamma": dgamma, "dbeta": dbeta}

    return run


def _pool_unpool(work: Work, memory_format: Any, dtype: Any) -> Callable[[], Any]:
    x = _tensor(draw(work.shape, 1), memory_format, dtype, grad=True)
    dout = _tensor(draw(work.shape, 4), memory_format, dtype)

    def run() -> dict[str, Any]:
        pooled, indices = F.max_pool2d(x, 2, 2, ceil_mode=True, return_indices=True)
        out = F.max_unpool2d(pooled, indices, 2, 2, output_size=x.shape[2:])
        return {"out": out, "dx": torch.autograd.grad(out, x, dout)[0]}

    return run


def _loss(work: Work, memory_format: Any, dtype: Any) -> Callable[[], Any]:
    logits = _tensor(draw(work.shape, 1), memory_format, dtype, grad=True)
    labels = torch.from_numpy(picture_and_labels(work.shape)[1]).long()

    def run() -> dict[str, Any]:
        loss = F.cross_entropy(logits, labels)
        return {"loss": loss, "dlogits": torch.autograd.grad(loss, logits)[0]}

    return run


class _Network(nn.Module):
    """A network of ours, layer by layer in torch.nn's, with the same weights."""

    def __init__(self, name: str, dtype: Any) -> None:
        super().__init__()
        self.steps = []
        for layer in build(name, CLASSES).layers.values():
            self.steps.append((layer, _module(layer)))
        self.modules_in_order = nn.ModuleList(module for _, module in self.steps if module is not None)
        self.to(dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled: dict[Any, Any] = {}
        for layer, module in self.steps:
            if isinstance(layer, Normalize):
                x = (x - float(layer.mean)) / float(layer.scale)
            elif isinstance(layer, ReLU):
                x = torch.relu_(x)
            elif isinstance(layer, MaxPool2d):
                size = x.shape[2:]
                x, indices = F.max_pool2d(x, 2, 2, ceil_mode=True, return_indices=True)
                pooled[layer] = indices, size
            elif isinstance(layer, MaxUnpool2d):
                indices, size = pooled.pop(layer.pool)
                x = F.max_unpool2d(x, indices, 2, 2, output_size=size)
            else:
                assert module is not None
                x = module(x)
        return x


def _module(layer: Any) -> nn.Module | None:
    if isinstance(layer, Conv2d):
        K, _, C, features = layer.params["weight"].shape
        conv = nn.Conv2d(C, features, K, padding=K // 2, bias="bias" in layer.params)
        conv.weight.data = torch.from_numpy(layer.params["weight"].transpose(3, 2, 0, 1).copy())
        if conv.bias is not None:
            conv.bias.data = torch.from_numpy(layer.params["bias"])
        return conv
    if isinstance(layer, BatchNorm2d):
        return nn.BatchNorm2d(len(layer.params["gamma"]))
    return None


def _train(work: Work, memory_format: Any, dtype: Any) -> Callable[[], Any]:
    network = _Network(work.model, dtype).to(memory_format=memory_format).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    pictures, labels = picture_and_labels(work.shape)
    x, target = _tensor(pictures, memory_format, dtype), torch.from_numpy(labels).long()

    def run() -> dict[str, Any]:
        optimizer.zero_grad(set_to_none=True)
        logits = network(x)
        loss = F.cross_entropy(logits, target)
        loss.backward()
        optimizer.step()
        return {"logits": logits, "loss": loss}

    return run


def _infer(work: Work, memory_format: Any, dtype: Any) -> Callable[[], Any]:
    network = _Network(work.model, dtype).to(memory_format=memory_format).eval()
    x = _tensor(picture_and_labels(work.shape)[0], memory_format, dtype)

    def run() -> dict[str, Any]:
        with torch.inference_mode():
            return {"logits": network(x)}

    return run
