"""The same works with PyTorch: eager, in both of its memory formats, and compiled where that works.

Written for this comparison as its users write it: NCHW tensors, autograd, torch.nn modules. Imported only in the
process that measures PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..layers import BatchNorm2d, Conv2d, LocalResponseNorm, MaxPool2d, MaxUnpool2d, Normalize, ReLU
from ..models import build
from .ours import CLASSES, draw, picture_and_labels
from .workloads import Work

__all__ = ["COMPILED", "FORMATS", "outputs", "prepare"]

FORMATS = {"NCHW": torch.contiguous_format, "NHWC": torch.channels_last}
COMPILED = " compiled"  # behind the format: through torch.compile


def prepare(work: Work, variant: str = "NCHW", dtype: str = "float32") -> Callable[[], Any]:
    """-> a function that does the work once. variant: a memory format, or one with COMPILED behind it."""
    torch.compiler.reset()  # or the shapes of the works before make it compile for any shape, which is slower
    compiled = partial(torch.compile, dynamic=False) if variant.endswith(COMPILED) else _as_it_is
    make = {"conv": _conv, "batchnorm_relu": _batchnorm_relu, "pool_unpool": _pool_unpool, "loss": _loss,
            "train": _train, "infer": _infer}[work.kind]  # fmt: skip
    return make(work, FORMATS[variant.removesuffix(COMPILED)], getattr(torch, dtype), compiled)


def outputs(work: Work, dtype: str = "float32") -> dict[str, np.ndarray]:
    """Do the work, a training twice; -> its results by name, NHWC and (K, K, C, F) as ours."""
    run = prepare(work, dtype=dtype)
    found = {name: _to_numpy(name, tensor) for name, tensor in run().items() if tensor is not None}
    return found | ({"next loss": _to_numpy("loss", run()["loss"])} if work.kind == "train" else {})


def _as_it_is(function: Any) -> Any:
    return function


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


def _conv(work: Work, memory_format: Any, dtype: Any, compiled: Any) -> Callable[[], Any]:
    C, features, K = work.shape[3], work.features, work.kernel
    grad = work.backward
    x = _tensor(draw(work.shape, 1), memory_format, dtype, grad=grad and work.input_gradient)
    weight = torch.from_numpy(draw((K, K, C, features), 2, (K * K * C) ** -0.5).transpose(3, 2, 0, 1).copy())
    weight = weight.to(dtype).contiguous(memory_format=memory_format).requires_grad_(grad)
    bias = _tensor(draw((features,), 3), memory_format, dtype, grad=grad)
    dout = _tensor(draw((*work.shape[:3], features), 4), memory_format, dtype)
    forward = compiled(lambda x, weight, bias: F.conv2d(x, weight, bias, padding=K // 2))

    def run() -> dict[str, Any]:
        out = forward(x, weight, bias)
        if not grad:
            return {"out": out}
        wanted = [tensor for tensor in (x, weight, bias) if tensor.requires_grad]
        gradients = list(torch.autograd.grad(out, wanted, dout))
        dx = gradients.pop(0) if work.input_gradient else None
        return {"out": out, "dx": dx, "dweight": gradients[0], "dbias": gradients[1]}

    return run


def _batchnorm_relu(work: Work, memory_format: Any, dtype: Any, compiled: Any) -> Callable[[], Any]:
    C = work.shape[3]
    x = _tensor(draw(work.shape, 1), memory_format, dtype, grad=True)
    gamma = _tensor(1 + draw((C,), 2, 0.1), memory_format, dtype, grad=True)
    beta = _tensor(draw((C,), 3, 0.1), memory_format, dtype, grad=True)
    dout = _tensor(draw(work.shape, 4), memory_format, dtype)
    forward = compiled(lambda x, gamma, beta: torch.relu_(F.batch_norm(x, None, None, gamma, beta, training=True)))

    def run() -> dict[str, Any]:
        out = forward(x, gamma, beta)
        dx, dgamma, dbeta = torch.autograd.grad(out, [x, gamma, beta], dout)
        return {"out": out, "dx": dx, "dgamma": dgamma, "dbeta": dbeta}

    return run


def _pool_unpool(work: Work, memory_format: Any, dtype: Any, compiled: Any) -> Callable[[], Any]:
    x = _tensor(draw(work.shape, 1), memory_format, dtype, grad=True)
    dout = _tensor(draw(work.shape, 4), memory_format, dtype)

    def pool_and_unpool(x: torch.Tensor) -> torch.Tensor:
        pooled, indices = F.max_pool2d(x, 2, 2, ceil_mode=True, return_indices=True)
        return F.max_unpool2d(pooled, indices, 2, 2, output_size=x.shape[2:])

    forward = compiled(pool_and_unpool)

    def run() -> dict[str, Any]:
        out = forward(x)
        return {"out": out, "dx": torch.autograd.grad(out, x, dout)[0]}

    return run


def _loss(work: Work, memory_format: Any, dtype: Any, compiled: Any) -> Callable[[], Any]:
    logits = _tensor(draw(work.shape, 1), memory_format, dtype, grad=True)
    labels = torch.from_numpy(picture_and_labels(work.shape)[1]).long()
    forward = compiled(lambda logits: F.cross_entropy(logits, labels))

    def run() -> dict[str, Any]:
        loss = forward(logits)
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
            elif isinstance(layer, LocalResponseNorm):
                x = F.local_response_norm(x, **layer.settings)
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


def _logits_and_loss(network: nn.Module, x: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    logits = network(x)
    return logits, F.cross_entropy(logits, target)


def _train(work: Work, memory_format: Any, dtype: Any, compiled: Any) -> Callable[[], Any]:
    network = _Network(work.model, dtype).to(memory_format=memory_format).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    pictures, labels = picture_and_labels(work.shape)
    x, target = _tensor(pictures, memory_format, dtype), torch.from_numpy(labels).long()
    forward = compiled(lambda x: _logits_and_loss(network, x, target))

    def run() -> dict[str, Any]:
        optimizer.zero_grad(set_to_none=True)
        logits, loss = forward(x)
        loss.backward()
        optimizer.step()
        return {"logits": logits, "loss": loss}

    return run


def _infer(work: Work, memory_format: Any, dtype: Any, compiled: Any) -> Callable[[], Any]:
    network = _Network(work.model, dtype).to(memory_format=memory_format).eval()
    x = _tensor(picture_and_labels(work.shape)[0], memory_format, dtype)
    forward = compiled(network)

    def run() -> dict[str, Any]:
        with torch.inference_mode():
            return {"logits": forward(x)}

    return run
