"""Toy scenes: they are reproducible, the labels are exact, and every class can be learned."""

import zlib

import numpy as np
import pytest

from tinysegnet.data.palette import CAMVID
from tinysegnet.data.sample import Dataset
from tinysegnet.data.toyscenes import ToyScenes, draw_scene, drawing, houses, street_objects
from tinysegnet.data.toyscenes.drawing import CAR, MOODS, OVERSAMPLING, Camera, Canvas, develop
from tinysegnet.errors import DataError

SIZES = [(96, 128), (48, 64), (45, 61), (33, 90), (16, 16), (180, 240)]


@pytest.fixture(scope="module")
def label_maps():
    return np.stack([sample.labels for sample in ToyScenes(60, seed=7)])


def test_toy_scenes_are_a_dataset_with_camvids_palette():
    toys = ToyScenes(3)
    assert isinstance(toys, Dataset)
    assert toys.palette is CAMVID
    assert toys.name == "toy scenes"
    assert len(toys) == 3 == len(list(toys))


def test_a_scene_depends_only_on_seed_and_index():
    few, many = ToyScenes(4, seed=3), ToyScenes(1000, seed=3)
    backwards = [many[i] for i in (3, 2, 1, 0)][::-1]
    for i, other in enumerate(backwards):
        np.testing.assert_array_equal(few[i].image, other.image)
        np.testing.assert_array_equal(few[i].labels, other.labels)
        assert few[i].name == other.name


class Brush:
    """Stands for Pillow's brush, and notes what it would draw, including everything that later objects hide."""

    notes = 0, 0  # the number of calls, and the CRC of their arguments

    def __init__(self, image, mode=None):
        self.mode = mode or image.mode

    def polygon(self, points, ink):
        call = self.mode, np.round(points, 4).tolist(), ink
        Brush.notes = Brush.notes[0] + 1, zlib.crc32(repr(call).encode(), Brush.notes[1])

    ellipse = polygon


# The published results of toy scenes belong to these pictures. The objects have all of their forms in 16 drawings.
OBJECTS = {
    "house": (378, 2821538448), "tree": (322, 824800031), "hedge": (320, 4093253815),
    "garden": (946, 1683694008), "lamp_post": (156, 645562621), "sign": (137, 3695717776),
    "traffic_light": (144, 3823227450), "car": (448, 1221428863), "crossing_car": (240, 1089542161),
    "pedestrian": (325, 162815515), "cyclist": (291, 3674409768), "oddity": (144, 3298470427),
    "fence": (360, 1442169265),
}  # fmt: skip
STREETS = (4036, 3661689749), (3910, 1929764851), (3873, 4040582617)  # ten each
PLACES = {"house": (9.0, 17.5, True), "hedge": (2.0, 9.5), "garden": (4.0, 11.0), "car": (6.0, True)}


