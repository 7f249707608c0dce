"""tinysegnet predict, evaluate: a trained network at work."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from PIL import Image
from tqdm import tqdm

from .. import viz
from ..data import Dataset, Palette, find_pictures, labelled_images, read_image
from ..data.image_files import MAX_PIXELS_SINGLE
from ..errors import DataError, SettingError, TinySegNetError
from ..files import write_atomically
from ..metrics import Scores, position_prior
from ..metrics.intervals import BLOCK, MIN_BLOCKS
from ..prediction import evaluate, predict, predict_with_uncertainty, working_size
from ..prediction.predict import Size
from ..weights.bundled import open_checkpoint
from ..weights.checkpoint import Checkpoint
from .data_command import LabelOptions, load_split
from .options import CheckpointPath

__all__ = ["Evaluate", "Predict"]

Mirror = Literal["recipe", "yes", "no"]

SUFFIXES = ("_overlay", "_colours", "_labels", "_uncertainty")
LEGIBLE = 240  # pixels: the overlay of a picture whose longer side has fewer is enlarged
MOST_SCALE = 1_000_000  # far more overflows before it can be refused in pixels
MAX_WORKING_PIXELS = 4_000_000  # of the picture inside the network: vgg16 keeps 256 bytes a pixel, several times


@dataclass(frozen=True)
class Predict:
    """Segment pictures of any size: STEM_overlay.png, STEM_colours.png and STEM_labels.png for each.

    The overlay has a legend (small pictures are enlarged in it); the colour map and the labels, a palette PNG whose
    values are the class numbers, have the picture's own size. Photographs are turned upright first. A bad picture
    costs one line of its own and exit code 2 at the end; the others are done.
    """

    checkpoint: CheckpointPath
    """A .safetensors file that `train` wrote, or "toy", the network that comes with this package."""
    images: tyro.conf.Positional[tuple[Path, ...]]
    """Files, or folders of files: PNG or JPEG, of any size and name."""
    out: Path
    """A folder for the results; made if it is missing."""
    scale: float = 1.0
    """A factor on the height and width at which the network works: 1 is the scale it was trained at."""
    mirror: Mirror = "recipe"
    """Predict the mean of the picture and its mirror image, which takes twice as long: yes, no, or as in training."""
    test_scales: tuple[float, ...] | None = None
    """Predict the mean over these factors of the size, such as 0.75 1 1.5; default: as in training."""
    samples: int | None = None
    """For Bayesian networks: the mean of so many passes with dropout on, and no others, predicts, and
    STEM_uncertainty.png shows where they disagree."""
    gif: bool = False
    """Write predictions.gif too, an animation of all overlays."""

    def run(self) -> int:
        if not 0 < self.scale <= MOST_SCALE:
            raise SettingError(f"scale {self.scale} (expected a number above 0, at most {MOST_SCALE:,}). Give 1 for the"
                               " training scale")  # fmt: skip
        _demand_views(self)
        paths = self._paths()
        loaded = open_checkpoint(self.checkpoint)
        if self.samples is not None:
            loaded.model.demand_dropout()
        _make_folder(self.out)
        animation = viz.Animation(loaded.palette, len(paths)) if self.gif else None
        done = list(self._each(loaded, paths, animation))
        if animation and animation.frames:
            write_atomically(self.out / "predictions.gif", animation.to_bytes())
            print(_printable(self.out / "predictions.gif"))
        return 0 if all(done) else 2

    def _paths(self) -> list[Path]:
        """The pictures to do. Results that lie in a folder from an earlier run are none, if they are written there."""
        if not self.images:
            raise DataError("predict: no picture given (expected PNG or JPEG files, or folders). Name one or more")
        named, out = set(self.images), self.out.resolve()
        return [
            path for path in find_pictures(self.images)
            if path in named or path.parent.resolve() != out or not path.stem.endswith((*SUFFIXES, "_doubt"))
        ]  # fmt: skip

    def _each(self, loaded: Checkpoint, paths: list[Path], animation: viz.Animation | None) -> Iterator[bool]:
        """Do one picture after the other; was it well?"""
        stems = _own_stems(paths)
        loop = tqdm(
            paths, desc="predicting", unit="picture", leave=False, dynamic_ncols=True, disable=len(paths) < 2 or None
        )
        for i, path in enumerate(loop):
            try:
                image, labels, uncertainty = self._one(loaded, path)
            except TinySegNetError as error:
                tqdm.write(_printable(f"error: {error}"), file=sys.stderr)
                yield False
                continue
            written = self._write(image, labels, uncertainty, loaded.palette, stems[i])
            tqdm.write(_printable(written), file=sys.stdout)  # print would tear the bar
            if animation:
                animation.add(image, labels, _printable(path.name), i + 1)
            yield True

    def _one(self, loaded: Checkpoint, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """The picture (H, W, 3), upright, its labels (H, W), and its uncertainty (H, W) if samples are wanted."""
        image = read_image(path, upright=True, max_pixels=MAX_PIXELS_SINGLE)
        size = self._size(path, image.shape[:2], loaded)
        if self.samples is None:
            return image, predict(loaded.model, image, **{**_prediction(self, loaded), "size": size}), None
        return image, *predict_with_uncertainty(loaded.model, image, samples=self.samples, size=size)

    def _size(self, path: Path, own: Size, loaded: Checkpoint) -> Size:
        """(H, W) whose area the network works at. Without a recorded training size the scale is of the picture's."""
        H, W = loaded.size or own
        size = max(1, round(H * self.scale)), max(1, round(W * self.scale))
        largest = 1.0 if self.samples else max(_prediction(self, loaded)["scales"])
        h, w = (round(n * largest) for n in working_size(own, size))
        if h * w > MAX_WORKING_PIXELS:
            factor = self.scale * math.sqrt(MAX_WORKING_PIXELS / (h * w))
            raise SettingError(
                f"{path}: {h} x {w} pixels are too many for the network (at most {MAX_WORKING_PIXELS / 1e6:.0f} Mpx)."
                f" Give --scale {math.floor(1000 * factor) / 1000:g} or less"
            )
        return size

    def _write(
        self, image: np.ndarray, labels: np.ndarray, uncertainty: np.ndarray | None, palette: Palette, stem: str
    ) -> Path:
        """The pictures, one at a time in memory; -> path of the overlay."""
        overlay, colours, numbers, uncertainties = (self.out / f"{stem}{suffix}.png" for suffix in SUFFIXES)
        scale = 1 if max(labels.shape) >= LEGIBLE else None  # a 1 x 1 picture at its own size shows nothing
        painted = viz.labelled_picture(image, labels, palette, scale=scale, narrowest=480)
        write_atomically(overlay, viz.picture_bytes(painted))
        del painted
        write_atomically(colours, viz.picture_bytes(Image.fromarray(viz.colour_map(labels, palette))))
        write_atomically(numbers, viz.picture_bytes(viz.index_picture(labels, palette)))
        if uncertainty is not None:
            write_atomically(uncertainties, viz.picture_bytes(viz.uncertainty_picture(uncertainty)))
        return overlay


