"""The options for prediction that `predict` and `evaluate` share, and a warning about unfamiliar pictures."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter
from cyclopts.types import PositiveInt
from cyclopts.validators import Number

from ..errors import SettingError
from .options import Numbers

if TYPE_CHECKING:
    import numpy as np

    from ..runtime.distributed import Communicator
    from ..weights.checkpoint import Checkpoint

# A larger factor could overflow before the number of pixels is checked.
FACTOR = Parameter(validator=Number(gt=0, lte=1_000_000), metavar="NUMBER")
FAR = 2.0  # standard deviations, which fewer than 1 in 100 pictures of the same kind exceed


@dataclass(frozen=True, kw_only=True)
class PredictionOptions:
    """The options for averaging predictions over several views of a picture."""

    mirror: Annotated[bool | None, Parameter(negative=None)] = None
    """Average the predictions of the picture and its mirror image, which takes twice as long. Default: as in
    training."""
    test_scales: Annotated[Numbers | None, FACTOR] = None
    """Average the predictions at these factors of the size, such as 0.75 1 1.5. Default: as in training."""
    samples: PositiveInt | None = None
    """Average this many passes with dropout, instead of one pass without it. The network must be Bayesian. `predict`
    also writes STEM_uncertainty.png, which shows where the passes disagree. `evaluate` also scores how well their
    variance tells wrong pixels from right ones, compared with the largest probability of one pass."""

    def __post_init__(self) -> None:
        if self.samples is not None and (self.mirror or self.test_scales is not None):
            other = "mirror" if self.mirror else "test-scales"
            raise SettingError(f"{other} and samples cannot be combined: samples use the picture as it is. Give one of "
                               "the two")  # fmt: skip

    def open(self, checkpoint: Path, palette: str = "own") -> Checkpoint:
        """Open the checkpoint, with the chosen colours of the classes. Raises SettingError if samples are wanted but
        the network has no dropout."""
        from ..weights.checkpoint import open_checkpoint

        loaded = open_checkpoint(checkpoint)
        if self.samples is not None:
            loaded.model.check_dropout()
        return replace(loaded, palette=loaded.palette.with_colors(palette))

    def resolved_for(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Return `size`, `mirror` and `scales` for `predict`: as in training, unless an option says otherwise."""
        trained = checkpoint.prediction
        mirror = trained["mirror"] if self.mirror is None else self.mirror
        scales = trained["scales"] if self.test_scales is None else self.test_scales
        return {**trained, "mirror": mirror, "scales": scales}


Options = Annotated[PredictionOptions, Parameter(name="*", group=Group("Prediction", sort_key=3))]


class UnfamiliarPictures:
    """Collects the pictures that are unlike the training pictures of a network, and warns about them in one line."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.known = checkpoint.training_pictures
        self.count, self.far, self.farthest = 0, 0, (FAR, "", "")

    def add(self, name: str, image: np.ndarray) -> None:
        """Compare a picture (H, W, 3) uint8 with the training pictures, if their statistics are known."""
        self.include(name, self.known.deviation(image) if self.known else None)

    def include(self, name: str, found: tuple[float, str] | None) -> None:
        """Count a picture with the result of `TrainingPictures.deviation`, if there is one."""
        if found:
            deviation, quality = found
            self.count, self.far = self.count + 1, self.far + (deviation > FAR)
            self.farthest = max(self.farthest, (deviation, name, quality))

    def gather(self, ranks: Communicator) -> None:
        """Include the pictures of all processes."""
        counts, far, farthest = zip(*ranks.allgather((self.count, self.far, self.farthest)), strict=True)
        self.count, self.far, self.farthest = sum(counts), sum(far), max(farthest)

    def warn(self) -> None:
        """Print the warning on stderr if a picture was unlike the training pictures."""
        if not self.far:
            return
        _, name, quality = self.farthest
        which = name if self.count == 1 else f"{self.far} of {self.count} pictures, above all {name}"
        print(f"warning: unlike the network's training pictures, so the labels may be wrong: {which}, which differs "
              f"most in {quality}", file=sys.stderr)  # fmt: skip
