"""Small data sets on disk, good and bad, for the tests of folders."""

import numpy as np
from PIL import Image

from tinysegnet.data.layouts import find_layout
from tinysegnet.data.palette import CAMVID_MERGE, distinct_colors

H, W = 6, 9
CAMVID_32 = sorted({name for names in CAMVID_MERGE.values() for name in names} | {"Void"})
CAMVID_32_COLORS = distinct_colors(32)


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def picture(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (H, W, 3)).astype(np.uint8)


def label_map(num_classes=3, seed=0):
    labels = np.random.default_rng(seed).integers(0, num_classes, (H, W)).astype(np.uint8)
    labels[0, :num_classes] = np.arange(min(num_classes, W))  # every class occurs
    return labels


def write(root, image, labels, count=5, values=None, prefix="p"):
    """Write `count` pairs whose paths follow patterns such as "images/{}.png". Returns the saved labels by stem."""
    written = {}
    for k in range(count):
        name = f"{prefix}{k}"
        written[name] = label_map(seed=k) if values is None else values[label_map(len(values), seed=k)]
        save(root / image.format(name), picture(k))
        save(root / labels.format(name), written[name])
    return written


def fastai(root, valid=True):
    written = write(root, "images/{}.png", "labels/{}_P.png", 5, np.arange(32, dtype=np.uint8))
    (root / "codes.txt").write_text("\n".join(CAMVID_32) + "\n")
    if valid:
        (root / "valid.txt").write_text("p1.png\np2.png\n")
    return written


def original(root, image="raw/{}.png", labels="labels/{}_L.png", count=5):
    """Write a folder like the original CamVid, with label maps in the colours of 32 classes."""
    colors = np.array(CAMVID_32_COLORS, np.uint8)
    lines = [f"{r} {g} {b}\t\t{name}" for (r, g, b), name in zip(CAMVID_32_COLORS, CAMVID_32, strict=True)]
    root.mkdir(exist_ok=True)
    (root / "label_colors.txt").write_text("\n".join(lines))
    return write(root, image, labels, count, colors)


def spoil(root):
    """Write five pairs, damage four of them in four ways, and return the bad files."""
    write(root, "images/{}.png", "labels/{}.png", 5)
    (root / "classes.txt").write_text("a\nb\nc\n")
    labels = label_map(seed=0)
    labels[3, 5] = 37
    save(root / "labels/p0.png", labels)
    (root / "labels/p1.png").unlink()
    save(root / "labels/p2.png", label_map()[:, :-1])
    whole = (root / "images/p4.png").read_bytes()
    (root / "images/p4.png").write_bytes(whole[: len(whole) // 2])
    return [str(root / name) for name in ("labels/p0.png", "labels/p1.png", "labels/p2.png", "images/p4.png")]


def write_pairs(root, *names, image="images/{}.png", labels="labels/{}.png"):
    """Write a pair per name, such as "train/berlin/a", with pictures that differ. An empty pattern writes nothing."""
    for name in names:
        folder, _, stem = name.rpartition("/")
        parts = {"folder": folder, "stem": stem}
        seed = sum(name.encode()) + len(name)
        if image:
            save(root / image.format(name, **parts), picture(seed))
        if labels:
            save(root / labels.format(name, **parts), label_map(seed=seed))


def names_of(root):
    """Check every pair of a folder, and return the stems of the pictures in each split of `find_layout`."""
    layout = find_layout(root)
    pairs = dict(layout.splits)
    assert all(pair.image.is_file() and pair.labels.is_file() for found in pairs.values() for pair in found)
    return {split: [pair.image.stem for pair in found] for split, found in pairs.items()}
