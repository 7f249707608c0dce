"""What a training run records about its pictures, and what they lack."""

import hashlib
from typing import Any

from ..data import Dataset
from ..data.class_weights import PixelCounts, count_pixels
from ..runtime.distributed import Communicator

FEW_VALIDATION_PICTURES = 5  # with fewer, scores are uncertain


def fingerprint(data: Dataset) -> dict[str, Any]:
    """Return the number of pictures, and a hash of their sorted names, by which a resumed run recognises them."""
    names = "\n".join(sorted(data[i].name for i in range(len(data))))
    return {"count": len(data), "sha256": hashlib.sha256(names.encode(errors="backslashreplace")).hexdigest()}


def shortcomings(train: Dataset, val: Dataset, communicator: Communicator | None = None) -> list[str]:
    """Return what the pictures lack, in one line per kind, for example a class without a training picture."""
    counts, val_counts = (count_pixels(data, communicator=communicator) for data in (train, val))
    lines = [
        _line("in no training picture, so it will not be learned", counts, counts.images == 0),
        _line("in only one training picture, so it will hardly be learned", counts, counts.images == 1),
        _line("in no validation picture, so it has no score", counts, val_counts.images == 0),
    ]
    if len(val) < FEW_VALIDATION_PICTURES:
        lines.append(
            f"scores are uncertain, because there are fewer than {FEW_VALIDATION_PICTURES} validation pictures"
        )
    return [line for line in lines if line]


def _line(what: str, counts: PixelCounts, affected: Any) -> str:
    names = [name for name, is_affected in zip(counts.names, affected, strict=True) if is_affected]
    return f"{what}: {', '.join(names)}" if names else ""
