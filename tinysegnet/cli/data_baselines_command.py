"""tinysegnet data baselines."""

import json

from cyclopts.types import PositiveInt

from .data_options import DataPath, LabelOptions, Labels, count_pictures, data_name, load_splits
from .options import Json, Quiet


def run(
    *, data: DataPath = "toy", labels: Labels = LabelOptions(), limit: PositiveInt | None = None, as_json: Json = False,
    quiet: Quiet = False,
) -> int:  # fmt: skip
    """Score predictors without a network, which use position, colour or both. A network should score above them.

    Args:
        data: "toy" for drawn street scenes, or a folder with pictures and label maps.
        limit: Use at most this many pictures per split.
    """
    from ..prediction.evaluate import evaluate_baselines

    train, val = load_splits(data, ("train", "val"), limit, labels)
    found = evaluate_baselines(train, val)
    if as_json:
        print(json.dumps({name: scores.as_dict() for name, scores in found.items()}))
        return 0
    print(f"{data_name(data)}: {count_pictures(train, 'training')}, {count_pictures(val, 'validation')}")
    for name, scores in found.items():
        print(f"{name:<20}  G {scores.G:.3f}  C {scores.C:.3f}  mIoU {scores.mIoU:.3f}")
    return 0
