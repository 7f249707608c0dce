"""The folders of data sets are recognised: names of splits, nested folders, lists and scenes."""

import shutil

import pytest
from folder_samples import names_of, write_pairs

from tinysegnet.cli.main import main
from tinysegnet.data import Folder
from tinysegnet.data.layouts import find_layout
from tinysegnet.errors import DataError

# Names of splits

SPLIT_PATTERNS = [
    ("images/{0}/{1}.png", "labels/{0}/{1}.png"),
    ("Images/{0}/{1}.png", "Masks/{0}/{1}.png"),
    ("{0}/images/{1}.png", "{0}/labels/{1}.png"),
    ("{0}/{1}.jpg", "{0}_labels/{1}_L.png"),
    ("{0}/{1}.jpg", "{0}_masks/{1}_mask.png"),
    ("{0}/{1}.png", "{0}annot/{1}.png"),
    ("{0}_images/{1}.png", "{0}_masks/{1}.png"),
    ("{0}/{1}.jpg", "{0}/{1}_mask.png"),
    ("data/set/{0}/images/{1}.png", "data/set/{0}/labels/{1}.png"),
]


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("training", "validation"),
        ("Train", "Val"),
        ("TRAIN", "DEV"),
        ("trn", "valid"),
        ("train2017", "val2017"),
        ("train_set", "val-set"),
        ("1_train", "2_val"),
        ("tr", "va"),
    ],
)
@pytest.mark.parametrize(("image", "labels"), SPLIT_PATTERNS)
def test_names_of_splits_are_read_in_any_case_and_with_synonyms(tmp_path, image, labels, train, val):
    for split, names in ((train, ("a", "b", "c")), (val, ("d",)), ("Testing", ("e",))):
        for name in names:
            write_pairs(tmp_path, name, image=image.format(split, "{}"), labels=labels.format(split, "{}"))
    assert names_of(tmp_path) == {"train": ["a", "b", "c"], "val": ["d"], "test": ["e"]}
    assert len(Folder(tmp_path, "train")) == len(Folder(tmp_path, train)) == 3
    assert len(Folder(tmp_path, "validation")) == 1


@pytest.mark.parametrize("name", ["Train.txt", "training.txt"])
@pytest.mark.parametrize("line", ["images/{0}.png labels/{0}_L.png", "/other/machine/images/{0}.png\tlabels/{0}_L.png"])
def test_lists_of_pairs_are_found_under_any_name_of_a_split(tmp_path, name, line):
    write_pairs(tmp_path, "b", "a", labels="labels/{}_L.png")
    (tmp_path / name).write_text("\n".join(line.format(stem) for stem in "ba"))
    assert names_of(tmp_path) == {"train": ["b", "a"]}
    assert Folder(tmp_path).problems() == []


@pytest.mark.parametrize(
    ("first", "second"),
    [("images/train", "images/training"), ("labels/val", "labels/Valid"), ("labels", "masks"), ("images", "imgs")],
)
def test_two_folders_with_the_same_meaning_are_refused(tmp_path, first, second):
    write_pairs(tmp_path, "train/a", "val/b")
    shutil.copytree(tmp_path / first, tmp_path / second)
    with pytest.raises(DataError, match=rf"{first}.*{second}|{second}.*{first}"):
        find_layout(tmp_path)


@pytest.mark.parametrize(("first", "second"), [("val", "valid"), ("train", "Training"), ("test", "testing")])
def test_two_lists_of_the_same_split_are_refused(tmp_path, first, second):
    write_pairs(tmp_path, *"abc")
    for name in (first, second):
        (tmp_path / f"{name}.txt").write_text("c\n")
    with pytest.raises(DataError, match=rf"({first}|{second})\.txt: .*({first}|{second})\.txt"):
        find_layout(tmp_path)


