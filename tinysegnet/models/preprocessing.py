"""The first layers of networks, for RGB pictures in 0..255. They have no parameters."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..layers import Layer, LocalResponseNorm, Normalize

IMAGENET_MEAN, IMAGENET_STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # of RGB in 0..1
CAFFE_MEAN = (123.68, 116.779, 103.939)  # of RGB in 0..255

#: by name, a function of the dtype that makes the first layer, which transforms pictures (RGB in 0..255)
PREPROCESSING: dict[str, Callable[[Any], Layer]] = {
    # about -2..2: for networks that are trained from random weights
    "scaled": lambda dtype: Normalize(127.5, 64, dtype=dtype),
    # 0..1
    "unit": lambda dtype: Normalize(0, 255, dtype=dtype),
    # the SegNet-Basic model file: compresses the brightness of each pixel
    "local_response": lambda dtype: LocalResponseNorm(),
    # the SegNet model file: untouched, blue first
    "bgr": lambda dtype: Normalize(0, 1, bgr=True, dtype=dtype),
    # torchvision's VGG16
    "imagenet": lambda dtype: Normalize(255 * IMAGENET_MEAN, 255 * IMAGENET_STD, dtype=dtype),
    # Caffe's VGG16, and Keras's: blue first, the mean subtracted
    "caffe": lambda dtype: Normalize(CAFFE_MEAN, 1, bgr=True, dtype=dtype),
}
