"""tinysegnet profile."""

from cyclopts.types import PositiveInt

from .options import Json, ModelName, Size


def run(
    model: ModelName, /, *, size: Size = (360, 480), batch_size: PositiveInt = 1, width: float = 1.0,
    as_json: Json = False,
) -> int:  # fmt: skip
    """Show how much time of a training step each layer's forward and backward, the loss and the optimizer take.

    Args:
        model: The network.
        size: Height and width of the pictures.
        batch_size: Pictures per batch.
        width: A factor on the number of channels of every stage.
    """
    from ..bench import profiling
    from ..models import build

    found = profiling.profile(build(model, width=width), size, batch_size)
    print(found.as_json() if as_json else found)
    return 0
