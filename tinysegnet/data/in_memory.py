"""A data set whose samples are made once and kept."""

from __future__ import annotations

from typing import Any

from ..errors import SettingError
from .sample import Dataset, Sample, check_dataset, read_sample

__all__ = ["InMemory"]


class InMemory:
    """The first `limit` samples of a data set (default: all), loaded or drawn when this is made.

    progress: wraps the loop, such as tqdm.
    """

    def __init__(self, dataset: Dataset, *, limit: int | None = None, progress: Any = iter) -> None:
        check_dataset(dataset)
        self.palette, self.name = dataset.palette, dataset.name
        if limit is not None and limit < 1:
            raise SettingError(f"limit {limit} (expected at least 1 picture)")
        count = len(dataset) if limit is None else min(limit, len(dataset))
        self.samples: list[Sample] = [read_sample(dataset, i) for i in progress(range(count))]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]
