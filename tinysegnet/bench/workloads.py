"""What is measured: single ops at the sizes that SegNet has, and whole networks. Descriptions only."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WORKLOADS", "Workload", "find_workloads"]


@dataclass(frozen=True)
class Workload:
    """One computation to be timed.

    Args:
        name: as printed in the table.
        kind: "conv", "batchnorm_relu", "pool_unpool", "loss", "train" or "infer".
        shape: of the input, (N, H, W, C).
        features: output channels of a convolution.
        kernel: height and width of a convolution's kernel.
        backward: compute the forward and all gradients, or the forward only.
        input_gradient: compute dx as well, which the first layer of a network does not need.
        model: the network's name, for "train" and "infer".
        least: the smallest acceptable ratio of PyTorch's time to ours.
        aim: the ratio hoped for.
    """

    name: str
    kind: str
    shape: tuple[int, int, int, int]
    features: int = 0
    kernel: int = 3
    backward: bool = True
    input_gradient: bool = True
    model: str = ""
    least: float | None = None
    aim: float | None = None


def _conv(
    name: str, shape: tuple[int, int, int, int], features: int, least: float, aim: float, **more: object
) -> Workload:
    return Workload(name, "conv", shape, features, least=least, aim=aim, **more)  # type: ignore[arg-type]


_WIDE = [(64, (1, 360, 480, 64)), (128, (1, 180, 240, 128)), (256, (1, 90, 120, 256)), (512, (1, 45, 60, 512))]

WORKLOADS: tuple[Workload, ...] = (
    *(_conv(f"conv3x3 {C} forward", shape, C, 1.5, 2.5, backward=False) for C, shape in _WIDE),
    *(_conv(f"conv3x3 {C}", shape, C, 1.2, 2.2) for C, shape in _WIDE),
    _conv("conv3x3 16", (4, 180, 240, 16), 16, 0.9, 1.3),
    _conv("conv3x3 32", (8, 96, 128, 32), 32, 0.9, 1.3),
    _conv("first layer 3->64", (1, 360, 480, 3), 64, 0.9, 1.3, input_gradient=False),
    _conv("classifier 64->11", (1, 360, 480, 64), 11, 0.9, 1.3),
    _conv("conv7x7 64", (1, 180, 240, 64), 64, 1.0, 1.8, kernel=7),
    Workload("batch norm + ReLU", "batchnorm_relu", (8, 96, 128, 32), least=1.1, aim=1.6),
    Workload("max-pool + unpool", "pool_unpool", (8, 96, 128, 32), least=3, aim=8),
    Workload("softmax cross-entropy", "loss", (1, 360, 480, 11)),
    Workload("train tiny", "train", (8, 96, 128, 3), model="tiny", least=1.2, aim=2.0),
    Workload("train basic", "train", (1, 360, 480, 3), model="basic", least=1.0, aim=1.5),
    Workload("train vgg16", "train", (1, 360, 480, 3), model="vgg16", least=1.5, aim=2.4),
    Workload("infer tiny", "infer", (1, 360, 480, 3), model="tiny", backward=False, least=1.3, aim=2.0),
    Workload("infer basic", "infer", (1, 360, 480, 3), model="basic", backward=False, least=1.1, aim=1.6),
    Workload("infer vgg16", "infer", (1, 360, 480, 3), model="vgg16", backward=False, least=1.5, aim=2.2),
)


def find_workloads(words: tuple[str, ...]) -> list[Workload]:
    """The workloads whose name contains one of the words; all workloads if there are no words."""
    return [workload for workload in WORKLOADS if not words or any(word in workload.name for word in words)]
