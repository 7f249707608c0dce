"""Data sets derived from another one: kept in memory, or reduced to one class versus all others."""

from typing import Any

import numpy as np

from ..errors import SettingError, did_you_mean
from ..runtime.settings import convert
from .label_encoding import VOID
from .palette import Palette
from .sample import Dataset, Sample, check_dataset, read_sample

OTHERS_COLOR = (205, 205, 200)


class InMemory:
    """A data set whose samples, or the first `limit` of them, are loaded or drawn at construction and kept in memory.

    Args:
        progress: a function that wraps the loop, such as tqdm.
    """

    def __init__(self, dataset: Dataset, *, limit: int | None = None, progress: Any = iter) -> None:
        check_dataset(dataset)
        self.palette, self.name = dataset.palette, dataset.name
        if limit is not None and limit < 1:
            raise SettingError(f"limit: {limit} is too small. Choose at least 1.")
        count = len(dataset) if limit is None else min(limit, len(dataset))
        self.samples: list[Sample] = [read_sample(dataset, i) for i in progress(range(count))]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]


class OneClass:
    """The same pictures with two classes: 1 for the named class and 0 for all others. Void pixels stay void.

    Raises SettingError if the data set has no class of this name.
    """

    def __init__(self, data: Dataset, name: str) -> None:
        palette = check_dataset(data).palette
        name, known = convert("one_class", name, str), [own.lower() for own in palette.names]
        if name.lower() not in known:
            raise SettingError(f"{data.name} has no class {name!r}. Choose one of {', '.join(palette.names)}."
                               + did_you_mean(name, palette.names))  # fmt: skip
        k = known.index(name.lower())
        self.data, self.name = data, f"{data.name}: {palette.names[k]} or not"
        void = palette.ignore_label
        self._table = np.zeros(256, np.uint8)  # old label -> new label
        self._table[k] = 1
        if void is not None:
            self._table[void] = void = VOID
        self.palette = Palette((f"not {palette.names[k]}", palette.names[k]), (OTHERS_COLOR, palette.colors[k]), void)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Sample:
        sample = read_sample(self.data, index)
        return Sample(sample.image, self._table[sample.labels], sample.name)
