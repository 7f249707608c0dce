"""Any bytes in a picture or label map give either one documented error or a valid array, fast and in bounded memory."""

import os
import random
import re
import warnings
import zlib

import numpy as np
import pytest
from folder_samples import H, W, label_map, picture
from forms import amount
from hostile_pictures import APP1, EITHER, HARMLESS, ORIENTATION, REFUSED
from hostile_samples import SIGNATURE, chunk, chunks_of, encoded, exif, header, jpeg, png, with_segment
from measures import MB, Cost, measured
from PIL import Image

from tinysegnet.cli.main import main
from tinysegnet.data import CAMVID, read_image, read_labels
from tinysegnet.errors import DataError

MUTANTS = int(os.environ.get("TINYSEGNET_MUTANTS", amount(300, 2000)))  # `make torture` takes 10000
MAX_MEMORY = 600 * MB  # the largest valid picture, of 50 Mpx, takes up to 700 MB


def read_as_label_map(path):
    return read_labels(path, CAMVID)


READERS = (read_image, read_as_label_map)


def attempt(read, path, total):
    """Return the array, or None if the file is rejected within a second by one line that begins with its path."""
    with warnings.catch_warnings(action="error"), measured(total) as cost:
        try:
            found = read(path)
        except DataError as error:
            found, message = None, str(error)
    assert not cost.exceeds(seconds=1, growth=MAX_MEMORY)
    if found is None:
        assert message.startswith(f"{path}: ")
        assert message.isprintable()
    elif read is read_as_label_map:
        assert found.dtype == np.uint8
        assert found.ndim == 2
        assert found.max() <= CAMVID.ignore_label == CAMVID.num_classes
    else:
        assert found.dtype == np.uint8
        assert found.shape == (*found.shape[:2], 3)
    return found


def assert_silence(capfd, path):
    """Nothing is printed, except for libtiff's own lines about damaged TIFF files."""
    out, err = capfd.readouterr()
    assert out == ""
    assert err == "" or path.read_bytes()[:2] in (b"II", b"MM")


@pytest.fixture(scope="module")
def crafted_cost():
    return Cost()


@pytest.mark.parametrize("name", [*REFUSED, *HARMLESS, *EITHER])
def test_crafted_files_are_rejected_or_read_at_bounded_cost(tmp_path, capfd, crafted_cost, name):
    path = tmp_path / "x.png"
    path.write_bytes((REFUSED | HARMLESS | EITHER)[name])
    found = [attempt(read, path, crafted_cost) for read in READERS]
    if name in REFUSED:
        assert found == [None] * 2
    elif name in HARMLESS:
        assert found[0] is not None
    assert_silence(capfd, path)


def test_crafted_files_take_little_memory(record_property, crafted_cost):
    assert len(REFUSED) >= 110
    assert crafted_cost.growth < 300 * MB
    count = len(REFUSED) + len(HARMLESS) + len(EITHER)
    record_property("crafted pictures and label maps", f"{count} files, {crafted_cost}")


# Paths that are not files


def link_to_nothing(path):
    path.symlink_to("nothing.png")


def link_to_itself(path):
    path.symlink_to(path.name)


def unreadable(path):
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    path.touch(mode=0)


@pytest.mark.skipif(os.name != "posix", reason="no pipes and few links elsewhere")
@pytest.mark.parametrize("make", [os.mkdir, getattr(os, "mkfifo", None), link_to_nothing, link_to_itself, unreadable])
def test_read_image_rejects_folders_pipes_and_broken_links(tmp_path, make):
    path = tmp_path / "x.png"
    make(path)
    assert [attempt(read, path, Cost()) for read in READERS] == [None] * 2
    assert attempt(read_image, tmp_path / ("x" * 300), Cost()) is None
    assert attempt(read_image, path / "x.png", Cost()) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_a_pipe_in_a_data_set_is_reported(tmp_path, capsys):
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        for stem in "abc":
            (tmp_path / folder / f"{stem}.png").write_bytes(encoded(label_map()))
    (tmp_path / "labels" / "b.png").unlink()
    os.mkfifo(tmp_path / "labels" / "b.png")
    assert main(["data", "check", str(tmp_path)]) == 2
    assert re.search(rf"{tmp_path}/labels/b\.png: .*a pipe", capsys.readouterr().out)
    os.mkfifo(tmp_path / "train.txt")
    assert main(["data", "check", str(tmp_path)]) == 2
    assert re.search(rf"{tmp_path}/train\.txt: .*a pipe", capsys.readouterr().err)


# Mutants

