"""The same workloads in PyTorch: eager, in both of its memory formats, and compiled where that works.

The code is written as PyTorch users write it: NCHW tensors, autograd, torch.nn modules. This module is imported only in
the process that measures PyTorch.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..layers import BatchNorm2d, Conv2d, LocalResponseNorm, MaxPool2d, MaxUnpool2d, Normalize, ReLU
from ..models import build
from .workloads import CLASSES, Workload, inputs

FORMATS = {"NCHW": torch.contiguous_format, "NHWC": torch.channels_last}
COMPILED = " compiled"  # the suffix of variants that use torch.compile

Run = Callable[[], dict[str, torch.Tensor]]
Compile = Callable[[Callable], Callable]


def prepare(workload: Workload, variant: str = "NCHW", dtype: str = "float32") -> Run:
    """Create inputs and network; return a function that does one run and returns its results by name.

    The variant is a name in FORMATS, optionally followed by COMPILED.
    """
    torch.compiler.reset()  # for a new shape, PyTorch would otherwise compile code for any shape, which is slower
    compile = partial(torch.compile, dynamic=False) if variant.endswith(COMPILED) else lambda function: function
    memory_format = FORMATS[variant.removesuffix(COMPILED)]
    tensors = {name: _tensor(name, array, memory_format) for name, array in inputs(workload, dtype).items()}
    if workload.kind in OPS:
        return _op(workload, compile, tensors)
    network = _TorchNetwork(workload.model).to(getattr(torch, dtype)).to(memory_format=memory_format)
    return _train(network, compile, **tensors) if workload.kind == "train" else _infer(network, compile, **tensors)


def outputs(workload: Workload, dtype: str = "float32") -> dict[str, np.ndarray]:
    """Return the results of a run by name (of two runs for training), in our layouts NHWC and (K, K, C, F)."""
    run = prepare(workload, dtype=dtype)
    found = {name: _to_numpy(name, tensor) for name, tensor in run().items()}
    return found | ({"next loss": _to_numpy("loss", run()["loss"])} if workload.kind == "train" else {})


def _to_numpy(name: str, tensor: torch.Tensor) -> np.ndarray:
    array = tensor.detach().numpy()
    if name == "dweight":
        return array.transpose(2, 3, 1, 0)
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def _tensor(name: str, array: np.ndarray, memory_format: torch.memory_format) -> torch.Tensor:
    """Convert an array (N, H, W, C), a weight (K, K, C, F), labels (N, H, W) or one value per channel."""
    tensor = torch.from_numpy(array)
    if array.ndim < 4:
        return tensor.long() if name == "labels" else tensor
    return tensor.permute((3, 2, 0, 1) if name == "weight" else (0, 3, 1, 2)).contiguous(memory_format=memory_format)


def _op(workload: Workload, compile: Compile, tensors: dict[str, torch.Tensor]) -> Run:
    """Return a function that runs one op and its backward pass."""
    dout = tensors.pop("dout", None)
    wanted = {f"d{name}": tensor.requires_grad_() for name, tensor in tensors.items()
              if workload.backward and name != "labels" and (name != "x" or workload.input_gradient)}  # fmt: skip
    forward, result = compile(OPS[workload.kind]), "loss" if workload.kind == "loss" else "out"

    def run() -> dict[str, torch.Tensor]:
        out = forward(*tensors.values())
        gradients = torch.autograd.grad(out, list(wanted.values()), dout) if wanted else ()
        return {result: out, **dict(zip(wanted, gradients, strict=True))}

    return run


def _conv(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return F.conv2d(x, weight, bias, padding=weight.shape[2] // 2)


def _batchnorm_relu(x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
    return torch.relu_(F.batch_norm(x, None, None, gamma, beta, training=True))


def _pool_unpool(x: torch.Tensor) -> torch.Tensor:
    pooled, indices = F.max_pool2d(x, 2, 2, ceil_mode=True, return_indices=True)
    return F.max_unpool2d(pooled, indices, 2, 2, output_size=x.shape[2:])


def _loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits, labels)


OPS: dict[str, Callable] = {"conv": _conv, "batchnorm_relu": _batchnorm_relu, "pool_unpool": _pool_unpool,
                            "loss": _loss}  # fmt: skip


class _Normalize(nn.Module):
    def __init__(self, mean: float, scale: float) -> None:
        super().__init__()
        self.mean, self.scale = mean, scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - self.mean) / self.scale


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
    MaxPool2d: lambda layer: nn.MaxPool2d(2, ceil_mode=True, return_indices=True),
    MaxUnpool2d: lambda layer: nn.MaxUnpool2d(2),
    Normalize: lambda layer: _Normalize(float(layer.mean), float(layer.scale)),
    LocalResponseNorm: lambda layer: nn.LocalResponseNorm(**layer.settings),
}


class _TorchNetwork(nn.Module):
    """A tinysegnet network built from torch.nn modules, with the same weights."""

    def __init__(self, name: str) -> None:
        super().__init__()
        layers = build(name, CLASSES).layers.values()
        self.modules_in_order = nn.ModuleList(MODULES[type(layer)](layer) for layer in layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled: list[Any] = []
        for module in self.modules_in_order:
            if isinstance(module, nn.MaxPool2d):
                size = x.shape[2:]
                x, indices = module(x)
                pooled.append((indices, size))
            elif isinstance(module, nn.MaxUnpool2d):
                x = module(x, *pooled.pop())  # the first unpooling mirrors the last pooling
            else:
                x = module(x)
        return x


def _train(network: _TorchNetwork, compile: Compile, pictures: torch.Tensor, labels: torch.Tensor) -> Run:
    optimizer = torch.optim.SGD(network.train().parameters(), lr=0.01, momentum=0.9)

    @compile
    def forward(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = network(x)
        return logits, F.cross_entropy(logits, labels)

    def run() -> dict[str, torch.Tensor]:
        optimizer.zero_grad(set_to_none=True)
        logits, loss = forward(pictures)
        loss.backward()
        optimizer.step()
        return {"logits": logits, "loss": loss}

    return run


def _infer(network: _TorchNetwork, compile: Compile, pictures: torch.Tensor, labels: torch.Tensor) -> Run:
    forward = torch.inference_mode()(compile(network.eval()))
    return lambda: {"logits": forward(pictures)}
