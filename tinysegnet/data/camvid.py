"""CamVid as the SegNet tutorial lays it out: 367 + 101 + 233 street pictures of 480 x 360, 11 classes.

    train.txt  val.txt  test.txt      lines "image labels", one pair each
    train/     trainannot/            pictures (PNG or JPEG), label maps (PNG of class numbers, 11 = void)
    val/       valannot/ ...

The tutorial's own lists say `/SegNet/CamVid/train/0001TP_006690.png ...`, a path on its authors' machine;
each is looked up under the root by its longest ending that exists there. Without a list the two folders
are paired by file stem. Never by order: a pair shifted by one still trains, and scores G 0.8, C 0.13.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePosixPath

from ..errors import DataError
from .palette import CAMVID, Palette
from .pictures import check_labels, read_image, read_labels
from .sample import Sample

__all__ = ["CamVid", "Pair"]

CACHE_BYTES = 1_000_000_000  # decoded samples kept per data set; CamVid's 367 training pairs take 254 MB
_PICTURES = {".png", ".jpg", ".jpeg"}


@dataclass(frozen=True)
class Pair:
    """Two files that belong together, the folder they must lie in, and who paired them ("train.txt line 3")."""

    image: Path
    labels: Path
    root: Path
    origin: str


class CamVid:
    """One split of a CamVid folder, a `Dataset`: `dataset[i]` is a `Sample`, image and labels read-only.

    root: the folder with train.txt or train/ and trainannot/. split: "train", "val" or "test".
    Samples are decoded when first asked for and kept, up to CACHE_BYTES (1 GB).
    Raises DataError if no pairs are found at all; `check` says which files of which pair are bad.
    """

    def __init__(self, root: str | PathLike[str], split: str = "train", *, palette: Palette = CAMVID) -> None:
        self.root, self.split, self.palette = Path(root), split, palette
        self.name = f"CamVid {split}"
        self.pairs = find_pairs(self.root, split)
        self._cache: dict[int, Sample] = {}
        self._cached_bytes = 0

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        index = range(len(self))[index]  # negative counts from the end; past it is an IndexError
        if index not in self._cache:
            sample = load_pair(self.pairs[index], self.palette)
            size = sample.image.nbytes + sample.labels.nbytes
            if self._cached_bytes + size > CACHE_BYTES:
                return sample
            self._cache[index] = sample
            self._cached_bytes += size
        return self._cache[index]

    def check(self, *, progress: Callable[[Iterable[int]], Iterable[int]] = iter) -> None:
        """Decode every pair and every label value; raise one DataError with a line for each bad pair.

        progress: what the loop over the indices is wrapped in, such as tqdm.
        """
        problems = []
        for index in progress(range(len(self))):
            try:
                self[index]
            except DataError as error:
                problems.append(str(error))
        if problems:
            count = f"{len(problems)} of {len(self)} pairs cannot be used"
            raise DataError("\n".join([f"{self.root}: {self.name}: {count}:", *problems]))


def load_pair(pair: Pair, palette: Palette) -> Sample:
    """Read one pair and verify what must hold: equal stems, equal sizes, only labels that the palette knows."""
    if pair.image.stem != pair.labels.stem:
        raise DataError(
            f"{pair.image}: paired with {pair.labels} by {pair.origin} (expected equal stems). Correct the list"
        )
    for path in (pair.image, pair.labels):
        if not _inside(path, pair.root):
            raise DataError(f"{path}: a link that leaves {pair.root} (expected files inside). Copy the files there")
    image, labels = read_image(pair.image), read_labels(pair.labels)
    if image.shape[:2] != labels.shape:
        (h, w), (H, W) = labels.shape, image.shape[:2]
        raise DataError(f"{pair.labels}: {w} x {h} pixels (expected {W} x {H}, as {pair.image}). Export it again")
    check_labels(labels, palette, pair.labels)
    image.setflags(write=False)  # they may stay in a cache: nobody's augmentation shall change them
    labels.setflags(write=False)
    return Sample(image, labels, pair.image.stem)


def find_pairs(root: Path, split: str) -> list[Pair]:
    """The pairs of a split in the order of its list file, or else by stem from its two folders."""
    if not root.is_dir():
        raise DataError(f"{root}: no such folder (expected CamVid's, with train.txt or train/). Correct the path")
    list_file, images, labels = root / f"{split}.txt", root / split, root / f"{split}annot"
    if list_file.is_file():
        pairs = list(_pairs_of_list(list_file))
    elif images.is_dir() and labels.is_dir():
        pairs = _pairs_of_folders(images, labels)
    else:
        raise DataError(
            f"{root}: no split {split!r} (expected {split}.txt, or the folders {split}/ and {split}annot/)."
            " Correct the path or the split"
        )
    if not pairs:
        raise DataError(f"{root}: split {split!r} is empty (expected picture and label pairs). Add files")
    return pairs


def _pairs_of_list(list_file: Path) -> Iterator[Pair]:
    root = list_file.parent
    try:
        lines = list_file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{list_file}: cannot be read, {error} (expected UTF-8 text). Save it again") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            image, labels = _split_line(line, f"{list_file}: line {number}")
            yield Pair(_resolve(root, image), _resolve(root, labels), root, f"{list_file.name} line {number}")


def _split_line(line: str, where: str) -> tuple[str, str]:
    """ "image labels" -> both. File names may hold spaces: then the cut is where the two stems agree."""
    words = line.split()
    cuts = [(" ".join(words[:i]), " ".join(words[i:])) for i in range(1, len(words))]
    if len(cuts) > 1:
        cuts = [(a, b) for a, b in cuts if PurePosixPath(a).stem == PurePosixPath(b).stem]
    if len(cuts) != 1:
        raise DataError(f"{where}: {line.strip()!r} (expected two paths, 'image labels'). Correct the line")
    return cuts[0]


def _resolve(root: Path, listed: str) -> Path:
    """The file under root that a list means, by the longest ending of the path that exists there.

    If there is none, the path under root where one would look first: `load_pair` says that it is missing.
    """
    parts = PurePosixPath(listed.replace("\\", "/")).parts
    parts = tuple(part for part in parts if part not in ("/", ".."))
    for start in range(len(parts)):
        candidate = root.joinpath(*parts[start:])
        if candidate.is_file():
            return candidate
    return root.joinpath(*parts[-2:])


def _inside(path: Path, root: Path) -> bool:
    """Whether a path stays under root with all its links followed: a data set from elsewhere may be hostile."""
    return path.resolve().is_relative_to(root.resolve())


def _pairs_of_folders(images: Path, labels: Path) -> list[Pair]:
    """Every picture with the label map of the same stem; a partner that is missing keeps its expected path."""
    by_stem, maps = _by_stem(images), _by_stem(labels)
    origin = f"folders {images.name}/ and {labels.name}/"
    return [
        Pair(by_stem.get(stem, images / f"{stem}.png"), maps.get(stem, labels / f"{stem}.png"), images.parent, origin)
        for stem in sorted(by_stem.keys() | maps.keys())
    ]


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in _PICTURES and not path.name.startswith("."):
            if path.stem in found:
                raise DataError(f"{path}: same stem as {found[path.stem].name} (expected one file each). Remove one")
            found[path.stem] = path
    return found
