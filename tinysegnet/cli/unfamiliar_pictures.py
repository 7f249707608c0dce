"""A warning about pictures that are unlike those on which a network was trained."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from ..weights.checkpoint import Checkpoint

FAR = 2.0  # standard deviations, which fewer than 1 in 100 pictures of the same kind exceed


class UnfamiliarPictures:
    """Collects the pictures that are unlike the training pictures of a network, and warns about them in one line."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.known = checkpoint.training_pictures
        self.count, self.far, self.farthest = 0, 0, (FAR, "", "")

    def add(self, name: str, image: np.ndarray) -> None:
        """Compare a picture (H, W, 3) uint8 with the training pictures, if their statistics are known."""
        if self.known:
            deviation, quality = self.known.deviation(image)
            self.count, self.far = self.count + 1, self.far + (deviation > FAR)
            self.farthest = max(self.farthest, (deviation, name, quality))

    def warn(self) -> None:
        """Print the warning on stderr if a picture was unlike the training pictures."""
        if not self.far:
            return
        _, name, quality = self.farthest
        which = name if self.count == 1 else f"{self.far} of {self.count} pictures, above all {name}"
        print(f"warning: unlike the network's training pictures, so the labels may be wrong: {which}, which differs "
              f"most in {quality}", file=sys.stderr)  # fmt: skip
