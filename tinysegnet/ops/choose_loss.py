"""The choice of the cross-entropy for a network's logits."""

from .binary_loss import SIGMOID_CROSS_ENTROPY
from .loss import SOFTMAX_CROSS_ENTROPY


def cross_entropy_for(logits):
    """Return forward and backward of the loss for logits (..., K): sigmoid if K = 1, otherwise softmax."""
    op = SIGMOID_CROSS_ENTROPY if logits.shape[-1] == 1 else SOFTMAX_CROSS_ENTROPY
    return op.forward, op.backward
