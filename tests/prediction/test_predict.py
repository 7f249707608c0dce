"""Prediction of pictures of any size, and scores at the resolution of the labels."""

import numpy as np
import pytest
import resampling
from small_networks import noise, pointwise

import tinysegnet as ts
from tinysegnet.data import CAMVID, InMemory, Sample
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.errors import SettingError, ShapeError
from tinysegnet.layers import Conv2d, Normalize
from tinysegnet.prediction import predict_samples, predict_with_uncertainty
from tinysegnet.prediction.predict import network_size, predict_logits, predict_probs, working_picture, working_size


@pytest.fixture(scope="module")
def model():
    return ts.build("tiny", num_classes=11, width=1 / 8)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (7, 3), (45, 61), (120, 90)])
@pytest.mark.parametrize("training_size", [None, (24, 32)])
def test_predictions_have_the_size_of_the_picture(model, size, training_size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    labels = ts.predict(model, image, size=training_size)
    assert (labels.shape, labels.dtype) == (size, np.uint8)
    probs = predict_probs(model, image, size=training_size)
    np.testing.assert_allclose(probs.sum(-1), 1, atol=1e-5)
    chosen = np.take_along_axis(probs, labels[..., None], axis=-1)[..., 0]
    np.testing.assert_array_equal(chosen, probs.max(-1))  # several classes may have the same probability


def test_predict_keeps_the_pictures_size_without_a_training_size(model):
    image = np.random.default_rng(0).integers(0, 256, (21, 27, 3)).astype(np.uint8)
    np.testing.assert_array_equal(predict_logits(model, image), model.forward(image[None].astype(np.float32))[0])


@pytest.mark.parametrize(
    ("image", "training", "expected"),
    [
        ((360, 480), (180, 240), (180, 240)),
        ((720, 960), (180, 240), (180, 240)),
        ((480, 360), (180, 240), (240, 180)),  # a picture in portrait format
        ((90, 120), (180, 240), (180, 240)),  # small pictures are enlarged
        ((1, 1000), (180, 240), (7, 6573)),
        ((1, 100_000), (1, 10), (1, 1000)),  # 0.01 rows are rounded up
        ((100_000, 1), (10, 1), (1000, 1)),
    ],
)
def test_working_size_keeps_shape_and_area(image, training, expected):
    assert working_size(image, training) == expected


def test_predict_rejects_arrays_that_are_not_pictures(model):
    for wrong in (np.zeros((5, 5), np.uint8), np.zeros((5, 5, 4), np.uint8), np.zeros((5, 5, 3), np.float32)):
        with pytest.raises(ShapeError, match=r"image: .*\(H, W, 3\)"):
            ts.predict(model, wrong)


def test_mirror_averages_the_picture_and_its_mirror_image(model):
    image = np.random.default_rng(0).integers(0, 256, (21, 27, 3)).astype(np.uint8)
    logits = predict_logits(model, image, mirror=True)
    mirrored = predict_logits(model, image[:, ::-1], mirror=True)[:, ::-1]
    np.testing.assert_allclose(logits, mirrored, atol=1e-5)
    assert np.abs(logits - predict_logits(model, image)).max() > 0.01
    alone = predict_logits(model, image[:, ::-1])[:, ::-1]
    np.testing.assert_allclose(logits, (predict_logits(model, image) + alone) / 2, atol=1e-5)
    np.testing.assert_array_equal(ts.predict(model, image, mirror=True), logits.argmax(-1))


def test_scales_average_the_logits_at_the_largest_scale(model):
    image = np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8)
    several = predict_logits(model, image, scales=(1.0, 0.5), mirror=True)
    half = predict_logits(model, image, size=(12, 16), mirror=True)
    np.testing.assert_allclose(several, (predict_logits(model, image, mirror=True) + half) / 2, atol=1e-5)
    np.testing.assert_array_equal(ts.predict(model, image, scales=[1, 0.5], mirror=True), several.argmax(-1))
    assert several.dtype == np.float32
    for wrong in ((), (0.0,), (1, -1), 2.0, ("1",)):
        with pytest.raises(SettingError, match="scales"):
            ts.predict(model, image, scales=wrong)


def test_predict_leaves_the_network_unchanged(model):
    before = {name: array.copy() for name, array in model.state().items()}
    ts.predict(model, np.zeros((20, 28, 3), np.uint8))
    for name, array in model.state().items():
        np.testing.assert_array_equal(array, before[name])


