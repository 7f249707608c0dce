"""SegNet's variants in PyTorch, written from the paper's text and Table 1: decoders, Bayesian SegNet, the article.

Parameters have the same names as ours. Dropout masks are given, in the order of the layers.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch_segnet import SegNet, Stage

FCN = ["fcn-basic", "fcn-basic-no-addition", "fcn-basic-no-dim-reduction", "fcn-basic-no-addition-no-dim-reduction"]


def normalized(x):
    """Apply local response normalisation with Caffe's constants to x (N, H, W, 3) and return (N, 3, H, W)."""
    return F.local_response_norm(x.permute(0, 3, 1, 2), 5, alpha=1e-4, beta=0.75, k=1.0)


def scaled(widths, width):
    return [max(1, round(w * width)) for w in widths]


class Basic(nn.Module):
    """SegNet-Basic's encoder with one of Table 1's decoders."""

    def __init__(self, name: str, classes: int, width: float):
        super().__init__()
        self.name = name
        self.added = name in ("basic-encoder-addition", "fcn-basic", "fcn-basic-no-dim-reduction")
        self.reduced = name in ("fcn-basic", "fcn-basic-no-addition", "bilinear-interpolation")
        maps = scaled([64], width)[0]
        for i in range(1, 5):
            stage = Stage(3 if i == 1 else maps, [maps], 7, relu=True, bias=True)
            self.add_module(f"encoder{i}", stage)
            if name == "fcn-basic" and i < 4:
                self.add_module(f"score{i}", nn.Conv2d(maps, classes, 1))
        channels = classes if self.reduced else maps
        for i in range(4, 0, -1):
            if name in FCN:
                stage = nn.Module()
                stage.up = nn.ConvTranspose2d(channels, channels, 8, 2, padding=3, bias=False)
            elif name == "basic-single-channel-decoder":
                stage = nn.Module()
                stage.conv1 = nn.Conv2d(maps, maps, 7, padding=3, groups=maps)
                stage.bn1 = nn.BatchNorm2d(maps)
            elif name == "bilinear-interpolation":
                stage = nn.Module()
            else:
                stage = Stage(maps, [maps], 7, relu=False, bias=True)
            self.add_module(f"decoder{i}", stage)
        self.classifier = nn.Conv2d(maps, classes, 1)

    def up(self, stage, x, indices, size):
        if self.name in FCN:  # the full result for kernel 8 and stride 2, cropped to the size before pooling
            x = F.conv_transpose2d(x, stage.up.weight, stride=2)
            return x[:, :, 3 : 3 + size[0], 3 : 3 + size[1]]
        if self.name == "bilinear-interpolation":
            return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)[:, :, : size[0], : size[1]]
        if self.name == "replication":
            return stage(F.interpolate(x, scale_factor=2, mode="nearest")[:, :, : size[0], : size[1]])
        if self.name == "fixed-index":
            rows, columns = (2 * torch.arange(n) for n in x.shape[2:])
            indices = (rows[:, None] * size[1] + columns).expand(x.shape).contiguous()
        x = F.max_unpool2d(x, indices, 2, 2, output_size=size)
        if self.name == "basic-single-channel-decoder":
            return stage.bn1(stage.conv1(x))
        return stage(x)

    def forward(self, x, masks=None):
        x = normalized(x)
        crossing, kept = [], []
        for i in range(1, 5):
            stage = getattr(self, f"encoder{i}")
            x = stage(x)
            size = x.shape[2:]
            x, indices = F.max_pool2d(x, 2, 2, ceil_mode=True, return_indices=True)
            crossing.append((indices, size))
            score = getattr(self, f"score{i}", None)
            kept.append(x if score is None else score(x))
        if self.reduced:
            x = self.classifier(x)
        for i in range(4, 0, -1):
            x = self.up(getattr(self, f"decoder{i}"), x, *crossing[i - 1])
            if self.added and i > 1:
                x = x + kept[i - 2]
        if not self.reduced:
            x = self.classifier(x)
        return x.permute(0, 2, 3, 1)


DROPS = {  # the stages with dropout, from the authors' model files
    "basic": ["encoder3", "encoder4", "decoder4", "decoder3"],
    "vgg16": ["encoder3", "encoder4", "encoder5", "decoder5", "decoder4", "decoder3"],
}


class Bayesian(SegNet):
    """The plain network with a dropout rate of 0.5. masks: draws a boolean mask of a shape (N, H, W, C), or None."""

    def __init__(self, name: str, classes: int, width: float):
        kind = name.removeprefix("bayesian-")
        super().__init__(kind, classes, width, normalize=kind == "basic")
        self.kind, self.masks = kind, None

    def drop(self, stage, x):
        if self.masks is None or stage not in DROPS[self.kind]:
            return x
        kept = torch.tensor(self.masks(tuple(x.permute(0, 2, 3, 1).shape))).permute(0, 3, 1, 2)
        return x * kept / 0.5

    def forward(self, x, masks=None):
        self.masks = masks
        return super().forward(x)


class Article(nn.Module):
    def __init__(self, classes: int, width: float):
        super().__init__()
        a, b, c, d, e = scaled([64, 128, 256, 128, 64], width)
        convolutions = {
            "encoder1": (3, a),
            "encoder2": (a, b),
            "encoder3": (b, c),
            "decoder2": (c, d),
            "decoder1": (d, e),
        }
        for name, (before, after) in convolutions.items():
            stage = nn.Module()
            kind = nn.Conv2d if name.startswith("encoder") else nn.ConvTranspose2d
            stage.conv1 = kind(before, after, 3, padding=1)
            self.add_module(name, stage)
        self.classifier = nn.Conv2d(e, classes, 1)

    def forward(self, x, masks=None):
        x = (x / 255).permute(0, 3, 1, 2)
        for name in ("encoder1", "encoder2", "encoder3", "decoder2", "decoder1"):
            x = torch.relu(getattr(self, name).conv1(x))
            if name in ("encoder1", "encoder2"):
                x = F.max_pool2d(x, 2)
            elif name.startswith("decoder"):
                x = F.interpolate(x, scale_factor=2, mode="nearest")
        return self.classifier(x).permute(0, 2, 3, 1)


def twin(name: str, classes: int, width: float) -> nn.Module:
    """Return the named network in float64."""
    if name == "article":
        return Article(classes, width).double()
    return (Bayesian if name.startswith("bayesian") else Basic)(name, classes, width).double()


def masks_from(generator: np.random.Generator):
    """Return a function that draws masks as our dropout does, True where a random number is at least the rate."""
    return lambda shape: generator.random(shape, np.float32) >= 0.5
