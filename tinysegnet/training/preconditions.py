"""Checks before the first step: network, recipe and data must match, and some pixels must be labelled."""

from ..data import Dataset, check_dataset, read_sample
from ..errors import DataError, SettingError
from ..models import Network
from .recipes import Recipe


def check_training(model: Network, data: Dataset, val: Dataset | None, recipe: Recipe) -> None:
    """Check that network, recipe and data fit together.

    Raises:
        SettingError: `recipe` is not a Recipe, network and data have different numbers of classes, or the network does
            not support the recipe's size.
        DataError: `val` and `data` have different classes, or no pixel of `data` is labelled.
    """
    if not isinstance(recipe, Recipe):
        raise SettingError(f"recipe: {type(recipe).__name__} is not a tinysegnet.Recipe.")
    if model.num_classes != data.palette.num_classes:
        wanted = data.palette.num_classes
        raise SettingError(f"the network has {model.num_classes} classes, but {data.name} has {wanted}. "
                           f"Build it with num_classes={wanted}.")  # fmt: skip
    model.check_size(recipe.size)
    if val is not None and _classes(check_dataset(val)) != _classes(data):
        raise DataError(f"{val.name}: the classes differ from those of {data.name}. Use validation pictures with the "
                        "same class names, in the same order, and the same ignore_label.")  # fmt: skip
    if not any(_is_labelled(data, i) for i in range(len(data))):  # stops at the first labelled picture
        raise DataError(f"{data.name}: no pixel is labelled. Check the label maps.")


def _classes(data: Dataset) -> tuple[tuple[str, ...], int | None]:
    return data.palette.names, data.palette.ignore_label


def _is_labelled(data: Dataset, index: int) -> bool:
    return bool((read_sample(data, index).labels != data.palette.ignore_label).any())
