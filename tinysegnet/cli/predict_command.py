"""tinysegnet predict."""

from __future__ import annotations

import io
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple
from unicodedata import normalize

from cyclopts import Parameter

from ..errors import SettingError, TinySegNetError
from ..files import write_atomically
from ..runtime.progress import say, track
from .data_options import PaletteChoice
from .options import CheckpointPath, OutFolder, Quiet
from .prediction_options import FACTOR, Options, PredictionOptions, UnfamiliarPictures

if TYPE_CHECKING:
    import numpy as np

    from ..data import Palette
    from ..weights.checkpoint import Checkpoint

SUFFIXES = ("_overlay", "_colours", "_labels", "_uncertainty")
OLD_SUFFIXES = ("_doubt",)  # written by version 0.1
ANIMATION = "predictions.gif"
LEGIBLE = 240  # pixels; the overlay of a picture whose longer side is shorter is enlarged
MAX_PROBABILITIES = 250_000_000  # numbers of 4 bytes; several arrays of this size are in memory
MAX_WORKING_PIXELS = 4_000_000  # because vgg16 needs several arrays of 256 bytes per pixel


class Segmentation(NamedTuple):
    """A picture (H, W, 3), its labels (H, W), and, if wanted, uncertainty (H, W) and probabilities (H, W, K)."""

    image: np.ndarray
    labels: np.ndarray
    uncertainty: np.ndarray | None = None
    probabilities: np.ndarray | None = None


def run(
    checkpoint: CheckpointPath, images: Annotated[tuple[Path, ...], Parameter(name="IMAGE")], /, *,
    out: OutFolder, scale: Annotated[float, FACTOR] = 1.0, options: Options = PredictionOptions(), gif: bool = False,
    probabilities: bool = False, palette: PaletteChoice = "own", quiet: Quiet = False,
) -> int:  # fmt: skip
    """Segment pictures of any size, and write STEM_overlay.png, STEM_colours.png and STEM_labels.png for each.

    The overlay has a legend, and small pictures are enlarged in it. The colour map and the labels have the size of the
    picture. The labels are a palette PNG whose values are the class numbers. Photographs are turned upright first.
    Pictures that fail are reported and skipped. The exit code is then 1, or 2 if no picture was segmented.

    Args:
        images: Pictures of any size (PNG, JPEG, TIFF, WebP, BMP, GIF, AVIF, and HEIC if pillow-heif is installed), or
            folders of them.
        out: A folder for the results. It is created if it is missing.
        scale: A factor on the height and width of the network's input; 1 is the size of its training pictures.
        gif: Also write predictions.gif, an animation of the overlays.
        probabilities: Also write STEM_probabilities.npz for numpy.load, with "probabilities" (height, width, classes)
            in float32 and "names", the names of the classes.
    """
    from .. import viz

    paths = _pictures(images, out)
    loaded = options.open(checkpoint, palette)
    out.mkdir(parents=True, exist_ok=True)
    animation = viz.Animation(loaded.palette, len(paths)) if gif else None
    failed, done, unfamiliar = 0, 0, UnfamiliarPictures(loaded)
    try:
        for path, stem in zip(track("predicting", len(paths))(paths), _own_stems(paths), strict=True):
            try:
                found = _segment(path, loaded, scale, options, probabilities)
            except TinySegNetError as error:
                say(f"error: {error}")
                failed += 1
                continue
            unfamiliar.add(str(path), found.image)
            say(str(_write(found, loaded.palette, out, stem)), sys.stdout)
            done += 1
            if animation:
                name = path.name.encode(errors="backslashreplace").decode()
                animation.add(found.image, found.labels, name, done + failed)
    except KeyboardInterrupt:
        say(f"{out} contains the results of {done} of {len(paths)} pictures. The same command segments all of them.")
        raise
    if animation and animation.frames:
        write_atomically(out / ANIMATION, animation.to_bytes())
        print(out / ANIMATION)
    unfamiliar.warn()
    return 0 if not failed else 1 if failed < len(paths) else 2


def _pictures(images: tuple[Path, ...], out: Path) -> list[Path]:
    """Return the pictures to segment. If their folder is also `out`, the results of an earlier run are skipped."""
    from ..data.find import find_pictures, other_files

    found = find_pictures(images)
    if others := other_files(images):
        print(f"files that are not pictures are left out: {len(others)}, such as {others[0]}", file=sys.stderr)
    return [
        path for path in found
        if path in images or path.parent.resolve() != out.resolve()
        or not (path.stem.endswith(SUFFIXES + OLD_SUFFIXES) or path.name == ANIMATION)
    ]  # fmt: skip


def _segment(
    path: Path, loaded: Checkpoint, scale: float, options: PredictionOptions, probabilities: bool
) -> Segmentation:
    """Read a picture, turn it upright, and predict it."""
    from ..data import read_image
    from ..data.image_files import MAX_PIXELS_SINGLE
    from ..ops import softmax_forward
    from ..prediction.predict import network_size, predict, predict_logits, predict_samples, predict_with_uncertainty

    image = read_image(path, max_pixels=MAX_PIXELS_SINGLE)
    H, W = loaded.size or image.shape[:2]
    size = max(1, round(H * scale)), max(1, round(W * scale))
    resolved = {**options.resolved_for(loaded), "size": size}
    h, w = network_size(loaded.model, image.shape[:2], size, 1.0 if options.samples else max(resolved["scales"]))
    if h * w > MAX_WORKING_PIXELS:
        factor = scale * math.sqrt(MAX_WORKING_PIXELS / (h * w))
        raise SettingError(
            f"{path}: {h} x {w} pixels are too many for the network, which takes {MAX_WORKING_PIXELS / 1e6:.0f} Mpx."
            f" Give --scale {math.floor(1000 * factor) / 1000:g} or less"
        )
    if probabilities and image[..., 0].size * loaded.palette.num_classes > MAX_PROBABILITIES:
        raise SettingError(f"{path}: the probabilities would take {4 * MAX_PROBABILITIES / 1e9:.0f} GB or more. Leave "
                           "out --probabilities, or reduce the picture")  # fmt: skip
    sampling: dict[str, Any] = {"samples": options.samples, "size": size}
    if options.samples is None and probabilities:
        logits = predict_logits(loaded.model, image, **resolved)
        return Segmentation(image, logits.argmax(-1).astype("uint8"), None, softmax_forward(logits)[0])
    if options.samples is None:
        return Segmentation(image, predict(loaded.model, image, **resolved))
    if probabilities:
        mean, variance = predict_samples(loaded.model, image, **sampling)
        return Segmentation(image, mean.argmax(-1).astype("uint8"), variance.mean(axis=2), mean)
    return Segmentation(image, *predict_with_uncertainty(loaded.model, image, **sampling))


def _write(found: Segmentation, palette: Palette, out: Path, stem: str) -> Path:
    """Write the results, with only one in memory at a time, and return the path of the overlay."""
    import numpy as np
    from PIL import Image

    from .. import viz

    labels = found.labels
    paths = [out / f"{stem}{suffix}.png" for suffix in SUFFIXES]
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
        write_atomically(out / f"{stem}_probabilities.npz", file.getvalue())
    return paths[0]


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
