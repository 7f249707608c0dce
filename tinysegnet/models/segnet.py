"""SegNet (Badrinarayanan, Kendall, Cipolla 2017, figure 2), from a description of its stages.

    encoder1    (conv -> batch norm -> ReLU) x n -> max-pool 2x2 ---- indices ----.
      encoder2    (conv -> batch norm -> ReLU) x n -> max-pool 2x2 -- indices --. |
        ...                                                                     | |
      decoder2    max-unpool <------------------------------------------------- ' |
                  -> (conv -> batch norm -> ReLU) x n                             |
    decoder1    max-unpool <----------------------------------------------------- '
                -> (conv -> batch norm -> ReLU) x n
    classifier  conv to one channel per class; softmax is in the loss

Only the positions of the maxima cross from the encoder to the decoder: two bits per window.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..layers import Dropout, Layer, MaxPool2d, MaxUnpool2d
from .layer_builder import InitContext, LayerBuilder, Widths, narrowed


@dataclass(frozen=True)
class SegNetConfig:
    """A description of a SegNet: the output channels of every convolution, stage by stage.

    Args:
        encoder: from the picture down.
        decoder: from the bottom up, one stage for each pool; the classifier follows.
        kernel_size: the kernel size of all convolutions but the classifier.
        decoder_relu: whether a ReLU follows each batch norm of the decoder.
        bias: whether convolutions before a batch norm have a bias. The batch norm's shift makes it redundant; the
            authors' model files have it, their text has none.
        dropout_after: stages that end in a dropout of one half.
    """

    encoder: Widths
    decoder: Widths
    kernel_size: int = 3
    classifier_kernel_size: int = 3
    decoder_relu: bool = True
    bias: bool = True
    dropout_after: tuple[str, ...] = ()
    preprocessing: str = "scaled"
    size_multiple: int = 1

    def scaled(self, width: float) -> SegNetConfig:
        return replace(self, encoder=narrowed(self.encoder, width), decoder=narrowed(self.decoder, width))

    def layers(self, num_classes: int, context: InitContext) -> dict[str, Layer]:
        line, pools = LayerBuilder(context), []
        for number, widths in enumerate(self.encoder, start=1):
            line.stage(f"encoder{number}", widths, self.kernel_size, bias=self.bias, relu=True)
            pools.append(line.add(f"encoder{number}.pool", MaxPool2d()))
            self._drop(line, f"encoder{number}")
        for number, widths in zip(range(len(pools), 0, -1), self.decoder, strict=True):
            line.add(f"decoder{number}.unpool", MaxUnpool2d(pools.pop()))
            line.stage(f"decoder{number}", widths, self.kernel_size, bias=self.bias, relu=self.decoder_relu)
            self._drop(line, f"decoder{number}")
        line.convolution("classifier", num_classes, self.classifier_kernel_size)
        return line.layers

    def _drop(self, line: LayerBuilder, stage: str) -> None:
        if stage in self.dropout_after:
            line.add(f"{stage}.dropout", Dropout(0.5))


def tiny() -> SegNetConfig:
    """A SegNet that trains in minutes on two cores. 493,707 parameters; our design, kept fixed for comparisons.

        picture  32  pool  64  pool  128  pool  128  pool
                                                       unpool  128  unpool  64  unpool  32  unpool  32  classifier

    One 3x3 convolution per stage, each with batch norm and ReLU.
    """
    return SegNetConfig(((32,), (64,), (128,), (128,)), ((128,), (64,), (32,), (32,)), bias=False)


def basic() -> SegNetConfig:
    """SegNet-Basic (Badrinarayanan et al. 2017, section 3.1; the authors' segnet_basic_train.prototxt).

        picture  norm  64  pool  64  pool  64  pool  64  pool
                                                           unpool  64  unpool  64  unpool  64  unpool  64  classifier

    7x7 convolutions of 64 channels throughout, each with batch norm; ReLU in the encoder only; a 1x1 classifier. The
    picture goes through local response normalisation. 1,416,587 parameters: 1,415,040 in kernels (the paper's 1.425 M
    does not follow from its network), the rest biases, as in the model file, and batch norm.
    """
    stage = (64,)
    return SegNetConfig((stage,) * 4, (stage,) * 4, kernel_size=7, classifier_kernel_size=1, decoder_relu=False,
                  preprocessing="local_response")  # fmt: skip


def vgg16() -> SegNetConfig:
    """SegNet (Badrinarayanan et al. 2017, figure 2; the authors' segnet_train.prototxt).

        picture  64 64  pool  128 128  pool  256 256 256  pool  512 512 512  pool  512 512 512  pool
                 unpool  512 512 512  unpool  512 512 256  unpool  256 256 128  unpool  128 64  unpool  64  classifier

    The 13 convolutions of VGG16 and their mirror, whose 13th is the classifier: 3x3, each but that with batch norm and
    ReLU. 29,449,355 parameters, half of them in the encoder. The model file takes pictures as they are, blue first
    (preprocessing="bgr"); except at the picture's border, the first batch norm undoes the effect of our scaling.
    """
    encoder = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
    return SegNetConfig(encoder, ((512, 512, 512), (512, 512, 256), (256, 256, 128), (128, 64), (64,)))


def bayesian_basic() -> SegNetConfig:
    """Bayesian SegNet-Basic (Kendall et al. 2015; the authors' bayesian_segnet_basic_train.prototxt).

        picture  norm  64  pool  64  pool  64  pool  DROP  64  pool  DROP
                           unpool  64  DROP  unpool  64  DROP  unpool  64  unpool  64  classifier

    `basic` with dropout of one half in the middle four stages. With dropout on, every pass gives a different sample;
    their mean predicts, and their variance is a measure of uncertainty. 1,416,587 parameters.
    """
    return replace(basic(), dropout_after=("encoder3", "encoder4", "decoder4", "decoder3"))


def bayesian_vgg16() -> SegNetConfig:
    """Bayesian SegNet (Kendall et al. 2015; the authors' bayesian_segnet_train.prototxt).

        picture  64 64  pool  128 128  pool  256 256 256  pool  DROP  512 512 512  pool  DROP  512 512 512  pool  DROP
                 unpool  512 512 512  DROP  unpool  512 512 256  DROP  unpool  256 256 128  DROP  unpool  128 64
                 unpool  64  classifier

    `vgg16` with dropout of one half in the middle six stages. 29,449,355 parameters.
    """
    return replace(vgg16(), dropout_after=("encoder3", "encoder4", "encoder5", "decoder5", "decoder4", "decoder3"))