@dataclass(frozen=True)
class Evaluate:
    """Score a trained network on labelled pictures: G, C, mIoU and every class, at the labels' own resolution.

    BF compares the outlines: F1 of the pixels on them, those within 0.75 % of the picture's diagonal being partners,
    one to one as in the SegNet paper, or (by distance) one for many. Brackets hold 95 % confidence intervals, from
    1000 resamples of blocks of 10 consecutive pictures; they need 41 pictures.

    Beside it stands the position prior: what guessing by place alone reaches, learnt from the training pictures of
    the same data. A network is worth what it adds to that.
    """

    checkpoint: CheckpointPath
    """A .safetensors file that `train` wrote, or "toy", the network that comes with this package."""
    data: str = "toy"
    """"toy", or a folder. Without --ignore, --classes and --one-class its label maps are read as those of the training
    were."""
    labels: LabelOptions = field(default_factory=LabelOptions)
    split: str = "val"
    """Which part of it."""
    limit: int | None = None
    """Use only so many pictures, of the training pictures for the baseline too."""
    out: Path | None = None
    """A folder for confusion.png and per_class.png; made if it is missing."""
    mirror: Mirror = "recipe"
    """Predict the mean of a picture and its mirror image, which takes twice as long: yes, no, or as in training."""
    test_scales: tuple[float, ...] | None = None
    """Predict the mean over these factors of the size, such as 0.75 1 1.5; default: as in training."""
    samples: int | None = None
    """For Bayesian networks: the mean of so many passes with dropout on, and no others, predicts, and how well their
    variance tells wrong pixels from right ones is scored, too, beside what the largest probability of one pass does."""
    no_baseline: bool = False
    """Leave the position prior out, which saves reading the training pictures."""
    no_boundary: bool = False
    """Leave BF out, which saves about 0.1 s a picture of 360x480, and more for larger ones."""
    json: bool = False
    """Print one JSON object instead of the table."""

    def run(self) -> int:
        _demand_views(self)
        loaded = open_checkpoint(self.checkpoint)
        if self.out is not None:
            _make_folder(self.out)
        if self.samples is not None:
            loaded.model.demand_dropout()
        labels = self._label_options(loaded)
        data = load_split(self.data, self.split, self.limit, labels)
        _demand_classes(loaded.model.num_classes, data)
        _compare_names(loaded.palette, data)
        scores = evaluate(
            loaded.model, data, **_prediction(self, loaded), boundary=not self.no_boundary, samples=self.samples,
            rng=np.random.default_rng(0), progress=_counted(len(data)),
        )  # fmt: skip
        _explain_intervals(scores, len(data))
        baseline = None if self.no_baseline else self._baseline(data, labels)
        if self.out is not None:
            viz.save_figure(viz.confusion_figure(scores, data.palette), self.out / "confusion.png")
            viz.save_figure(viz.per_class_figure(scores, data.palette), self.out / "per_class.png")
        print(self._json(scores, baseline, len(data)) if self.json else scores.table(baseline, "position prior"))
        return 0

    def _label_options(self, loaded: Checkpoint) -> LabelOptions:
        """Those that are given; of the others, those of the training."""
        try:
            labels = LabelOptions.of(loaded.training).overridden(self.labels)
        except SettingError as error:
            raise DataError(
                f"{self.checkpoint}: its label options cannot be: {error}. Give --ignore or --classes"
            ) from error
        if self.data == "toy":  # whose label maps are not read, but drawn
            labels = LabelOptions(one_class=labels.one_class)
        if labels != self.labels:
            print(f"label maps are read as for the training:{labels.written()}", file=sys.stderr)
        return labels

    def _baseline(self, data: Dataset, labels: LabelOptions) -> Scores | None:
        """The position prior, if there are labelled training pictures."""
        try:
            train = labelled_images(load_split(self.data, "train", self.limit, labels))
            return position_prior(train, labelled_images(data), data.palette.names, data.palette.ignore_label)
        except DataError as error:  # no such split, or a bad file in it: no reason to refuse the evaluation
            print(_printable(f"no position prior, it is learnt from training pictures: {error}"), file=sys.stderr)
            return None

    def _json(self, scores: Scores, baseline: Scores | None, images: int) -> str:
        found = {"position prior": baseline.as_dict()} if baseline else {}
        old_name = {"floors": found}  # of version 0.1, written for one more version
        return json.dumps({"intervals": None, **scores.as_dict(), "images": images, "baselines": found, **old_name})


