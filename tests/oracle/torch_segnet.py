"""The three SegNets in PyTorch, written from the paper and the authors' model files, not from our code.

    tiny    one 3x3 convolution per stage, 32-64-128-128 channels, no bias before batch norm
    basic   7x7 convolutions, 64 channels in all layers, no ReLU in the decoder, 1x1 classifier
    vgg16   the 13 convolutions of VGG16 and their mirror image

Parameters have the same names as ours, so that the same arrays can be given to both.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from golden_networks import to_torch
from torch import nn

torch.set_num_threads(1)

DOWN = {
    "tiny": [[32], [64], [128], [128]],
    "basic": [[64], [64], [64], [64]],
    "vgg16": [[64] * 2, [128] * 2, [256] * 3, [512] * 3, [512] * 3],
}
UP = {
    "tiny": [[128], [64], [32], [32]],
    "basic": [[64], [64], [64], [64]],
    "vgg16": [[512] * 3, [512, 512, 256], [256, 256, 128], [128, 64], [64]],
}
KERNEL = {"tiny": (3, 3), "basic": (7, 1), "vgg16": (3, 3)}  # the kernel sizes of the stages and of the classifier


class Stage(nn.Module):
    def __init__(self, before: int, widths: list[int], kernel: int, *, relu: bool, bias: bool):
        super().__init__()
        self.relu, self.count = relu, len(widths)
        for i, width in enumerate(widths, start=1):
            self.add_module(f"conv{i}", nn.Conv2d(before, width, kernel, padding=kernel // 2, bias=bias))
            self.add_module(f"bn{i}", nn.BatchNorm2d(width, eps=1e-5, momentum=0.1))
            before = width

    def forward(self, x):
        for i in range(1, self.count + 1):
            x = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x))
            x = torch.relu(x) if self.relu else x
        return x


class SegNet(nn.Module):
    def __init__(self, name: str, classes: int, width: float, *, normalize: bool = False):
        """Build the network. normalize: use local response normalisation with Caffe's constants, not mean and scale."""
        super().__init__()
        self.normalize = normalize
        kernel, last = KERNEL[name]
        before = 3
        self.stages = len(DOWN[name])
        for i, widths in enumerate(DOWN[name], start=1):
            widths = [max(1, round(w * width)) for w in widths]
            self.add_module(f"encoder{i}", Stage(before, widths, kernel, relu=True, bias=name != "tiny"))
            before = widths[-1]
        for i, widths in zip(range(self.stages, 0, -1), UP[name], strict=True):
            widths = [max(1, round(w * width)) for w in widths]
            relu, bias = name != "basic", name != "tiny"
            self.add_module(f"decoder{i}", Stage(before, widths, kernel, relu=relu, bias=bias))
            before = widths[-1]
        self.classifier = nn.Conv2d(before, classes, last, padding=last // 2)

    def forward(self, x):
        """Return logits (N, H, W, classes) for x (N, H, W, 3), RGB in 0..255."""
        if self.normalize:
            x = F.local_response_norm(x.permute(0, 3, 1, 2), 5, alpha=1e-4, beta=0.75, k=1.0)
        else:
            x = ((x - 127.5) / 64).permute(0, 3, 1, 2)
        crossing = []
        for i in range(1, self.stages + 1):
            x = getattr(self, f"encoder{i}")(x)
            size = x.shape[2:]
            x, indices = F.max_pool2d(x, 2, 2, ceil_mode=True, return_indices=True)
            crossing.append((indices, size))
            x = self.drop(f"encoder{i}", x)
        for i in range(self.stages, 0, -1):
            indices, size = crossing.pop()
            x = getattr(self, f"decoder{i}")(F.max_unpool2d(x, indices, 2, 2, output_size=size))
            x = self.drop(f"decoder{i}", x)
        return self.classifier(x).permute(0, 2, 3, 1)

    def drop(self, stage, x):
        """Return x after the dropout of a stage, which this network does not have."""
        return x


def load(twin: SegNet, state: dict[str, np.ndarray]) -> None:
    """Copy our arrays to the twin, whose names must be the same."""
    arrays = dict(to_torch(name, array) for name, array in state.items())
    own = {name: tensor for name, tensor in twin.state_dict().items() if not name.endswith("num_batches_tracked")}
    assert set(own) == set(arrays)
    for name, tensor in own.items():
        tensor.copy_(torch.tensor(arrays[name]))


def loss_of(logits, labels, weights, ignore: int):
    """Return the paper's loss: the weighted sum, divided by the number of labelled pixels."""
    surprise = F.cross_entropy(logits.permute(0, 3, 1, 2), labels, weights, ignore_index=ignore, reduction="sum")
    return surprise / (labels != ignore).sum()
