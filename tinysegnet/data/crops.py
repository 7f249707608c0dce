"""A toy CamVid on disk: small crops of the real pictures, or whole pictures scaled down.

Crops keep the detail but change the task: only one in eight 96 x 128 crops of CamVid shows a fence, and only one in
nine shows a bicyclist. Scaling whole pictures down preserves the class frequencies but loses detail.
"""

import re
import warnings
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import DataError
from ..files import new_folder
from .batches import resize_sample
from .label_encoding import VOID
from .palette import Palette
from .sample import Dataset, Sample, read_sample


def make_crops(
    datasets: Mapping[str, Dataset], size: tuple[int, int], out: str | PathLike[str], *, crops_per_picture: int = 4,
    whole: bool = False, seed: int = 0, progress: Any = iter,
) -> dict[str, int]:  # fmt: skip
    """Write small pictures and label maps in the SegNet tutorial's layout, which `Folder(out, split)` reads.

    Files are written to `out`.part, which is renamed at the end, so that `out` is either complete or absent. A picture
    without labelled pixels is skipped with a warning.

    Args:
        datasets: {"train": ..., "val": ...}, with one palette, which is saved as classes.txt.
        size: (H, W) of the PNG files.
        out: a new or empty folder.
        crops_per_picture: number of random crops per picture, each with at least one labelled pixel.
        whole: scale the whole picture to `size` instead of cropping it; see `resize_sample`.
        progress: a function that wraps the loop over the pictures, such as tqdm.

    Returns:
        The number of pairs per split.

    Raises:
        DataError: `out` exists and is not empty, or a picture is smaller than the crop.
    """
    lines: dict[str, list[str]] = {split: [] for split in datasets}  # of the list files
    pictures = [(split, index) for split, dataset in datasets.items() for index in range(len(dataset))]
    with new_folder(Path(out)) as part:
        write_classes(part / "classes.txt", next(iter(datasets.values())).palette)
        for split in datasets:
            (part / split).mkdir()
            (part / f"{split}annot").mkdir()
        for split, index in progress(pictures):
            sample, palette = read_sample(datasets[split], index), datasets[split].palette
            # a picture's crops do not depend on other pictures
            rng = np.random.default_rng([seed, list(datasets).index(split), index])
            crops = [resize_sample(sample, size)] if whole else _cut(sample, size, crops_per_picture, palette, rng)
            for k, (image, labels) in enumerate(crops):
                name = re.sub(r"[^\w.-]+", "_", sample.name) + ("" if whole else f"_{k}")
                files = f"{split}/{name}.png", f"{split}annot/{name}.png"
                for file, array in zip(files, (image, _numbered(labels, palette)), strict=True):
                    if (part / file).exists():
                        raise DataError(f"{file}: two pictures have this name. Rename one of them.")
                    Image.fromarray(array).save(part / file)
                lines[split].append(" ".join(files) + "\n")
        for split, texts in lines.items():
            (part / f"{split}.txt").write_text("".join(texts), encoding="utf-8")
    return {split: len(texts) for split, texts in lines.items()}


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
    sample: Sample, size: tuple[int, int], count: int, palette: Palette, rng: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return random crops (image, labels) of one sample, or none if no pixel is labelled."""
    labelled = sample.labels < palette.num_classes
    if not labelled.any():
        warnings.warn(f"{sample.name}: no pixel is labelled, so the picture is skipped", UserWarning, stacklevel=2)
        return []
    (H, W), (h, w) = size, sample.labels.shape
    if h < H or w < W:
        sizes = f"the picture ({h} x {w} pixels) is smaller than the crop ({H} x {W})"
        raise DataError(f"{sample.name}: {sizes}. Choose smaller crops.")
    crops: list[tuple[np.ndarray, np.ndarray]] = []
    while len(crops) < count:  # this loop ends, because at least one crop contains a labelled pixel
        y, x = rng.integers(h - H + 1), rng.integers(w - W + 1)
        window = np.s_[y : y + H, x : x + W]
        if labelled[window].any():
            crops.append((sample.image[window], sample.labels[window]))
    return crops