COLORS = CAMVID.colorize(label_map(11))
ROTATED = exif((ORIENTATION, 3, 1, 6))
SOUND = {
    "picture": encoded(picture()),
    "transparent picture": encoded(Image.fromarray(picture()).convert("RGBA")),
    "interlaced picture": png(header(interlace=1), chunk(b"IDAT", zlib.compress(bytes(H * W + 20)))),
    "rotated JPEG": with_segment(jpeg(), APP1, ROTATED),
    "progressive JPEG": with_segment(jpeg(progressive=True), APP1, ROTATED),
    "CMYK JPEG": encoded(Image.new("CMYK", (W, H)), "JPEG"),
    "numbers": encoded(label_map(11)),
    "indices": encoded(Image.fromarray(label_map(11)).convert("P")),
    "indices of 4 bits": encoded(Image.fromarray(label_map(11)).convert("P"), bits=4),
    "bits": encoded(Image.fromarray(label_map(2) * 255).convert("1")),
    "numbers of 16 bits": encoded(label_map(11).astype(np.uint16)),
    "colours": encoded(COLORS),
    "TIFF numbers": encoded(label_map(11), "TIFF"),
    "TIFF colours, compressed": encoded(COLORS, "TIFF", compression="tiff_lzw"),
    "TIFF numbers of 16 bits, compressed": encoded(label_map(11).astype(np.uint16), "TIFF", compression="tiff_deflate"),
    "BMP numbers": encoded(label_map(11), "BMP"),
    "TIFF picture": encoded(picture(), "TIFF", compression="jpeg"),
    "WebP picture": encoded(picture(), "WEBP"),
    "lossless WebP picture": encoded(picture(), "WEBP", lossless=True, exif=ROTATED),
    "GIF picture": encoded(Image.fromarray(picture()), "GIF"),
    "AVIF picture": encoded(picture(), "AVIF"),
}
NUMBERS_OF_16_BITS = ("numbers of 16 bits", "TIFF numbers of 16 bits, compressed")


def changed(data, rng):
    """Overwrite, flip, remove or insert some bytes."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5])):
        place, kind = rng.randrange(len(data) + 1), rng.randrange(5)
        if kind == 0:
            data[place : place + 1] = rng.randbytes(1)
        elif kind == 1 and place < len(data):
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del data[place : place + rng.randrange(1, 20)]
        elif kind == 3:
            data[place:place] = rng.randbytes(rng.randrange(1, 20))
        elif rng.random() < 0.2:
            del data[place:]
    return bytes(data)


def repacked(data, rng):
    """Change a PNG inside its chunks or its compressed pixels, with correct checksums, so that the decoder sees it."""
    chunks = chunks_of(data)
    number = rng.randrange(len(chunks))
    kind, body = chunks[number]
    if kind == b"IDAT" and rng.random() < 0.5:
        chunks[number] = kind, zlib.compress(changed(zlib.decompress(body), rng))
    elif rng.random() < 0.7:
        chunks[number] = kind, changed(body, rng)
    else:
        chunks[number : number + 1] = rng.choice([[], [chunks[number]] * 2, [chunks[number], rng.choice(chunks)]])
    return png(*[chunk(kind, body) for kind, body in chunks], end=b"")


def test_mutated_files_are_rejected_or_read_at_bounded_cost(tmp_path, capfd, record_property):
    rng, path, total = random.Random(0), tmp_path / "x.png", Cost()
    sound = list(SOUND.values())
    refused = dict.fromkeys(READERS, 0)
    for number in range(MUTANTS):
        data = sound[number % len(sound)]
        mutate = repacked if data.startswith(SIGNATURE) and rng.random() < 0.7 else changed
        path.write_bytes(mutate(data, rng))
        for read in READERS:
            refused[read] += attempt(read, path, total) is None
        assert_silence(capfd, path)
    as_pictures, as_labels = refused.values()
    assert 0.3 * MUTANTS < as_pictures < 0.9 * MUTANTS
    assert 0.4 * MUTANTS < as_labels < 0.95 * MUTANTS
    record_property(
        "mutated pictures and label maps",
        f"{MUTANTS} files, rejected as pictures {as_pictures}, as labels {as_labels}, others valid, {total}",
    )


@pytest.mark.parametrize("name", SOUND)
def test_the_originals_of_the_mutants_are_readable(tmp_path, name):
    path = tmp_path / "x.png"
    path.write_bytes(SOUND[name])
    assert attempt(read_image, path, Cost()) is not None or name in NUMBERS_OF_16_BITS
    names = list(SOUND)
    is_label_map = names.index("numbers") <= names.index(name) <= names.index("BMP numbers")
    assert (attempt(read_as_label_map, path, Cost()) is not None) == (is_label_map or "interlaced" in name)
