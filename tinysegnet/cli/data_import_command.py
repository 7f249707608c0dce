"""tinysegnet data import."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .options import OutFolder, Quiet


def run(source: Annotated[Path, Parameter(name="SOURCE")], /, *, out: OutFolder, quiet: Quiet = False) -> int:
    """Make a data set from labelme annotations, or from COCO annotations of CVAT, Label Studio or Roboflow.

    Pixels without a shape become background, and later shapes cover earlier ones. Everything that is not imported is
    counted or listed. The exit code is 1 if pictures or classes are missing in the result, and 2 if there is no result.

    Args:
        source: A folder with pictures and JSON files, or one JSON file. For labelme, labels.txt may list the classes.
        out: A new folder for the result: images/, labels/ and classes.txt, with the splits of the source.
    """
    from ..data.importing import import_annotations
    from ..runtime.progress import track

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