@pytest.fixture
def notes(monkeypatch):
    """Return a function that draws, and returns the notes of the brush."""
    monkeypatch.setattr(drawing.ImageDraw, "Draw", Brush)

    def draw(function, *arguments):
        Brush.notes = 0, 0
        for argument in arguments:
            function(argument)
        return Brush.notes

    return draw


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_are_drawn_as_ever(notes, name):
    def draw(seed):
        camera, side, sun = Camera(1.2, 1.8, 0.45, 0.6, 0.004, 0.03, 300.0), (-1) ** seed, (-1) ** (seed // 2)
        canvas, rng = Canvas((100, 130), camera, MOODS[seed % len(MOODS)], sun, 0), np.random.default_rng(seed)
        if name == "fence":
            houses.fence(canvas.facing(side, 2.0 + seed), rng, -1.5, 2.5)
        else:
            place = [seed % 3 == 0 if value is True else value for value in PLACES.get(name, (5.5,))]
            getattr(houses if hasattr(houses, name) else street_objects, name)(canvas, rng, 3.5 * side, *place)

    assert notes(draw, *range(16)) == OBJECTS[name]


@pytest.mark.parametrize("part", range(len(STREETS)))
def test_streets_are_drawn_as_ever(notes, part):
    seeds = range(10 * part, 10 * part + 10)
    assert notes(lambda seed: draw_scene(np.random.default_rng([5, seed]), (24, 32)), *seeds) == STREETS[part]


# The CRC of the labels, and the sum of the colours with random signs and weights.
DRAWN = {
    ((72, 96), 0): (236266448, -250280), ((72, 96), 1): (2848252092, -125018),
    ((72, 96), 2): (3579920235, -392282), ((72, 96), 3): (1919132467, -217060),
    ((150, 200), 4): (3075289712, -80887), ((33, 90), 5): (3028704427, 8710),
    ((200, 60), 6): (993260969, -620083), ((16, 16), 7): (19784520, 141594),
    ((250, 300), 8): (1674702633, -542658),
}  # fmt: skip


@pytest.mark.parametrize(("size", "index"), DRAWN)
def test_scenes_have_the_same_pixels_as_ever(size, index):
    scene = ToyScenes(9, seed=5, size=size)[index]
    weights = np.random.default_rng(0).integers(-50, 51, scene.image.shape)
    labels, colors = DRAWN[size, index]
    assert zlib.crc32(scene.labels.tobytes()) == labels
    assert (weights * scene.image).sum() == pytest.approx(colors, abs=300)


def test_indices_and_seeds_give_different_scenes():
    scenes = [ToyScenes(4, seed=seed)[i] for seed in (0, 1) for i in range(4)]
    assert len({scene.labels.tobytes() for scene in scenes}) == 8
    assert len({scene.name for scene in scenes}) == 8


@pytest.mark.parametrize("index", [-1, 5, 6])
def test_toy_scenes_raise_index_errors(index):
    with pytest.raises(IndexError):
        ToyScenes(5)[index]


@pytest.mark.parametrize("wrong", [{"count": -1}, {"seed": -1}, {"size": (15, 16)}, {"size": (16, 15)}])
def test_toy_scenes_reject_arguments_out_of_range(wrong):
    assert len(ToyScenes(0, seed=0, size=(16, 16))) == 0
    with pytest.raises(DataError):
        ToyScenes(**({"count": 1} | wrong))


@pytest.mark.parametrize("size", SIZES)
def test_scenes_of_any_size_have_the_right_shapes_and_dtypes(size):
    sample = ToyScenes(2, size=size)[1]
    assert sample.image.shape == (*size, 3)
    assert sample.labels.shape == size
    assert sample.image.dtype == sample.labels.dtype == np.uint8
    assert sample.labels.max() <= 11
    assert len(np.unique(sample.labels)) >= 4


def test_a_scene_shows_the_same_street_at_every_size():
    for large, small in zip(ToyScenes(8, size=(144, 192)), ToyScenes(8, size=(48, 64)), strict=True):
        assert (large.labels[1::3, 1::3] == small.labels).mean() > 0.93


def test_draw_scene_consumes_only_its_generator():
    image, labels = draw_scene(np.random.default_rng([5, 2]), (48, 64))
    sample = ToyScenes(3, seed=5, size=(48, 64))[2]
    np.testing.assert_array_equal(image, sample.image)
    np.testing.assert_array_equal(labels, sample.labels)


def test_every_class_is_frequent_enough_to_be_learned(label_maps):
    for k, name in enumerate(CAMVID.names):
        pixels = (label_maps == k).sum(axis=(1, 2))
        assert (pixels > 15).mean() > 0.6, f"{name} is visible in too few scenes"
        assert pixels.sum() / label_maps.size > 0.01, f"{name} has too few pixels"


def test_a_few_percent_of_the_pixels_are_void(label_maps):
    assert 0.01 < (label_maps == 11).mean() < 0.06


def test_the_class_of_a_pixel_varies_between_scenes(label_maps):
    """At most positions, at least a tenth of the scenes show a class other than the most frequent one."""
    most_frequent = np.max([(label_maps == k).mean(axis=0) for k in range(12)], axis=0)
    assert np.median(most_frequent) < 0.7
    assert np.quantile(most_frequent, 0.9) < 0.9


def test_poles_are_several_pixels_wide(label_maps):
    """Poles are the thinnest objects, but half of their pixels lie in runs of at least three along a row."""
    poles = np.pad(label_maps == 2, ((0, 0), (0, 0), (1, 1)))
    edges = np.diff(poles.astype(np.int8), axis=2)
    runs = np.argwhere(edges == -1)[:, 2] - np.argwhere(edges == 1)[:, 2]
    assert runs[runs >= 3].sum() > 0.5 * runs.sum()


def _canvas(size):
    camera = Camera(focal=1.0, height=1.5, horizon=0.5, center=0.5, bend=0.0, roll=0.0, scale=size[0] * OVERSAMPLING)
    return Canvas(size, camera, MOODS[2], 1.0, background=0)


def test_a_label_is_the_class_of_the_topmost_polygon():
    canvas = _canvas((16, 16))
    n = OVERSAMPLING
    canvas.polygon([(4 * n, 4 * n), (8 * n - 1, 4 * n), (8 * n - 1, 8 * n - 1), (4 * n, 8 * n - 1)], (250, 0, 0), 3)
    canvas.polygon([(6 * n, 4 * n), (8 * n - 1, 4 * n), (8 * n - 1, 8 * n - 1), (6 * n, 8 * n - 1)], (0, 0, 250), 8)
    canvas.polygon([(0, 0), (n, 0), (0, n)], (0, 250, 0))  # a detail has no class
    labels = develop(canvas, np.random.default_rng(0))[1]
    expected = np.zeros((16, 16), np.uint8)
    expected[4:8, 4:6], expected[4:8, 6:8] = 3, 8
    np.testing.assert_array_equal(labels, expected)


def test_a_label_is_the_class_at_the_centre_of_the_pixel():
    for offset in range(OVERSAMPLING):
        canvas, column = _canvas((16, 16)), 5 * OVERSAMPLING + offset
        canvas.polygon([(column, 0), (column, 60), (column, 60)], (0, 0, 250), CAR)  # one fine pixel wide
        labels = develop(canvas, np.random.default_rng(0))[1]
        assert (labels == CAR).any() == (offset == OVERSAMPLING // 2)


def test_picture_and_labels_show_the_same_polygon():
    canvas = _canvas((24, 24))
    canvas.facing(0.0, 3.0).disc(0.3, 1.4, 0.9, (255, 255, 255), CAR)
    image, labels = develop(canvas, np.random.default_rng(1))
    bright = image.astype(int).sum(axis=2)
    inside, outside = bright[labels == CAR], bright[labels == 0]
    assert np.median(inside) > 2 * np.median(outside) + 100
    assert (outside > np.median(inside) * 0.8).mean() < 0.02


def test_the_camera_projects_points_as_computed_by_hand():
    camera = _canvas((100, 100)).camera
    assert camera.project(0.0, 1.5, 7.0) == pytest.approx((50 * OVERSAMPLING, 50 * OVERSAMPLING))
    near, far = camera.project(2.0, 0.0, 5.0), camera.project(2.0, 0.0, 10.0)
    assert near == pytest.approx((90 * OVERSAMPLING, 80 * OVERSAMPLING))
    assert far == pytest.approx((70 * OVERSAMPLING, 65 * OVERSAMPLING))


@pytest.mark.parametrize("sheet", ["facing", "along", "ground"])
def test_a_sheet_projects_like_its_points(sheet):
    canvas = _canvas((90, 120))
    flat = {"facing": canvas.facing(1, 6), "along": canvas.along(1, 6), "ground": canvas.ground(6)}[sheet]
    place = {
        "facing": lambda a, b: (1 + a, b, 6),
        "along": lambda a, b: (1, b, 6 + a),
        "ground": lambda a, b: (a, 0, 6 + b),
    }
    points = [(0.0, 0.0), (1.5, 0.5), (-0.7, 2.0)]
    expected = [canvas.camera.project(*place[sheet](a, b)) for a, b in points]
    np.testing.assert_allclose(flat.points(points), expected)
