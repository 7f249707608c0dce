"""The decoders that the SegNet paper compares (Badrinarayanan et al. 2017, section 3.1 and Table 1).

All these networks use the encoder of SegNet-Basic. The authors never published the code of this comparison. The page
"Every model" (lessons/site/pages/models.md) draws the decoders and says what we chose where the paper gives no details.
"""

from dataclasses import replace

from .segnet import SegNetConfig, basic

NO_CONVOLUTIONS = ((),) * 4  # in the four stages of the decoder
FCN = replace(basic(), decoder=NO_CONVOLUTIONS, up="transposed")


def bilinear_interpolation() -> SegNetConfig:
    """Bilinear-Interpolation (Table 1): classifier, then interpolation in each decoder stage. 612,224 weights."""
    return replace(basic(), decoder=NO_CONVOLUTIONS, up="bilinear", reduce=True)


def basic_encoder_addition() -> SegNetConfig:
    """SegNet-Basic-EncoderAddition (Table 1): `basic`, whose decoder stages add the output of the encoder's pools.

    The kernels have 1,415,040 weights, as in `basic`.
    """
    return replace(basic(), add=True)


def basic_single_channel_decoder() -> SegNetConfig:
    """SegNet-Basic-SingleChannelDecoder (Table 1): `basic` with depthwise convolutions in each decoder stage.

    The kernels have 624,768 weights.
    """
    return replace(basic(), depthwise=True)


def fcn_basic() -> SegNetConfig:
    """FCN-Basic (Table 1), after Long et al. 2015: learned interpolation of the scores, plus scores from the encoder.

        decoder stage:  transposed 8x8, stride 2, 11 -> 11  + 1x1 convolution of the encoder's pool of that size

    The transposed convolutions start from FCN's bilinear kernel. With 11 classes, the kernels have 645,312 weights.
    """
    return replace(FCN, reduce=True, add=True)


def fcn_basic_no_addition() -> SegNetConfig:
    """FCN-Basic-NoAddition (Table 1): `fcn-basic` without the scores of the encoder's pools. 643,200 weights."""
    return replace(FCN, reduce=True)


def fcn_basic_no_dim_reduction() -> SegNetConfig:
    """FCN-Basic-NoDimReduction (Table 1): `fcn-basic` with 64 feature maps in each decoder stage. 1,660,800 weights."""
    return replace(FCN, add=True)


def fcn_basic_no_addition_no_dim_reduction() -> SegNetConfig:
    """FCN-Basic-NoAddition-NoDimReduction (Table 1): 64 feature maps in each decoder stage. 1,660,800 weights."""
    return FCN


def replication() -> SegNetConfig:
    """`basic`, whose decoder stages repeat each pixel, which "performed quite poorly" (section 3.1)."""
    return replace(basic(), up="nearest")


def fixed_index() -> SegNetConfig:
    """`basic` with fixed indices in each decoder stage, which "performed quite poorly" (section 3.1)."""
    return replace(basic(), up="fixed")
