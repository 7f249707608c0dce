"""Folders of every layout: how they are recognised and divided, and what is inferred."""

from pathlib import Path

import numpy as np
import pytest
from folder_samples import CAMVID_32, CAMVID_32_COLORS, fastai, label_map, original, picture, save, write

from tinysegnet.cli.main import main
from tinysegnet.data import CAMVID, Dataset, Folder, open_dataset
from tinysegnet.data.label_encoding import VOID
from tinysegnet.data.palette import CAMVID_MERGE
from tinysegnet.errors import DataError

SHARED = Path(__file__).parents[3] / "shared"  # the folder next to the repository that may contain real CamVid


def splits_of(root, **options):
    train = Folder(root, "train", **options)
    return {split: [s.name for s in Folder(root, split, **options)] for split in train.layout.splits}


# Layouts


def test_images_and_labels_with_a_folder_per_split_are_recognised(tmp_path):
    for split in ("train", "valid", "night"):
        written = write(tmp_path, f"images/{split}/{{}}.png", f"labels/{split}/{{}}.png", 2)
    assert splits_of(tmp_path) == {"night": ["p0", "p1"], "train": ["p0", "p1"], "val": ["p0", "p1"]}
    dataset = open_dataset(tmp_path, "night")
    assert isinstance(dataset, Dataset)
    np.testing.assert_array_equal(dataset[1].labels, written["p1"])
    np.testing.assert_array_equal(dataset[1].image, picture(1))
    assert len(open_dataset(tmp_path, "valid")) == 2  # a synonym of val
    with pytest.raises(DataError, match=r"'tset'.*train or val or night"):
        open_dataset(tmp_path, "tset")


@pytest.mark.parametrize(("images", "labels"), [("images", "labels"), ("Images", "masks"), ("imgs", "annotations")])
def test_splits_with_images_and_labels_are_recognised(tmp_path, images, labels):
    for split in ("train", "val"):
        write(tmp_path, f"{split}/{images}/{{}}.jpg", f"{split}/{labels}/{{}}.png", 3)
    assert splits_of(tmp_path) == {split: ["p0", "p1", "p2"] for split in ("train", "val")}
    assert Folder(tmp_path).name == f"{tmp_path.name} train"


def test_a_folder_without_splits_is_divided_by_name_or_by_a_list(tmp_path):
    write(tmp_path, "images/{}.png", "labels/{}.png", 10)
    expected = {"train": [f"p{k}" for k in range(8)], "val": ["p8", "p9"]}
    assert splits_of(tmp_path) == expected == splits_of(tmp_path)
    assert "8 train, 2 val" in Folder(tmp_path).description
    assert "the last fifth" in Folder(tmp_path).description
    (tmp_path / "val.txt").write_text("p3.png\np0\n")
    assert splits_of(tmp_path)["val"] == ["p0", "p3"]
    assert len(Folder(tmp_path)) == 8
    (tmp_path / "val.txt").write_text("images/p3.png\np77.png\n")
    with pytest.raises(DataError, match=r"val\.txt: .*'p77\.png'"):
        Folder(tmp_path)


def test_the_description_mentions_void_only_if_it_exists(tmp_path):
    write(tmp_path, "images/{}.png", "labels/{}.png", 5)
    dataset = Folder(tmp_path)
    assert dataset.problems() == []
    assert dataset.description.endswith("values in label maps: 0..2")
    assert Folder(tmp_path, ignore=2).description.endswith("values in label maps: 0..1, void 2")
    labels = label_map()
    labels[0, 0] = 255
    save(tmp_path / "labels/p0.png", labels)
    dataset = Folder(tmp_path)
    assert dataset.problems() == []
    assert dataset.description.endswith("values in label maps: 0..2, void 255")


@pytest.mark.parametrize(("make", "options", "values"), [
    (lambda root: write(root, "images/{}.png", "labels/{}.png", 5, np.uint8([0, 255])), {}, "0..1, 255"),
    (lambda root: write(root, "images/{}.png", "labels/{}.png", 5, np.uint8([0, 1, 9])), {"ignore": 9}, "0..1, void 9"),
    (fastai, {}, "0..29, 31, void 30, 255; void becomes 11"),
    (original, {"classes": "all"}, "0..29, 31, void 30, 255; void becomes 255"),
])  # fmt: skip
def test_the_description_lists_the_values_of_classes_and_of_void(tmp_path, make, options, values):
    make(tmp_path)
    assert Folder(tmp_path, **options).description.splitlines()[-1] == f"values in label maps: {values}"


def test_a_missing_validation_set_is_split_off_from_training(tmp_path):
    write(tmp_path, "images/train/{}.png", "labels/train/{}.png", 5)
    write(tmp_path, "images/test/{}.png", "labels/none/{}.png", 1)
    assert splits_of(tmp_path) == {"train": ["p0", "p1", "p2", "p3"], "val": ["p4"]}


def merged_number(name):
    return next((k for k, parts in enumerate(CAMVID_MERGE.values()) if name in parts), 11)


@pytest.mark.parametrize("valid", [True, False])
def test_fastai_camvid_is_recognised_and_merged(tmp_path, valid):
    written = fastai(tmp_path, valid)
    assert splits_of(tmp_path)["val"] == (["p1", "p2"] if valid else ["p4"])
    dataset = open_dataset(tmp_path, "val")
    assert dataset.palette == CAMVID
    assert dataset.problems() == []
    table = np.array([merged_number(name) for name in CAMVID_32])
    np.testing.assert_array_equal(dataset[0].labels, table[written[dataset[0].name]])


