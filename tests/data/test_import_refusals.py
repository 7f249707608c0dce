"""Annotations of labelme that could be misunderstood are refused or counted, and names of classes are kept."""

import json
from pathlib import Path
from zipfile import ZipFile

import pytest
from import_samples import H, W, all_labels, box, labelme, photo, photos, shape
from PIL import Image

from tinysegnet.cli.main import main
from tinysegnet.data.importing import import_annotations
from tinysegnet.errors import DataError


def test_two_files_for_one_picture_are_both_refused(tmp_path):
    labelme(tmp_path / "in", "a", [box("apple", 0, 0, 9, 9)])
    labelme(tmp_path / "in", "a (copy)", [box("apple", 0, 0, 9, 9)], picture=False, imagePath="a.png")
    labelme(tmp_path / "in", "b", [box("apple", 0, 0, 9, 9)])
    imported = import_annotations(tmp_path / "in", tmp_path / "out")
    assert imported.counts == {"": 1}
    assert len(imported.refused) == 2
    assert [name for name in ("a.json", "a (copy).json") for line in imported.refused if name not in line] == []


@pytest.mark.parametrize("names", [
    {"a": "b.png", "b": "a.png"}, {"a": "a.png", "b": "a.png", "c": "a.png"}, {"a": "../images/b.png", "b": "b.png"}
])  # fmt: skip
@pytest.mark.parametrize("folder", ["images", "images/../json"])
@pytest.mark.parametrize("ending", [".png", ".PNG", ".jpg"])
def test_a_file_that_names_the_picture_of_another_file_is_refused(tmp_path, names, folder, ending):
    photos(tmp_path / "in" / "images", "a.png", "b.png", f"c{ending}", "good.png")
    for name, listed in (names | {"good": "good.png"}).items():
        listed = f"../images/{Path(listed).name}"
        labelme(tmp_path / "in" / folder, name, [box("apple", 0, 0, 9, 9)], picture=False, imagePath=listed)
    imported = import_annotations(tmp_path / "in", tmp_path / "out")
    wrong = [name for name, listed in names.items() if Path(listed).stem != name]
    assert sum(imported.counts.values()) == 1 + len(names) - len(wrong)
    assert len(imported.refused) == len(wrong)
    for name, line in zip(wrong, sorted(imported.refused), strict=True):
        own = f"{name}{ending if name == 'c' else '.png'}"
        assert all(fact in line for fact in (f"{name}.json", Path(names[name]).name, own))


def test_spaces_around_labels_are_removed_and_labels_that_differ_only_in_case_are_refused(tmp_path):
    labelme(tmp_path / "in", "a", [box("apple ", 0, 0, 9, 9), box("\tapple", 9, 9, 12, 12)])
    labelme(tmp_path / "in", "b", [box(" apple", 0, 0, 9, 9), box("Void", 0, 0, 2, 2), box("void", 3, 3, 4, 4)])
    assert import_annotations(tmp_path / "in", tmp_path / "out").classes == ("background", "apple")
    labelme(tmp_path / "in", "c", [box("Apple", 0, 0, 9, 9)])
    with pytest.raises(DataError, match="'Apple' and 'apple'"):
        import_annotations(tmp_path / "in", tmp_path / "out2")
    (tmp_path / "in" / "labels.txt").write_text("apple\nApple\n")
    assert import_annotations(tmp_path / "in", tmp_path / "out3").classes == ("background", "apple", "Apple")


@pytest.mark.parametrize(
    "label", ["void", "Ignore", "ignored", "unlabeled", "unlabelled", "don't care", "DontCare", "ignore_region"]
)
def test_labels_that_mean_void_become_void(tmp_path, label):
    labelme(tmp_path / "in", "a", [box("apple", 0, 0, 9, 9), box(label, 20, 0, 25, 9)])
    import_annotations(tmp_path / "in", tmp_path / "out")
    names, labels = all_labels(tmp_path / "out")
    assert names == ("background", "apple")
    assert [labels["a"][4, x] for x in (4, 15, 22)] == [1, 0, 255]