def _own_stems(paths: list[Path]) -> list[str]:
    """A name for the results of each picture: its stem, with a number where that is taken already.

    >>> _own_stems([Path("x/a.png"), Path("y/A.jpg"), Path("b.png")])
    ['a', 'A-2', 'b']
    """
    taken: set[str] = set()
    stems = []
    for path in paths:
        # 255 bytes are the longest name of a file, and a suffix and a number must fit.
        first = path.stem.encode(errors="surrogateescape")[:220].decode(errors="ignore") or "picture"
        names = (first if n == 1 else f"{first}-{n}" for n in range(1, len(paths) + 2))
        stem = next(name for name in names if name.casefold() not in taken)  # many systems take A for a
        taken.add(stem.casefold())
        stems.append(stem)
    return stems


def _demand_views(options: Predict | Evaluate) -> None:
    """--mirror, --test-scales and --samples: can they be, and together?"""
    samples, scales = options.samples, options.test_scales
    if scales is not None and not all(0 < scale <= MOST_SCALE for scale in scales):
        raise SettingError(f"test-scales: {scales} (expected numbers above 0, at most {MOST_SCALE:,})")
    if samples is None:
        return
    if samples < 1:
        raise SettingError(f"samples: {samples} (expected at least 1)")
    if options.mirror == "yes" or scales is not None:
        other = "mirror: yes" if options.mirror == "yes" else "test-scales"
        raise SettingError(f"{other}, with samples: samples are drawn of the picture as it is. Give one of them")


def _prediction(options: Predict | Evaluate, loaded: Checkpoint) -> dict[str, Any]:
    """`size`, `mirror` and `scales` of `predict`: those of the training, but for what is asked for."""
    how = loaded.prediction
    if options.mirror != "recipe":
        how["mirror"] = options.mirror == "yes"
    if options.test_scales is not None:
        how["scales"] = options.test_scales
    return how


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise DataError(f"{path}: a file is in the way (expected a folder for the results). Name another") from None


def _printable(text: object) -> str:
    """Names of files may hold bytes that are no text."""
    return str(text).encode(errors="backslashreplace").decode()


def _demand_classes(num_classes: int, data: Dataset) -> None:
    found = data.palette.num_classes
    if found != num_classes:
        raise DataError(f"{data.name}: {found} classes (expected the network's {num_classes})."
                        " Choose the data it was trained for, or --classes, --ignore, --one-class as then")  # fmt: skip


def _compare_names(palette: Palette, data: Dataset) -> None:
    """Equal numbers of other classes would be scored without a complaint, and wrongly."""
    pairs = zip(palette.names, data.palette.names, strict=False)
    different = next((f"class {k} is {a!r} there, {b!r} here" for k, (a, b) in enumerate(pairs) if a != b), "")
    if different and palette.num_classes == data.palette.num_classes:
        print(f"warning: {data.name}: not the classes of the checkpoint ({different})", file=sys.stderr)


def _explain_intervals(scores: Scores, images: int) -> None:
    if scores.intervals is None:
        least = BLOCK * (MIN_BLOCKS - 1) + 1
        print(f"no confidence intervals: {images} pictures (expected {least} or more)", file=sys.stderr)


def _counted(total: int) -> Any:
    return lambda loop: tqdm(loop, total=total, desc="evaluating", unit="picture", leave=False, dynamic_ncols=True)
