"""CamVid folders: the tutorial's layout with and without lists, and every kind of damage."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tinysegnet.data.folders as folders
import tinysegnet.data.image_files as pictures
from tinysegnet.data import CAMVID, Dataset, Folder, Palette, open_dataset, read_image, read_labels
from tinysegnet.data.crops import write_classes
from tinysegnet.data.label_encoding import LabelEncoding
from tinysegnet.data.label_files import LabelPixels
from tinysegnet.errors import DataError

SHARED = Path(__file__).parents[3] / "shared"  # the folder next to the repository that may contain real CamVid
H, W = 6, 9


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def write_pair(root, stem, split="train", suffix=".png", seed=0):
    rng = np.random.default_rng([seed, *stem.encode()])
    image = rng.integers(0, 256, (H, W, 3)).astype(np.uint8)
    labels = rng.integers(0, 12, (H, W)).astype(np.uint8)
    save(root / split / f"{stem}{suffix}", image)
    save(root / f"{split}annot" / f"{stem}.png", labels)
    return image, labels


def camvid(root):
    """The training pictures of a folder whose list has CamVid's classes."""
    write_classes(root / "classes.txt", CAMVID)
    return Folder(root)


@pytest.fixture
def root(tmp_path):
    for stem in ("b", "a", "c"):
        write_pair(tmp_path, stem)
    return tmp_path


def test_folders_are_paired_by_stem(tmp_path):
    written = {stem: write_pair(tmp_path, stem) for stem in ("b", "a", "c")}
    dataset = camvid(tmp_path)
    assert isinstance(dataset, Dataset)
    assert (len(dataset), dataset.name, dataset.palette) == (3, "CamVid train", CAMVID)
    for index, stem in enumerate("abc"):
        assert dataset[index].name == stem
        np.testing.assert_array_equal(dataset[index].image, written[stem][0])
        np.testing.assert_array_equal(dataset[index].labels, written[stem][1])
    assert dataset[-1].name == "c"
    with pytest.raises(IndexError):
        dataset[3]
    seen = []
    dataset.problems(progress=lambda loop: (seen.append(i) or i for i in loop))
    assert seen == [0, 1, 2]


