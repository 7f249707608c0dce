"""Folders of every layout, label files of every mode, and every way in which they can be bad."""

import io
import json
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tinysegnet.data.pictures as pictures
from tinysegnet.cli import main
from tinysegnet.data import CAMVID, Dataset, Folder, Palette, open_dataset, read_image, read_labels
from tinysegnet.data.coding import VOID, ClassList, Coding
from tinysegnet.data.palette import CAMVID_MERGE, distinct_colors
from tinysegnet.errors import DataError, SettingError

SHARED = Path(__file__).parents[2] / "shared"  # beside the checkout, where the developers keep real CamVid
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
    """count pairs, named by the patterns "images/{}.png" and "labels/{}.png"; -> the labels as saved."""
    written = {}
    for k in range(count):
        name = f"{prefix}{k}"
        written[name] = label_map(seed=k) if values is None else values[label_map(len(values), seed=k)]
        save(root / image.format(name), picture(k))
        save(root / labels.format(name), written[name])
    return written


def splits_of(root, **options):
    train = Folder(root, "train", **options)
    return {split: [s.name for s in Folder(root, split, **options)] for split in train.layout.splits}


# Layouts


def test_images_and_labels_with_splits(tmp_path):
    for split in ("train", "valid", "night"):
        written = write(tmp_path, f"images/{split}/{{}}.png", f"labels/{split}/{{}}.png", 2)
    assert splits_of(tmp_path) == {"night": ["p0", "p1"], "train": ["p0", "p1"], "valid": ["p0", "p1"]}
    dataset = open_dataset(tmp_path, "night")
    assert isinstance(dataset, Dataset)
    np.testing.assert_array_equal(dataset[1].labels, written["p1"])
    np.testing.assert_array_equal(dataset[1].image, picture(1))
    assert len(open_dataset(tmp_path, "val")) == 2  # valid means the same
    with pytest.raises(DataError, match=r"no split 'tset' .expected night or train or valid"):
        open_dataset(tmp_path, "tset")


@pytest.mark.parametrize(("images", "labels"), [("images", "labels"), ("Images", "masks"), ("imgs", "annotations")])
def test_a_folder_for_each_split(tmp_path, images, labels):
    for split in ("train", "val"):
        write(tmp_path, f"{split}/{images}/{{}}.jpg", f"{split}/{labels}/{{}}.png", 3)
    assert splits_of(tmp_path) == {split: ["p0", "p1", "p2"] for split in ("train", "val")}
    assert Folder(tmp_path).name == f"{tmp_path.name} train"


def test_one_set_is_divided_always_alike(tmp_path):
    write(tmp_path, "images/{}.png", "labels/{}.png", 10)
    expected = {"train": [f"p{k}" for k in range(8)], "val": ["p8", "p9"]}
    assert splits_of(tmp_path) == expected == splits_of(tmp_path)
    assert "8 train, 2 val" in Folder(tmp_path).description
    assert "nothing says which pictures validate" in Folder(tmp_path).description
    (tmp_path / "val.txt").write_text("p3.png\np0\n")
    assert splits_of(tmp_path)["val"] == ["p0", "p3"]
    assert len(Folder(tmp_path)) == 8
    (tmp_path / "val.txt").write_text("images/p3.png\np77.png\n")
    with pytest.raises(DataError, match=r"val\.txt: no picture 'p77\.png'"):
        Folder(tmp_path)


def test_training_only_lends_some_to_validate(tmp_path):
    write(tmp_path, "images/train/{}.png", "labels/train/{}.png", 5)
    write(tmp_path, "images/test/{}.png", "labels/none/{}.png", 1)
    assert splits_of(tmp_path) == {"train": ["p0", "p1", "p2", "p3"], "val": ["p4"]}


def fastai(root, valid=True):
    written = write(root, "images/{}.png", "labels/{}_P.png", 5, np.arange(32, dtype=np.uint8))
    (root / "codes.txt").write_text("\n".join(CAMVID_32) + "\n")
    if valid:
        (root / "valid.txt").write_text("p1.png\np2.png\n")
    return written


def merged_number(name):
    return next((k for k, parts in enumerate(CAMVID_MERGE.values()) if name in parts), 11)


