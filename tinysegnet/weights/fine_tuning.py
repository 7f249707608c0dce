"""Fine-tuning: a new network that starts with the weights of a trained one, for the same or for other classes."""

import numpy as np

from ..data import Palette
from ..errors import SettingError
from ..models import CUSTOM, Network, build
from .checkpoint import Checkpoint


def start_from(saved: Checkpoint, palette: Palette, *, seed: int = 0) -> tuple[Network, str]:
    """Build a network for the classes of `palette` with the weights of a trained network, and say what was kept.

    All weights are kept except the classifier, which is new unless the class names are the same in the same order. Two
    classes get a single logit if the trained network has one. `seed` is that of the new classifier and of dropout.
    Raises SettingError if the network was exported without batch norm, or is a custom network.
    """
    old = saved.model.config
    if old["name"] == CUSTOM or old.get("folded"):
        raise SettingError(f"{'a custom' if old['name'] == CUSTOM else 'a folded'} network cannot be fine-tuned. Give "
                           "a checkpoint that `train` wrote, such as best.safetensors")  # fmt: skip
    same = saved.palette.names == palette.names
    single = palette.num_classes == 2 and (old["num_classes"] == 1 or old["name"] == "article")
    channels = old["num_classes"] if same else 1 if single else palette.num_classes
    config = {**old, "seed": seed, "dtype": np.float32}
    other_count = 2 if channels == 1 else 1  # arrays whose shapes depend on it belong to the classifier
    model, other = (build(**config | {"num_classes": count}) for count in (channels, other_count))
    kept, others = saved.model.state(), other.state()
    for name, array in model.state().items():
        if same or array.shape == others[name].shape:
            array[...] = kept[name]
    new = "its classes are the same, so its classifier is kept" if same else "a new classifier"
    return model, f"starting from a trained {old['name']}, {saved.palette.num_classes} classes: {new}"
