"""Checks before the first step: network, recipe and data fit together, and some pixels are labelled."""

from ..data import Dataset, check_dataset, read_sample
from ..errors import DataError, SettingError
from ..models import Network
from .recipes import Recipe


def check_training(model: Network, data: Dataset, val: Dataset | None, recipe: Recipe) -> None:
    """Refuse a training that cannot work.

    Raises:
        SettingError: `recipe` is not a Recipe, network and data have different numbers of classes, or the network
            cannot process pictures of the recipe's size.
        DataError: `val` and `data` have different classes, or no pixel of `data` is labelled.
    """
    if not isinstance(recipe, Recipe):
        raise SettingError(f"recipe: {type(recipe).__name__} (expected a tinysegnet.Recipe)")
    if model.num_classes != data.palette.num_classes:
        has = "one logit, for 2 classes" if model.config["num_classes"] == 1 else f"{model.num_classes} classes"
        raise SettingError(f"the network has {has}, {data.name} has {data.palette.num_classes}: build it with "
                           f"num_classes={data.palette.num_classes}")  # fmt: skip
    model.check_size(recipe.size)
    if val is not None and _classes(check_dataset(val)) != _classes(data):
        raise DataError(f"{val.name}: other classes than {data.name} (expected the same names in the same order, and "
                        "the same ignore_label). Validate on pictures with the same kind of labels")  # fmt: skip
    if not any(_is_labelled(data, i) for i in range(len(data))):  # the first picture usually is
        raise DataError(f"{data.name}: no pixel is labelled (expected at least one class). Check the label maps")


def _classes(data: Dataset) -> tuple[tuple[str, ...], int | None]:
    return data.palette.names, data.palette.ignore_label


def _is_labelled(data: Dataset, index: int) -> bool:
    return bool((read_sample(data, index).labels != data.palette.ignore_label).any())