@pytest.mark.parametrize("valid", [True, False])
def test_fastai(tmp_path, valid):
    written = fastai(tmp_path, valid)
    assert splits_of(tmp_path)["valid" if valid else "val"] == (["p1", "p2"] if valid else ["p4"])
    dataset = open_dataset(tmp_path, "val")
    assert dataset.palette == CAMVID
    dataset.check()
    table = np.array([merged_number(name) for name in CAMVID_32])
    np.testing.assert_array_equal(dataset[0].labels, table[written[dataset[0].name]])


def test_fastai_with_all_classes(tmp_path):
    written = fastai(tmp_path)
    dataset = open_dataset(tmp_path, "val", classes="all")
    void = CAMVID_32.index("Void")
    assert dataset.palette.num_classes == 31
    assert dataset.palette.names == tuple(name for name in CAMVID_32 if name != "Void")
    assert dataset.palette.ignore_label == VOID
    numbers = written["p1"].astype(int)
    np.testing.assert_array_equal(dataset[0].labels, np.where(numbers == void, VOID, numbers - (numbers > void)))
    assert f"0..{void - 1}, {void + 1}, void {void}, 255" in dataset.description


def original(root, image="raw/{}.png", labels="labels/{}_L.png", count=5):
    """CamVid as its authors gave it: colour label maps of 32 classes."""
    colors = np.array(CAMVID_32_COLORS, np.uint8)
    lines = [f"{r} {g} {b}\t\t{name}" for (r, g, b), name in zip(CAMVID_32_COLORS, CAMVID_32, strict=True)]
    root.mkdir(exist_ok=True)
    (root / "label_colors.txt").write_text("\n".join(lines))
    return write(root, image, labels, count, colors)


@pytest.mark.parametrize(
    "places", [("raw/{}.png", "approved/{}_L.png"), ("{}.png", "{}_L.png"), ("a/b/{}.png", "a/c/{}_L.png")]
)
def test_original_camvid(tmp_path, places):
    written = original(tmp_path, *places)
    assert splits_of(tmp_path) == {"train": ["p0", "p1", "p2", "p3"], "val": ["p4"]}
    dataset = open_dataset(tmp_path, "train")
    dataset.check()
    assert dataset.palette == CAMVID
    numbers = np.array([CAMVID_32_COLORS.index(tuple(color)) for color in written["p2"].reshape(-1, 3).tolist()])
    table = np.array([merged_number(name) for name in CAMVID_32])
    np.testing.assert_array_equal(dataset[2].labels.ravel(), table[numbers])
    everything = open_dataset(tmp_path, "train", classes="all")
    assert everything.palette.num_classes == 31
    assert everything.palette.colors[0] == CAMVID_32_COLORS[0]


def test_original_camvid_in_folders_by_split(tmp_path):
    for split, count in (("train", 3), ("val", 2)):
        original(tmp_path, f"{split}/{{}}.png", f"{split}_labels/{{}}_L.png", count)
        for file in sorted(tmp_path.glob(f"{split}*/*")):  # names differ between splits, as in CamVid
            file.rename(file.with_name(split + file.name))
    assert splits_of(tmp_path) == {"train": ["trainp0", "trainp1", "trainp2"], "val": ["valp0", "valp1"]}


def test_a_few_pixels_between_two_colours_are_void_in_camvid_only(tmp_path):
    written = original(tmp_path)
    big = np.tile(written["p0"], (20, 20, 1))
    big[5, 7] = 1, 2, 3
    save(tmp_path / "raw/p0.png", np.zeros_like(big))
    save(tmp_path / "labels/p0_L.png", big)
    with pytest.warns(UserWarning, match="p0_L.png: 1 pixels of unknown colours, such as 1 2 3 at row 5, column 7"):
        assert open_dataset(tmp_path, "train")[0].labels[5, 7] == 11
    big[:50] = 1, 2, 3
    save(tmp_path / "labels/p0_L.png", big)
    with pytest.raises(DataError, match=r"p0_L\.png: colour 1 2 3 at row 0, column 0 is no class's, 9000 such"):
        open_dataset(tmp_path, "train")[0]


def test_the_tutorials_layout_with_own_classes(tmp_path):
    write(tmp_path, "train/{}.png", "trainannot/{}.png", 2)
    assert Folder(tmp_path).palette == CAMVID
    assert Folder(tmp_path).name == "CamVid train"
    assert Folder(tmp_path, ignore=3).palette.num_classes == 10
    with pytest.raises(DataError, match="labelled with 11 classes"):
        Folder(tmp_path, classes="all")
    (tmp_path / "classes.txt").write_text("sky\n0 0 250 sea\nland\n")
    assert Folder(tmp_path).palette.names == ("sky", "sea", "land")
    with pytest.raises(DataError, match="no split 'val'"):
        Folder(tmp_path, "val")


