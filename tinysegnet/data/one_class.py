"""One class against all others: "road or not", made of a data set with any classes."""

from __future__ import annotations

import numpy as np

from ..errors import SettingError
from ..runtime.settings import convert
from .palette import Palette
from .sample import Dataset, Sample, check_dataset, read_sample

__all__ = ["OneClass"]

VOID = 255
OTHERS_COLOR = (205, 205, 200)


class OneClass:
    """The same pictures with two classes: 1 where the named one is, 0 on all others; void stays void.

    Raises SettingError for a name that is no class of the data.
    """

    def __init__(self, data: Dataset, name: str) -> None:
        palette = check_dataset(data).palette
        name, known = convert("one_class", name, str), [own.lower() for own in palette.names]
        if name.lower() not in known:
            raise SettingError(f"{data.name} has no class {name!r} (expected one of {', '.join(palette.names)})")
        k = known.index(name.lower())
        self.data, self.name = data, f"{data.name}: {palette.names[k]} or not"
        void = None if palette.ignore_label is None else VOID
        self.palette = Palette((f"not {palette.names[k]}", palette.names[k]), (OTHERS_COLOR, palette.colors[k]), void)
        self._table = np.zeros(256, np.uint8)  # of every label value
        self._table[k] = 1
        if palette.ignore_label is not None:
            self._table[palette.ignore_label] = VOID

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Sample:
        sample = read_sample(self.data, index)
        return Sample(sample.image, self._table[sample.labels], sample.name)
