"""The decoders that the SegNet paper compares (Badrinarayanan et al. 2017, section 3.1 and Table 1).

All these networks use the encoder of SegNet-Basic. They differ in how the decoder restores the size of the picture, and
in what the encoder passes to it: nothing, the positions of the maxima, or feature maps.

    encoder   norm  64  pool .  64  pool .  64  pool .  64  pool
                             |           |           |        |
                            maps        maps        maps      |  some, all or none of a pool's feature maps
                             |           |           |        |
    decoder       up  64  <- + - up  64 <+ - up  64 <+ - up  64

The code of this comparison was never published. Where the paper gives no details, the docstrings state our choices.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from ..layers import (
    ConvTranspose2d,
    DepthwiseConv2d,
    FixedUnpool2d,
    Layer,
    MaxPool2d,
    MaxUnpool2d,
    SkipAdd,
    SkipSource,
    Upsample,
)
from .layer_builder import InitContext, LayerBuilder

STAGES = 4


@dataclass(frozen=True)
class Decoder:
    """A description of a network: the encoder of SegNet-Basic and one of the decoders."""

    up: Literal["indices", "fixed", "nearest", "bilinear", "transposed"]
    convolution: Literal["full", "depthwise"] | None = None  # after it, with batch norm
    reduce: bool = False  # whether to classify before the decoder, which then has one feature map per class
    add: bool = False  # whether all decoder stages but the last add the output of the encoder's pool of the same size
    channels: int = 64  # of all convolutions
    preprocessing: str = "local_response"
    size_multiple: int = 1

    def scaled(self, width: float) -> Decoder:
        return replace(self, channels=max(1, round(self.channels * width)))

    def layers(self, num_classes: int, context: InitContext) -> dict[str, Layer]:
        line = LayerBuilder(context)
        pools, skips = [], {}
        for number in range(1, STAGES + 1):
            line.stage(f"encoder{number}", (self.channels,), 7, bias=True, relu=True)
            pools.append(line.add(f"encoder{number}.pool", MaxPool2d()))
            if self.add and number < STAGES:
                reduction = line.branch_convolution(num_classes, 1) if self.reduce else None
                name = f"score{number}" if self.reduce else f"encoder{number}.tap"
                skips[number] = line.add(name, SkipSource(reduction))
        if self.reduce:
            line.convolution("classifier", num_classes, 1)
        for number in range(STAGES, 0, -1):
            self._up(line, f"decoder{number}", pools.pop())
            self._convolve(line, f"decoder{number}")
            if number - 1 in skips:  # the previous pool's feature maps have this size
                line.add(f"decoder{number}.add", SkipAdd(skips[number - 1]))
        if not self.reduce:
            line.convolution("classifier", num_classes, 1)
        return line.layers

    def _up(self, line: LayerBuilder, stage: str, pool: MaxPool2d) -> None:
        if self.up == "transposed":
            settings: Any = {"stride": 2, "bias": False, "pool": pool, "bilinear": True, **line.init}
            line.add(f"{stage}.up", ConvTranspose2d(line.channels, line.channels, 8, **settings))
        elif self.up == "indices":
            line.add(f"{stage}.unpool", MaxUnpool2d(pool))
        elif self.up == "fixed":
            line.add(f"{stage}.unpool", FixedUnpool2d(pool))
        else:
            line.add(f"{stage}.up", Upsample(self.up, pool=pool))

    def _convolve(self, line: LayerBuilder, stage: str) -> None:
        if self.convolution == "full":
            line.stage(stage, (line.channels,), 7, bias=True, relu=False)
        elif self.convolution == "depthwise":
            line.add(f"{stage}.conv1", DepthwiseConv2d(line.channels, 7, **line.init))
            line.norm(f"{stage}.bn1")


def bilinear_interpolation() -> Decoder:
    """Bilinear-Interpolation (Table 1): a decoder without parameters.

        norm  64  pool  64  pool  64  pool  64  pool  classifier  bilinear  bilinear  bilinear  bilinear

    The classifier commutes with the interpolation and is 256 times cheaper before it. The encoder passes nothing to the
    decoder. The kernels have 612,224 weights; the paper's 0.625 M is the count of the single-channel decoder.
    """
    return Decoder("bilinear", reduce=True)


def basic_encoder_addition() -> Decoder:
    """SegNet-Basic-EncoderAddition (Table 1): the encoder passes on indices and feature maps.

        decoder stage:  unpool  64 (7x7, batch norm)  + the 64 feature maps of the encoder's pool of that size

    The kernels have 1,415,040 weights, as in `basic`.
    """
    return Decoder("indices", "full", add=True)


def basic_single_channel_decoder() -> Decoder:
    """SegNet-Basic-SingleChannelDecoder (Table 1): each decoder kernel sees a single feature map.

        decoder stage:  unpool  64 depthwise (7x7, batch norm)

    The kernels have 624,768 weights, which rounds to the paper's 0.625 M.
    """
    return Decoder("indices", "depthwise")


def fcn_basic() -> Decoder:
    """FCN-Basic (Table 1), after Long et al. 2015: learned interpolation of the scores, plus scores from the encoder.

        norm  64  pool .  64  pool .  64  pool .  64  pool  classifier
                       |           |           |            transposed 8x8, stride 2
                       |           |           '- 1x1 ----> +  transposed
                       |           '- 1x1 ----------------------> +  transposed
                       '- 1x1 --------------------------------------> +  transposed

    The transposed convolutions start from FCN's bilinear kernel. At size 8x8 and stride 2, the kernel is twice as wide
    as interpolation requires, so it smooths the scores and fades over three pixels at the border. As in FCN, there is
    neither bias nor batch norm. With 11 classes, the kernels have 645,312 weights, which rounds to the paper's 0.65 M.
    """
    return Decoder("transposed", reduce=True, add=True)


def fcn_basic_no_addition() -> Decoder:
    """FCN-Basic-NoAddition (Table 1): `fcn-basic` without the scores from the encoder.

        norm  64  pool  64  pool  64  pool  64  pool  classifier  transposed  transposed  transposed  transposed

    With 11 classes, the kernels have 643,200 weights, which rounds to 0.64 M. The paper says 0.65 M.
    """
    return Decoder("transposed", reduce=True)


def fcn_basic_no_dim_reduction() -> Decoder:
    """FCN-Basic-NoDimReduction (Table 1): `fcn-basic` with 64 feature maps until the classifier at the end.

        decoder stage:  transposed 8x8, stride 2, 64 -> 64  + the 64 feature maps of the encoder's pool of that size

    The kernels have 1,660,800 weights: 611,520 in the encoder, 4 x 8 x 8 x 64 x 64 in the decoder and 704 in the
    classifier. The paper says 1.625 M.
    """
    return Decoder("transposed", add=True)


def fcn_basic_no_addition_no_dim_reduction() -> Decoder:
    """FCN-Basic-NoAddition-NoDimReduction (Table 1): 64 feature maps until the classifier, without addition.

        decoder stage:  transposed 8x8, stride 2, 64 -> 64

    The kernels have 1,660,800 weights, as in `fcn-basic-no-dim-reduction`. The paper says 1.625 M for both networks.
    """
    return Decoder("transposed")


def replication() -> Decoder:
    """`basic` with upsampling by replication, which "performed quite poorly" (section 3.1).

    decoder stage:  repeat 2x  64 (7x7, batch norm)
    """
    return Decoder("nearest", "full")


def fixed_index() -> Decoder:
    """`basic` with a fixed, sparse array of indices, which "performed quite poorly" (section 3.1).

    decoder stage:  unpool to each window's top left corner  64 (7x7, batch norm)
    """
    return Decoder("fixed", "full")