def test_alternatives_without_pictures_are_not_ambiguous(tmp_path):
    write_pairs(tmp_path, "a", "b", labels="masks/{}.png")
    for name, text in (("labels/a.txt", "0 0.5 0.5 1 1"), ("annotations/instances.json", "{}")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    assert names_of(tmp_path) == {"train": ["a"], "val": ["b"]}


def test_a_folder_without_training_pictures_has_no_split_train(tmp_path):
    write_pairs(tmp_path, "test/a", "night/b")
    assert names_of(tmp_path) == {"night": ["b"], "test": ["a"]}
    with pytest.raises(DataError, match=r"'train'.*test or night"):
        Folder(tmp_path, "train")


@pytest.mark.parametrize("test", ["test/images/{}.png test/labels/{}.png", "images/Test/{}.png labels/Test/{}.png"])
def test_pictures_beside_a_folder_for_testing_are_for_training(tmp_path, test):
    image, labels = test.split()
    write_pairs(tmp_path, *"abcde")
    write_pairs(tmp_path, "x", image=image, labels=labels)
    assert names_of(tmp_path) == {"train": ["a", "b", "c", "d"], "val": ["e"], "test": ["x"]}


# Folders inside folders


@pytest.mark.parametrize("outer", ["data", "export (1)/CamVid", "a/b"])
@pytest.mark.parametrize("list_beside", [False, True])
def test_additional_folders_from_unpacking_are_entered(tmp_path, outer, list_beside):
    write_pairs(tmp_path / outer, *"abcde")
    write_pairs(tmp_path, "a", image="__MACOSX/data/images/._{}.png", labels="__MACOSX/data/labels/{}.png")
    write_pairs(tmp_path, "a", image=".cache/images/{}.png", labels=".cache/labels/{}.png")
    if list_beside:
        (tmp_path / "classes.txt").write_text("a\nb\nc\n")
    assert names_of(tmp_path) == {"train": ["a", "b", "c", "d"], "val": ["e"]}
    assert find_layout(tmp_path).root == tmp_path / outer


def test_an_additional_folder_around_the_lists_of_the_tutorial_is_entered(tmp_path):
    write_pairs(tmp_path / "CamVid", *"ab", image="train/{}.png", labels="trainannot/{}.png")
    (tmp_path / "CamVid/train.txt").write_text("/SegNet/CamVid/train/b.png /SegNet/CamVid/trainannot/b.png\n")
    assert names_of(tmp_path) == {"train": ["b"]}
    assert find_layout(tmp_path).is_tutorial


@pytest.mark.parametrize("places", ["{}/images/train", "{}/train/images", "{}/images", "{}/x/img"])
def test_two_data_sets_are_refused_with_both_names(tmp_path, places):
    for name in ("roofs", "roads"):
        image = f"{places.format(name)}/{{}}.png"
        write_pairs(tmp_path, "a", image=image, labels=image.replace("images", "labels").replace("img", "masks"))
    with pytest.raises(DataError, match=r"roads.*roofs.*two data sets"):
        find_layout(tmp_path)


def test_a_data_set_has_priority_over_others_in_its_folders(tmp_path):
    write_pairs(tmp_path, *"abc")
    write_pairs(tmp_path / "crops", "train/x", "val/x")
    write_pairs(tmp_path, "p", image="predictions/{}.png", labels="")
    assert names_of(tmp_path) == {"train": ["a", "b"], "val": ["c"]}


@pytest.mark.parametrize("split", [True, False])
def test_folders_for_scenes_are_read_by_folder_and_stem(tmp_path, split):
    start = ("train/", "val/") if split else ("", "")
    write_pairs(tmp_path, *(f"{start[0]}berlin/{k}" for k in range(4)), f"{start[1]}rome/0")
    found = find_layout(tmp_path)
    pairs = {
        name: [pair.image.relative_to(tmp_path / "images").as_posix() for pair in found.pairs(name)]
        for name in found.splits
    }
    assert pairs == {"train": [f"{start[0]}berlin/{k}.png" for k in range(4)], "val": [f"{start[1]}rome/0.png"]}
    assert all(pair.labels.relative_to(tmp_path / "labels") == pair.image.relative_to(tmp_path / "images")
               for name in found.splits for pair in found.pairs(name))  # fmt: skip


def test_links_inside_the_folder_are_followed_but_not_upwards(tmp_path):
    write_pairs(tmp_path, *"ab", labels="versions/2/{}.png")
    (tmp_path / "labels").symlink_to(tmp_path / "versions/2")
    (tmp_path / "images/up").symlink_to(tmp_path)
    assert names_of(tmp_path) == {"train": ["a"], "val": ["b"]}


# Layouts of well-known data sets


@pytest.mark.parametrize("train_ids", [False, True])
def test_cityscapes_is_read_in_place(tmp_path, train_ids):
    kinds = ["labelIds", "color", "instanceIds"] + ["labelTrainIds"] * train_ids
    for name in ("train/aachen/aachen_000000_000019", "train/bochum/bochum_0_1", "val/ulm/ulm_0_1"):
        write_pairs(tmp_path, name, image="leftImg8bit/{}_leftImg8bit.png", labels="")
        for kind in kinds:
            write_pairs(tmp_path, name, image="", labels=f"gtFine/{{}}_gtFine_{kind}.png")
    layout = find_layout(tmp_path)
    assert {split: len(layout.pairs(split)) for split in layout.splits} == {"train": 2, "val": 1}
    labels = {pair.labels.stem.rpartition("_")[2] for split in layout.splits for pair in layout.pairs(split)}
    assert labels == {kinds[-1] if train_ids else "labelIds"}
    assert ("_labelTrainIds" in layout.note) == train_ids


def voc(root, lists, count=8, labelled=5):
    names = [f"2007_00{k}" for k in range(count)]
    write_pairs(root, *names, image="JPEGImages/{}.jpg", labels="")
    write_pairs(root, *names[:labelled], image="", labels="SegmentationClass/{}.png")
    write_pairs(root, *names[:labelled], image="", labels="SegmentationObject/{}.png")
    folder = root / "ImageSets/Segmentation"
    folder.mkdir(parents=True)
    for name, listed in lists.items():
        (folder / name).write_text("".join(f"2007_00{k}\n" for k in listed))


@pytest.mark.parametrize("outer", ["", "VOCdevkit/VOC2012"])
def test_pascal_voc_is_read_in_place(tmp_path, outer):
    voc(tmp_path / outer, {"train.txt": "012", "val.txt": "34", "trainval.txt": "01234"})
    assert names_of(tmp_path) == {"train": ["2007_000", "2007_001", "2007_002"], "val": ["2007_003", "2007_004"]}
    note = find_layout(tmp_path).note
    assert "train.txt, val.txt" in note
    assert "files left out: 8, such as JPEGImages/2007_005.jpg" in note


@pytest.mark.parametrize("name", ["default.txt", "trainval.txt"])
def test_a_list_of_all_pictures_is_divided(tmp_path, name):
    voc(tmp_path, {name: "01234"}, count=5)
    assert {split: len(found) for split, found in names_of(tmp_path).items()} == {"train": 4, "val": 1}


def test_a_listed_name_without_a_label_map_is_refused(tmp_path):
    voc(tmp_path, {"train.txt": "012", "val.txt": "37"})
    with pytest.raises(DataError, match=r"val\.txt: .*2007_007"):
        find_layout(tmp_path)


def test_label_maps_may_be_in_one_folder_below_their_own(tmp_path):
    write_pairs(tmp_path, *"abcde", labels="annotations/trimaps/{}.png")
    (tmp_path / "annotations/xmls").mkdir()
    (tmp_path / "annotations/xmls/a.xml").write_text("<a/>")
    assert names_of(tmp_path) == {"train": ["a", "b", "c", "d"], "val": ["e"]}


@pytest.mark.parametrize("name", ["ann/a.jpg.json", "labels/a.npy", "labels/a.txt"])
def test_labels_of_another_kind_are_refused(tmp_path, name):
    write_pairs(tmp_path, *"abc", image="img/{}.jpg", labels="")
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(DataError, match=r"no pictures with label maps .*, such as .*import"):
        find_layout(tmp_path)


@pytest.mark.parametrize("folder", ["img", "images"])
@pytest.mark.parametrize("outer", ["", "ds0/"])
def test_names_that_contain_the_pictures_ending_are_read(tmp_path, folder, outer):
    write_pairs(tmp_path, *"abcde", image=f"{outer}{folder}/{{}}.jpg", labels=f"{outer}masks_machine/{{}}.jpg.png")
    assert names_of(tmp_path)["train"] == ["a", "b", "c", "d"]


# Scenes

SCENES = {  # the numbers of pictures by the names of scenes, and the scenes held out
    "one scene of four": ({"0001TP_": 12, "0006R0_": 10, "0016E5_": 30, "Seq05VD_f": 17}, ["Seq05VD_f"]),
    "several small scenes": ({f"car{k}_": 2 for k in range(9)}, ["car7_", "car8_"]),
    "folders": ({"berlin/": 5, "rome/": 4, "ulm/f": 3}, ["ulm/f"]),
    "the second scene makes too much": ({"a_": 8, "b_": 10, "c_": 3}, ["c_"]),
}


@pytest.mark.parametrize(("counts", "expected"), SCENES.values(), ids=SCENES)
@pytest.mark.parametrize("ending", ["", "_left"])
def test_whole_scenes_are_held_out(tmp_path, counts, expected, ending):
    scenes = {f"{scene}{k:03}{ending}": scene for scene, count in counts.items() for k in range(count)}
    write_pairs(tmp_path, *scenes)
    layout = find_layout(tmp_path)
    val = [pair.image.relative_to(tmp_path / "images").with_suffix("").as_posix() for pair in layout.pairs("val")]
    assert val == sorted(name for name, scene in scenes.items() if scene in expected)
    assert len(layout.pairs("train")) + len(val) == len(scenes)
    assert f"{len(val)} of {len(scenes)} pictures" in layout.note
    assert all(scene.rpartition("/")[2] in layout.note for scene in expected)


@pytest.mark.parametrize(
    "names",
    [[f"frame{k:02}" for k in range(11)], ["lake", "river", "sea", "shore", "town"], [f"{k}_a" for k in range(10)],
     [f"a{k}" for k in range(9)] + ["b1"], ["a1", *(f"b{k}" for k in range(9))]],
)  # fmt: skip
def test_without_suitable_scenes_the_last_fifth_is_held_out(tmp_path, names):
    write_pairs(tmp_path, *names)
    found, count = names_of(tmp_path), max(1, round(len(names) / 5))
    assert found == {"train": sorted(names)[:-count], "val": sorted(names)[-count:]} or names[-1] == "b1"
    if names[-1] == "b1":  # a tenth of the pictures is just enough
        assert found["val"] == ["b1"]


def test_training_pictures_in_a_folder_are_divided_by_scene(tmp_path):
    write_pairs(tmp_path, *(f"train/{scene}_{k}" for scene in ("a", "b", "c", "d") for k in range(3)), "test/x")
    assert names_of(tmp_path)["val"] == ["d_0", "d_1", "d_2"]


def test_data_check_accepts_a_folder_with_training_and_validation(tmp_path, capsys):
    write_pairs(tmp_path, "training/a", "training/b", "validation/c")
    assert main(["data", "check", str(tmp_path)]) == 0
    assert "2 train, 1 val" in capsys.readouterr().out


def test_a_misspelt_split_is_not_overlooked(tmp_path):
    write_pairs(tmp_path, "train/a", "train/b", "validaton/c")
    with pytest.raises(DataError, match=r"validaton.*Did you mean 'validation'"):
        Folder(tmp_path)


def test_the_lists_of_pascal_voc_are_read_from_other_folders_too(tmp_path):
    write_pairs(tmp_path, "a", "b", "c", image="JPEGImages/{}.jpg", labels="SegmentationClass/{}.png")
    for split, lines in (("train", "a\nb\n"), ("val", "c\n")):
        (tmp_path / "ImageSets/Main").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"ImageSets/Main/{split}.txt").write_text(lines)
    assert names_of(tmp_path) == {"train": ["a", "b"], "val": ["c"]}


def test_numbered_splits_stay_apart(tmp_path):
    for split in ("train1", "train2"):
        write_pairs(tmp_path, "a", image=f"{split}/{{}}.png", labels=f"{split}annot/{{}}.png")
    assert names_of(tmp_path) == {"train1": ["a"], "train2": ["a"]}
