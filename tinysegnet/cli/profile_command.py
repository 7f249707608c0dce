"""tinysegnet profile."""

from pathlib import Path

from .. import viz
from ..bench import profiling
from ..models import build
from .model_name import ModelName
from .options import Json, Size, check_minimum


def run(
    model: ModelName,
    /,
    *,
    size: Size = (360, 480),
    batch_size: int = 1,
    width: float = 1.0,
    picture: Path | None = None,
    as_json: Json = False,
) -> int:
    """Show where the time of a training step goes: every layer's forward and backward, the loss, and the optimizer.

    Args:
        model: The network.
        size: Height and width of the pictures.
        batch_size: Pictures per batch.
        width: A factor on the number of channels of every stage.
        picture: Draw the layers as bars into this file, .png or .svg.
    """
    check_minimum(1, batch_size=batch_size)
    found = profiling.profile(build(model, width=width), size, batch_size)
    print(found.as_json() if as_json else found)
    if picture is not None:
        viz.save_figure(viz.profile_figure(found.bars(), found.title, found.subtitle), picture)
    return 0