# Classes


def test_own_classes(tmp_path):
    write(tmp_path, "images/{}.png", "labels/{}.png", 2)
    (tmp_path / "classes.txt").write_text("\ufeff10 20 30 open water\r\nland\r\n\r\nVoid\r\n", encoding="utf-8")
    palette = Folder(tmp_path).palette
    assert palette.names == ("open water", "land")
    assert palette.colors[0] == (10, 20, 30)
    assert palette.ignore_label == VOID
    assert set(np.unique(Folder(tmp_path)[0].labels)) == {0, 1, VOID}


def test_up_to_255_classes(tmp_path):
    values = np.arange(255, dtype=np.uint8).reshape(15, 17)
    for name in "ab":
        save(tmp_path / f"images/{name}.png", np.zeros((15, 17, 3), np.uint8))
        save(tmp_path / f"labels/{name}.png", values)
    assert Folder(tmp_path).palette.num_classes == 255
    (tmp_path / "classes.txt").write_text("\n".join(f"c{k}" for k in range(255)))
    dataset = Folder(tmp_path)
    np.testing.assert_array_equal(dataset[0].labels, values)
    assert len(set(dataset.palette.colors)) == 255
    (tmp_path / "classes.txt").write_text("\n".join(f"c{k}" for k in range(256)))
    with pytest.raises(DataError, match="256 classes"):
        Folder(tmp_path)


@pytest.mark.parametrize("names", [None, "sky\nsea\n"])
@pytest.mark.parametrize("mode", ["L", "1", "RGB"])
def test_binary_masks(tmp_path, mode, names):
    written = write(tmp_path, "images/{}.png", "labels/{}.png", 3, np.array([0, 255], np.uint8))
    for path in (tmp_path / "labels").iterdir():
        Image.open(path).convert(mode).save(path)
    if names:
        (tmp_path / "classes.txt").write_text(names)
    dataset = Folder(tmp_path)
    if names or mode != "1":  # the numbers of 1-bit files are 0 and 1, which need not be a mask
        assert dataset.palette.names == (("sky", "sea") if names else ("background", "foreground"))
    assert dataset.palette.num_classes == 2
    np.testing.assert_array_equal(dataset[0].labels, written["p0"] // 255)


def test_ignore_is_inferred_or_chosen(tmp_path):
    write(tmp_path, "images/{}.png", "labels/{}.png", 3, np.array([0, 1, 2, 255], np.uint8))
    assert (Folder(tmp_path).palette.num_classes, Folder(tmp_path).palette.ignore_label) == (3, 255)
    chosen = Folder(tmp_path, ignore=0)  # the background is not labelled
    assert "value 255" in chosen.problems()[0].text
    write(tmp_path, "images/{}.png", "labels/{}.png", 3, np.array([0, 1, 2], np.uint8))
    for file in (tmp_path / "labels").iterdir():
        os.utime(file, (1, 1))
    chosen = Folder(tmp_path, ignore=0)
    assert chosen.palette.names == ("class 1", "class 2")
    assert set(np.unique(chosen[0].labels)) == {0, 1, VOID}
    assert Folder(tmp_path, ignore=77).palette.ignore_label == 77
    with pytest.raises(SettingError, match="ignore 256"):
        Folder(tmp_path, ignore=256)


def test_colours_without_a_list_of_classes(tmp_path):
    write(tmp_path, "images/{}.png", "labels/{}.png", 2, np.array([[9, 8, 7], [1, 2, 3]], np.uint8))
    with pytest.raises(DataError, match=r"p0\.png: colours, but no class has a colour .*classes\.txt"):
        Folder(tmp_path)[0]
    (tmp_path / "classes.txt").write_text("9 8 7 a\n1 2 3 b\n")
    assert Folder(tmp_path)[0].labels[0, :2].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("a", "1 classes"),
        ("a\na\n", "the name a twice"),
        ("1 2 3 a\n1 2 3 b\n", r"the colour \(1, 2, 3\) twice"),
        ("1 2 300 a\nb", "line 1: colour 1 2 300"),
        ("void\nignore", "every class is void"),
    ],
)
def test_bad_lists_of_classes(tmp_path, text, wrong):
    (tmp_path / "classes.txt").write_text(text)
    with pytest.raises(DataError, match=wrong):
        Coding.of_classes(ClassList.read(tmp_path / "classes.txt"))


