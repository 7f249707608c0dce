"""tinysegnet find-lr."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ..errors import SettingError
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
    The suggestion is a tenth of the rate at which the smoothed loss is lowest. It is rough: with another --seed, it may
    differ by a factor of ten, so look at the curve. No network is saved.
    """

    out: FilePath = Path("find-lr.png")
    """The PNG file for the curve of the loss."""
    steps: Annotated[int, Parameter(metavar="N")] = 100
    """The largest number of training steps, at least 10."""

    def run(self, settings: Any) -> int:
        """Run the test with these settings of the recipe."""
        from .. import viz
        from ..training.find_lr import find_lr

        if self.out.suffix.lower() != ".png":
            raise SettingError(f"--out {self.out}: the curve must be a PNG file. Give a name such as find-lr.png")
        options, recipe = self.prepared(), self.chosen_recipe(settings)
        (train,) = load_splits(self.data, ("train",), self.limit, self.labels)
        found = find_lr(options.new_model(train.palette, recipe.seed), train, recipe=recipe, steps=self.steps)
        self.out.parent.mkdir(parents=True, exist_ok=True)
        viz.save_figure(viz.rate_curve_figure(found.rates, found.losses, found.smoothed, found.suggestion), self.out)
        print(f"{len(found.rates)} steps, rates {found.rates[0]:.3g} to {found.rates[-1]:.3g}\n"
              f"suggested: --learning-rate {found.suggestion:g}\ncurve: {self.out}")  # fmt: skip
        return 0


OPTIONS = FindRate
