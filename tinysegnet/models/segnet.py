"""SegNet (Badrinarayanan, Kendall, Cipolla 2017, figure 2), built from a description of its stages.

    encoder1    (conv -> batch norm -> ReLU) x n -> max-pool 2x2 ---- indices ----.
      encoder2    (conv -> batch norm -> ReLU) x n -> max-pool 2x2 -- indices --. |
        ...                                                                     | |
      decoder2    max-unpool <------------------------------------------------- ' |
                  -> (conv -> batch norm -> ReLU) x n                             |
    decoder1    max-unpool <----------------------------------------------------- '
                -> (conv -> batch norm -> ReLU) x n
    classifier  conv to one channel per class; the softmax is part of the loss

The encoder passes only the positions of the maxima to the decoder, two bits per window and channel. The decoders in
decoders.py use the same description with other settings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ..layers import (
    Conv2d,
    ConvTranspose2d,
    Dropout,
    FixedUnpool2d,
    Layer,
    MaxPool2d,
    MaxUnpool2d,
    SkipAdd,
    SkipSource,
    Upsample,
)
from .layer_builder import LayerBuilder, Widths, narrowed


@dataclass(frozen=True)
class SegNetConfig:
    """A description of a SegNet by the output channels of every convolution, stage by stage."""

    encoder: Widths  # from the largest to the smallest feature maps
    decoder: Widths  # one stage for each pool, from the smallest to the largest feature maps
    kernel_size: int = 3  # of all convolutions but the classifier
    classifier_kernel_size: int = 3
    decoder_relu: bool = True  # whether a ReLU follows each batch norm of the decoder
    bias: bool = True  # before a batch norm, where it is redundant, as in the authors' model files
    dropout_after: tuple[str, ...] = ()  # the stages that end in dropout with probability 0.5
    up: Literal["indices", "fixed", "nearest", "bilinear", "transposed"] = "indices"  # how a decoder stage begins
    depthwise: bool = False  # whether the convolutions of the decoder are depthwise
    reduce: bool = False  # whether to classify before the decoder, which then has one feature map per class
    add: bool = False  # whether all decoder stages but the last add the output of the encoder's pool of the same size
    preprocessing: str = "scaled"  # the default, a name in `PREPROCESSING`
    size_multiple: int = 1  # heights and widths of pictures must be multiples of this number

    def scaled(self, width: float) -> SegNetConfig:
        """Return the same network with all numbers of channels multiplied by `width`."""
        return replace(self, encoder=narrowed(self.encoder, width), decoder=narrowed(self.decoder, width))

    def layers(self, num_classes: int, line: LayerBuilder) -> dict[str, Layer]:
        """Build the layers in order, by name: "encoder1.conv1", ..., "classifier"."""
        pools, skips = [], {}
        for number, widths in enumerate(self.encoder, start=1):
            line.stage(f"encoder{number}", widths, self.kernel_size, bias=self.bias, relu=True)
            pools.append(line.add(f"encoder{number}.pool", MaxPool2d()))
            self._drop(line, f"encoder{number}")
            if self.add and number < len(self.encoder):
                skips[number] = self._skip(line, number, num_classes)
        if self.reduce:
            line.convolution("classifier", num_classes, self.classifier_kernel_size)
        for number, widths in zip(range(len(pools), 0, -1), self.decoder, strict=True):
            self._up(line, f"decoder{number}", pools.pop())
            line.stage(f"decoder{number}", widths, self.kernel_size, bias=self.bias, relu=self.decoder_relu,
                       depthwise=self.depthwise)  # fmt: skip
            if number - 1 in skips:  # the previous pool's feature maps have this size
                line.add(f"decoder{number}.add", SkipAdd(skips[number - 1]))
            self._drop(line, f"decoder{number}")
        if not self.reduce:
            line.convolution("classifier", num_classes, self.classifier_kernel_size)
        return line.layers

    def _drop(self, line: LayerBuilder, stage: str) -> None:
        if stage in self.dropout_after:
            line.add(f"{stage}.dropout", Dropout(0.5))

    def _skip(self, line: LayerBuilder, number: int, num_classes: int) -> SkipSource:
        if self.reduce:
            return line.add(f"score{number}", SkipSource(Conv2d(line.channels, num_classes, 1, **line.init)))
        return line.add(f"encoder{number}.tap", SkipSource())

    def _up(self, line: LayerBuilder, stage: str, pool: MaxPool2d) -> None:
        if self.up == "transposed":
            up = ConvTranspose2d(line.channels, line.channels, 8, stride=2, bias=False, pool=pool, bilinear=True,
                                 **line.init)  # fmt: skip
            line.add(f"{stage}.up", up)
        elif self.up == "indices":
            line.add(f"{stage}.unpool", MaxUnpool2d(pool))
        elif self.up == "fixed":
            line.add(f"{stage}.unpool", FixedUnpool2d(pool))
        else:
            line.add(f"{stage}.up", Upsample(self.up, pool=pool))


def tiny() -> SegNetConfig:
    """A small SegNet of our own design that trains in minutes on two cores.

        picture  32  pool  64  pool  128  pool  128  pool
                                                       unpool  128  unpool  64  unpool  32  unpool  32  classifier

    Each stage has one 3x3 convolution with batch norm and ReLU. The network has 493,707 parameters.
    """
    return SegNetConfig(((32,), (64,), (128,), (128,)), ((128,), (64,), (32,), (32,)), bias=False)


def basic() -> SegNetConfig:
    """SegNet-Basic (Badrinarayanan et al. 2017, section 3.1; the authors' segnet_basic_train.prototxt).

        picture  norm  64  pool  64  pool  64  pool  64  pool
                                                           unpool  64  unpool  64  unpool  64  unpool  64  classifier

    All convolutions are 7x7 with 64 channels and batch norm, followed by a 1x1 classifier. Only the encoder has ReLUs.
    The first layer is a local response normalisation. The network has 1,416,587 parameters, 1,415,040 of them in
    kernels. The paper's count of 1.425 M does not follow from its description of the network.
    """
    stage = (64,)
    return SegNetConfig((stage,) * 4, (stage,) * 4, kernel_size=7, classifier_kernel_size=1, decoder_relu=False,
                  preprocessing="local_response")  # fmt: skip


def vgg16() -> SegNetConfig:
    """SegNet (Badrinarayanan et al. 2017, figure 2; the authors' segnet_train.prototxt).

        picture  64 64  pool  128 128  pool  256 256 256  pool  512 512 512  pool  512 512 512  pool
                 unpool  512 512 512  unpool  512 512 256  unpool  256 256 128  unpool  128 64  unpool  64  classifier

    The decoder mirrors the 13 convolutions of VGG16, and the last one is the classifier. All convolutions are 3x3, and
    all but the classifier have batch norm and ReLU. Half of the 29,449,355 parameters are in the encoder. The model
    file expects unscaled pictures (preprocessing="bgr"). Except at the border, the first batch norm undoes our scaling.
    """
    encoder = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
    return SegNetConfig(encoder, ((512, 512, 512), (512, 512, 256), (256, 256, 128), (128, 64), (64,)))


def bayesian_basic() -> SegNetConfig:
    """Bayesian SegNet-Basic (Kendall et al. 2015; the authors' bayesian_segnet_basic_train.prototxt).

        picture  norm  64  pool  64  pool  64  pool  DROP  64  pool  DROP
                           unpool  64  DROP  unpool  64  DROP  unpool  64  unpool  64  classifier

    This is `basic` with dropout of probability 0.5 in the four innermost stages. The mean of several random passes is
    the prediction, and their variance measures its uncertainty. The network has 1,416,587 parameters.
    """
    return replace(basic(), dropout_after=("encoder3", "encoder4", "decoder4", "decoder3"))


def bayesian_vgg16() -> SegNetConfig:
    """Bayesian SegNet (Kendall et al. 2015; the authors' bayesian_segnet_train.prototxt).

        picture  64 64  pool  128 128  pool  256 256 256  pool  DROP  512 512 512  pool  DROP  512 512 512  pool  DROP
                 unpool  512 512 512  DROP  unpool  512 512 256  DROP  unpool  256 256 128  DROP  unpool  128 64
                 unpool  64  classifier

    This is `vgg16` with dropout of probability 0.5 in the six innermost stages. It has 29,449,355 parameters.
    """
    return replace(vgg16(), dropout_after=("encoder3", "encoder4", "encoder5", "decoder5", "decoder4", "decoder3"))
