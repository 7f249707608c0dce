"""The commands `tinysegnet data check`, `import`, `crops`, `baselines` and `scenes`."""

import json
import shlex
import sys
from itertools import chain, permutations
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.types import NonNegativeInt, PositiveInt

from ..errors import SettingError
from ..files import new_folder, write_atomically
from ..runtime.progress import track
from .data_options import DataPath, LabelOptions, Labels, count_pictures, data_name, find_problems, load_splits
from .options import FilePath, FolderPath, Json, OutFolder, Quiet, Size


def data_check(
    folder: FolderPath, /, *, labels: Labels = LabelOptions(), sheet: FilePath | None = None, quiet: Quiet = False
) -> int:
    """Check a data set: read every picture and label map, describe the folder, and list all files that cannot be used.

    The exit code is 2 if a file cannot be used, and 1 if there are no pictures for training or validation.

    Args:
        folder: A folder with pictures and label maps.
        sheet: A PNG file for a contact sheet of typical pairs, and of pairs that look wrong, with the reasons.
    """
    from ..data import Folder
    from ..data.layouts import find_layout
    from ..data.plausibility import doubtful_rotations, pair_statistics, shared_pictures, shares, suspicious

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
          *rotations, *problems, f"{sum(map(len, folders))} pairs checked: {usable}",
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


def data_import(source: Annotated[Path, Parameter(name="SOURCE")], /, *, out: OutFolder, quiet: Quiet = False) -> int:
    """Make a data set from labelme annotations, or from COCO annotations of CVAT, Label Studio or Roboflow.

    Pixels without a shape become background, and later shapes cover earlier ones. Everything that is not imported is
    counted or listed. The exit code is 1 if pictures or classes are missing in the result, and 2 if there is no result.

    Args:
        source: A folder with pictures and JSON files, or one JSON file. For labelme, labels.txt may list the classes.
        out: A new folder for the result: images/, labels/ and classes.txt, with the splits of the source.
    """
    from ..data.importing import import_annotations

    imported = import_annotations(source, out, progress=track("importing pictures"))
    one = "picture" if imported.counts.total() == 1 else "pictures"
    counts = ", ".join(f"{count} {split or one}" for split, count in imported.counts.items())
    print(f"{out}: {counts}; classes: {', '.join(imported.classes)}")
    for what, count in (+imported.dropped).items():
        print(f"{what}: {count}")
    for reason in imported.refused:
        print(f"not imported: {reason}")
    if imported.refused:
        hint = f"To import everything, correct the source, delete {out}, and run the command again."
        print(f"{out} is incomplete. {hint}", file=sys.stderr)
    return 1 if imported.refused else 0


def data_crops(
    folder: FolderPath, /, *, out: OutFolder, labels: Labels = LabelOptions(), size: Size = (96, 128),
    whole: bool = False, per_picture: PositiveInt = 4, seed: NonNegativeInt = 0,
    quiet: Quiet = False,
) -> int:  # fmt: skip
    """Make a small data set from a large one, with random crops or with whole pictures scaled down.

    Args:
        folder: A folder with pictures and label maps. Check it first with `tinysegnet data check DIR`.
        out: A new folder for the result, in the layout of the SegNet tutorial's CamVid, with a classes.txt.
        size: Height and width of the new pictures.
        whole: Scale whole pictures down instead of cropping them. This keeps the shares of the classes.
        per_picture: The number of crops per picture.
        seed: The seed of the crops' positions.
    """
    from ..data import make_crops

    names = ("train", "val")
    splits = dict(zip(names, load_splits(str(folder), names, labels=labels), strict=True))
    counts = make_crops(splits, size, out, crops_per_picture=per_picture, whole=whole, seed=seed,
                        progress=track("writing pictures"))  # fmt: skip
    print(f"{out}: " + ", ".join(f"{count} {split}" for split, count in counts.items()))
    return 0


def data_baselines(
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


def data_scenes(
    *, out: OutFolder, count: PositiveInt = 10, seed: NonNegativeInt = 0, size: Size = (96, 128), quiet: Quiet = False
) -> int:
    """Draw toy street scenes and their labels, a data set to look at, to segment and to train on.

    Args:
        out: A new folder for images/, labels/, overlays/ and classes.txt.
        count: The number of scenes.
        seed: The seed of the random scenes.
        size: Height and width of the pictures.
    """
    from PIL import Image

    from .. import viz
    from ..data import CAMVID
    from ..data.crops import write_classes
    from ..data.toyscenes import ToyScenes

    scenes = ToyScenes(count, seed=seed, size=size)
    with new_folder(out) as part:
        write_classes(part / "classes.txt", CAMVID)
        for folder in ("images", "labels", "overlays"):
            (part / folder).mkdir()
        for index in track("drawing scenes")(range(count)):
            sample = scenes[index]
            overlay = viz.labelled_picture(sample.image, sample.labels, CAMVID)
            pictures = {"images": Image.fromarray(sample.image), "labels": Image.fromarray(sample.labels)}
            for folder, picture in {**pictures, "overlays": overlay}.items():
                (part / folder / f"{sample.name}.png").write_bytes(viz.picture_bytes(picture))
    print(out)
    return 0


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
