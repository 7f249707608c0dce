"""tinysegnet data check."""

import shlex
import sys
from itertools import chain, permutations

from ..errors import SettingError
from ..files import write_atomically
from ..runtime.progress import track
from .data_options import LabelOptions, Labels, find_problems
from .options import FilePath, FolderPath, Quiet


def run(
    folder: FolderPath, /, *, labels: Labels = LabelOptions(), sheet: FilePath | None = None, quiet: Quiet = False
) -> int:
    """Check a data set: read every picture and label map, describe the folder, and list all files that cannot be used.

    The exit code is 2 if a file cannot be used, and 1 if there are no pictures for training or validation.

    Args:
        folder: A folder with pictures and label maps.
        sheet: A PNG file for a contact sheet of typical pairs, and of pairs that look wrong, with the reasons.
    """
    from ..data import Folder
    from ..data.duplicates import shared_pictures
    from ..data.layouts import find_layout
    from ..data.pair_statistics import doubtful_rotations, pair_statistics, shares, suspicious

    if sheet is not None and sheet.suffix.lower() != ".png":
        raise SettingError(f"{sheet}: the contact sheet must be a PNG file. Give another --sheet, such as sheet.png")
    layout = find_layout(folder)
    splits = [split for split in layout.splits if layout.splits[split]]
    if not splits:
        layout.pairs(next(iter(layout.splits)))  # raises a DataError that describes what is missing
    folders = [Folder(folder, split, ignore=labels.ignore, classes=labels.classes, layout=layout) for split in splits]
    selected = [labels.select(data) for data in folders]
    problems = [problem for data in folders for problem in find_problems(data)]
    progress = track("counting pixels")
    statistics = [pair_statistics(data, fits=sheet is not None, progress=progress) for data in selected]
    names, pairs = [*selected[0].palette.names, "void"], list(chain(*statistics))
    counted = {split: dict(zip(names, shares(found).tolist(), strict=True))
               for split, found in zip(splits, statistics, strict=True) if found}  # fmt: skip
    rotations, missing = doubtful_rotations(folders), [split for split in ("train", "val") if split not in splits]
    usable = f"{len(problems)} files cannot be used" if problems else "all can be used"
    usable += ", but see the line about EXIF" if rotations else ""
    if missing and not problems:
        usable = (f"they can be scored (`tinysegnet evaluate CHECKPOINT --data {shlex.quote(str(folder))} --split "
                  f"{splits[0]}`). To train, add the split {' and '.join(missing)}")  # fmt: skip
    print(max(folders, key=lambda data: data.void_occurs).description, *_table(counted), *shared_pictures(folders),
          *rotations, *(problem.text for problem in problems), f"{sum(map(len, folders))} pairs checked: {usable}",
          sep="\n")  # fmt: skip
    if sheet is not None and not pairs:
        print(f"{sheet}: not written, because no pair can be used", file=sys.stderr)
    elif sheet is not None:
        from .. import viz

        odd = suspicious(pairs)
        sheet.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(sheet, viz.picture_bytes(viz.contact_sheet(folder.resolve().name, pairs, odd)))
        print(f"{sheet}: {len(odd)} of {len(pairs)} pairs look suspicious", file=sys.stderr)
    return 2 if problems else 1 if missing else 0


def _table(shares: dict[str, dict[str, float]]) -> list[str]:
    """Return a table of each class's share of the pixels per split, and the classes that only one split has."""
    if not shares:
        return []
    names = [name for name in next(iter(shares.values())) if name != "void" or any(s[name] for s in shares.values())]
    left = max(map(len, ("% of the pixels", *names)))
    lines = ["% of the pixels".ljust(left) + "".join(split.rjust(max(8, len(split) + 2)) for split in shares)]
    for name in names:
        cells = {split: 100 * classes[name] for split, classes in shares.items()}
        texts = {split: "-" if not x else "< 0.1" if x < 0.05 else f"{x:.1f}" for split, x in cells.items()}
        lines.append(name.ljust(left) + "".join(text.rjust(max(8, len(split) + 2)) for split, text in texts.items()))
    unused = [name for name in names if name != "void" and not any(classes[name] for classes in shares.values())]
    lines += [f"classes that occur in no label map: {', '.join(unused)}"] if unused else []
    lines += [f"more than half of {split} is void" for split, classes in shares.items() if classes["void"] > 0.5]
    for here, there in permutations(shares, 2):
        absent = [name for name in names if name != "void" and shares[here][name] and not shares[there][name]]
        lines += [f"classes of {here} that do not occur in {there}: {', '.join(absent)}"] if absent else []
    return lines
