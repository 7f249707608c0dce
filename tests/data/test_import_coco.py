"""COCO files, as exported by different programs, become label maps."""

import json

import numpy as np
import pytest
from import_samples import H, W, coco, photo, photos, square
from PIL import Image

from tinysegnet.cli.main import main
from tinysegnet.data import Folder
from tinysegnet.data.importing import import_annotations
from tinysegnet.data.importing.coco import decode_runs, fill_polygon
from tinysegnet.errors import DataError

APPLE = [(1, [square(2, 3, 5, 7)])]


def run(tmp_path, code=0):
    assert main(["data", "import", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == code


def label_map(out, name):
    return np.asarray(Image.open(out / "labels" / f"{name}.png"))


def test_polygons_cover_the_pixels_whose_centres_are_inside():
    mask = np.zeros((H, W), bool)
    fill_polygon(mask, np.array([[2.4, 1.6], [7.4, 1.6], [7.4, 4.6], [2.4, 4.6]]))
    expected = np.zeros((H, W), bool)
    expected[2:5, 2:7] = True
    np.testing.assert_array_equal(mask, expected)
    for points in ([[-50, -50], [-40, -50], [-40, 90]], [[1e6, 0], [1e6, 9], [9e5, 5]], [[3, 3], [3, 3], [3, 3]]):
        mask = np.zeros((H, W), bool)
        fill_polygon(mask, np.array(points, float))
        assert not mask.any()
    fill_polygon(mask, np.array([[-1e6, -1e6], [1e6, -1e6], [1e6, 1e6], [-1e6, 1e6]]))
    assert mask.all()


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (7, 2)])
@pytest.mark.parametrize("seed", range(4))
def test_run_lengths_go_down_the_columns(shape, seed):
    mask = np.random.default_rng(seed).integers(0, 2, shape).astype(bool)
    runs, last = [0], False
    for pixel in mask.T.ravel().tolist():
        if pixel != last:
            runs.append(0)
        runs[-1] += 1
        last = pixel
    np.testing.assert_array_equal(decode_runs(runs, *shape), mask)


def test_compressed_run_lengths_are_read():
    """The text is that of pycocotools for rows 5 to 9 of columns 3 to 22 in 20 x 30 pixels."""
    expected = np.zeros((20, 30), bool)
    expected[5:10, 3:23] = True
    text = "Q25?" + "0" * 37 + "W4"
    runs = [65, 5] + [15, 5] * 19 + [150]
    np.testing.assert_array_equal(decode_runs(runs, 20, 30), expected)
    np.testing.assert_array_equal(decode_runs(text, 20, 30), expected)


def test_parts_are_joined_and_later_annotations_cover_earlier_ones(tmp_path):
    drawn = [
        (2, {"size": [H, W], "counts": [5 * H, H, 24 * H]}),
        (1, [square(2, 3, 5, 7), square(12, 3, 15, 7)]),
        (2, [square(4, 3, 4, 3)]),
    ]
    coco(tmp_path / "in" / "result.json", {"a.png": drawn})
    photos(tmp_path / "in", "a.png")
    run(tmp_path)
    expected = np.zeros((H, W), np.uint8)
    expected[:, 5] = 2
    expected[3:8, 2:6] = expected[3:8, 12:16] = 1
    expected[3, 4] = 2
    np.testing.assert_array_equal(label_map(tmp_path / "out", "a"), expected)


