"""A toy CamVid on disk: small crops of the real pictures, or whole pictures scaled down.

Crops keep the detail but change the task: only one in eight 96 x 128 crops of CamVid shows a fence, and only one in
nine shows a bicyclist. Scaling whole pictures down preserves the class frequencies but loses detail.
"""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import DataError
from .batches import resize_sample
from .label_encoding import VOID
from .new_folder import new_folder
from .palette import Palette
from .sample import Dataset, Sample, read_sample

Crop = tuple[np.ndarray, np.ndarray]


def make_crops(
    datasets: Mapping[str, Dataset],
    size: tuple[int, int],
    out: str | PathLike[str],
    *,
    crops_per_picture: int = 4,
    whole: bool = False,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, int]:
    """Write small pictures and label maps in the SegNet tutorial's layout, which `Folder(out, split)` reads.

    Files are written to `out`.part, which is renamed at the end, so that `out` is either complete or absent. A picture
    without labelled pixels is skipped with a warning.

    Args:
        datasets: {"train": ..., "val": ...}, with one palette, which is saved as classes.txt.
        size: (H, W) of the PNG files.
        out: a new or empty folder.
        crops_per_picture: number of random crops per picture, each with at least one labelled pixel.
        whole: scale the whole picture to `size` instead of cropping it; see `resize_sample`.
        progress: called with (done, total) after each picture.

    Returns:
        The number of pairs per split.

    Raises:
        DataError: `out` exists and is not empty, or a picture is smaller than the crop.
    """
    counts = dict.fromkeys(datasets, 0)
    done, total = 0, sum(map(len, datasets.values()))
    with new_folder(Path(out)) as part:
        write_classes(part / "classes.txt", next(iter(datasets.values())).palette)
        for number, (split, dataset) in enumerate(datasets.items()):
            for count in _write_split(part, split, dataset, size, None if whole else crops_per_picture, [seed, number]):
                counts[split] += count
                done += 1
                if progress:
                    progress(done, total)
    return counts


def _write_split(
    part: Path, split: str, dataset: Dataset, size: tuple[int, int], per_picture: int | None, seed: list[int]
) -> Iterator[int]:
    (part / split).mkdir()
    (part / f"{split}annot").mkdir()
    with open(part / f"{split}.txt", "w", encoding="utf-8") as list_file:
        for index in range(len(dataset)):
            sample = read_sample(dataset, index)
            rng = np.random.default_rng([*seed, index])  # a picture's crops do not depend on other pictures
            crops = _cut(sample, size, per_picture, dataset.palette.num_classes, rng)
            for k, (image, labels) in enumerate(crops):
                name = re.sub(r"[^\w.-]+", "_", sample.name) + ("" if per_picture is None else f"_{k}")
                files = f"{split}/{name}.png", f"{split}annot/{name}.png"
                for file, array in zip(files, (image, _numbered(labels, dataset.palette)), strict=True):
                    if (part / file).exists():
                        raise DataError(f"{file}: two pictures have this name. Rename one of them.")
                    Image.fromarray(array).save(part / file)
                list_file.write(" ".join(files) + "\n")
            yield len(crops)


def write_classes(path: Path, palette: Palette) -> None:
    """Write one line per class and one for void, as in the tutorial's labels, but at most 255 lines."""
    lines = ["{} {} {} {}\n".format(*color, name)
             for color, name in zip(palette.colors, map(_quoted, palette.names), strict=True)]  # fmt: skip
    if palette.ignore_label is not None and len(lines) < VOID:
        is_free = palette.ignore_color not in palette.colors
        lines.append("{} {} {} void\n".format(*palette.ignore_color) if is_free else "void\n")
    path.write_text("".join(lines), encoding="utf-8")


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[^\W\d]([\w .-]*\w)?", name) else '"{}"'.format(name.replace('"', '""'))


def _numbered(labels: np.ndarray, palette: Palette) -> np.ndarray:
    """Return labels that match the list of classes, where void is the number after the last class."""
    void = np.uint8(palette.num_classes)
    return labels if palette.ignore_label is None else np.where(labels == palette.ignore_label, void, labels)


def _cut(
    sample: Sample, size: tuple[int, int], per_picture: int | None, num_classes: int, rng: np.random.Generator
) -> list[Crop]:
    """Return random crops of one sample or, if per_picture is None, the whole sample scaled to `size`."""
    if per_picture is None:
        return [resize_sample(sample, size)]
    labelled = sample.labels < num_classes
    if not labelled.any():
        warnings.warn(f"{sample.name}: no pixel is labelled, so the picture is skipped", UserWarning, stacklevel=2)
        return []
    (H, W), (h, w) = size, sample.labels.shape
    if h < H or w < W:
        sizes = f"the picture ({h} x {w} pixels) is smaller than the crop ({H} x {W})"
        raise DataError(f"{sample.name}: {sizes}. Choose smaller crops.")
    crops: list[Crop] = []
    while len(crops) < per_picture:  # this loop ends, because at least one crop contains a labelled pixel
        y, x = rng.integers(h - H + 1), rng.integers(w - W + 1)
        window = np.s_[y : y + H, x : x + W]
        if labelled[window].any():
            crops.append((sample.image[window], sample.labels[window]))
    return crops
