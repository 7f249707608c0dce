"""tinysegnet profile."""

from .options import BatchSize, Json, ModelName, Size, Width


def run(
    model: ModelName, /, *, size: Size = (360, 480), batch_size: BatchSize = 1, width: Width = 1.0,
    as_json: Json = False,
) -> int:  # fmt: skip
    """Show how much time of a training step each layer's forward and backward, the loss and the optimizer take.

    Args:
        size: Height and width of the pictures.
    """
    from ..bench import profiling
    from ..models import build

    found = profiling.profile(build(model, width=width), size, batch_size)
    print(found.as_json() if as_json else found)
    return 0
