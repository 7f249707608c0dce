"""The first layers of networks, for RGB pictures in 0..255. They have no parameters."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..layers import Layer, LocalResponseNorm, Normalize

IMAGENET_MEAN, IMAGENET_STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # of RGB in 0..1
CAFFE_MEAN = (123.68, 116.779, 103.939)  # of RGB in 0..255

#: functions that create a network's first layer for a dtype, by name
PREPROCESSING: dict[str, Callable[[Any], Layer]] = {
    # about -2..2, for training from random weights
    "scaled": lambda dtype: Normalize(127.5, 64, dtype=dtype),
    # 0..1
    "unit": lambda dtype: Normalize(0, 255, dtype=dtype),
    # as in the SegNet-Basic model file: the brightness of each pixel is compressed
    "local_response": lambda dtype: LocalResponseNorm(),
    # as in the SegNet model file: unscaled values in the order blue, green, red
    "bgr": lambda dtype: Normalize(0, 1, bgr=True, dtype=dtype),
    # as for torchvision's VGG16
    "imagenet": lambda dtype: Normalize(255 * IMAGENET_MEAN, 255 * IMAGENET_STD, dtype=dtype),
    # as for the VGG16 of Caffe and Keras: in the order blue, green, red, with the mean subtracted
    "caffe": lambda dtype: Normalize(CAFFE_MEAN, 1, bgr=True, dtype=dtype),
}
