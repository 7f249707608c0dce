"""Wrong arguments of the library's functions raise tinysegnet's own errors, which name the argument."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import tinysegnet as ts
from tinysegnet.data import CAMVID, Augment, InMemory, Palette, Sample, batches, count_pixels, labelled_images
from tinysegnet.errors import DataError, SettingError, ShapeError
from tinysegnet.metrics import baselines
from tinysegnet.training import Recipe, fit, recipe_for

SIZE = (16, 24)
NAN, INF = float("nan"), float("inf")
PLAIN = {"epochs": 1, "batch_size": 1, "size": SIZE}

WRONG_SETTINGS = {
    "epochs": ("3", 1.5, None, True, NAN, 0, [3]),
    "iterations": ("3", 1.5, True, 0),
    "batch_size": (1.5, "2", None, -1),
    "size": (32, (32,), (32, 48, 3), (32.5, 48), "32x48", None, (0, 48), ("32", "48"), (99999, 99999)),
    "optimizer": ("SGD", None, 1, ["sgd"]),
    "learning_rate": ("x", NAN, INF, -1, 0, None, 10**400),
    "momentum": (1, -0.1, NAN, "0.9"),
    "bias_rate": (NAN, -1, None),
    "weight_decay": (INF, -1, None),
    "decayed": ("weights", ("weight",), None),
    "initial_beta": (INF, "0", None),
    "statistics": ("running_mean", None, True),
    "schedule": ("linear", None),
    "reduction": ("sum", None),
    "class_weights": (None, "median"),
    "flip": (None, 2, "x", NAN),
    "scale": (1.0, (1,), (1, 2, 3), (0.5, 1), (2, 1), (INF, INF), "1 2"),
    "color_jitter": (1, NAN, None),
    "validate_every": (0, 0.5),
    "seed": (-1, 1.5, "x", None),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG_SETTINGS.items() for value in values]
)
def test_a_recipe_rejects_a_wrong_setting(name, value):
    with pytest.raises(SettingError, match=rf"{name}: "):
        Recipe(**{name: value})


@pytest.mark.parametrize("settings", [{"flip": None}, {"scale": 2.0}, {"color_jitter": "x"}])
def test_an_augmentation_rejects_a_wrong_setting(settings):
    with pytest.raises(SettingError, match=f"{next(iter(settings))}: "):
        Augment(**settings)


def test_a_recipe_converts_lists_and_numpy_numbers():
    recipe = Recipe(epochs=np.int64(3), size=[np.int32(32), 48], flip=np.float32(0.5), scale=[1, 2], learning_rate=1)
    assert recipe == Recipe(epochs=3, size=(32, 48), flip=0.5, scale=(1.0, 2.0), learning_rate=1.0)
    plain = (bool, int, float, str, tuple, type(None))
    assert all(type(value) in plain for value in dataclasses.asdict(recipe).values())


def sample(name="p", image=None, labels=None):
    image = np.zeros((*SIZE, 3), np.uint8) if image is None else image
    return Sample(image, np.zeros(SIZE, np.uint8) if labels is None else labels, name)


class Samples:
    name = "a few"

    def __init__(self, *samples, palette=CAMVID):
        self.samples, self.palette = samples, palette

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


@pytest.fixture(scope="module")
def model():
    return ts.build("tiny", width=1 / 16)


USES = {
    "fit": lambda model, data: fit(model, data, recipe=Recipe(**PLAIN), progress=False),
    "fit, weights": lambda model, data: fit(model, data, recipe=Recipe(**PLAIN, class_weights="none"), progress=False),
    "evaluate": ts.evaluate,
    "InMemory": lambda model, data: InMemory(data),
    "recipe_for": lambda model, data: recipe_for(data),
    "baselines": lambda model, data: baselines(labelled_images(data), labelled_images(data), data.palette.names),
    "batches": lambda model, data: list(batches(data, 1, size=SIZE, shuffle=False)),
}


NO_DATA = {"None": None, "no list": [], "a list": [sample()], "a name": "toy", "an empty one": Samples(),
           "one without palette": Samples(sample(), palette=None)}  # fmt: skip


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("data", NO_DATA.values(), ids=NO_DATA)
def test_every_use_rejects_an_empty_data_set_and_other_objects(model, use, data):
    with pytest.raises(DataError, match=r"data set|no pictures"):
        use(model, data)


WRONG_SAMPLES = {
    "a pair": ((np.zeros((*SIZE, 3), np.uint8), np.zeros(SIZE, np.uint8)), r"a few\[0\]: tuple"),
    "a float image": (sample(image=np.zeros((*SIZE, 3))), r"p: image .*\(16, 24, 3\) float64"),
    "a grey image": (sample(image=np.zeros(SIZE, np.uint8)), "p: image"),
    "RGBA": (sample(image=np.zeros((*SIZE, 4), np.uint8)), "p: image"),
    "CHW": (sample(image=np.zeros((3, *SIZE), np.uint8)), "p: image"),
    "a PIL image": (sample(image=Image.new("RGB", SIZE[::-1])), "p: image .*Image"),
    "no pixels": (sample(image=np.zeros((0, 5, 3), np.uint8), labels=np.zeros((0, 5), np.uint8)), "p: image"),
    "int64 labels": (sample(labels=np.zeros(SIZE, np.int64)), r"p: labels .*\(16, 24\) int64"),
    "float labels": (sample(labels=np.zeros(SIZE)), "p: labels"),
    "3-d labels": (sample(labels=np.zeros((*SIZE, 1), np.uint8)), "p: labels"),
    "a list": (sample(labels=[[0]]), "p: labels .*list"),
    "another size": (sample(labels=np.zeros((8, 12), np.uint8)), "p: labels"),
    "negative": (sample(labels=np.full(SIZE, -1, np.int8)), "p: labels"),
    "a class too many": (sample(labels=np.full(SIZE, 12, np.uint8)), r"p: label 12 .*0\.\.10, void 11"),
}  # fmt: skip


@pytest.mark.parametrize("use", USES, ids=USES)
@pytest.mark.parametrize(("wrong", "said"), WRONG_SAMPLES.values(), ids=WRONG_SAMPLES)
def test_every_use_rejects_a_wrong_sample(model, use, wrong, said):
    with pytest.raises(DataError, match=said):
        USES[use](model, Samples(wrong))


def test_without_void_every_label_must_be_a_class():
    data = Samples(sample(labels=np.full(SIZE, 2, np.uint8)), palette=Palette(("a", "b"), ((0, 0, 0), (9, 9, 9))))
    with pytest.raises(DataError, match=r"label 2 at row 0, column 0 .*0\.\.1"):
        count_pixels(data)


@pytest.mark.parametrize("weights", ["none", "median_frequency"])
def test_training_rejects_pictures_without_labelled_pixels(model, weights):
    void = Samples(sample(labels=np.full(SIZE, 11, np.uint8)))
    with pytest.raises(DataError, match="no pixel is labelled"):
        fit(model, void, recipe=Recipe(**PLAIN, class_weights=weights), progress=False)


def test_training_rejects_validation_pictures_with_other_classes(model):
    names = CAMVID.names[::-1]
    for palette in (dataclasses.replace(CAMVID, names=names), dataclasses.replace(CAMVID, ignore_label=255)):
        val = Samples(sample(), palette=palette)
        with pytest.raises(DataError, match=r"a few: .*classes"):
            fit(model, Samples(sample()), val, recipe=Recipe(**PLAIN), progress=False)


@pytest.mark.parametrize("wrong", [None, "tiny", SimpleNamespace(num_classes=11), {}], ids=repr)
def test_functions_reject_an_object_that_is_not_a_network(wrong):
    image = np.zeros((*SIZE, 3), np.uint8)
    for use in (lambda: fit(wrong, Samples(sample())), lambda: ts.evaluate(wrong, Samples(sample())),
                lambda: ts.predict(wrong, image)):  # fmt: skip
        with pytest.raises(SettingError, match=r"model: .* is not a Network"):
            use()


def test_training_rejects_an_object_that_is_not_a_recipe(model):
    with pytest.raises(SettingError, match="recipe: dict"):
        fit(model, Samples(sample()), recipe=PLAIN)


@pytest.mark.parametrize(
    "wrong",
    [None, [[0]], "x.png", Image.new("RGB", (4, 4)), np.zeros((0, 4, 3), np.uint8)],
    ids=["None", "a list", "a name", "a Pillow image", "an empty array"],
)
def test_predict_rejects_an_object_that_is_not_a_picture(model, wrong):
    with pytest.raises(ShapeError, match=r"image: .*\(H, W, 3\)"):
        ts.predict(model, wrong)


@pytest.mark.parametrize("size", [5, (5,), (5, 5, 5), (0, 5), (-1, 5), (5.5, 5), "5x5", ("5", "5")], ids=repr)
def test_predict_rejects_a_wrong_size(model, size):
    with pytest.raises(SettingError, match="size: "):
        ts.predict(model, np.zeros((*SIZE, 3), np.uint8), size=size)


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float64, np.float16, bool, object, str])
def test_a_network_rejects_another_dtype(model, kind):
    with pytest.raises(ShapeError, match="expected pictures"):
        model.forward(np.zeros((1, *SIZE, 3)).astype(kind))


@pytest.mark.parametrize("wrong", [None, [[1.0]], "picture", 3.0])
def test_a_network_rejects_objects_that_are_not_arrays(model, wrong):
    with pytest.raises(ShapeError, match="expected pictures"):
        model.forward(wrong)
    model.forward(np.zeros((1, *SIZE, 3), np.float32), training=True)
    with pytest.raises(ShapeError, match="expected the gradient"):
        model.backward(wrong)


@pytest.mark.parametrize("classes", [0, -1, 256, 1000])
def test_a_network_has_between_1_and_255_classes(classes):
    with pytest.raises(SettingError, match=r"1\.\.255 classes"):
        ts.build("tiny", num_classes=classes)


WRONG_NETWORKS = {
    "name": ("resnet", None, ["tiny"]),
    "num_classes": ("3", 1.5, None, True),
    "width": ("x", NAN, INF, 0, 9, None),
    "seed": (-1, 1.5, "x", None),
    "dtype": ("float16", "no type", int, None, object()),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG_NETWORKS.items() for value in values]
)
def test_build_rejects_a_wrong_argument(name, value):
    with pytest.raises(SettingError):
        ts.build(**{"name": "tiny", name: value})


@pytest.mark.parametrize("settings", [{"learning_rate": "x"}, {"learning_rate": NAN}, {"weight_decay": INF}])
def test_an_optimizer_rejects_a_wrong_setting(model, settings):
    with pytest.raises(SettingError, match="finite number"):
        ts.optim.SGD(model, **settings)


@pytest.mark.parametrize("data", [None, 3, ["toy"], "x" * 300, "a\0b"])
def test_open_dataset_rejects_a_wrong_path(data):
    with pytest.raises(DataError, match=r"data: |no such folder"):
        ts.data.open_dataset(data)
