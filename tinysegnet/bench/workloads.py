"""The workloads: single ops at SegNet's sizes, and whole networks, with their input arrays."""

from dataclasses import dataclass

import numpy as np

CLASSES = 11  #: The number of classes of all networks and of the loss.


@dataclass(frozen=True)
class Workload:
    """A computation to be timed."""

    name: str
    kind: str  # "conv", "batchnorm_relu", "pool_unpool", "loss", "train" or "infer"
    shape: tuple[int, int, int, int]  # of the input, (N, H, W, C)
    features: int = 0  # output channels of a convolution
    kernel: int = 3  # height and width of a convolution's kernel
    backward: bool = True  # forward and all gradients, or only forward
    input_gradient: bool = True  # also dx, which the first layer of a network does not need
    model: str = ""  # the network's name, for "train" and "infer"
    least: float | None = None  # the smallest acceptable ratio of the fastest peer's time to ours
    aim: float | None = None  # the desired ratio


def _network(name: str, least: float | None = None, aim: float | None = None) -> Workload:
    kind, model, size = name.split()
    N, H, W = map(int, size.split("x"))
    return Workload(name, kind, (N, H, W, 3), backward=kind == "train", model=model, least=least, aim=aim)


_WIDE = [(64, (1, 360, 480, 64)), (128, (1, 180, 240, 128)), (256, (1, 90, 120, 256)), (512, (1, 45, 60, 512))]

#: All workloads of `tinysegnet bench`.
WORKLOADS: tuple[Workload, ...] = (
    *(Workload(f"conv3x3 {C} forward", "conv", shape, C, backward=False, least=1.5, aim=2.5) for C, shape in _WIDE),
    *(Workload(f"conv3x3 {C}", "conv", shape, C, least=1.2, aim=2.2) for C, shape in _WIDE),
    Workload("conv3x3 16", "conv", (4, 180, 240, 16), 16, least=1.5, aim=2.0),
    Workload("conv3x3 32", "conv", (8, 96, 128, 32), 32, least=2.0, aim=2.5),
    Workload("first layer 3->64", "conv", (1, 360, 480, 3), 64, input_gradient=False, least=1.5, aim=2.5),
    Workload("classifier 64->11", "conv", (1, 360, 480, 64), 11, least=2.5, aim=3.5),
    Workload("conv7x7 64", "conv", (1, 180, 240, 64), 64, kernel=7, least=1.0, aim=1.8),
    Workload("batch norm + ReLU", "batchnorm_relu", (8, 96, 128, 32), least=1.5, aim=2.5),
    Workload("max-pool + unpool", "pool_unpool", (8, 96, 128, 32), least=4.0, aim=8.0),
    Workload("softmax cross-entropy", "loss", (1, 360, 480, 11), least=1.5, aim=3.0),
    _network("train tiny 8x96x128", 2.3, 3.0),
    _network("train tiny 4x120x160", 2.3, 3.0),
    _network("train basic 1x360x480", 2.5, 3.0),
    _network("train vgg16 1x360x480", 2.5, 3.5),
    _network("infer tiny 8x96x128", 1.5, 2.0),
    _network("infer tiny 1x96x128"),
    _network("infer tiny 1x360x480", 2.0, 2.5),
    _network("infer basic 1x360x480", 2.2, 2.5),
    _network("infer vgg16 1x360x480", 2.0, 2.5),
)


def find_workloads(words: tuple[str, ...]) -> list[Workload]:
    """Return the workloads whose name contains one of the words; without words, return all workloads."""
    return [workload for workload in WORKLOADS if not words or any(word in workload.name for word in words)]


def inputs(workload: Workload, dtype: str) -> dict[str, np.ndarray]:
    """Return the arrays of a run by name. Seeds are fixed, so that every worker computes with the same values.

    Labels are uint8; pictures have values in 0..255, and all other arrays are normally distributed.
    """
    shape, C, F, K = workload.shape, workload.shape[3], workload.features, workload.kernel
    if workload.kind == "conv":
        arrays = {"x": _draw(shape, 1), "weight": _draw((K, K, C, F), 2, (K * K * C) ** -0.5), "bias": _draw((F,), 3),
                  "dout": _draw((*shape[:3], F), 4)}  # fmt: skip
    elif workload.kind == "batchnorm_relu":
        arrays = {"x": _draw(shape, 1), "gamma": 1 + _draw((C,), 2, 0.1), "beta": _draw((C,), 3, 0.1),
                  "dout": _draw(shape, 4)}  # fmt: skip
    elif workload.kind == "pool_unpool":
        arrays = {"x": _draw(shape, 1), "dout": _draw(shape, 4)}
    else:
        rng = np.random.default_rng(7)
        pictures = rng.integers(0, 256, shape)
        arrays = {"logits": _draw(shape, 1)} if workload.kind == "loss" else {"pictures": pictures}
        arrays["labels"] = rng.integers(0, CLASSES, shape[:3])
    return {name: array.astype(np.uint8 if name == "labels" else dtype) for name, array in arrays.items()}


def _draw(shape: tuple[int, ...], seed: int, scale: float = 1.0) -> np.ndarray:
    """Draw normally distributed float32 values with this standard deviation."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32) * np.float32(scale)
