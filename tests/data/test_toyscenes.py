"""Toy scenes: they are reproducible, the labels are exact, and every class can be learned."""

import numpy as np
import pytest

from tinysegnet.data.palette import CAMVID
from tinysegnet.data.sample import Dataset
from tinysegnet.data.toyscenes import ToyScenes, draw_scene
from tinysegnet.data.toyscenes.drawing import CAR, MOODS, OVERSAMPLING, Camera, Canvas, develop
from tinysegnet.errors import DataError

SIZES = [(96, 128), (48, 64), (45, 61), (33, 90), (16, 16), (180, 240)]


@pytest.fixture(scope="module")
def label_maps():
    return np.stack([sample.labels for sample in ToyScenes(100, seed=7)])


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


# Of 24 scenes of 72x96 from seed 5, per class and then void: pixels, sums of their rows and columns, sums of their
# red, green and blue. The published results of toy scenes belong to these pictures.
DRAWN = [
    [31858, 332252, 1534891, 5067883, 5107441, 5346612], [31461, 718307, 1509428, 5113703, 4264875, 3809270],
    [5913, 230228, 271788, 673624, 658098, 627095], [27209, 1632824, 1350437, 2475779, 2427886, 2543063],
    [8197, 449195, 370639, 1287616, 1149319, 1057799], [18116, 496530, 866223, 2335666, 2408100, 1655570],
    [5511, 131136, 215889, 938274, 787571, 629777], [5999, 295369, 271062, 635934, 596576, 597162],
    [14658, 699793, 715850, 1609484, 1555278, 1567143], [6090, 304191, 242788, 790638, 707404, 752848],
    [8984, 468490, 437517, 1295888, 1113397, 843005], [1892, 130709, 93168, 296733, 213791, 142151],
]  # fmt: skip


def test_scenes_are_drawn_as_ever():
    found = np.zeros((12, 6), np.int64)
    for scene in ToyScenes(24, seed=5, size=(72, 96)):
        for k in range(12):
            at = scene.labels == k
            found[k] += [at.sum(), *np.argwhere(at).sum(axis=0), *scene.image[at].sum(axis=0, dtype=np.int64)]
    np.testing.assert_array_equal(found[:, :3], np.array(DRAWN)[:, :3])
    np.testing.assert_allclose(found[:, 3:], np.array(DRAWN)[:, 3:], rtol=1e-4)


def test_indices_and_seeds_give_different_scenes():
    scenes = [ToyScenes(4, seed=seed)[i] for seed in (0, 1) for i in range(4)]
    assert len({scene.labels.tobytes() for scene in scenes}) == 8
    assert len({scene.name for scene in scenes}) == 8


@pytest.mark.parametrize("index", [-1, 5, 6])
def test_toy_scenes_raise_index_errors(index):
    with pytest.raises(IndexError):
        ToyScenes(5)[index]


@pytest.mark.parametrize("wrong", [{"count": -1}, {"seed": -1}, {"size": (8, 128)}])
def test_toy_scenes_reject_arguments_out_of_range(wrong):
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
