"""Layers: each combines an op with parameters and running statistics. A `Tape` stores the state of a call.

    layer.forward(x, tape)        returns the output and records in the tape what backward needs
    layer.backward(dout, tape)    removes that record, assigns layer.grads and returns dx

A single layer needs no tape: `layer.forward(x, training=True)` and `layer.backward(dout)` use the tape of the current
thread. The classes are named as in torch.nn.
"""

from .batchnorm2d import BatchNorm2d, BatchNormReLU2d
from .convolution_layers import Conv2d, ConvTranspose2d, DepthwiseConv2d
from .layer import Interval, Layer, he_normal
from .layer_trace import LayerTrace, Windows
from .pixelwise_layers import Dropout, LocalResponseNorm, Normalize, ReLU
from .pooling_layers import FixedUnpool2d, MaxPool2d, MaxUnpool2d, Upsample
from .skip import SkipAdd, SkipSource
from .tape import BatchTape, Tape, thread_tape

__all__ = [
    "BatchNorm2d", "BatchNormReLU2d", "BatchTape", "Conv2d", "ConvTranspose2d", "DepthwiseConv2d", "Dropout",
    "FixedUnpool2d", "Interval", "Layer", "LayerTrace", "LocalResponseNorm", "MaxPool2d", "MaxUnpool2d", "Normalize",
    "ReLU", "SkipAdd", "SkipSource", "Tape", "Upsample", "Windows", "he_normal", "thread_tape",
]  # fmt: skip
