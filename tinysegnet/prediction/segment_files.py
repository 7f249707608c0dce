"""Segmenting picture files: from each picture to the files of its results.

The work for one picture is a `PictureTask`, and needs only a `Segmenter`. `segment_files` works on a list of tasks in
one process: while the network runs on a picture, the next one is decoded and the results of earlier ones are encoded.
"""

import io
import math
import sys
import threading
import zipfile
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from .. import viz
from ..data import read_image
from ..data.image_files import MAX_PIXELS_SINGLE, claimed_pixels
from ..errors import DataError, SettingError, TinySegNetError
from ..files import COMMENT, write_atomically
from ..ops import softmax_forward
from ..runtime.progress import track
from ..weights.checkpoint import Checkpoint, open_checkpoint
from .large_pictures import LargePicture, segment_large
from .predict import network_size, predict, predict_logits, predict_samples, predict_with_uncertainty
from .tiles import TILE, cuts

SUFFIXES = ("_overlay", "_colours", "_labels", "_uncertainty")  #: of the names of the results
LEGIBLE = 240  # pixels; the overlay of a picture whose longer side is shorter is enlarged
MAX_PROBABILITIES = 250_000_000  # numbers of 4 bytes; several arrays of this size are in memory
MAX_WORKING_PIXELS = 4_000_000  # without tiles, because vgg16 needs several arrays of 256 bytes per pixel
MAX_LOGITS = 100_000_000  # numbers of 4 bytes, which tiles need if the network's input has not the picture's size
SLOTS = 4  #: the maximum number of pictures that a process has in memory
PIXELS_PER_SLOT = 8_000_000  # larger pictures take several slots, because results need up to 30 bytes per pixel
WRITERS = 2  # threads that encode results


class PictureTask(NamedTuple):
    """Picture `number` of a list, counted from 0, and the stem of the names of its results."""

    number: int
    path: Path
    stem: str


class Segmentation(NamedTuple):
    """A picture (H, W, 3), its labels (H, W), and, if wanted, uncertainty (H, W) and probabilities (H, W, K)."""

    image: np.ndarray
    labels: np.ndarray
    uncertainty: np.ndarray | None = None
    probabilities: np.ndarray | None = None


class Outcome(NamedTuple):
    """The result of a task: the path of the overlay, or an error.

    `deviation` is that of `TrainingPictures.deviation`, if their statistics are known. `found` is the segmentation, if
    the settings keep it.
    """

    task: PictureTask
    overlay: Path | None = None
    error: Exception | None = None
    deviation: tuple[float, str] | None = None
    found: Segmentation | None = None


@dataclass(frozen=True)
class SegmentSettings:
    """What to compute and where to write it, as plain values that another process can receive."""

    checkpoint: Path  # or the name of a bundled network
    palette: str  # "own" or "safe", as for `Palette.with_colors`
    out: Path  # a folder, which exists
    scale: float  # a factor on height and width of the network's input; 1 is the size of its training pictures
    averaging: dict[str, Any]  # `mirror` and `scales` for `predict`; not used with samples
    samples: int | None  # the number of passes with dropout, or None for one pass without it
    probabilities: bool  # whether to write the probabilities of all classes
    keep: bool  # whether outcomes contain the segmentation
    full_size: bool = False  # whether `scale` is a factor on the picture's own size
    tiles: bool | None = None  # whether to predict in tiles; None: above MAX_WORKING_PIXELS


