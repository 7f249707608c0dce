"""Pictures and label maps are paired by their names, whatever the format, the form of Unicode or the separators."""

import unicodedata

import pytest
from folder_samples import names_of, write_pairs

from tinysegnet.data import Folder
from tinysegnet.data.layouts import find_layout
from tinysegnet.errors import DataError


@pytest.mark.parametrize(
    "suffix", [".JPG", ".jfif", ".jpe", ".webp", ".tif", ".TIFF", ".bmp", ".gif", ".heic", ".avif"]
)
def test_pictures_of_every_format_are_paired(tmp_path, suffix):
    write_pairs(tmp_path, *"abcde")
    (tmp_path / "images/c.png").rename(tmp_path / f"images/c{suffix}")
    assert names_of(tmp_path) == {"train": ["a", "b", "c", "d"], "val": ["e"]}


@pytest.mark.parametrize(("name", "count"), [("images/x.svg", 1), ("images/x.xcf", 2), ("labels/x.npy", 3)])
def test_other_files_are_counted_with_an_example(tmp_path, name, count):
    write_pairs(tmp_path, *"abc")
    for k in range(count):
        (tmp_path / name.replace("x.", f"x{k}.")).write_bytes(b"x")
    (tmp_path / "notes.md").write_text("files beside the folders do not matter")
    assert f"files left out: {count}, such as {name.replace('x.', 'x0.')}" in find_layout(tmp_path).note


@pytest.mark.parametrize("forms", [("NFD", "NFC"), ("NFC", "NFD")])
@pytest.mark.parametrize("way", ["folders", "names", "pairs"])
def test_forms_of_unicode_are_equal(tmp_path, forms, way):
    stems = [f"Straße-Zürich-{k}" for k in range(5)]
    for stem in stems:
        write_pairs(tmp_path, unicodedata.normalize(forms[0], stem), labels="")
        write_pairs(tmp_path, unicodedata.normalize(forms[way == "folders"], stem), image="")
    listed = [unicodedata.normalize(forms[1], stem) for stem in stems[:2]]
    if way == "names":
        (tmp_path / "val.txt").write_text("\n".join(listed), encoding="utf-8")
    if way == "pairs":
        lines = (f"images/{stem}.png labels/{stem}.png" for stem in listed)
        (tmp_path / "train.txt").write_text("\n".join(lines), encoding="utf-8")
    counts = {"folders": {"train": 4, "val": 1}, "names": {"train": 3, "val": 2}, "pairs": {"train": 2}}
    assert {split: len(found) for split, found in names_of(tmp_path).items()} == counts[way]
    assert Folder(tmp_path).problems() == []


@pytest.mark.parametrize("way", ["folders", "names", "pairs"])
def test_names_that_differ_only_in_case_are_found(tmp_path, way):
    for k in range(5):
        write_pairs(tmp_path, f"img_{k}", labels="")
        write_pairs(tmp_path, f"IMG_{k}", image="")
    if way == "names":
        (tmp_path / "val.txt").write_text("Img_1.PNG\nIMG_3\n")
    if way == "pairs":
        (tmp_path / "train.txt").write_text("images/IMG_1.PNG labels/img_1.png\n")
    counts = {"folders": {"train": 4, "val": 1}, "names": {"train": 3, "val": 2}, "pairs": {"train": 1}}
    assert {split: len(found) for split, found in names_of(tmp_path).items()} == counts[way]
    assert Folder(tmp_path).problems() == []


def test_names_in_both_cases_stay_apart(tmp_path):
    write_pairs(tmp_path, "a", "A", "b")
    if len(list((tmp_path / "images").iterdir())) == 3:  # on a file system that distinguishes them
        layout = find_layout(tmp_path)
        assert all(pair.image.stem == pair.labels.stem for split in layout.splits for pair in layout.pairs(split))


def test_a_listed_name_in_two_folders_is_refused_unless_the_folder_is_listed(tmp_path):
    write_pairs(tmp_path, "rome/1", "ulm/1", "ulm/2")
    (tmp_path / "val.txt").write_text("ulm/1\n")
    assert [pair.image.parent.name for pair in find_layout(tmp_path).pairs("val")] == ["ulm"]
    (tmp_path / "val.txt").write_text("1\n")
    with pytest.raises(DataError, match=r"val\.txt: several pictures.*'1'"):
        find_layout(tmp_path)


@pytest.mark.parametrize("line", ["my town", "my town.png", "images/my town.webp"])
@pytest.mark.parametrize("name", ["val.txt", "valid.txt"])
def test_listed_names_may_contain_spaces(tmp_path, name, line):
    write_pairs(tmp_path, "a", "b", "my town")
    if line.endswith(".webp"):
        (tmp_path / "images/my town.png").rename(tmp_path / line)
    (tmp_path / name).write_text(f"{line}\n")
    assert names_of(tmp_path) == {"train": ["a", "b"], "val": ["my town"]}


@pytest.mark.parametrize("stem", ["a", "my a"])
def test_listed_pairs_may_have_the_separators_of_windows(tmp_path, stem):
    write_pairs(tmp_path, f"train/{stem}", "val/b", image="{}.png", labels="{folder}annot/{stem}.png")
    (tmp_path / "train.txt").write_text(f"C:\\data\\train\\{stem}.png C:\\data\\trainannot\\{stem}.png\n")
    assert names_of(tmp_path) == {"train": [stem], "val": ["b"]}


def test_a_split_without_pictures_is_counted(tmp_path):
    write_pairs(tmp_path, "a")
    folder = Folder(tmp_path)
    assert "pictures: 1 train, 0 val" in folder.description
    with pytest.raises(DataError, match="'val' is empty"):
        Folder(tmp_path, "val")


def test_repeated_lines_of_a_list_are_mentioned(tmp_path):
    write_pairs(tmp_path, *"abcd")
    (tmp_path / "train.txt").write_text("a\na.png\nimages/a\nb\n")
    (tmp_path / "val.txt").write_text("d\n")
    assert names_of(tmp_path) == {"train": ["a", "b"], "val": ["d"]}
    assert "train.txt lists 1 of its 2 pictures repeatedly, such as a.png" in find_layout(tmp_path).note


@pytest.mark.parametrize("pattern", ["{}_seg", "{}-mask", "mask_{}", "gt.{}.v2", "{}_segmentation"])
@pytest.mark.parametrize("names", [("a", "b", "ab"), ("1", "10", "11", "2"), ("pic a", "pic b")])
def test_any_text_around_the_name_of_a_picture_is_understood_if_all_label_maps_have_it(tmp_path, pattern, names):
    for name in names:
        write_pairs(tmp_path, name, labels=f"labels/{pattern.format('{}')}.png")
    pairs = [pair for split in ("train", "val") for pair in Folder(tmp_path, split).pairs]
    assert {pair.image.stem: pair.labels.stem for pair in pairs} == {name: pattern.format(name) for name in names}


def test_names_that_never_agree_are_refused_in_one_line(tmp_path):
    write_pairs(tmp_path, "a", "b", labels="")
    write_pairs(tmp_path, "x", "y", image="")
    with pytest.raises(DataError, match=r"no label map has the name of a picture: x\.png and a\.png"):
        Folder(tmp_path)
