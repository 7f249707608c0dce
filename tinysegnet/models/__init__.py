"""Networks by name: `build("tiny")`. Each is a description of stages; `models` lists them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import SettingError
from ..settings import convert
from .folding import fold_batchnorm, fold_layers
from .network import Network
from .segnet import BASIC, TINY, VGG16, Stages, segnet_layers
from .summary import Summary

__all__ = ["MOST_CLASSES", "MOST_WIDTH", "Network", "Stages", "Summary", "build", "demand_network", "fold_batchnorm",
           "models", "segnet_layers"]  # fmt: skip

MOST_CLASSES = 255  # labels are bytes, and one value may mean "not labelled"
MOST_WIDTH = 8.0

models: dict[str, Stages] = {"tiny": TINY, "basic": BASIC, "vgg16": VGG16}


def build(name: str, num_classes: int = 11, *, seed: int = 0, width: float = 1.0, dtype: Any = np.float32,
          folded: bool = False) -> Network:  # fmt: skip
    """A new network with random weights.

    name: one of `models`. seed: of the initial weights. width: a factor on the channels of every stage. dtype: float32
    to train, float64 to check gradients. folded: without batch norm, as `fold_batchnorm` leaves a trained network.
    Raises SettingError for an unknown name or a size that cannot be.
    """
    if not isinstance(name, str) or name not in models:
        raise SettingError(f"no model named {name!r}; there are {', '.join(models)}")
    num_classes, seed = convert("num_classes", num_classes, int), convert("seed", seed, int)
    width = convert("width", width, float)
    if seed < 0:
        raise SettingError(f"seed: {seed} (expected at least 0)")
    if not 1 <= num_classes <= MOST_CLASSES or not 0 < width <= MOST_WIDTH:
        raise SettingError(f"a network has 1..{MOST_CLASSES} classes and a width above 0 and at most {MOST_WIDTH:g}, "
                           f"got {num_classes} and {width}")  # fmt: skip
    if dtype not in ("float32", "float64", np.float32, np.float64, float):  # a dtype equals its name
        raise SettingError(f"a network computes in float32 or float64, not in {dtype}")
    if not isinstance(folded, bool):
        raise SettingError(f"folded: {folded!r} (expected True or False)")
    rng = np.random.default_rng(seed)
    layers = segnet_layers(models[name].scaled(width), num_classes, rng=rng, dtype=dtype)
    config = {"name": name, "num_classes": num_classes, "seed": seed, "width": width, "dtype": np.dtype(dtype).name}
    return Network(fold_layers(layers), {**config, "folded": True}) if folded else Network(layers, config)


def demand_network(model: Any) -> Network:
    """Raise SettingError unless this is a network; -> the network."""
    if not isinstance(model, Network):
        raise SettingError(f"model: {type(model).__name__} (expected a Network, such as tinysegnet.build makes)")
    return model
