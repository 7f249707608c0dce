"""Prediction of pictures of any size, and scores at the resolution of the labels."""

import numpy as np
import pytest

import tinysegnet as ts
from tinysegnet.data import CAMVID, InMemory, Sample
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.errors import SettingError, ShapeError
from tinysegnet.prediction.predict import predict_logits, predict_probs, working_size


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
