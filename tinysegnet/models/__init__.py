"""Networks by name, such as `build("tiny")`. `help(models["basic"])` describes SegNet-Basic and its source."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import SettingError, unknown_name
from ..runtime.settings import convert
from . import decoders, segnet
from .article import Article, article
from .folding import fold_batchnorm, fold_layers
from .layer_builder import PREPROCESSING, LayerBuilder
from .network import CUSTOM, Network
from .segnet import SegNetConfig
from .summary import Summary

__all__ = ["CUSTOM", "MAX_CLASSES", "MAX_WIDTH", "PREPROCESSING", "Network", "Summary", "build", "check_network",
           "count_parameters", "fold_batchnorm", "models"]  # fmt: skip

MAX_CLASSES = 255  #: labels are bytes, and one value may mark unlabelled pixels
MAX_WIDTH = 8.0  #: the largest factor for the numbers of channels

_ARCHITECTURES: tuple[Callable[[], SegNetConfig | Article], ...] = (
    segnet.tiny, segnet.basic, segnet.vgg16, segnet.bayesian_basic, segnet.bayesian_vgg16,
    decoders.bilinear_interpolation, decoders.basic_encoder_addition, decoders.basic_single_channel_decoder,
    decoders.fcn_basic, decoders.fcn_basic_no_addition, decoders.fcn_basic_no_dim_reduction,
    decoders.fcn_basic_no_addition_no_dim_reduction, decoders.replication, decoders.fixed_index, article,
)  # fmt: skip
#: functions that describe the architectures of `build`, by name
models: dict[str, Callable[[], SegNetConfig | Article]] = {
    make.__name__.replace("_", "-"): make for make in _ARCHITECTURES
}


def build(name: str, num_classes: int = 11, *, seed: int = 0, width: float = 1.0, dtype: Any = np.float32,
          preprocessing: str | None = None, folded: bool = False) -> Network:  # fmt: skip
    """Build a new network with random weights.

    Args:
        name: one of `models`.
        num_classes: the number of channels of the logits. With 1, the network separates two classes by one logit, whose
            sigmoid is the probability of class 1.
        seed: the seed of the initial weights and of dropout.
        width: a factor for the number of channels of every stage.
        dtype: float32 for training, float64 for gradient checks.
        preprocessing: one of `PREPROCESSING`. Default: the preprocessing of the architecture.
        folded: whether to omit batch norm, as `fold_batchnorm` does.

    Raises SettingError if a name is unknown or a number is out of range.
    """
    _check_name("model", name, models)
    num_classes, seed = convert("num_classes", num_classes, int), convert("seed", seed, int)
    width, folded = convert("width", width, float), convert("folded", folded, bool)
    if seed < 0:
        raise SettingError(f"seed: {seed} is negative. Give 0 or a larger number")
    if not 1 <= num_classes <= MAX_CLASSES or not 0 < width <= MAX_WIDTH:
        raise SettingError(f"a network needs 1..{MAX_CLASSES} classes and a width above 0 and at most {MAX_WIDTH:g}, "
                           f"not {num_classes} classes and width {width}")  # fmt: skip
    if dtype not in ("float32", "float64", np.float32, np.float64, float):  # np.dtype("float32") == "float32"
        raise SettingError(f"a network computes in float32 or float64, not in {dtype}")
    architecture = models[name]()
    preprocessing = architecture.preprocessing if preprocessing is None else preprocessing
    _check_name("preprocessing", preprocessing, PREPROCESSING)
    config = {"name": name, "num_classes": num_classes, "seed": seed, "width": width, "dtype": np.dtype(dtype).name,
              "preprocessing": preprocessing}  # fmt: skip
    builder = LayerBuilder(np.random.default_rng(seed), dtype, preprocessing)
    layers = architecture.scaled(width).layers(num_classes, builder)
    if folded:
        layers, config = fold_layers(layers), {**config, "folded": True}
    return Network(layers, config, size_multiple=architecture.size_multiple)


def count_parameters(name: str, num_classes: int, width: float) -> int:
    """Return the number of parameters of a network without allocating them."""
    architecture = models[name]().scaled(width)
    layers = architecture.layers(num_classes, LayerBuilder(None, np.float32, architecture.preprocessing))
    return sum(array.size for layer in layers.values() for array in layer.params.values())


def _check_name(what: str, name: Any, known: dict[str, Any]) -> None:
    if not isinstance(name, str) or name not in known:
        raise SettingError(unknown_name(what, name, known))


def check_network(model: Any) -> Network:
    """Return the model. Raises SettingError if it is not a `Network`."""
    if not isinstance(model, Network):
        raise SettingError(f"model: {type(model).__name__} is not a Network. Make one with tinysegnet.build")
    return model
