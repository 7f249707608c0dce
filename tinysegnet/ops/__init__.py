"""The mathematics of SegNet: functions from arrays to arrays, without randomness or state.

Every op has two functions. `<op>_forward(...)` returns the result and a cache. `<op>_backward(dout, cache)` returns the
gradients in the order of the arguments. Arrays are in NHWC order, and results have the dtype of the input. Each op
exists as `..._numpy`, the shortest correct code, and as `..._numba`, the fast version. The plain name calls the variant
that this process uses. All variants of an op share one type of cache, a named tuple, so any backward can follow any
forward. Caches refer to the arrays themselves, so do not change an argument or a result between a forward and its
backward. Every op raises a ShapeError for arguments whose shapes or dtypes do not fit.
"""

from .batchnorm import (
    BATCHNORM2D,
    BATCHNORM2D_RELU,
    batchnorm2d_backward,
    batchnorm2d_forward,
    batchnorm2d_relu_backward,
    batchnorm2d_relu_forward,
    relu_mask,
)
from .binary_loss import (
    SIGMOID_CROSS_ENTROPY,
    cross_entropy_for,
    sigmoid_cross_entropy_backward,
    sigmoid_cross_entropy_forward,
)
from .conv import CONV2D, conv2d_backward, conv2d_forward, conv2d_inference
from .conv_transpose import (
    CONV_TRANSPOSE2D,
    conv_transpose2d_backward,
    conv_transpose2d_forward,
    conv_transpose2d_output_size,
)
from .depthwise import DEPTHWISE_CONV2D, depthwise_conv2d_backward, depthwise_conv2d_forward
from .dice_loss import DICE_LOSS, dice_loss_backward, dice_loss_forward, dice_of_parts, dice_parts
from .dropout import DROPOUT, dropout_backward, dropout_forward
from .focal_loss import FOCAL_LOSS, focal_loss_backward, focal_loss_forward
from .indices import flat_plane_indices, indices_shape, pack_indices, unpack_indices
from .local_response_norm import LOCAL_RESPONSE_NORM, local_response_norm_backward, local_response_norm_forward
from .loss import SOFTMAX_CROSS_ENTROPY, softmax_cross_entropy_backward, softmax_cross_entropy_forward
from .op import Op, Variant
from .pool import (
    MAX_POOL2D,
    MAX_UNPOOL2D,
    max_pool2d_backward,
    max_pool2d_forward,
    max_pool2d_output_size,
    max_unpool2d_backward,
    max_unpool2d_forward,
)
from .relu import RELU, relu_backward, relu_forward
from .sigmoid import SIGMOID, sigmoid_backward, sigmoid_forward
from .softmax import SOFTMAX, softmax_backward, softmax_forward
from .synchronized_batchnorm import gradient_sums, input_gradient, merge_moments, picture_moments
from .upsample import (
    UPSAMPLE_BILINEAR2D,
    UPSAMPLE_NEAREST2D,
    upsample_bilinear2d_backward,
    upsample_bilinear2d_forward,
    upsample_nearest2d_backward,
    upsample_nearest2d_forward,
)
from .windows import conv2d_output_size

_OPS = (CONV2D, CONV_TRANSPOSE2D, DEPTHWISE_CONV2D, BATCHNORM2D, BATCHNORM2D_RELU, RELU, MAX_POOL2D, MAX_UNPOOL2D,
        UPSAMPLE_NEAREST2D, UPSAMPLE_BILINEAR2D, DROPOUT, LOCAL_RESPONSE_NORM, SOFTMAX, SIGMOID, SOFTMAX_CROSS_ENTROPY,
        SIGMOID_CROSS_ENTROPY, FOCAL_LOSS, DICE_LOSS)  # fmt: skip
REGISTRY: dict[str, Op] = {op.name: op for op in _OPS}  #: Every op, by name.

__all__ = ["REGISTRY", "Op", "Variant", "batchnorm2d_backward", "batchnorm2d_forward", "batchnorm2d_relu_backward",
           "batchnorm2d_relu_forward", "conv2d_backward", "conv2d_forward", "conv2d_inference", "conv2d_output_size",
           "conv_transpose2d_backward", "conv_transpose2d_forward", "conv_transpose2d_output_size",
           "cross_entropy_for", "depthwise_conv2d_backward", "depthwise_conv2d_forward", "dice_loss_backward",
           "dice_loss_forward", "dice_of_parts", "dice_parts", "dropout_backward", "dropout_forward",
           "flat_plane_indices", "focal_loss_backward", "focal_loss_forward", "gradient_sums", "indices_shape",
           "input_gradient", "local_response_norm_backward", "local_response_norm_forward", "max_pool2d_backward",
           "max_pool2d_forward", "max_pool2d_output_size", "max_unpool2d_backward", "max_unpool2d_forward",
           "merge_moments", "pack_indices", "picture_moments", "relu_backward", "relu_forward", "relu_mask",
           "sigmoid_backward", "sigmoid_cross_entropy_backward", "sigmoid_cross_entropy_forward", "sigmoid_forward",
           "softmax_backward", "softmax_cross_entropy_backward", "softmax_cross_entropy_forward", "softmax_forward",
           "unpack_indices", "upsample_bilinear2d_backward", "upsample_bilinear2d_forward",
           "upsample_nearest2d_backward", "upsample_nearest2d_forward"]  # fmt: skip