@pytest.mark.parametrize(("categories", "names", "used"), [
    ([(1, "apple"), (2, "pear")], ("background", "apple", "pear"), 1),
    ([(90, "pear"), (3, "apple")], ("background", "apple", "pear"), 3),
    ([(0, "apple"), (1, "pear")], ("background", "apple", "pear"), 0),
    ([(0, "fruit"), (1, "apple"), (2, "pear")], ("background", "apple", "pear"), 1),
    ([(0, "fruit"), (1, "apple"), (2, "pear")], ("background", "fruit", "apple", "pear"), 0),
    ([(0, "background"), (5, "apple")], ("background", "apple"), 5),
    ([(7, "apple"), (8, "_background_")], ("_background_", "apple"), 7),
])  # fmt: skip
def test_classes_follow_the_ids_of_the_categories(tmp_path, categories, names, used):
    coco(tmp_path / "in" / "result.json", {"a.png": [(used, [square(2, 3, 5, 7)])]}, categories=categories)
    photos(tmp_path / "in", "a.png")
    imported = import_annotations(tmp_path / "in", tmp_path / "out")
    assert imported.classes == names
    assert any("names the group" in what for what in +imported.dropped) == (len(names) == len(categories) == 3)
    labels = label_map(tmp_path / "out", "a")
    assert names[labels[3, 2]] == dict(categories)[used]
    assert labels[0, 0] == 0


LAYOUTS = {
    "COCO": ({"annotations/instances_train2017.json": "train2017/", "annotations/instances_val2017.json": "val2017/"},
             "", {"train": 2, "val": 2}),
    "CVAT": ({"annotations/instances_default.json": "images/default/"}, "", {"": 2}),
    "CVAT, flat": ({"annotations/instances_default.json": "images/"}, "", {"": 2}),
    "CVAT, subsets": ({"annotations/instances_Train.json": "images/Train/",
                       "annotations/instances_Validation.json": "images/Validation/"}, "",
                      {"train": 2, "validation": 2}),
    "Roboflow": ({f"{name}/_annotations.coco.json": f"{name}/" for name in ("train", "valid", "test")}, "",
                 {"train": 2, "valid": 2, "test": 2}),
    "Label Studio": ({"result.json": "images/"}, "images/", {"": 2}),
    "Label Studio on Windows": ({"result.json": "images/"}, "images\\", {"": 2}),
    "Label Studio, upload": ({"result.json": "images/"}, "/data/upload/3/3f2a1b4c-", {"": 2}),
    "Label Studio, address": ({"result.json": "images/"}, "/data/local-files/?d=", {"": 2}),
    "folders": ({"result.json": "images/day 1/"}, "day%201/", {"": 2}),
}  # fmt: skip


@pytest.mark.parametrize("program", LAYOUTS)
def test_exports_of_programs_are_read(tmp_path, program):
    files, prefix, counts = LAYOUTS[program]
    for file, folder in files.items():
        coco(tmp_path / "in" / file, {f"{prefix}a%20b.png": APPLE, f"{prefix}c.png": []})
        photos(tmp_path / "in" / folder, "a b.png", "c.png")
    (tmp_path / "in" / "annotations").mkdir(exist_ok=True)
    if "COCO" in program:
        coco(tmp_path / "in" / "annotations" / "captions_train2017.json", {"a.png": []})
    imported = import_annotations(tmp_path / "in", tmp_path / "out")
    assert (imported.counts, imported.refused) == (counts, [])
    assert imported.dropped["pictures without shapes, which become background"] == len(files)
    for split in Folder(tmp_path / "out").layout.splits:
        folder = Folder(tmp_path / "out", split)
        assert folder.problems() == []
        assert folder.palette.names == ("background", "apple", "pear")
        assert {sample.name: sample.labels.sum() for sample in folder}.items() <= {"a_b": 20, "c": 0}.items()


def test_one_file_in_the_folder_of_annotations_is_read(tmp_path):
    for split in ("train", "val"):
        coco(tmp_path / "in" / "annotations" / f"instances_{split}.json", {"a.png": APPLE})
        photos(tmp_path / "in" / split, "a.png")
    imported = import_annotations(tmp_path / "in" / "annotations" / "instances_val.json", tmp_path / "out")
    assert imported.counts == {"": 1}