def test_fastai_camvid_keeps_31_classes_on_request(tmp_path):
    written = fastai(tmp_path)
    dataset = open_dataset(tmp_path, "val", classes="all")
    void = CAMVID_32.index("Void")
    assert dataset.palette.num_classes == 31
    assert dataset.palette.names == tuple(name for name in CAMVID_32 if name != "Void")
    assert dataset.palette.ignore_label == VOID
    numbers = written["p1"].astype(int)
    np.testing.assert_array_equal(dataset[0].labels, np.where(numbers == void, VOID, numbers - (numbers > void)))
    assert f"0..{void - 1}, {void + 1}, void {void}, 255" in dataset.description


@pytest.mark.parametrize(
    "places", [("raw/{}.png", "approved/{}_L.png"), ("{}.png", "{}_L.png"), ("a/b/{}.png", "a/c/{}_L.png")]
)
def test_original_camvid_is_recognised_and_merged(tmp_path, places):
    written = original(tmp_path, *places)
    assert splits_of(tmp_path) == {"train": ["p0", "p1", "p2", "p3"], "val": ["p4"]}
    dataset = open_dataset(tmp_path, "train")
    assert dataset.problems() == []
    assert dataset.palette == CAMVID
    numbers = np.array([CAMVID_32_COLORS.index(tuple(color)) for color in written["p2"].reshape(-1, 3).tolist()])
    table = np.array([merged_number(name) for name in CAMVID_32])
    np.testing.assert_array_equal(dataset[2].labels.ravel(), table[numbers])
    everything = open_dataset(tmp_path, "train", classes="all")
    assert everything.palette.num_classes == 31
    assert everything.palette.colors[0] == CAMVID_32_COLORS[0]


def test_original_camvid_with_a_folder_per_split_is_recognised(tmp_path):
    for split, count in (("train", 3), ("val", 2)):
        original(tmp_path, f"{split}/{{}}.png", f"{split}_labels/{{}}_L.png", count)
        for file in sorted(tmp_path.glob(f"{split}*/*")):  # names differ between splits, as in CamVid
            file.rename(file.with_name(split + file.name))
    assert splits_of(tmp_path) == {"train": ["trainp0", "trainp1", "trainp2"], "val": ["valp0", "valp1"]}


def test_a_few_unknown_colours_are_void_in_camvid(tmp_path):
    written = original(tmp_path)
    big = np.tile(written["p0"], (20, 20, 1))
    big[5, 7] = 1, 2, 3
    save(tmp_path / "raw/p0.png", np.zeros_like(big))
    save(tmp_path / "labels/p0_L.png", big)
    with pytest.warns(UserWarning, match=r"p0_L\.png: .*1 2 3 at row 5, column 7.* 1\)"):
        assert open_dataset(tmp_path, "train")[0].labels[5, 7] == 11
    big[:50] = 1, 2, 3
    save(tmp_path / "labels/p0_L.png", big)
    with pytest.raises(DataError, match=r"p0_L\.png: colour 1 2 3 at row 0, column 0 .*9000"):
        open_dataset(tmp_path, "train")[0]


def test_the_tutorial_layout_accepts_other_classes(tmp_path):
    write(tmp_path, "train/{}.png", "trainannot/{}.png", 2, prefix="0001TP_")
    assert Folder(tmp_path).palette == CAMVID
    assert Folder(tmp_path).name == "CamVid train"
    assert Folder(tmp_path, ignore=3).palette.num_classes == 10
    with pytest.raises(DataError, match="11 classes"):
        Folder(tmp_path, classes="all")
    (tmp_path / "classes.txt").write_text("sky\n0 0 250 sea\nland\n")
    assert Folder(tmp_path).palette.names == ("sky", "sea", "land")
    with pytest.raises(DataError, match=r"'val'.*val\.txt.*valannot"):
        Folder(tmp_path, "val")


# Names and links


def test_files_with_unusual_names_are_found_and_hidden_ones_skipped(tmp_path):
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


def test_links_out_of_the_folder_are_rejected(tmp_path):
    root = tmp_path / "root"
    write(root, "images/{}.png", "labels/{}.png", 5)
    write(tmp_path, "outside/{}.png", "outside/{}_L.png", 1)
    (root / "images/p0.png").unlink()
    (root / "images/p0.png").symlink_to(tmp_path / "outside/p0.png")
    (root / "labels/p1.png").unlink()
    (root / "labels/p1.png").symlink_to("p1.png")  # to itself
    (root / "images/loop").symlink_to(root)
    problems = Folder(root).problems()
    assert ["p0.png: " in problems[0], "p1.png: " in problems[1], len(problems)] == [True, True, 2]
    assert all("link" in problem for problem in problems)
    (root / "labels/p1.png").unlink()
    (root / "labels/p1.png").symlink_to("p2.png")  # links within the folder are allowed
    assert len(Folder(root).problems()) == 1


def test_the_search_for_label_maps_survives_circular_links(tmp_path):
    original(tmp_path)
    (tmp_path / "raw/up").symlink_to(tmp_path)
    assert splits_of(tmp_path)["val"] == ["p4"]


# Real CamVid


@pytest.mark.skipif(
    not (SHARED / "camvid-official-sample").is_dir(), reason="../shared/camvid-official-sample not here"
)
def test_the_official_camvid_sample_is_recognised(capsys):
    assert main(["data", "check", str(SHARED / "camvid-official-sample")]) == 0
    text = capsys.readouterr().out
    assert "pictures: 4 train, 2 val" in text
    assert ", ".join(CAMVID.names) in text


@pytest.mark.skipif(not (SHARED / "camvid").is_dir(), reason="real CamVid (../shared/camvid) is not here")
def test_real_camvid_is_recognised():
    dataset = Folder(SHARED / "camvid", "val")
    assert (len(dataset), dataset.palette, dataset.name) == (101, CAMVID, "CamVid val")
    assert "367 train, 101 val" in dataset.description