def test_made_up_colours():
    colors = distinct_colors(255, taken=distinct_colors(3))
    assert len({*colors, *distinct_colors(3), (0, 0, 0)}) == 255 + 3 + 1
    assert colors == distinct_colors(255, taken=distinct_colors(3))


# Modes of files


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_label_files_of_every_mode(tmp_path, mode):
    """Numbers 0 and 1 in every mode; in colour modes, the colours of classes 0 and 1."""
    labels = (np.indices((H, W)).sum(0) % 2).astype(np.uint8)
    palette = Palette(("a", "b"), ((10, 20, 30), (40, 50, 60)))
    image = {
        "1": lambda: Image.fromarray(labels * 255).convert("1"),
        "LA": lambda: Image.fromarray(labels).convert("LA"),
        "I;16": lambda: Image.fromarray(labels.astype(np.uint16)),
        "RGB": lambda: Image.fromarray(palette.colorize(labels)),
        "RGBA": lambda: Image.fromarray(palette.colorize(labels)).convert("RGBA"),
    }.get(mode, lambda: Image.fromarray(labels))()
    if mode == "P":
        image.putpalette([200, 0, 0, 0, 200, 0])
    assert image.mode == mode
    image.save(tmp_path / "x.PNG")
    np.testing.assert_array_equal(read_labels(tmp_path / "x.PNG", palette), labels)


def test_16_bit_labels_out_of_range(tmp_path):
    labels = np.zeros((H, W), np.uint16)
    labels[2, 3] = 256 + 1
    save(tmp_path / "x.png", labels)
    with pytest.raises(DataError, match=r"x\.png: value 257 at row 2, column 3 .allowed 0\.\.10, void 11"):
        read_labels(tmp_path / "x.png", CAMVID)


def test_unknown_colour_and_jpeg(tmp_path):
    colors = CAMVID.colorize(label_map(11))
    colors[4, 2] = 255, 0, 255
    save(tmp_path / "x.png", colors)
    with pytest.raises(DataError, match=r"x\.png: colour 255 0 255 at row 4, column 2"):
        read_labels(tmp_path / "x.png", CAMVID)
    save(tmp_path / "y.png", colors, format="JPEG")
    with pytest.raises(DataError, match=r"y\.png: a label map as JPEG, which changes class numbers"):
        read_labels(tmp_path / "y.png", CAMVID)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation, suffix):
    seen = np.zeros((16, 32, 3), np.uint8)
    seen[:8, :8] = 250  # as it is to be seen: light at the top left
    turns = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_90",
             7: "TRANSVERSE", 8: "ROTATE_270"}  # fmt: skip
    stored = Image.fromarray(seen)
    if orientation > 1:
        stored = stored.transpose(Image.Transpose[turns[orientation]])
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"x.{suffix}"
    stored.save(path, exif=exif)
    upright = read_image(path, upright=True)
    assert np.abs(upright.astype(int) - seen).max() < 30
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert read_image(path).shape[:2] == stored.size[::-1]
    assert [str(path) in str(warning.message) for warning in caught] == [True] * (orientation > 1)


def test_bombs_are_refused_from_the_header(tmp_path):
    from test_camvid import grey_png

    small = grey_png(np.zeros((1, 1), int), 8)
    for pixels, where, limit in ((30_000, "900 Mpx", 50), (8_000, "8000 x 8000 = 64 Mpx", 50)):
        header = b"IHDR" + struct.pack(">IIBBBBB", pixels, pixels, 8, 0, 0, 0, 0)
        forged = small[:12] + header + struct.pack(">I", zlib.crc32(header)) + small[33:]
        (tmp_path / "bomb.png").write_bytes(forged)
        for read in (read_image, read_labels):
            with pytest.raises(DataError, match=rf"bomb\.png: claims {where} .at most {limit}"):
                read(tmp_path / "bomb.png")
    with pytest.raises(DataError, match="damaged"):  # a large one is allowed to be tried, when it is a single one
        read_image(tmp_path / "bomb.png", max_pixels=pictures.MAX_PIXELS_SINGLE)


