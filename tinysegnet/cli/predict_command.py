"""tinysegnet predict."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from unicodedata import normalize

from cyclopts import Parameter
from cyclopts.validators import Number

from ..errors import SettingError, TinySegNetError
from ..files import write_atomically
from ..runtime.progress import say, track
from .data_options import PaletteChoice
from .distributed_job import Distributed, ranks_of_command
from .options import CheckpointPath, OutFolder, Quiet, Switch
from .predict_video import Video, VideoOptions, predict_videos
from .prediction_options import FACTOR, Options, PredictionOptions, UnfamiliarPictures

if TYPE_CHECKING:
    from ..prediction.segment_files import Outcome
    from ..runtime.distributed import Communicator

Jobs = Annotated[int, Parameter(validator=Number(gte=1, lte=64))]
OLD_SUFFIXES = ("_doubt",)  # written by version 0.1
ANIMATION = "predictions.gif"


def run(
    checkpoint: CheckpointPath, images: Annotated[tuple[Path, ...], Parameter(name="IMAGE")] = (), /, *,
    out: OutFolder, scale: Annotated[float, FACTOR] = 1.0, options: Options = PredictionOptions(), gif: bool = False,
    probabilities: bool = False, palette: PaletteChoice = "own", full_size: bool = False, tiles: Switch | None = None,
    jobs: Jobs = 1, distributed: Distributed = False, video: Video = VideoOptions(), quiet: Quiet = False,
) -> int:  # fmt: skip
    """Segment pictures of any size, and write STEM_overlay.png, STEM_colours.png and STEM_labels.png for each. Segment
    videos, and write STEM_overlay.mp4 for each.

    The overlay has a legend, and small pictures are enlarged in it. The colour map and the labels have the size of the
    picture. The labels are a palette PNG whose values are the class numbers. Photographs are turned upright first.
    Pictures that fail are reported and skipped. The exit code is then 1, or 2 if no picture was segmented.

    Videos need PyAV: pip install "tinysegnet[video]". The overlay of a video is an H.264 video with the times and, if
    MP4 allows it, the sound of the original. Its legend lists all classes and their present shares of the pixels.

    Args:
        images: Pictures of any size (PNG, JPEG, TIFF, WebP, BMP, GIF, AVIF, and HEIC if pillow-heif is installed), or
            folders of them. Videos (MP4, MOV, AVI, WebM, MKV), also in these folders.
        out: A folder for the results. It is created if it is missing.
        scale: A factor on the height and width of the network's input; 1 is the size of its training pictures.
        gif: Also write predictions.gif, an animation of the overlays.
        probabilities: Also write STEM_probabilities.npz for numpy.load, with "probabilities" (height, width, classes)
            in float32 and "names", the names of the classes.
        full_size: Give the network the picture's own pixels, without resizing the picture to the size of the training
            pictures. With --scale, this size is multiplied. Use it for aerial pictures and scans.
        tiles: Predict in tiles, which needs less memory. The labels are those of the whole picture. Default: for more
            than 4 megapixels of the network's input.
        jobs: The number of processes, which share the processor's cores. The results do not depend on it.
    """
    from .. import viz
    from ..prediction.segment_files import SUFFIXES, PictureTask, Segmenter, SegmentSettings, segment_files

    if tiles and options.samples:
        raise SettingError("tiles and samples cannot be combined: samples use the whole picture. Give one of the two")
    paths, videos = _files(images, out)
    sources, ranks = video.sources(videos, gif=gif, probabilities=probabilities), ranks_of_command()
    for what, given in (("--jobs", jobs > 1), ("--gif", gif), ("videos", bool(sources))):
        if distributed and given:
            raise SettingError(f"--distributed and {what} cannot be combined. Leave out one of the two")
    loaded = options.open(checkpoint, palette)
    out.mkdir(parents=True, exist_ok=True)
    averaging = options.resolved_for(loaded)
    averaging.pop("size")
    settings = SegmentSettings(checkpoint, palette, out, scale, averaging, options.samples, probabilities, gif,
                               full_size, tiles)  # fmt: skip
    tasks = list(map(PictureTask, range(len(paths)), paths, _own_stems(paths)))
    video_stems = _own_stems([*videos, Path("camera")])[: len(sources)]
    _check_targets([*paths, *videos], [
        *(out / f"{task.stem}{suffix}.png" for task in tasks for suffix in SUFFIXES),
        *(out / f"{stem}_overlay.mp4" for stem in video_stems),
    ])  # fmt: skip
    segmenter = Segmenter(settings, loaded)
    animation = viz.Animation(segmenter.palette, len(paths)) if gif else None
    complete: list[bool] = []

    def finished(outcome: Outcome) -> None:
        complete.append(outcome.error is None)

    if min(jobs, len(tasks)) > 1:
        from ..prediction.worker_processes import segment_in_processes

        outcomes = segment_in_processes(tasks, settings, jobs, finished)
    else:
        outcomes = segment_files(tasks[ranks.rank :: ranks.size], segmenter, finished)
    shown = track("predicting", -(-len(paths) // ranks.size))(outcomes)
    failed, unfamiliar = 0, UnfamiliarPictures(loaded)
    try:
        with closing(outcomes):
            for task, overlay, error, deviation, found in shown if ranks.size == 1 else _of_all(ranks, shown):
                if isinstance(error, TinySegNetError):
                    say(f"error: {error}")
                    failed += 1
                    continue
                if error:
                    raise error
                unfamiliar.include(str(task.path), deviation)
                say(str(overlay), sys.stdout)
                if animation and found:
                    name = task.path.name.encode(errors="backslashreplace").decode()
                    animation.add(found.image, found.labels, name, task.number + 1)
    except KeyboardInterrupt:
        count = f"{sum(complete)} of {len(paths)} pictures" if ranks.size == 1 else "some pictures"
        say(f"{out} contains the results of {count}. The same command segments all of them.")
        raise
    if animation and animation.frames:
        write_atomically(out / ANIMATION, animation.to_bytes())
        print(out / ANIMATION)
    codes = {0 if not failed else 1 if failed < len(paths) else 2} if paths or not sources else set()
    if sources:
        codes.add(predict_videos(sources, video_stems, segmenter, video, unfamiliar))
    unfamiliar.warn()
    return codes.pop() if len(codes) == 1 else 1


def _of_all(ranks: Communicator, outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return the outcomes of all processes in order."""
    found = [outcome for own in ranks.allgather(list(outcomes)) for outcome in own]
    return sorted(found, key=lambda outcome: outcome.task.number)