def test_evaluate_counts_every_labelled_pixel_once(model):
    scenes = InMemory(ToyScenes(3, size=(48, 64)))
    scores = ts.evaluate(model, scenes, size=(24, 32))
    assert scores.pixels.sum() == sum((scenes[i].labels != 11).sum() for i in range(3))


def test_evaluate_scores_boundaries_on_request(model):
    scenes = InMemory(ToyScenes(2, size=(24, 32)))
    plain, scores = ts.evaluate(model, scenes), ts.evaluate(model, scenes, boundary=True)
    assert (plain.G, plain.C, plain.mIoU) == (scores.G, scores.C, scores.mIoU)
    assert (plain.BF, plain.BF_by_distance, plain.intervals) == (None, None, None)
    each = [ts.metrics.boundary_f1(s.labels, ts.predict(model, s.image), 11, 11) for s in scenes]
    np.testing.assert_allclose(scores.BF, np.mean(each))


def test_evaluate_computes_intervals_on_request(model):
    scores = ts.evaluate(model, ToyScenes(41, size=(16, 16)), rng=np.random.default_rng(0))
    assert list(scores.intervals) == ["G", "C", "mIoU"]
    assert scores.intervals["G"][0] < scores.G < scores.intervals["G"][1]


def test_a_perfect_network_scores_one():
    """The network predicts class 0 everywhere, and the picture contains only class 0 and void."""
    model = ts.build("tiny", num_classes=11, width=1 / 16)
    classifier = model.layers["classifier"]
    classifier.params["weight"][...] = 0
    classifier.params["bias"][0] = 1
    labels = np.zeros((20, 28), np.uint8)
    labels[:5] = 11

    class One:
        palette, name = CAMVID, "one"

        def __len__(self):
            return 1

        def __getitem__(self, index):
            return Sample(np.zeros((20, 28, 3), np.uint8), labels, "one")

    scores = ts.evaluate(model, One())
    assert (scores.G, scores.mIoU) == (1.0, 1.0)
    assert scores.pixels.sum() == 15 * 28


# --- resizing ---------------------------------------------------------------------------------------------------------


COLORS = pointwise(np.eye(3))  # the logits are the red, green and blue of the working picture


@pytest.mark.parametrize(
    ("size", "area"),
    [((12, 20), (6, 10)), ((15, 25), (3, 5)), ((9, 15), (6, 10)), ((5, 7), (3, 4)), ((31, 3), (5, 4)),
     ((1, 8), (1, 2)), ((6, 10), (9, 15))],
)  # fmt: skip
def test_scores_are_resized_bilinearly_between_pixel_centres(size, area):
    image = noise(*size)
    x = working_picture(COLORS, image, area)[0]
    assert x.shape[:2] == working_size(size, area) != size
    assert np.abs(x - resampling.bilinear(image, x.shape[:2])).max() < 1.01  # Pillow rounds after each axis
    right = resampling.bilinear(x, size)
    logits = predict_logits(COLORS, image, size=area)
    np.testing.assert_allclose(logits, right, atol=1e-3)
    if size > area:  # at the corners, and half a pixel around them, there is nothing to interpolate
        np.testing.assert_allclose(logits[[0, 0, -1, -1], [0, -1, 0, -1]], x[[0, 0, -1, -1], [0, -1, 0, -1]], atol=1e-3)
    largest = np.sort(right, axis=-1)
    clear = largest[..., 2] - largest[..., 1] > 1e-2
    labels = ts.predict(COLORS, image, size=area)
    np.testing.assert_array_equal(labels[clear], right.argmax(-1)[clear])
    assert clear.mean() > 0.9


def test_labels_follow_the_enlarged_scores_not_the_enlarged_labels():
    """Between a red and a green pixel, blue wins, although it is the largest nowhere in the small picture."""
    small = np.zeros((1, 2, 3), np.uint8)
    small[0, :, :] = (200, 0, 150), (0, 200, 150)
    image = np.repeat(small, 16, axis=1).repeat(16, axis=0)
    labels = ts.predict(COLORS, image, size=(1, 2))
    # reducing the picture mixes the two colours 6 : 1, so red falls from 171 to 29 between the two centres
    assert labels[0].tolist() == [0] * 10 + [2] * 12 + [1] * 10
    np.testing.assert_array_equal(labels, labels[:1].repeat(16, axis=0))