def test_what_is_dropped_or_refused_is_printed(tmp_path, capsys):
    drawn = [*APPLE, (1, []), (2, [[1, 1, 5, 5]]), (2, [square(50, 50, 60, 60)])]
    record = coco(tmp_path / "in" / "result.json", {"a.png": drawn, "gone.png": APPLE, "b.png": APPLE})
    record["annotations"].append({"image_id": 99, "category_id": 1, "segmentation": [square(1, 1, 2, 2)]})
    record["images"][2]["width"] = W + 1
    (tmp_path / "in" / "result.json").write_text(json.dumps(record))
    photos(tmp_path / "in", "a.png", "b.png")
    run(tmp_path, 1)
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.endswith("out: 1 picture; classes: background, apple, pear")
    for fact in ("boxes only", "fewer than three points", "cover no pixel", "not listed"):
        assert len([line for line in lines if fact in line and line.endswith(": 1")]) == 1, fact
    refused = [line for line in lines if line.startswith("not imported: ")]
    assert len(refused) == 3
    assert "gone.png" in refused[0]
    assert "b.png" in refused[1]
    assert f"{W + 1} x {H}" in refused[1]
    assert "without a single pixel: pear" in lines[-1]
    assert len(lines) == 7


@pytest.mark.parametrize(("categories", "others"), [
    ([(1, "apple"), (2, "pear")], [(1, "pear"), (2, "apple")]),
    ([(1, "apple")], [(1, "apple"), (2, "apple")]),
    ([(1, "apple")], [(1, "nut")]),
])  # fmt: skip
def test_a_file_whose_categories_contradict_another_file_is_refused(tmp_path, capsys, categories, others):
    for split, listed in (("train", categories), ("val", others)):
        coco(tmp_path / "in" / split / "_annotations.coco.json", {"a.png": APPLE}, categories=listed)
        photos(tmp_path / "in" / split, "a.png")
    run(tmp_path, 1)
    first, *_, last = [line for line in capsys.readouterr().out.splitlines() if "single pixel" not in line]
    names = ", ".join(name for _, name in categories)
    assert first.endswith(f"out: 1 picture; classes: background, {names}")
    assert "val" in last
    assert "category" in last
    assert "train" in last or len(others) == 2


def test_files_of_both_formats_are_refused(tmp_path):
    coco(tmp_path / "in" / "result.json", {"a.png": APPLE})
    photos(tmp_path / "in", "a.png")
    (tmp_path / "in" / "a.json").write_text(json.dumps({"shapes": [], "imagePath": "a.png"}))
    with pytest.raises(DataError, match="both"):
        import_annotations(tmp_path / "in", tmp_path / "out")


def test_two_uploads_that_lose_their_prefixes_are_not_mixed_up(tmp_path):
    coco(tmp_path / "in" / "result.json", {"aaaaaaaa-1.png": APPLE, "bbbbbbbb-1.png": APPLE})
    Image.fromarray(photo()).save(tmp_path / "in" / "1.png")
    run(tmp_path, 2)
    Image.fromarray(photo()).save(tmp_path / "in" / "aaaaaaaa-1.png")
    run(tmp_path, 0)
    assert len(list((tmp_path / "out" / "images").iterdir())) == 2


def refusal(tmp_path, *facts, **fields):
    """Import a COCO file that must raise an error, which names the source and the facts."""
    drawn = {"a.png": [(1, [square(2, 3, 5, 7)]), (2, [square(12, 3, 15, 7)])]}
    coco(tmp_path / "in" / "result.json", fields.pop("pictures", drawn), **fields)
    photos(tmp_path / "in", "a.png", "b.png")
    with pytest.raises(DataError) as caught:
        import_annotations(tmp_path / "in", tmp_path / "out")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'in'}: ")
    assert "\n" not in message
    assert [fact for fact in facts if fact not in message] == []


@pytest.mark.parametrize("boxes", [1, 5])
def test_only_boxes_are_refused_with_their_number(tmp_path, boxes):
    refusal(tmp_path, f"boxes only), which become background: {boxes}", pictures={"a.png": [(1, [])] * boxes})


