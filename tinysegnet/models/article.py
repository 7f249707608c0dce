"""The network that popular articles present as SegNet, in a few lines of Keras."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..layers import ConvTranspose2d, Layer, MaxPool2d, ReLU, Upsample
from .layer_builder import LayerBuilder, narrowed


@dataclass(frozen=True)
class Article:
    """The numbers of channels of the convolutions and transposed convolutions in the articles' network."""

    encoder: tuple[int, ...] = (64, 128, 256)
    decoder: tuple[int, ...] = (128, 64)
    preprocessing: str = "unit"
    size_multiple: int = 4

    def scaled(self, width: float) -> Article:
        encoder, decoder = narrowed((self.encoder, self.decoder), width)
        return replace(self, encoder=encoder, decoder=decoder)

    def layers(self, num_classes: int, line: LayerBuilder) -> dict[str, Layer]:
        for number, channels in enumerate(self.encoder, start=1):
            line.convolution(f"encoder{number}.conv1", channels, 3)
            line.add(f"encoder{number}.relu1", ReLU())
            if number < len(self.encoder):
                line.add(f"encoder{number}.pool", MaxPool2d())
        for number, channels in zip((2, 1), self.decoder, strict=True):
            line.add(f"decoder{number}.conv1", ConvTranspose2d(line.channels, channels, 3, **line.init))
            line.channels = channels
            line.add(f"decoder{number}.relu1", ReLU())
            line.add(f"decoder{number}.upsample", Upsample("nearest"))
        line.convolution("classifier", num_classes, 1)
        return line.layers


def article() -> Article:
    """The "SegNet" of popular articles: a convolutional encoder and decoder, but not a SegNet.

        picture  64  pool  128  pool  256  transposed 128  repeat 2x  transposed 64  repeat 2x  classifier

    All convolutions are 3x3 with ReLU and "same" padding, except for the 1x1 classifier. Heights and widths must be
    divisible by 4. The articles train it with num_classes=1 (739,713 parameters, as Keras counts them), binary
    cross-entropy and Adam on pictures of 128 x 128. It lacks what defines a SegNet (Badrinarayanan et al. 2017, section
    3): its decoder gets no pooling indices and repeats pixels instead. It also has no batch norm, and its transposed
    convolutions have stride 1, so they are ordinary convolutions.
    """
    return Article()