def test_of_equal_scores_the_first_class_is_chosen():
    image = noise(6, 8)
    image[:, ::2, 1] = image[:, ::2, 0] = 255
    image[:, 1::2, 2] = image[:, 1::2, 1] = 255
    image[:, 1::2, 0] = 254
    assert ts.predict(COLORS, image)[0].tolist() == [0, 1] * 4
    flat = np.full((6, 8, 3), 7, np.uint8)
    assert not ts.predict(COLORS, flat, size=(3, 5), mirror=True, scales=(0.5, 1.0)).any()
    lowest = pointwise(np.eye(3))
    lowest.layers["classifier"].params["bias"][:] = -np.inf
    assert not ts.predict(lowest, flat).any()


def test_scores_of_float64_are_compared_in_float64():
    """Both scores are rounded to the same float32."""
    model = ts.Network({"input": Normalize(0, 1, dtype=np.float64),
                        "classifier": Conv2d(3, 2, 1, rng=None, dtype=np.float64)})  # fmt: skip
    model.layers["classifier"].params = {"weight": np.zeros((1, 1, 3, 2)), "bias": np.array([1 - 2e-10, 1 - 1e-10])}
    assert (ts.predict(model, noise(4, 5)) == 1).all()


@pytest.mark.parametrize(("value", "label"), [(99, 0), (100, 0), (101, 1)])
def test_a_single_logit_of_exactly_0_is_class_0(value, label):
    model = pointwise([[1, 0, 0]])
    model.layers["classifier"].params["bias"][0] = -100
    image = np.full((4, 5, 3), value, np.uint8)
    assert (ts.predict(model, image) == label).all()
    np.testing.assert_allclose(predict_probs(model, image)[0, 0, 1], 1 / (1 + np.exp(100 - value)), rtol=1e-6)


@pytest.mark.parametrize("mirror", [False, True])
def test_scales_resize_the_picture_and_average_the_scores(mirror):
    image, scales = noise(10, 14), (0.5, 2.0, 1.0)
    found = predict_logits(COLORS, image, scales=scales, mirror=mirror)
    parts = [predict_logits(COLORS, image, size=(round(10 * s), round(14 * s))) for s in scales]
    largest = []
    for s in scales:
        x = working_picture(COLORS, image, None, s)[0]
        assert x.shape[:2] == (round(10 * s), round(14 * s))
        largest.append(resampling.bilinear(x, (20, 28)))
    np.testing.assert_allclose(found, resampling.bilinear(np.mean(largest, axis=0), (10, 14)), atol=0.01)
    assert np.abs(found - np.mean(parts, axis=0)).max() > 0.01  # averaged at the largest scale
    assert working_picture(COLORS, image, None, 0.01).shape == (1, 1, 1, 3)
    assert network_size(COLORS, (10, 14), None) == (10, 14)
    assert working_picture(COLORS, image, (5, 7), 2.0).shape == (1, 10, 14, 3)
    assert working_picture(COLORS, image, None, 0.25).shape == (1, 2, 4, 3)  # 2.5 and 3.5, rounded to even


def test_a_working_size_is_the_nearest_that_the_network_can_process():
    model = ts.Network(COLORS.layers, size_multiple=4)
    for size, expected in (((45, 61), (44, 60)), ((47, 63), (48, 64)), ((1, 5), (4, 4)), ((9, 7), (8, 8))):
        assert working_picture(model, noise(*size), None).shape == (1, *expected, 3)
        assert ts.predict(model, noise(*size)).shape == size


def test_sizes_are_two_positive_whole_numbers():
    for good in ((1, 1), [4, 5], (np.int64(3), 2)):
        assert ts.predict(COLORS, noise(3, 4), size=good).shape == (3, 4)
    for wrong in ((0, 5), (5, 0), (-1, 5), (5,), (5, 5, 5), 5, (5.0, 5), "55"):
        with pytest.raises(SettingError, match=r"size: .*not a size"):
            ts.predict(COLORS, noise(3, 4), size=wrong)
    for empty in ((0, 4, 3), (4, 0, 3)):
        with pytest.raises(ShapeError, match="image"):
            ts.predict(COLORS, np.zeros(empty, np.uint8))


@pytest.mark.parametrize(
    "function", [ts.predict, predict_logits, predict_probs, predict_samples, predict_with_uncertainty]
)
@pytest.mark.parametrize("wrong", ["tiny", None, COLORS.layers])
def test_a_model_must_be_a_network(function, wrong):
    with pytest.raises(SettingError, match=f"model: {type(wrong).__name__} is not a Network"):
        function(wrong, noise(4, 5))
    with pytest.raises(SettingError, match="is not a Network"):
        ts.evaluate(wrong, ToyScenes(1, size=(16, 16)))