@pytest.mark.parametrize("scale", [(W, H), (2 * W, 2 * H), (6, 8)])
def test_relative_coordinates_are_recognised(tmp_path, scale):
    relative = (np.array(square(2, 3, 5, 7)).reshape(-1, 2) / scale).ravel().tolist()
    refusal(tmp_path, "between 0 and 1", pictures={"a.png": [(1, [relative])], "b.png": [(2, [relative])] * 2})


def test_panoptic_annotations_are_named(tmp_path):
    refusal(tmp_path, "result.json", "segments_info", annotations=[{"image_id": 7, "segments_info": []}])


def test_an_unknown_category_is_named(tmp_path):
    refusal(tmp_path, "a.png", "category_id 1 is not in categories", categories=[(3, "apple")])


@pytest.mark.parametrize("outline", [square(2, 3, 5, 7), [[2, 3], [6, 3], [6, 8]]])
def test_an_outline_that_is_not_in_a_list_is_refused(tmp_path, outline):
    refusal(tmp_path, "a.png", "list of lists", pictures={"a.png": [(1, outline)]})


@pytest.mark.parametrize("name", ["apple", " apple "])
def test_equal_names_of_categories_are_refused_with_both_ids(tmp_path, name):
    refusal(tmp_path, "result.json", "category 9 is 'apple', but 4 is 'apple'", categories=[(4, "apple"), (9, name)])


@pytest.mark.parametrize("key", ["image_id", "category_id"])
def test_ids_may_be_texts_or_numbers(tmp_path, key):
    record = coco(tmp_path / "in" / "result.json", {"a.png": APPLE})
    record["annotations"][0][key] = str(record["annotations"][0][key])
    (tmp_path / "in" / "result.json").write_text(json.dumps(record))
    photos(tmp_path / "in", "a.png")
    run(tmp_path)
    assert label_map(tmp_path / "out", "a").sum() == 20


@pytest.mark.parametrize("other_name", ["a.png", "./a.png", "images/a.png"])
def test_a_picture_that_is_listed_twice_is_refused_with_both_ids(tmp_path, other_name):
    record = coco(tmp_path / "in" / "result.json", {"a.png": APPLE, "b.png": APPLE})
    record["images"].append({**record["images"][0], "id": 99, "file_name": other_name})
    (tmp_path / "in" / "result.json").write_text(json.dumps(record))
    photos(tmp_path / "in" / "images", "a.png", "b.png")
    imported = import_annotations(tmp_path / "in", tmp_path / "out")
    assert imported.counts == {"": 1}
    assert len(imported.refused) == 2
    for line in imported.refused:
        assert all(fact in line for fact in ("a.png", "id 7", "id 99"))


@pytest.mark.parametrize("lost", [[], [[1, 1, 5, 5]], [square(60, 60, 65, 65)], "covered"])
def test_a_class_whose_annotations_give_no_pixel_is_named(tmp_path, capsys, lost):
    shapes = [(2, [square(3, 4, 4, 5)]), *APPLE] if lost == "covered" else [*APPLE, (2, lost)]
    coco(tmp_path / "in" / "result.json", {"a.png": shapes}, categories=[(1, "apple"), (2, "pear"), (3, "unused")])
    photos(tmp_path / "in", "a.png")
    run(tmp_path, 1)
    assert ": classes without a single pixel: pear. " in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("name", ["ignore", "Don't care", "__ignore__", "unlabeled"])
def test_categories_that_mean_void_become_void(tmp_path, name):
    drawn = [*APPLE, (2, [square(12, 3, 15, 7)])]
    coco(tmp_path / "in" / "result.json", {"a.png": drawn}, categories=[(1, "apple"), (2, name)])
    photos(tmp_path / "in", "a.png")
    assert import_annotations(tmp_path / "in", tmp_path / "out").classes == ("background", "apple")
    assert label_map(tmp_path / "out", "a")[3, [2, 12, 20]].tolist() == [1, 2, 0]