class Segmenter:
    """A network with the settings of its use. Opens the checkpoint of the settings if none is given."""

    def __init__(self, settings: SegmentSettings, checkpoint: Checkpoint | None = None) -> None:
        self.settings = settings
        self.checkpoint = checkpoint or open_checkpoint(settings.checkpoint)
        self.palette = self.checkpoint.palette.with_colors(settings.palette)
        self.known = self.checkpoint.training_pictures

    def results(self, task: PictureTask) -> list[Path]:
        """Return all paths that `write` may write to: overlay, colours, labels, uncertainty, probabilities."""
        out, stem = self.settings.out, task.stem
        pictures = [out / f"{stem}{suffix}.png" for suffix in SUFFIXES]
        return [*pictures, out / f"{stem}_probabilities.npz"] if self.settings.probabilities else pictures

    def read(self, task: PictureTask) -> np.ndarray | LargePicture:
        """Read the picture, (H, W, 3) uint8, and turn it upright, or open a picture that is too large for memory.

        Raises DataError if this is not possible.
        """
        if claimed_pixels(task.path) > MAX_PIXELS_SINGLE:
            return LargePicture(task.path)
        return read_image(task.path, max_pixels=MAX_PIXELS_SINGLE)

    def input_size(self, path: Path, shape: tuple[int, int]) -> tuple[tuple[int, int], int | None]:
        """Return `size` and `tile` for predicting a picture of shape (H, W). Raises SettingError if it is too large."""
        settings = self.settings
        H, W = (None if settings.full_size else self.checkpoint.size) or shape
        size = max(1, round(H * settings.scale)), max(1, round(W * settings.scale))
        largest = 1.0 if settings.samples else max(settings.averaging["scales"])
        return size, self._tile(path, shape, network_size(self.checkpoint.model, shape, size, largest))

    def segment(self, task: PictureTask, image: np.ndarray | LargePicture) -> Segmentation | Outcome:
        """Predict the labels of a picture. Raises SettingError if it would need too much memory.

        The outcome of a large picture is complete, because its results are written while it is predicted.
        """
        if isinstance(image, LargePicture):
            return self._segment_large(task, image)
        model, settings, path = self.checkpoint.model, self.settings, task.path
        size, tile = self.input_size(path, image.shape[:2])
        if settings.probabilities and image[..., 0].size * self.palette.num_classes > MAX_PROBABILITIES:
            raise SettingError(f"{path}: the probabilities would take {4 * MAX_PROBABILITIES / 1e9:.0f} GB or more. "
                               "Leave out --probabilities, or reduce the picture")  # fmt: skip
        if settings.samples is not None:
            sampling: dict[str, Any] = {"samples": settings.samples, "size": size}
            if not settings.probabilities:
                return Segmentation(image, *predict_with_uncertainty(model, image, **sampling))
            mean, variance = predict_samples(model, image, **sampling)
            return Segmentation(image, mean.argmax(-1).astype("uint8"), variance.mean(axis=2), mean)
        if settings.probabilities:
            logits = predict_logits(model, image, size=size, tile=tile, **settings.averaging)
            return Segmentation(image, logits.argmax(-1).astype("uint8"), None, softmax_forward(logits)[0])
        return Segmentation(image, predict(model, image, size=size, tile=tile, **settings.averaging))

    def _tile(self, path: Path, size: tuple[int, int], working: tuple[int, int]) -> int | None:
        """Return the size of tiles for a picture of this size and the network's input, or None to predict it whole."""
        settings, (h, w) = self.settings, working
        if not settings.tiles and h * w <= MAX_WORKING_PIXELS:
            return None
        if settings.samples is not None or settings.tiles is False:
            most, others = MAX_WORKING_PIXELS, ", or leave out --no-tiles" if settings.tiles is False else ""
        elif working == size and len(settings.averaging["scales"]) == 1:  # no logits of the whole picture are stored
            most, others = sys.maxsize, ""
        else:
            most = MAX_LOGITS // self.palette.num_classes
            others = ", or --full-size and --test-scales 1 without --scale"
        if h * w > most:
            factor = math.floor(1000 * settings.scale * math.sqrt(most / (h * w))) / 1000
            raise SettingError(f"{path}: {h} x {w} pixels are too many for the network, which takes {most / 1e6:.1f} "
                               f"Mpx with these settings. Give --scale {factor:g} or less{others}")  # fmt: skip
        self._check_tiles(path, working)
        return TILE

    def _check_tiles(self, path: Path, size: tuple[int, int]) -> None:
        try:
            self.checkpoint.model.check_size(size)
            for length in size:
                cuts(self.checkpoint.model, length)
        except TinySegNetError as error:
            raise SettingError(f"{path}: {error}") from error

    def _segment_large(self, task: PictureTask, picture: LargePicture) -> Outcome:
        settings, (H, W) = self.settings, picture.size
        changes = {
            "give --full-size": not settings.full_size, "leave out --scale": settings.scale != 1,
            "leave out --samples": settings.samples is not None, "leave out --no-tiles": settings.tiles is False,
            "leave out --probabilities": settings.probabilities,
            "give --test-scales 1": settings.samples is None and tuple(settings.averaging["scales"]) != (1,),
        }  # fmt: skip
        if needed := [change for change, is_needed in changes.items() if is_needed]:
            raise SettingError(f"{task.path}: a picture of {H} x {W} pixels is predicted in bands of rows. "
                               f"For this, {', '.join(needed)}")  # fmt: skip
        self._check_tiles(task.path, picture.size)
        paths = self.results(task)[:3]
        progress = track(f"predicting {task.path.name}")
        small = segment_large(picture, self.checkpoint.model, self.palette, paths,
                              mirror=settings.averaging["mirror"], progress=progress)  # fmt: skip
        deviation = self.known.deviation(small[0]) if self.known else None
        return Outcome(task, paths[0], deviation=deviation, found=Segmentation(*small) if settings.keep else None)

    def write(self, task: PictureTask, found: Segmentation) -> Outcome:
        """Write the results, with only one in memory at a time."""
        labels, palette, paths = found.labels, self.palette, self.results(task)
        enlargement = 1 if max(labels.shape) >= LEGIBLE else None  # nothing can be recognised in a tiny picture
        painted = viz.labelled_picture(found.image, labels, palette, enlargement=enlargement, narrowest=480)
        write_atomically(paths[0], viz.picture_bytes(painted))
        del painted
        write_atomically(paths[1], viz.picture_bytes(Image.fromarray(viz.colour_map(labels, palette))))
        write_atomically(paths[2], viz.picture_bytes(viz.index_picture(labels, palette)))
        if found.uncertainty is not None:
            write_atomically(paths[3], viz.picture_bytes(viz.uncertainty_picture(found.uncertainty)))
        if found.probabilities is not None:
            file = io.BytesIO()
            np.savez(file, probabilities=found.probabilities, names=np.array(palette.names))
            with zipfile.ZipFile(file, "a") as archive:
                archive.comment = COMMENT.encode()
            write_atomically(paths[4], file.getvalue())
        deviation = self.known.deviation(found.image) if self.known else None
        return Outcome(task, paths[0], deviation=deviation, found=found if self.settings.keep else None)


