"""A plot in a notebook that grows while a network trains."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tinysegnet.viz.curves import curves_figure
from tinysegnet.viz.figures import LIGHT, Theme

__all__ = ["LivePlot"]


class LivePlot:
    """A plot that is redrawn in place in Jupyter each time it is called with the history of a run.

    In a terminal or a script the call does nothing, so the same code runs everywhere.

    Args:
        baselines: mIoU of methods without a network, by name, drawn as horizontal lines.
        theme: colours.

    >>> plot = LivePlot({"position prior": 0.21})
    >>> plot([{"epoch": 1, "train_loss": 2.4, "val_mIoU": 0.1}])
    """

    def __init__(self, baselines: Mapping[str, float] | None = None, *, theme: Theme = LIGHT) -> None:
        self.baselines, self.theme = dict(baselines or {}), theme
        self._handle: Any = None  # the output to replace after the first call

    def __call__(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Redraw the figure; `history` has one row per epoch so far, with the columns of metrics.csv."""
        if not history or not in_notebook():
            return
        from IPython.display import display  # imported here because only notebooks have it, and it is slow

        figure = curves_figure(history, self.baselines, theme=self.theme)
        if self._handle is None:
            self._handle = display(figure, display_id=True)
        else:
            self._handle.update(figure)


def in_notebook() -> bool:
    """Return whether this code runs in a Jupyter kernel. IPython in a terminal has a shell but no kernel."""
    ipython = sys.modules.get("IPython")  # a kernel imports IPython before any cell runs
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None
