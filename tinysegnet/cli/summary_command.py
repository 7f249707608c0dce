"""tinysegnet summary."""

import inspect
import json

from cyclopts.types import PositiveInt

from .options import Json, ModelName, Size


def run(
    model: ModelName, /, *, size: Size = (360, 480), batch_size: PositiveInt = 1, num_classes: int = 11,
    width: float = 1.0, as_json: Json = False,
) -> int:  # fmt: skip
    """Show the shapes, parameters, memory and multiply-adds of a network, layer by layer.

    Args:
        model: The network.
        size: Height and width of the pictures.
        batch_size: Pictures per batch.
        num_classes: The number of classes, which is the number of output channels.
        width: A factor on the number of channels of every stage.
    """
    from ..models import build, models

    network = build(model, num_classes, width=width)
    network.check_size(size)
    summary = network.summary(size, batch_size=batch_size)
    if as_json:
        print(json.dumps(summary.as_dict()))
    else:
        print(inspect.getdoc(models[model]), summary, sep="\n\n")
    return 0