def segment_files(
    tasks: Iterable[PictureTask], segmenter: Segmenter, finished: Callable[[Outcome], None]
) -> Generator[Outcome, None, None]:
    """Do the tasks, with at most SLOTS pictures in memory, and yield their outcomes in order.

    A picture that fails has an outcome with its error, and the others are not affected. If the iteration is ended
    early, writing that has begun is completed, so that no result is incomplete.

    Args:
        tasks: may block until another task is known; other pictures go on meanwhile.
        finished: called in a thread as soon as an outcome is known, perhaps not in order.
    """
    queue, slots, ended = iter(tasks), threading.Semaphore(SLOTS), threading.Event()

    def read() -> tuple[PictureTask, int, Any] | None:
        task = next(queue, None)
        if task is None:
            return None
        taken = min(SLOTS, 1 + claimed_pixels(task.path) // PIXELS_PER_SLOT)
        for _ in range(taken):
            slots.acquire()
        return None if ended.is_set() else (task, taken, _try(segmenter.read, task))

    def write(task: PictureTask, taken: int, found: Any) -> Outcome:
        outcome: Outcome = _try(segmenter.write, task, found)
        finished(outcome)
        slots.release(taken)
        return outcome

    writing: deque[Future[Outcome]] = deque()
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(WRITERS) as writers:
        try:
            reading = reader.submit(read)
            while (picture := reading.result()) is not None:
                reading = reader.submit(read)
                task, taken, image = picture
                writing.append(writers.submit(write, task, taken, _try(segmenter.segment, task, image)))
                del picture, image
                while writing and (len(writing) > SLOTS or writing[0].done()):
                    yield writing.popleft().result()
            while writing:
                yield writing.popleft().result()
        finally:
            ended.set()
            slots.release(SLOTS)  # the reader may wait for them


def _try(step: Callable[..., Any], task: PictureTask, *values: Any) -> Any:
    """Return the result of a step, or an outcome with its error. An outcome of the step before is returned."""
    if values and isinstance(values[0], Outcome):
        return values[0]
    try:
        return step(task, *values)
    except MemoryError:
        return Outcome(task, error=DataError(f"{task.path}: there is not enough memory. Reduce the picture, or give a "
                                             "smaller --scale or fewer --jobs"))  # fmt: skip
    except Exception as error:
        return Outcome(task, error=error)
