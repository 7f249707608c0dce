"""PyTorch: NCHW tensors, autograd and torch.nn modules, in both of its memory formats."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ...models import build
from ..workloads import CLASSES, Workload, inputs

FORMATS = {"NCHW": torch.contiguous_format, "NHWC": torch.channels_last}
Run = Callable[[], dict[str, torch.Tensor]]
Compile = Callable[[Callable], Callable]


def prepare(workload: Workload, variant: str, threads: int, dtype: str = "float32") -> Run:
    """Create inputs and network; return a function that does one run and returns its results by name."""
    torch.set_num_threads(threads)
    torch.compiler.reset()  # for a new shape, PyTorch would otherwise compile code for any shape, which is slower
    compile = partial(torch.compile, dynamic=False) if "compiled" in variant else lambda function: function
    memory_format = FORMATS[variant.split()[0]]
    tensors = {name: _tensor(name, array, memory_format) for name, array in inputs(workload, dtype).items()}
    if not workload.model:
        return _op(workload, compile, tensors)
    network = (
        TorchNetwork(build(workload.model, CLASSES).layers).to(getattr(torch, dtype)).to(memory_format=memory_format)
    )
    if workload.kind == "train":
        return _train(network, compile, **tensors)
    network, pictures = network.eval(), tensors["pictures"]
    if "frozen" in variant:
        network = torch.jit.freeze(torch.jit.trace(network, pictures))
    forward = torch.inference_mode()(compile(network))
    return lambda: {"logits": forward(pictures)}


def to_numpy(name: str, result: torch.Tensor) -> np.ndarray:
    """Convert a result to our layouts."""
    array = result.detach().numpy()
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


def _pool_unpool(x: torch.Tensor) -> torch.Tensor:
    pooled, indices = F.max_pool2d(x, 2, 2, ceil_mode=True, return_indices=True)
    return F.max_unpool2d(pooled, indices, 2, 2, output_size=x.shape[2:])


OPS: dict[str, Callable] = {
    "conv": lambda x, weight, bias: F.conv2d(x, weight, bias, padding=weight.shape[2] // 2),
    "batchnorm_relu": lambda x, gamma, beta: torch.relu_(F.batch_norm(x, None, None, gamma, beta, training=True)),
    "pool_unpool": _pool_unpool, "loss": F.cross_entropy,
}  # fmt: skip


class TorchNetwork(nn.Module):
    """A network (N, 3, H, W) -> (N, K, H, W) of layers with the weights, but not the running statistics, of ours."""

    def __init__(self, layers: dict[str, Any]) -> None:
        super().__init__()
        layers = {name.replace(".", "_"): layer for name, layer in layers.items()}
        self.steps = [(layer.op, name, _settings(layer)) for name, layer in layers.items()]
        self.learned = nn.ModuleDict({name: _module(layer) for name, layer in layers.items() if layer.params})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        pooled: list[Any] = []
        for op, name, settings in self.steps:
            match op:
                case "conv2d" | "batchnorm2d":
                    x = self.learned[name](x)
                case "relu":
                    x = torch.relu_(x)
                case "max_pool2d":
                    size = x.shape[2:]
                    x, indices = F.max_pool2d(x, 2, 2, ceil_mode=True, return_indices=True)
                    pooled.append((indices, size))
                case "max_unpool2d":
                    indices, size = pooled.pop()  # the first unpooling mirrors the last pooling
                    x = torch.ops.aten.max_unpool2d(x, indices, size)  # torch.jit.trace cannot trace F.max_unpool2d
                case "local_response_norm":
                    x = F.local_response_norm(x, **settings)
                case _:
                    x = (x - settings["mean"]) / settings["scale"]
        return x


def _settings(layer: Any) -> dict[str, Any]:
    return getattr(layer, "settings", {}) if layer.op else {"mean": float(layer.mean), "scale": float(layer.scale)}


def _module(layer: Any) -> nn.Module:
    if layer.op == "batchnorm2d":
        return nn.BatchNorm2d(len(layer.params["gamma"]))
    K, _, C, features = layer.params["weight"].shape
    conv = nn.Conv2d(C, features, K, padding=K // 2, bias="bias" in layer.params)
    tensors = {name: torch.from_numpy(array.copy()) for name, array in layer.params.items()}
    conv.load_state_dict(tensors | {"weight": tensors["weight"].permute(3, 2, 0, 1)})
    return conv


def _train(network: TorchNetwork, compile: Compile, pictures: torch.Tensor, labels: torch.Tensor) -> Run:
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