@pytest.mark.parametrize(("orientation", "size", "counted"), [
    (1, (H, W), 0), (2, (H, W), 1), (3, (H, W), 1), (4, (H, W), 1), (6, (W, H), 0), (6, (None, None), 1),
    (8, (None, H), 1),
])  # fmt: skip
def test_pictures_whose_size_does_not_prove_that_they_were_annotated_upright_are_counted(
    tmp_path, orientation, size, counted
):
    exif = Image.Exif()
    exif[0x0112] = orientation
    labelme(tmp_path / "in", "a", [box("apple", 0, 0, 9, 9)], imageHeight=size[0], imageWidth=size[1])
    Image.fromarray(photo()).save(tmp_path / "in" / "a.png", exif=exif)
    dropped = +import_annotations(tmp_path / "in", tmp_path / "out").dropped
    assert sum(count for what, count in dropped.items() if "EXIF" in what) == counted


@pytest.mark.parametrize("encoding", ["latin-1", "gbk", "utf-16"])
def test_a_file_that_is_not_utf_8_is_named(tmp_path, encoding):
    labelme(tmp_path / "in", "good", [box("apple", 0, 0, 9, 9)])
    labelme(tmp_path / "in", "bad", [box("apple", 0, 0, 9, 9)])
    path = tmp_path / "in" / "bad.json"
    path.write_bytes(path.read_text().replace("apple", "\u00f7pfel").encode(encoding))
    (line,) = import_annotations(tmp_path / "in", tmp_path / "out").refused
    assert "bad.json" in line
    assert "UTF-8" in line


@pytest.mark.parametrize(("files", "facts"), [
    ({}, ["no JSON files of labelme"]),
    ({"a.json": "[1, 2]", "b.json": "{}"}, ["no JSON files of labelme"]),
    ({"a.json": "{"}, ["a.json"]),
    ({"a.json": json.dumps({"shapes": [], "imagePath": "a.png"})}, ["a.json", "a.png"]),
])  # fmt: skip
def test_a_source_without_usable_annotations_is_refused_in_one_line(tmp_path, capsys, files, facts):
    (tmp_path / "in").mkdir()
    for name, text in files.items():
        (tmp_path / "in" / name).write_text(text)
    assert main(["data", "import", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert [fact for fact in facts if fact not in message] == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "kind"), [("export.zip", "zip archive"), ("a.png", "PNG picture")])
def test_files_of_other_kinds_are_named(tmp_path, name, kind):
    Image.fromarray(photo()).save(tmp_path / "a.png")
    with ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.write(tmp_path / "a.png", "a.png")
    with pytest.raises(DataError, match=kind):
        import_annotations(tmp_path / name, tmp_path / "out")


def test_only_background_is_refused(tmp_path):
    labelme(tmp_path / "in", "a", [box("__ignore__", 0, 0, 9, 9), box("background", 0, 0, 3, 3)])
    with pytest.raises(DataError, match="in: nothing was imported"):
        import_annotations(tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize("kind", ["line", "point", "linestrip"])
def test_only_shapes_without_an_area_are_refused_with_their_kind_and_count(tmp_path, kind):
    labelme(tmp_path / "in", "a", [shape("apple", kind, [[1, 1], [5, 5]])] * 3)
    with pytest.raises(DataError, match=rf"in: nothing .*\({kind}\), which become background: 3"):
        import_annotations(tmp_path / "in", tmp_path / "out")


def test_an_existing_folder_is_not_changed(tmp_path):
    labelme(tmp_path / "in", "a", [box("apple", 0, 0, 9, 9)])
    labelme(tmp_path / "out", "b", [])
    with pytest.raises(DataError, match="not empty"):
        import_annotations(tmp_path / "in", tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 2


@pytest.mark.parametrize("label", ["apple, red", "1 2 3 apple", "# apple", "apple: red", "Äpfel\n rot", "name",
                                   "a b c d", '"a" and "b"', "7. apple"])  # fmt: skip
def test_class_names_are_kept(tmp_path, label):
    labelme(tmp_path / "in", "a", [box(label, 0, 0, 9, 9)])
    import_annotations(tmp_path / "in", tmp_path / "out")
    assert all_labels(tmp_path / "out")[0] == ("background", " ".join(label.split()))


@pytest.mark.parametrize("label", ["", " ", "x" * 5000, "a\0b", "\ud800"])
def test_labels_that_are_no_names_are_refused(tmp_path, capsys, label):
    labelme(tmp_path / "in", "a", [box(label, 0, 0, 9, 9)])
    assert main(["data", "import", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 2
    assert "is not a name" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
