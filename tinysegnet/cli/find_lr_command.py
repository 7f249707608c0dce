"""tinysegnet find-lr."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..errors import SettingError
from ..training.recipes import Recipe
from . import training_options
from .data_options import load_splits
from .options import FilePath
from .training_options import NetworkOptions

#: settings that have no effect on a range test
HIDDEN = ("epochs", "iterations", "learning_rate", "schedule", "statistics", "mirror", "test_scales", "validate_every",
          "patience", "weight_average")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class FindRate(NetworkOptions):
    """Find a learning rate for `train` with the same options: train for a few steps while the rate rises.

    A new network, or that of --from, is trained with an exponentially rising rate until its loss explodes (Smith 2015).
    The suggestion is a tenth of the rate at which the smoothed loss is lowest. No network is saved.
    """

    out: FilePath = Path("find-lr.png")
    """The PNG file for the curve of the loss."""
    steps: Annotated[int, Parameter(metavar="N")] = 100
    """The largest number of training steps, at least 10."""

    def run(self, given: set[str]) -> int:
        """Run the test. `given` contains the options on the command line."""
        from .. import viz
        from ..training.find_lr import find_lr

        if self.out.suffix.lower() != ".png":
            raise SettingError(f"--out {self.out}: the curve must be a PNG file. Give a name such as find-lr.png")
        options = self.prepared(given)
        (train,) = load_splits(self.data, ("train",), self.limit, self.labels)
        model = options.new_model(train.palette)
        found = find_lr(model, train, recipe=Recipe(**asdict(self.settings)), steps=self.steps)
        self.out.parent.mkdir(parents=True, exist_ok=True)
        viz.save_figure(viz.rate_curve_figure(found.rates, found.losses, found.smoothed, found.suggestion), self.out)
        print(f"{len(found.rates)} steps, rates {found.rates[0]:.3g} to {found.rates[-1]:.3g}\n"
              f"suggested: --learning-rate {found.suggestion:g}\ncurve: {self.out}")  # fmt: skip
        return 0


def command(arguments: list[str]) -> Callable[..., int]:
    """Return `tinysegnet find-lr` with the defaults that its options imply."""
    return training_options.command(FindRate, arguments, HIDDEN)
