"""What is measured: single ops at the sizes SegNet has, and whole networks. Descriptions only."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WORKS", "Work", "find_works"]


@dataclass(frozen=True)
class Work:
    """One thing to be timed.

    kind: "conv", "batchnorm_relu", "pool_unpool", "loss", "train" or "infer". shape: of the input, (N, H, W, C).
    features: output channels of a convolution. kernel: its size. backward: forward and all gradients, else the forward
    alone. input_gradient: dx too; a network's first layer does not need it. model: the name, for "train" and "infer".
    least, aim: PyTorch's time / ours that is asked for, and hoped for.
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


def _conv(name: str, shape: tuple[int, int, int, int], features: int, least: float, aim: float, **more: object) -> Work:
    return Work(name, "conv", shape, features, least=least, aim=aim, **more)  # type: ignore[arg-type]


_WIDE = [(64, (1, 360, 480, 64)), (128, (1, 180, 240, 128)), (256, (1, 90, 120, 256)), (512, (1, 45, 60, 512))]

WORKS: tuple[Work, ...] = (
    *(_conv(f"conv3x3 {C} forward", shape, C, 1.5, 2.5, backward=False) for C, shape in _WIDE),
    *(_conv(f"conv3x3 {C}", shape, C, 1.2, 2.2) for C, shape in _WIDE),
    _conv("conv3x3 16", (4, 180, 240, 16), 16, 0.9, 1.3),
    _conv("conv3x3 32", (8, 96, 128, 32), 32, 0.9, 1.3),
    _conv("first layer 3->64", (1, 360, 480, 3), 64, 0.9, 1.3, input_gradient=False),
    _conv("classifier 64->11", (1, 360, 480, 64), 11, 0.9, 1.3),
    _conv("conv7x7 64", (1, 180, 240, 64), 64, 1.0, 1.8, kernel=7),
    Work("batch norm + ReLU", "batchnorm_relu", (8, 96, 128, 32), least=1.1, aim=1.6),
    Work("max-pool + unpool", "pool_unpool", (8, 96, 128, 32), least=3, aim=8),
    Work("softmax cross-entropy", "loss", (1, 360, 480, 11)),
    Work("train tiny", "train", (8, 96, 128, 3), model="tiny", least=1.2, aim=2.0),
    Work("train basic", "train", (1, 360, 480, 3), model="basic", least=1.0, aim=1.5),
    Work("train vgg16", "train", (1, 360, 480, 3), model="vgg16", least=1.5, aim=2.4),
    Work("infer tiny", "infer", (1, 360, 480, 3), model="tiny", backward=False, least=1.3, aim=2.0),
    Work("infer basic", "infer", (1, 360, 480, 3), model="basic", backward=False, least=1.1, aim=1.6),
    Work("infer vgg16", "infer", (1, 360, 480, 3), model="vgg16", backward=False, least=1.5, aim=2.2),
)


def find_works(words: tuple[str, ...]) -> list[Work]:
    """Those whose name contains one of the words; all for none."""
    return [work for work in WORKS if not words or any(word in work.name for word in words)]
