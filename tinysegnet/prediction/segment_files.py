"""Segmenting picture files: from each picture to the files of its results.

The work for one picture is a `PictureTask`, and needs only a `Segmenter`. `segment_files` works on a list of tasks in
one process: while the network runs on a picture, the next one is decoded and the results of earlier ones are encoded.
"""

import io
import math
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from .. import viz
from ..data import read_image
from ..data.image_files import MAX_PIXELS_SINGLE, claimed_pixels
from ..errors import DataError, SettingError
from ..files import write_atomically
from ..ops import softmax_forward
from ..weights.checkpoint import Checkpoint, open_checkpoint
from .predict import network_size, predict, predict_logits, predict_samples, predict_with_uncertainty

SUFFIXES = ("_overlay", "_colours", "_labels", "_uncertainty")  #: of the names of the results
LEGIBLE = 240  # pixels; the overlay of a picture whose longer side is shorter is enlarged
MAX_PROBABILITIES = 250_000_000  # numbers of 4 bytes; several arrays of this size are in memory
MAX_WORKING_PIXELS = 4_000_000  # because vgg16 needs several arrays of 256 bytes per pixel
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

    Attributes:
        deviation: how unlike the training pictures the picture is, as `TrainingPictures.deviation` returns it, or None
            if their statistics are not known.
        found: the segmentation, if the settings keep it.
    """

    task: PictureTask
    overlay: Path | None = None
    error: Exception | None = None
    deviation: tuple[float, str] | None = None
    found: Segmentation | None = None


@dataclass(frozen=True, kw_only=True)
class SegmentSettings:
    """What to compute and where to write it, as plain values that another process can receive.

    Args:
        checkpoint: a path, or the name of a bundled network.
        palette: "own" or "safe", see `Palette.with_colors`.
        out: the folder for the results. It must exist.
        scale: a factor on the height and width of the network's input; 1 is the size of its training pictures.
        samples: the number of passes with dropout, or None for one pass without it.
        averaging: `mirror` and `scales` for `predict`, if `samples` is None.
        probabilities: also write the probabilities of all classes.
        keep: return the segmentations in the outcomes.
    """

    checkpoint: Path
    palette: str = "own"
    out: Path
    scale: float = 1.0
    samples: int | None = None
    averaging: dict[str, Any] = field(default_factory=dict)
    probabilities: bool = False
    keep: bool = False


class Segmenter:
    """A network with the settings of its use. Opens the checkpoint of the settings if none is given."""

    def __init__(self, settings: SegmentSettings, checkpoint: Checkpoint | None = None) -> None:
        self.settings = settings
        self.checkpoint = checkpoint or open_checkpoint(settings.checkpoint)
        self.palette = self.checkpoint.palette.with_colors(settings.palette)
        self.known = self.checkpoint.training_pictures

    def read(self, task: PictureTask) -> np.ndarray:
        """Read the picture, (H, W, 3) uint8, and turn it upright. Raises DataError if this is not possible."""
        return read_image(task.path, max_pixels=MAX_PIXELS_SINGLE)

    def input_size(self, name: str, shape: tuple[int, int]) -> tuple[int, int]:
        """Return the `size` for `predict` and a picture of shape (H, W). Raises SettingError if it is too large."""
        settings = self.settings
        H, W = self.checkpoint.size or shape
        size = max(1, round(H * settings.scale)), max(1, round(W * settings.scale))
        h, w = network_size(self.checkpoint.model, shape, size, max(settings.averaging.get("scales", (1.0,))))
        if h * w > MAX_WORKING_PIXELS:
            factor = settings.scale * math.sqrt(MAX_WORKING_PIXELS / (h * w))
            raise SettingError(
                f"{name}: {h} x {w} pixels are too many for the network, which takes {MAX_WORKING_PIXELS / 1e6:.0f} "
                f"Mpx. Give --scale {math.floor(1000 * factor) / 1000:g} or less"
            )
        return size

    def segment(self, task: PictureTask, image: np.ndarray) -> Segmentation:
        """Predict the labels of a picture. Raises SettingError if it would need too much memory."""
        model, settings, path = self.checkpoint.model, self.settings, task.path
        size = self.input_size(str(path), image.shape[:2])
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
            logits = predict_logits(model, image, size=size, **settings.averaging)
            return Segmentation(image, logits.argmax(-1).astype("uint8"), None, softmax_forward(logits)[0])
        return Segmentation(image, predict(model, image, size=size, **settings.averaging))

    def write(self, task: PictureTask, found: Segmentation) -> Outcome:
        """Write the results, with only one in memory at a time."""
        labels, palette, out = found.labels, self.palette, self.settings.out
        paths = [out / f"{task.stem}{suffix}.png" for suffix in SUFFIXES]
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
            write_atomically(out / f"{task.stem}_probabilities.npz", file.getvalue())
        deviation = self.known.deviation(found.image) if self.known else None
        return Outcome(task, paths[0], deviation=deviation, found=found if self.settings.keep else None)


def segment_files(
    tasks: Iterable[PictureTask], segmenter: Segmenter, finished: Callable[[Outcome], None] = lambda outcome: None
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
