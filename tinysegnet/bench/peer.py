"""The same workloads with PyTorch: eager, in both of its memory formats, and compiled where that works.

Written as PyTorch's users write it: NCHW tensors, autograd, torch.nn modules. Imported only in the process that
measures PyTorch.
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
from .workloads import Workload

__all__ = ["COMPILED", "FORMATS", "outputs", "prepare"]

FORMATS = {"NCHW": torch.contiguous_format, "NHWC": torch.channels_last}
COMPILED = " compiled"  # appended to the format: through torch.compile


def prepare(workload: Workload, variant: str = "NCHW", dtype: str = "float32") -> Callable[[], Any]:
    """Make inputs and network; returns a function that does one run and returns its results by name.

    Args:
        workload: what to compute.
        variant: a name in FORMATS, perhaps followed by COMPILED.
        dtype: "float32", or "float64" for the reference.
    """
    torch.compiler.reset()  # otherwise earlier shapes make it compile for any shape, which is slower
    compiled = partial(torch.compile, dynamic=False) if variant.endswith(COMPILED) else _eager
    make = {"conv": _conv, "batchnorm_relu": _batchnorm_relu, "pool_unpool": _pool_unpool, "loss": _loss,
            "train": _train, "infer": _infer}[workload.kind]  # fmt: skip
    return make(workload, FORMATS[variant.removesuffix(COMPILED)], getattr(torch, dtype), compiled)


def outputs(workload: Workload, dtype: str = "float32") -> dict[str, np.ndarray]:
    """The results of a run by name, of two runs for a training; NHWC and (K, K, C, F) as ours."""
    run = prepare(workload, dtype=dtype)
    found = {name: _to_numpy(name, tensor) for name, tensor in run().items() if tensor is not None}
    return found | ({"next loss": _to_numpy("loss", run()["loss"])} if workload.kind == "train" else {})


def _eager(function: Any) -> Any:
    return function


def _to_numpy(name: str, tensor: torch.Tensor) -> np.ndarray:
    array = tensor.detach().numpy()
    if name == "dweight":
        return array.transpose(2, 3, 1, 0)
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def _tensor(array: np.ndarray, memory_format: Any, dtype: Any, *, grad: bool = False) -> torch.Tensor:
    """From an array (N, H, W, C) or (C,)."""
    tensor = torch.from_numpy(array).to(dtype)
    if array.ndim == 4:
        tensor = tensor.permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
    return tensor.requires_grad_(grad)


def _op(
    function: Callable[..., torch.Tensor],
    arguments: dict[str, torch.Tensor],
    dout: torch.Tensor | None,
    compiled: Any,
    result: str = "out",
) -> Callable[[], Any]:
    """A run of one function, and of its backward if an argument requires a gradient."""
    forward = compiled(function)
    wanted = {f"d{name}": tensor for name, tensor in arguments.items() if tensor.requires_grad}

    def run() -> dict[str, Any]:
        out = forward(*arguments.values())
        gradients = torch.autograd.grad(out, list(wanted.values()), dout) if wanted else ()
        return {result: out, **dict(zip(wanted, gradients, strict=True))}

    return run


def _conv(workload: Workload, memory_format: Any, dtype: Any, compiled: Any) -> Callable[[], Any]:
    C, features, K = workload.shape[3], workload.features, workload.kernel
    grad = workload.backward
    x = _tensor(draw(workload.shape, 1), memory_format, dtype, grad=grad and workload.input_gradient)
    weight = torch.from_numpy(draw((K, K, C, features), 2, (K * K * C) ** -0.5).transpose(3, 2, 0, 1).copy())
    weight = weight.to(dtype).contiguous(memory_format=memory_format).requires_grad_(grad)
    bias = _tensor(draw((features,), 3), memory_format, dtype, grad=grad)
    dout = _tensor(draw((*workload.shape[:3], features), 4), memory_format, dtype)
    arguments = {"x": x, "weight": weight, "bias": bias}
    return _op(lambda x, weight, bias: F.conv2d(x, weight, bias, padding=K // 2), arguments, dout, compiled)


def _batchnorm_relu(workload: Workload, memory_format: Any, dtype: Any, compiled: Any) -> Callable[[], Any]:
    C = workload.shape[3]
    arguments = {
        name: _tensor(array, memory_format, dtype, grad=True)
        for name, array in (
            ("x", draw(workload.shape, 1)),
            ("gamma", 1 + draw((C,), 2, 0.1)),
            ("beta", draw((C,), 3, 0.1)),
        )
    }
    dout = _tensor(draw(workload.shape, 4), memory_format, dtype)

    def function(x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
        return torch.relu_(F.batch_norm(x, None, None, gamma, beta, training=True))

    return _op(function, arguments, dout, compiled)


def _pool_unpool(workload: Workload, memory_format: Any, dtype: Any, compiled: Any) -> Callable[[], Any]:
    x = _tensor(draw(workload.shape, 1), memory_format, dtype, grad=True)
    dout = _tensor(draw(workload.shape, 4), memory_format, dtype)

    def function(x: torch.Tensor) -> torch.Tensor:
        pooled, indices = F.max_pool2d(x, 2, 2, ceil_mode=True, return_indices=True)
        return F.max_unpool2d(pooled, indices, 2, 2, output_size=x.shape[2:])

    return _op(function, {"x": x}, dout, compiled)


def _loss(workload: Workload, memory_format: Any, dtype: Any, compiled: Any) -> Callable[[], Any]:
    logits = _tensor(draw(workload.shape, 1), memory_format, dtype, grad=True)
    labels = torch.from_numpy(picture_and_labels(workload.shape)[1]).long()
    return _op(lambda logits: F.cross_entropy(logits, labels), {"logits": logits}, None, compiled, "loss")


class _Normalize(nn.Module):
    def __init__(self, mean: float, scale: float) -> None:
        super().__init__()
        self.mean, self.scale = mean, scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - self.mean) / self.scale


class _Pool(nn.Module):
    def forward(self, x: torch.Tensor, pooled: list[Any]) -> torch.Tensor:
        size = x.shape[2:]
        x, indices = F.max_pool2d(x, 2, 2, ceil_mode=True, return_indices=True)
        pooled.append((indices, size))
        return x


class _Unpool(nn.Module):
    def forward(self, x: torch.Tensor, pooled: list[Any]) -> torch.Tensor:
        indices, size = pooled.pop()  # the first unpooling mirrors the last pooling
        return F.max_unpool2d(x, indices, 2, 2, output_size=size)


def _conv_module(layer: Conv2d) -> nn.Module:
    K, _, C, features = layer.params["weight"].shape
    conv = nn.Conv2d(C, features, K, padding=K // 2, bias="bias" in layer.params)
    conv.weight.data = torch.from_numpy(layer.params["weight"].transpose(3, 2, 0, 1).copy())
    if conv.bias is not None:
        conv.bias.data = torch.from_numpy(layer.params["bias"])
    return conv


# The torch.nn module of each layer of the measured networks.
MODULES: dict[type, Callable[[Any], nn.Module]] = {
    Conv2d: _conv_module,
    BatchNorm2d: lambda layer: nn.BatchNorm2d(len(layer.params["gamma"])),
    ReLU: lambda layer: nn.ReLU(inplace=True),
    MaxPool2d: lambda layer: _Pool(),
    MaxUnpool2d: lambda layer: _Unpool(),
    Normalize: lambda layer: _Normalize(float(layer.mean), float(layer.scale)),
    LocalResponseNorm: lambda layer: nn.LocalResponseNorm(**layer.settings),
}


class _TorchNetwork(nn.Module):
    """A network of ours in torch.nn's modules, with the same weights."""

    def __init__(self, name: str, dtype: Any) -> None:
        super().__init__()
        layers = build(name, CLASSES).layers.values()
        self.modules_in_order = nn.ModuleList(MODULES[type(layer)](layer) for layer in layers)
        self.to(dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled: list[Any] = []
        for module in self.modules_in_order:
            x = module(x, pooled) if isinstance(module, _Pool | _Unpool) else module(x)
        return x


def _train(workload: Workload, memory_format: Any, dtype: Any, compiled: Any) -> Callable[[], Any]:
    network = _TorchNetwork(workload.model, dtype).to(memory_format=memory_format).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    pictures, labels = picture_and_labels(workload.shape)
    x, target = _tensor(pictures, memory_format, dtype), torch.from_numpy(labels).long()

    def logits_and_loss(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = network(x)
        return logits, F.cross_entropy(logits, target)

    forward = compiled(logits_and_loss)

    def run() -> dict[str, Any]:
        optimizer.zero_grad(set_to_none=True)
        logits, loss = forward(x)
        loss.backward()
        optimizer.step()
        return {"logits": logits, "loss": loss}

    return run


def _infer(workload: Workload, memory_format: Any, dtype: Any, compiled: Any) -> Callable[[], Any]:
    network = _TorchNetwork(workload.model, dtype).to(memory_format=memory_format).eval()
    x = _tensor(picture_and_labels(workload.shape)[0], memory_format, dtype)
    forward = compiled(network)

    def run() -> dict[str, Any]:
        with torch.inference_mode():
            return {"logits": forward(x)}

    return run
