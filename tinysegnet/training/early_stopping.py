"""Early stopping: training ends after several validations without a better score (Prechelt 1998)."""

import math
from collections.abc import Mapping, Sequence


def has_stalled(history: Sequence[Mapping[str, float]], patience: int | None, since: int = 0) -> bool:
    """Return whether the last `patience` validations brought no better mIoU.

    Args:
        history: one row per epoch, with "epoch" and "val_mIoU", which is NaN in epochs without validation.
        patience: the number of validations to wait, or None to wait for ever.
        since: only validations after this epoch count as waiting, for example after the plan of a run has changed.
    """
    scores = {row["epoch"]: row["val_mIoU"] for row in history if not math.isnan(row["val_mIoU"])}
    if patience is None or not scores:
        return False
    best = max(scores, key=scores.__getitem__)  # the first of equal scores
    return sum(epoch > max(best, since) for epoch in scores) >= patience