def test_samples_are_cached_and_read_only(root, monkeypatch):
    dataset = camvid(root)
    assert dataset[0] is dataset[0]
    for array in (dataset[0].image, dataset[0].labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    assert folders.CACHE_BYTES == 10**9
    for limit, is_cached in ((H * W * 4, True), (H * W * 4 - 1, False)):  # enough for one sample, or not
        monkeypatch.setattr(folders, "CACHE_BYTES", limit)
        dataset = camvid(root)
        assert (dataset[1] is dataset[1]) == is_cached
        assert dataset[0] is not dataset[0]


@pytest.mark.parametrize("line", [
    "train/{0}.png trainannot/{0}.png",
    "/SegNet/CamVid/train/{0}.png /SegNet/CamVid/trainannot/{0}.png",
    "C:\\Users\\me\\CamVid\\train\\{0}.png\tC:\\Users\\me\\CamVid\\trainannot\\{0}.png",
    "../../elsewhere/train/{0}.png ./trainannot/{0}.png",
])  # fmt: skip
def test_lists_may_contain_the_paths_of_other_machines(root, line):
    text = "\ufeff" + "\r\n".join(line.format(stem) for stem in "cab") + "\r\n\r\n"
    (root / "train.txt").write_text(text, encoding="utf-8")
    dataset = camvid(root)
    assert dataset.problems() == []
    assert [sample.name for sample in dataset] == ["c", "a", "b"]  # in the order of the list


def test_the_longest_existing_tail_of_a_listed_path_is_used(root):
    inner, _ = write_pair(root / "CamVid", "a", seed=1)
    (root / "train.txt").write_text("/x/CamVid/train/a.png /x/CamVid/trainannot/a.png\n")
    np.testing.assert_array_equal(camvid(root)[0].image, inner)


def test_lists_and_links_cannot_leave_the_folder(tmp_path):
    write_pair(tmp_path / "outside", "a")
    root = tmp_path / "root"
    write_pair(root, "b")
    outside = tmp_path / "outside" / "train"
    for start in ("../outside/train", str(outside), ".."):
        (root / "train.txt").write_text(f"{start}/a.png {start}annot/a.png\n")
        with pytest.raises(DataError, match=r"root/.*a\.png: no such file"):
            camvid(root)[0]
    (root / "link").symlink_to(outside)
    (root / "train.txt").write_text("link/a.png trainannot/a.png\n")
    with pytest.raises(DataError, match=r"link/a\.png: .*link"):
        camvid(root)[0]
    (root / "train.txt").unlink()
    (root / "train" / "b.png").unlink()
    (root / "train" / "b.png").symlink_to(outside / "a.png")
    with pytest.raises(DataError, match=r"train/b\.png: .*link"):
        camvid(root)[0]


def test_lists_accept_names_with_spaces(tmp_path):
    write_pair(tmp_path, "my street")
    (tmp_path / "train.txt").write_text("train/my street.png trainannot/my street.png\n")
    assert camvid(tmp_path).problems() == []


def test_listed_pairs_must_have_equal_stems(root):
    (root / "train.txt").write_text("train/a.png trainannot/b.png\n")
    with pytest.raises(DataError, match=r"train/a\.png: .*train\.txt line 1 .*trainannot/b\.png"):
        camvid(root)[0]


@pytest.mark.parametrize("line", ["train/a.png", "train/a.png x trainannot/b.png"])
def test_lists_reject_lines_without_two_paths(root, line):
    (root / "train.txt").write_text(f"train/a.png trainannot/a.png\n{line}\n")
    with pytest.raises(DataError, match=rf"train\.txt: line 2: '{line}'"):
        camvid(root)


def test_check_reports_every_bad_file(tmp_path):
    for stem in "abcdefgh":
        _, labels = write_pair(tmp_path, stem)
    annot = tmp_path / "trainannot"
    labels[3, 5] = 37
    save(annot / "a.png", labels)
    (annot / "b.png").unlink()
    save(annot / "c.png", labels[:, :-1])
    damaged = (annot / "d.png").read_bytes()
    (annot / "d.png").write_bytes(damaged[: len(damaged) // 2])
    (tmp_path / "train" / "e.png").unlink()
    save(annot / "f.png", np.full((H, W, 3), (1, 2, 3), np.uint8))
    save(annot / "g.png", labels, format="JPEG")
    lines = camvid(tmp_path).problems()
    for line, (name, what) in zip(
        lines,
        [
            ("trainannot/a.png", r"value 37 at row 3, column 5 .*0\.\.10, void 11"),
            ("trainannot/b.png", "no such file"),
            ("trainannot/c.png", f"{H} x {W - 1} pixels.*{H} x {W}"),
            ("trainannot/d.png", "damaged"),
            ("train/e.png", "no such file"),
            ("trainannot/f.png", "colour 1 2 3 at row 0, column 0"),
            ("trainannot/g.png", "JPEG"),
        ],
        strict=True,
    ):
        assert line.startswith(str(tmp_path / name)), line
        assert re.search(what, line)


def test_folders_without_camvid_are_rejected(tmp_path):
    with pytest.raises(DataError, match="nowhere: no such folder"):
        Folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no pictures with label maps.*train\.txt"):
        open_dataset(tmp_path, "train")
    (tmp_path / "train.txt").write_text("\n")
    with pytest.raises(DataError, match="'train' is empty"):
        camvid(tmp_path)
    (tmp_path / "train.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="UTF-8"):
        camvid(tmp_path)


def test_two_pictures_with_one_stem_are_rejected(root):
    write_pair(root, "a", suffix=".jpg")
    with pytest.raises(DataError, match=r"a\.png: .*same stem as .*a\.jpg"):
        camvid(root)


def test_label_maps_with_a_palette_are_read_as_indices(tmp_path):
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    image = Image.fromarray(labels, mode=None).convert("P")
    image.putdata(labels.ravel().tolist())
    image.putpalette(CAMVID.lookup_table().ravel().tolist())
    image.save(tmp_path / "p.png")
    assert Image.open(tmp_path / "p.png").convert("L").getextrema()[1] > 11  # convert("L") would give grey levels
    np.testing.assert_array_equal(read_labels(tmp_path / "p.png"), labels)


@pytest.mark.parametrize(("bits", "top"), [(1, 1), (2, 3), (4, 15), (8, 255)])
def test_grey_label_maps_of_1_2_4_and_8_bits_are_read_exactly(tmp_path, bits, top):
    labels = np.arange(16 if bits < 8 else 256).reshape(-1, 8) % (top + 1)
    path = tmp_path / "grey.png"
    path.write_bytes(grey_png(labels, bits))
    np.testing.assert_array_equal(read_labels(path), labels)


def grey_png(values, bits):
    """Return a grey PNG of 1, 2, 4 or 8 bits per pixel; Pillow cannot write 2 or 4."""
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = values.shape
    as_bits = (values[..., None] >> np.arange(bits)[::-1]) & 1
    rows = np.packbits(as_bits.reshape(height, -1).astype(np.uint8), axis=1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_read_image_converts_every_mode_to_rgb(tmp_path, mode):
    grey = np.repeat(np.array([[0, 255, 255]], np.uint8), 2, axis=0)
    Image.fromarray(grey).convert(mode).save(tmp_path / "x.png")
    image = read_image(tmp_path / "x.png")
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, np.repeat(grey[..., None], 3, axis=2))


def test_read_image_recognises_jpeg_by_content(tmp_path):
    save(tmp_path / "x.png", np.full((H, W, 3), (200, 10, 10), np.uint8), format="JPEG")
    red, green, _ = read_image(tmp_path / "x.png")[2, 3]
    assert red > 190 > 20 > green  # the channels are in RGB order


def test_read_image_rejects_unusable_files(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="embedded null"):  # Pillow raises a ValueError
        read_image("x\0.png")
    save(tmp_path / "fake.png", np.zeros((2, 2, 3), np.uint8), format="PPM")
    with pytest.raises(DataError, match=r"fake\.png: .*not a picture in a known format"):
        read_image(tmp_path / "fake.png")
    monkeypatch.setattr(pictures, "MAX_PIXELS", 3)
    save(tmp_path / "big.png", np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(DataError, match=r"big\.png: claims 2 x 2"):
        read_image(tmp_path / "big.png")


def test_label_values_outside_the_palette_are_rejected():
    names, colors = ("a", "b", "c"), ((0, 0, 0),) * 3
    LabelEncoding.plain(Palette(names, colors, ignore_label=9)).decode(
        LabelPixels(np.array([[0, 2, 9]], np.uint8)), "x"
    )
    for value, ignore_label in ((3, 9), (255, 9), (10, 9), (3, None), (9, None)):
        with pytest.raises(DataError, match=rf"^x: value {value} at row 1, column 0 .*0\.\.2"):
            LabelEncoding.plain(Palette(names, colors, ignore_label)).decode(
                LabelPixels(np.array([[0, 2], [value, 1]], np.uint8)), "x"
            )


@pytest.mark.parametrize("reader", [read_image, read_labels])
def test_damaged_files_raise_only_data_errors(tmp_path, reader):
    rng = np.random.default_rng(0)
    save(tmp_path / "whole.png", rng.integers(0, 255, (8, 9), np.uint8))
    whole = np.frombuffer((tmp_path / "whole.png").read_bytes(), np.uint8)
    errors = []
    for _ in range(80):
        mutant = whole.copy()
        mutant[rng.integers(len(whole), size=3)] = rng.integers(256, size=3)
        (tmp_path / "x.png").write_bytes(mutant[: rng.integers(1, len(whole) + 1)].tobytes())
        try:
            reader(tmp_path / "x.png")
        except DataError as error:
            errors.append(str(error))
    assert len(errors) > 50
    assert all(error.startswith(str(tmp_path / "x.png")) and "\n" not in error for error in errors)


@pytest.mark.skipif(not (SHARED / "camvid").is_dir(), reason="real CamVid (../shared/camvid) is not here")
def test_real_camvid_is_read():
    train, val = open_dataset(SHARED / "camvid", "train"), open_dataset(SHARED / "camvid", "val")
    assert (len(train), len(val)) == (367, 101)
    sample = val[100]
    assert sample.name == "0016E5_08159"
    assert sample.image.shape == (360, 480, 3)
    assert sample.labels.shape == (360, 480)
    assert CAMVID.names[sample.labels[340, 240]] == "Road"


@pytest.mark.skipif(
    not (SHARED / "camvid-official-sample").is_dir(), reason="../shared/camvid-official-sample not here"
)
def test_the_official_camvid_sample_is_read():
    for split, count in (("train", 4), ("val", 2)):
        dataset = Folder(SHARED / "camvid-official-sample", split)
        assert dataset.problems() == []
        assert len(dataset) == count
        assert dataset.pairs[0].image.parent.name == split
