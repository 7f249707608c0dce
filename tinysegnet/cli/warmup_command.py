"""tinysegnet warmup."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..models import Network


def run() -> int:
    """Compile the kernels in advance, so that the first training starts at once."""
    from ..models import build

    began = time.perf_counter()
    # Together these networks use every kernel. The algorithm of a convolution depends on the network's width, so `tiny`
    # has its full width and only the others are narrow.
    _train_and_predict(build("tiny"), (96, 128))
    for name, channels in (("bayesian-basic", 11), ("basic-single-channel-decoder", 11), ("fcn-basic", 11),
                           ("bilinear-interpolation", 11), ("article", 1)):  # fmt: skip
        _train_and_predict(build(name, channels, width=1 / 8), (20, 28))
    print(f"kernels are ready ({time.perf_counter() - began:.1f} s)")
    return 0


def _train_and_predict(model: Network, size: tuple[int, int]) -> None:
    import numpy as np

    from ..ops import cross_entropy_for
    from ..training.optim import SGD, Adam

    images, labels = np.zeros((2, *size, 3), np.float32), np.zeros((2, *size), np.uint8)
    logits = model.forward(images, training=True)
    forward, backward = cross_entropy_for(logits)
    _, cache = forward(logits, labels)
    model.backward(backward(1.0, cache), input_gradient=False)
    for kind in (SGD, Adam):
        kind(model, learning_rate=0.1).step()
    model.forward(images)