def _files(images: tuple[Path, ...], out: Path) -> list[list[Path]]:
    """Return the pictures and the videos. If their folder is also `out`, the results of an earlier run are skipped."""
    from ..data.find import find_inputs
    from ..prediction.segment_files import SUFFIXES

    *both, others = find_inputs(images)
    if others:
        say(f"files that are neither pictures nor videos are left out: {len(others)}, such as {others[0]}")
    return [
        [
            path for path in found
            if path in images or path.parent.resolve() != out.resolve()
            or not (path.stem.endswith(SUFFIXES + OLD_SUFFIXES) or path.name == ANIMATION)
        ]
        for found in both
    ]  # fmt: skip


def _check_targets(inputs: list[Path], targets: list[Path]) -> None:
    """Raise SettingError if a result would replace an input or a file that `predict` did not write."""
    from ..viz.image_bytes import MARK

    originals, mark = {path.resolve() for path in inputs}, "\0".join(MARK).encode()
    for target in targets:
        if not target.exists():
            continue
        if target.resolve() in originals:
            raise SettingError(f"{target}: a result would replace this input. Choose another --out")
        if target.suffix == ".png" and target.is_file():
            with open(target, "rb") as file:
                if mark not in file.read(256):
                    raise SettingError(f"{target}: this file exists, and was not written by this version of predict. "
                                       "Choose another --out, or rename the file")  # fmt: skip


def _own_stems(paths: list[Path]) -> list[str]:
    """Name the results of each picture after its stem, with a number if the stem is taken.

    >>> _own_stems([Path("x/a.png"), Path("y/A.jpg"), Path("b.png")])
    ['a', 'A-2', 'b']
    """
    taken: set[str] = set()
    stems = []
    for path in paths:
        # File names have at most 255 bytes, and a suffix and a number must fit.
        first = normalize("NFC", path.stem).encode(errors="surrogateescape")[:220].decode(errors="ignore") or "picture"
        names = (first if n == 1 else f"{first}-{n}" for n in range(1, len(paths) + 2))
        stem = next(name for name in names if name.casefold() not in taken)  # many file systems ignore case
        taken.add(stem.casefold())
        stems.append(stem)
    return stems
