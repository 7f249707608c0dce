"""Which cross-entropy belongs to a network's logits."""

from .binary_loss import SIGMOID_CROSS_ENTROPY
from .loss import SOFTMAX_CROSS_ENTROPY


def cross_entropy_for(logits):
    """-> (forward, backward) of the loss for logits (..., K): the sigmoid's for one logit, else the softmax's."""
    op = SIGMOID_CROSS_ENTROPY if logits.shape[-1] == 1 else SOFTMAX_CROSS_ENTROPY
    return op.forward, op.backward
