"""Layers: an op plus parameters and running statistics. The state of a call is in its `Tape`.

    layer.forward(x, tape) -> out       records in the tape what backward needs
    layer.backward(dout, tape) -> dx    removes it, and assigns layer.grads

For a layer alone, `layer.forward(x, training=True)` and `layer.backward(dout)` use the tape of their thread. `params`
and `grads` have the same keys; `buffers` are running statistics. A second backward, or one after a forward without
training, is an error that names the layer. Classes have the names of torch.nn.
"""

from .batchnorm2d import BatchNorm2d, BatchNormReLU2d
from .conv2d import Conv2d
from .conv_transpose2d import ConvTranspose2d
from .depthwise_conv2d import DepthwiseConv2d
from .dropout_layer import Dropout
from .layer import Interval, Layer, digest_branches, he_normal
from .layer_trace import LayerTrace, Windows
from .local_response_layer import LocalResponseNorm
from .max_pool2d import MaxPool2d
from .max_unpool2d import FixedUnpool2d, MaxUnpool2d
from .normalize import Normalize
from .relu_layer import ReLU
from .skip import SkipAdd, SkipSource
from .tape import Tape, thread_tape
from .upsample_layer import Upsample

__all__ = [
    "BatchNorm2d", "BatchNormReLU2d", "Conv2d", "ConvTranspose2d", "DepthwiseConv2d", "Dropout", "FixedUnpool2d",
    "Interval", "Layer", "LayerTrace", "LocalResponseNorm", "MaxPool2d", "MaxUnpool2d", "Normalize", "ReLU", "SkipAdd",
    "SkipSource", "Tape", "Upsample", "Windows", "digest_branches", "he_normal", "thread_tape",
]  # fmt: skip
