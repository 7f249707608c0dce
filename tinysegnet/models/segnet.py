"""SegNet (Badrinarayanan, Kendall, Cipolla 2017, figure 2), from a description of its stages.

    encoder1    (conv -> batch norm -> ReLU) x n -> max-pool 2x2 ---- indices ----.
      encoder2    (conv -> batch norm -> ReLU) x n -> max-pool 2x2 -- indices --. |
        ...                                                                     | |
      decoder2    max-unpool <------------------------------------------------- ' |
                  -> (conv -> batch norm -> ReLU) x n                             |
    decoder1    max-unpool <----------------------------------------------------- '
                -> (conv -> batch norm -> ReLU) x n
    classifier  conv to one channel a class; softmax is in the loss

What crosses from the encoder to the decoder is only where each maximum was: two bits a window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..layers import BatchNorm2d, Conv2d, Layer, MaxPool2d, MaxUnpool2d, Normalize, ReLU

__all__ = ["BASIC", "TINY", "VGG16", "Stages", "segnet_layers"]

Widths = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Stages:
    """A SegNet in words: the output channels of every convolution, stage by stage.

    encoder: from the picture down. decoder: from the bottom up, one stage for each pool; the classifier
    follows. kernel_size: of every convolution but the classifier's. decoder_relu: a ReLU after each batch norm of the
    decoder. bias: of the convolutions that batch norm follows (its shift makes them redundant; the authors' model files
    have them, their text says none). input_mean, input_scale: of the input normalisation.
    """

    encoder: Widths
    decoder: Widths
    kernel_size: int = 3
    classifier_kernel_size: int = 3
    decoder_relu: bool = True
    bias: bool = True
    input_mean: float = 127.5
    input_scale: float = 64.0

    def num_parameters(self, num_classes: int) -> int:
        """How many parameters the network will have, without building it."""
        total, channels = 0, 3
        for width in (width for stage in (*self.encoder, *self.decoder) for width in stage):
            total += width * (self.kernel_size**2 * channels + self.bias + 2)  # weight, bias, gamma and beta
            channels = width
        return total + num_classes * (self.classifier_kernel_size**2 * channels + 1)

    def scaled(self, width: float) -> Stages:
        """All widths times `width`, at least 1."""

        def scale(stages: Widths) -> Widths:
            return tuple(tuple(max(1, round(channels * width)) for channels in stage) for stage in stages)

        return Stages(**{**self.__dict__, "encoder": scale(self.encoder), "decoder": scale(self.decoder)})


# One convolution a stage, narrow: trains in minutes on two cores. Frozen, so that figures stay comparable.
# 493,707 parameters.
TINY = Stages(
    encoder=((32,), (64,), (128,), (128,)),
    decoder=((128,), (64,), (32,), (32,)),
    bias=False,
)

# SegNet-Basic: 64 channels and 7x7 kernels throughout, no ReLU in the decoder (section 3.1). Biases as in the authors'
# model file, whose local response normalisation of the picture is our Normalize. 1,416,587 parameters.
BASIC = Stages(
    encoder=((64,), (64,), (64,), (64,)),
    decoder=((64,), (64,), (64,), (64,)),
    kernel_size=7,
    classifier_kernel_size=1,
    decoder_relu=False,
)

# SegNet: the 13 convolutions of VGG16 and their mirror, whose 13th is the classifier (section 3).
# 29,449,355 parameters.
VGG16 = Stages(
    encoder=((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)),
    decoder=((512, 512, 512), (512, 512, 256), (256, 256, 128), (128, 64), (64,)),
)


def segnet_layers(
    stages: Stages, num_classes: int, *, rng: np.random.Generator, dtype: Any = np.float32
) -> dict[str, Layer]:
    """The layers of a SegNet in a line, by name: "encoder1.conv1", "encoder1.bn1", ..., "classifier"."""
    layers: dict[str, Layer] = {"input": Normalize(stages.input_mean, stages.input_scale, dtype=dtype)}
    channels = 3

    def add_convolutions(stage: str, widths: tuple[int, ...], relu: bool) -> None:
        nonlocal channels
        for i, width in enumerate(widths, start=1):
            layers[f"{stage}.conv{i}"] = Conv2d(
                channels, width, stages.kernel_size, bias=stages.bias, rng=rng, dtype=dtype
            )
            layers[f"{stage}.bn{i}"] = BatchNorm2d(width, dtype=dtype)
            if relu:
                layers[f"{stage}.relu{i}"] = ReLU()
            channels = width

    pools = []
    for number, widths in enumerate(stages.encoder, start=1):
        add_convolutions(f"encoder{number}", widths, relu=True)
        pools.append(MaxPool2d())
        layers[f"encoder{number}.pool"] = pools[-1]

    for number, widths in zip(range(len(pools), 0, -1), stages.decoder, strict=True):
        layers[f"decoder{number}.unpool"] = MaxUnpool2d(pools.pop())
        add_convolutions(f"decoder{number}", widths, relu=stages.decoder_relu)

    layers["classifier"] = Conv2d(channels, num_classes, stages.classifier_kernel_size, rng=rng, dtype=dtype)
    return layers
