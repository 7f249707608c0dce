"""tinysegnet summary."""

import inspect
import json

from .options import BatchSize, Json, ModelName, Size, Width


def run(
    model: ModelName, /, *, size: Size = (360, 480), batch_size: BatchSize = 1, num_classes: int = 11,
    width: Width = 1.0, as_json: Json = False,
) -> int:  # fmt: skip
    """Show the shapes, parameters, memory and multiply-adds of a network, layer by layer.

    Args:
        size: Height and width of the pictures.
        num_classes: The number of classes, which is the number of output channels.
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