# What can be wrong with a folder


def spoil(root):
    """Of five sound pairs, four become bad in four ways; -> the files."""
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


def test_check_names_all_four(tmp_path, capsys):
    bad = spoil(tmp_path)
    assert main(["data", "check", str(tmp_path)]) == 2
    text = capsys.readouterr().out
    lines = [line for line in text.splitlines() if line.startswith(f"{tmp_path}/")]
    assert [line.split(":")[0] for line in lines] == bad
    for line, what in zip(
        lines,
        [
            "value 37 at row 3, column 5 (allowed 0..2, void 255)",
            "no such file (expected the label map of",
            f"{W - 1} x {H} pixels (expected {W} x {H}",
            "damaged",
        ],
        strict=True,
    ):
        assert what in line
    assert "3 classes, from classes.txt: a, b, c" in text
    assert text.splitlines()[-1] == "5 pairs checked: 4 files cannot be used"
    assert main(["data", "check", str(tmp_path), "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert [entry["file"] for entry in found["bad"]] == bad
    assert found["splits"] == {"train": 4, "val": 1}


def test_a_lone_37_is_no_class(tmp_path):
    spoil(tmp_path)
    (tmp_path / "classes.txt").unlink()
    assert "value 37 at row 3, column 5 (allowed 0..2, void 255)" in Folder(tmp_path).problems()[0].text


def test_extra_jpeg_and_unknown_colour(tmp_path):
    write(tmp_path, "images/{}.png", "labels/{}.png", 4)
    (tmp_path / "classes.txt").write_text("0 0 9 a\n0 9 0 b\n9 0 0 c\n")
    (tmp_path / "images/p0.png").unlink()
    save(tmp_path / "labels/p1.jpg", label_map())
    (tmp_path / "labels/p1.png").unlink()
    save(tmp_path / "labels/p2.png", np.full((H, W, 3), 5, np.uint8))
    problems = Folder(tmp_path).problems()
    for problem, what in zip(problems, ["an extra label map", "as JPEG", "colour 5 5 5 at row 0"], strict=True):
        assert what in problem.text
        assert problem.text.startswith(str(problem.file))


def test_both_files_of_a_pair_are_named(tmp_path):
    write(tmp_path, "images/{}.png", "labels/{}.png", 3)
    for name in ("images/p0.png", "labels/p0.png"):
        (tmp_path / name).write_bytes(b"nonsense")
    problems = Folder(tmp_path).problems()
    assert [problem.file for problem in problems] == [tmp_path / "images/p0.png", tmp_path / "labels/p0.png"]


def test_check_says_what_was_inferred(tmp_path, capsys):
    write(tmp_path, "images/{}.png", "labels/{}.png", 5)
    assert main(["data", "check", str(tmp_path), "--ignore", "2"]) == 0
    text = capsys.readouterr().out
    assert "images/ and labels/; pictures: 4 train, 1 val" in text
    assert "2 classes, from the values in the label maps" in text
    assert text.endswith("5 pairs checked: all can be used\n")


@pytest.mark.parametrize("command", [["train", "--runs", "r", "--data"], ["data", "floors", "--data"]])
def test_bad_files_are_refused_before_anything_begins(tmp_path, capsys, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    spoil(tmp_path / "d")
    assert main([*command, "d"]) == 2
    lines = [line for line in capsys.readouterr().err.replace("\r", "\n").splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    for part in ("d: files that cannot be used: 4", "d/labels/p0.png, d/labels/p1.png, d/labels/p2.png, ...",
                 "tinysegnet data check d"):  # fmt: skip
        assert part in lines[0]
    assert not (tmp_path / "r").exists()


def test_training_on_own_pictures(tmp_path, capsys):
    for k in range(4):
        save(tmp_path / f"d/images/{k}.png", np.repeat(np.repeat(picture(k), 4, 0), 4, 1))
        save(tmp_path / f"d/masks/{k}_mask.png", np.repeat(np.repeat(label_map(2, k), 4, 0), 4, 1) * 255)
    options = ["--epochs", "1", "--width", "0.1", "--size", "16x24", "--runs", str(tmp_path / "r"), "--name", "x"]
    assert main(["train", "--data", str(tmp_path / "d"), *options]) == 0
    text = capsys.readouterr().out
    assert "2 classes, from the values in the label maps" in text
    assert "foreground" in text
    weights = str(tmp_path / "r/x/last.safetensors")
    assert main(["evaluate", weights, "--data", str(tmp_path / "d"), "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["IoU"]) == {"background", "foreground"}

    fastai(tmp_path / "other")
    assert main(["evaluate", weights, "--data", str(tmp_path / "other")]) == 2
    assert "CamVid val: 11 classes (expected the network's 2)" in capsys.readouterr().err


# Names and links


def test_names_of_all_kinds(tmp_path):
    names = ["my street", "Straße 北", "UPPER", "a.b", ".hidden", "x%s {0}"]
    for k, name in enumerate(names):
        save(tmp_path / f"images/{name}.JPG", picture(k), format="JPEG")
        save(tmp_path / f"labels/{name}.PNG", label_map(seed=k), format="PNG")
    (tmp_path / "images/._junk.png").write_bytes(b"junk")
    (tmp_path / "images/.DS_Store").write_bytes(b"junk")
    (tmp_path / "images/Thumbs.db").write_bytes(b"junk")
    (tmp_path / "labels/folder.png").mkdir()
    found = splits_of(tmp_path)
    assert sorted(found["train"] + found["val"]) == sorted(set(names) - {".hidden"})


def test_links(tmp_path):
    root = tmp_path / "root"
    write(root, "images/{}.png", "labels/{}.png", 5)
    write(tmp_path, "outside/{}.png", "outside/{}_L.png", 1)
    (root / "images/p0.png").unlink()
    (root / "images/p0.png").symlink_to(tmp_path / "outside/p0.png")
    (root / "labels/p1.png").unlink()
    (root / "labels/p1.png").symlink_to("p1.png")  # to itself
    (root / "images/loop").symlink_to(root)
    problems = Folder(root).problems()
    assert [problem.file.name for problem in problems] == ["p0.png", "p1.png"]
    assert all("a link that leaves" in problem.text for problem in problems)
    (root / "labels/p1.png").unlink()
    (root / "labels/p1.png").symlink_to("p2.png")  # within is fine
    assert len(Folder(root).problems()) == 1


def test_links_in_circles_below_a_folder_that_is_searched(tmp_path):
    original(tmp_path)
    (tmp_path / "raw/up").symlink_to(tmp_path)
    assert splits_of(tmp_path)["val"] == ["p4"]


# Hostile bytes


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_mutated_files_give_documented_errors_only(tmp_path, kind):
    """600 of each: bytes changed, cut, doubled. Nothing but DataError, naming the file, on one line."""
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture()).save(buffer, kind, exif=exif)
    whole = np.frombuffer(buffer.getvalue(), np.uint8)
    path, errors = tmp_path / "x.png", []
    coding = Coding.plain(CAMVID)
    for number in range(600):
        mutant = whole.copy()
        places = rng.integers(len(whole), size=rng.integers(1, 8))
        mutant[places] = rng.integers(256, size=len(places))
        if number % 3 == 0:
            mutant = mutant[: rng.integers(len(whole) + 1)]
        path.write_bytes(mutant.tobytes() * (1 + number % 2))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for read in (read_image, lambda p: coding.decode(pictures.read_label_pixels(p), p)):
                try:
                    assert read(path).dtype == np.uint8
                except DataError as error:
                    errors.append(str(error))
        assert all("EXIF says" in str(warning.message) for warning in caught)  # none of Pillow's
    assert len(errors) > 300
    assert all(error.startswith(f"{path}: ") and "\n" not in error for error in errors)


# Real CamVid


@pytest.mark.skipif(
    not (SHARED / "camvid-official-sample").is_dir(), reason="../shared/camvid-official-sample not here"
)
def test_official_sample_is_recognised(capsys):
    assert main(["data", "check", str(SHARED / "camvid-official-sample"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["splits"] == {"train": 4, "val": 2}
    assert found["classes"] == list(CAMVID.names)


@pytest.mark.skipif(not (SHARED / "camvid").is_dir(), reason="real CamVid (../shared/camvid) is not here")
def test_real_camvid_is_recognised():
    dataset = Folder(SHARED / "camvid", "val")
    assert (len(dataset), dataset.palette, dataset.name) == (101, CAMVID, "CamVid val")
    assert "367 train, 101 val" in dataset.description
