"""A picture that is predicted in tiles gets the labels of the whole picture, with memory for a few tiles."""

import tracemalloc

import numpy as np
import pytest
from forms import LONG, amount
from hypothesis import given
from hypothesis import strategies as st
from small_networks import noise, shaken

import tinysegnet as ts
from tinysegnet.errors import SettingError
from tinysegnet.layers import Conv2d, Layer, Normalize
from tinysegnet.prediction import tiles
from tinysegnet.prediction.predict import predict_probs
from tinysegnet.prediction.tiles import alignment, cuts, halo, picture_logits, predict_bands, rows_of

NETWORKS = [name for name in sorted(ts.models) if LONG or "bayesian" not in name]  # they differ only in dropout
FILLS = 4  # random values for unknown pixels


def network(name, dtype=np.float64, classes=3):
    return shaken(ts.build(name, classes, width=1 / 8, dtype=dtype, seed=1))


def narrow(model, length, width=9):
    """Draw a picture of this height and about this width."""
    return noise(length, model.fitting_size((length, width))[1], seed=length)


def wrong_rows(found, expected):
    """Return whether each row of logits (H, W, K) differs by more than rounding."""
    return ~(np.abs(found - expected).max(axis=(1, 2)) <= 1e-13 * np.abs(expected).max())


def dependent_rows(model, picture, unknown):
    """Return which rows of the logits change if the unknown rows (a slice) of the picture change."""
    values = picture[None].repeat(FILLS + 1, axis=0).astype(model.dtype)
    values[1:, unknown] = np.random.default_rng(0).normal(0, 1e4, values[1:, unknown].shape)
    logits = model.forward(values)
    return np.flatnonzero((logits[1:] != logits[0]).any(axis=(0, 2, 3)))


@pytest.mark.usefixtures("defined_ops")
@pytest.mark.parametrize(("name", "odd"), [
    (name, odd) for name in NETWORKS for odd in (0, 5)
    if LONG or not odd or name in ("tiny", "vgg16", "article")])  # fmt: skip
def test_the_halo_is_enough_and_one_pixel_less_is_not(name, odd):
    model = network(name)
    stride = alignment(model) // 4
    cut = 2 * stride
    length = 14 * stride + odd * model.size_multiple % stride
    end, margin, picture = length - cut, halo(model, length), narrow(model, length, 36)
    before = dependent_rows(model, picture, slice(cut))[-1] + 1 - cut
    after = end - dependent_rows(model, picture, slice(end, None))[0]
    assert max(before, after) <= margin
    if not odd:  # incomplete windows reach as far only by chance
        assert max(before, after) == margin
    whole = picture_logits(model, picture)
    below, above = picture_logits(model, picture[cut:]), picture_logits(model, picture[:end])
    assert not wrong_rows(below, whole[cut:])[margin:].any()
    assert not wrong_rows(above, whole[:end])[: end - margin].any()


@pytest.mark.parametrize(("name", "mirror"), [
    (name, mirror) for name in NETWORKS for mirror in (False, True)
    if LONG or mirror == (name in ("tiny", "vgg16", "article"))])  # fmt: skip
def test_tiles_give_the_logits_of_the_whole_picture(name, mirror):
    model, rng = network(name), np.random.default_rng(len(name))
    step = alignment(model)
    for turned in amount((mirror,), (False, True)):  # mirroring concerns the columns
        length = 2 * halo(model, 0) + int(rng.integers(4 * step, 5 * step))
        length -= length % model.size_multiple
        picture = narrow(model, length)
        picture = picture.transpose(1, 0, 2) if turned else picture
        whole = picture_logits(model, picture, mirror=mirror)
        for spare in amount((-1, 1), (-1, 0, 1, int(rng.integers(2, step)))):
            tile = 2 * halo(model, length) + 2 * step + spare  # -1 is the smallest tile
            assert len(cuts(model, length, tile)) > 1
            found = picture_logits(model, picture, mirror=mirror, tile=tile)
            assert np.abs(found - whole).max() <= 1e-12 * np.abs(whole).max(), (length, tile)


@pytest.mark.parametrize(("height", "width"), [
    *amount([], [(331, 397)]), (400, 20), (21, 400), (200, 200), (1, 1), (650, 7)])  # fmt: skip
def test_tiles_in_both_directions_give_the_same_labels(height, width):
    model, picture = network("tiny", np.float32, 5), noise(height, width)
    whole = picture_logits(model, picture, mirror=True)
    found = picture_logits(model, picture, mirror=True, tile=210)
    assert np.abs(found - whole).max() <= 1e-5 * np.abs(whole).max()
    labels = ts.predict(model, picture, mirror=True, tile=210)
    _, second, first = np.partition(whole, (-2, -1), axis=-1)[..., -3:].transpose(2, 0, 1)
    clear = first - second > 1e-4 * np.abs(whole).max()
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(labels[clear], whole.argmax(-1)[clear])
    assert labels.shape == (height, width)
    assert labels.dtype == np.uint8


@pytest.mark.long
def test_compiled_kernels_give_the_same_bits_in_the_middle_of_a_crop(compiled_ops):
    model, picture = network("tiny", np.float32), noise(325, 37)
    start, stop = alignment(model), 325 - alignment(model)
    whole, crop = picture_logits(model, picture), picture_logits(model, picture[start:stop])
    bound = 64  # the halo is 32; a square of 4x4 values near it also depends on wrong values, with weights that cancel
    np.testing.assert_array_equal(crop[bound:-bound], whole[start + bound : stop - bound])
    margin = halo(model, 325)
    close = np.abs(crop - whole[start:stop])[margin:-margin].max()
    assert close <= 1e-5 * np.abs(whole).max()


@given(name=st.sampled_from(["tiny", "vgg16", "article"]), length=st.integers(1, 5000), spare=st.integers(0, 500))
def test_crops_cover_a_picture_once_and_keep_their_distance_from_cut_edges(name, length, spare):
    model = SMALL[name]
    length = model.fitting_size((length, length))[0]
    step, margin = alignment(model), halo(model, length)
    tile = 2 * margin + 2 * step + spare
    found = cuts(model, length, tile)
    assert [cut.first for cut in found] == [0, *(cut.last for cut in found[:-1])]
    assert found[-1].last == found[-1].stop == length
    for cut in found:
        assert 0 <= cut.start <= cut.first < cut.last <= cut.stop <= length
        assert cut.stop - cut.start == found[0].stop <= tile
        assert cut.start % step == (length - cut.stop) % step == 0
        assert cut.start == 0 or cut.first - cut.start >= margin
        assert cut.stop == length or cut.stop - cut.last >= margin


SMALL = {name: ts.build(name, 2, width=1 / 32) for name in ("tiny", "vgg16", "article")}


def test_a_smaller_halo_gives_wrong_logits(monkeypatch):
    model = network("tiny")
    picture = narrow(model, 512)
    whole, tile = picture_logits(model, picture), 2 * halo(model, 512) + 2 * alignment(model)
    monkeypatch.setattr(tiles, "halo", lambda model, length: halo(model, length) - 1)
    assert wrong_rows(picture_logits(model, picture, tile=tile), whole).any()


def test_crops_that_begin_elsewhere_give_wrong_logits(monkeypatch):
    model = network("tiny")
    picture = narrow(model, 503)
    monkeypatch.setattr(tiles, "alignment", lambda model: 8)  # the stride is 16
    monkeypatch.setattr(tiles, "halo", lambda model, length: 44)
    found = picture_logits(model, picture, tile=111)
    assert any(cut.start % 16 for cut in cuts(model, 503, 111))
    assert wrong_rows(found, picture_logits(model, picture)).any()


@pytest.mark.parametrize("scales", [(1.0,), (0.5, 1.0, 1.5)])
@pytest.mark.parametrize("size", [None, (40, 230)])
@pytest.mark.parametrize("name", ["tiny", "article"])
def test_predict_combines_tiles_with_sizes_and_scales(name, size, scales):
    model, picture = network(name), noise(31, 270)
    options = {"size": size, "scales": scales, "mirror": True}
    np.testing.assert_array_equal(
        ts.predict(model, picture, **options, tile=220), ts.predict(model, picture, **options)
    )
    found, expected = (predict_probs(model, picture, **options, tile=tile) for tile in (220, None))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_single_logit_is_predicted_in_tiles():
    model, picture = network("tiny", classes=1), noise(300, 9)
    np.testing.assert_array_equal(ts.predict(model, picture, tile=220), ts.predict(model, picture))


def bands_of(model, height):
    """Return the extents of all reads, and the peak of the memory in bytes, for a picture of this height."""
    reads = []
    rows = np.zeros((1, 9, 3), np.uint8)

    def read(top, bottom):
        reads.append((top, bottom))
        return np.broadcast_to(rows, (bottom - top, 9, 3))

    tracemalloc.start()
    try:
        assert sum(len(labels) for _, labels in predict_bands(model, read, (height, 9), tile=210)) == height
        return reads, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.long
def test_the_memory_does_not_depend_on_the_height_of_the_picture():
    model = network("tiny", np.float32)
    bands_of(model, 600)  # allocates what is allocated once
    (_, low), (reads, high) = bands_of(model, 600), bands_of(model, 3000)
    assert high < low + 3000 * 9 * 2  # there would be 3 bytes for each pixel, and 12 for the logits
    assert len(reads) > 20
    assert max(bottom - top for top, bottom in reads) <= 210
    assert reads == sorted(reads)


class MeanOfPicture(Layer):
    """Subtract the mean of the whole picture."""

    def _forward(self, x, tape):
        return x - x.mean(axis=(1, 2), keepdims=True), None

    def receptive_interval(self, axis, interval, size, output_size):
        return 0, size[axis] - 1


def test_networks_that_cannot_be_divided_are_refused():
    rng = np.random.default_rng(0)
    unlimited = ts.Network({"input": Normalize(0, 1), "mean": MeanOfPicture(), "last": Conv2d(3, 2, 1, rng=rng)})
    with pytest.raises(SettingError, match="custom cannot predict in tiles, because last depends") as error:
        ts.predict(unlimited, noise(50, 2), tile=40)
    assert "--no-tiles" in str(error.value)
    shrinking = ts.Network({"input": Normalize(0, 1), "first": Conv2d(3, 2, 3, padding="valid", rng=rng)})
    with pytest.raises(SettingError, match="because first"):
        ts.predict(shrinking, noise(50, 5), tile=40)


def test_a_tile_that_is_too_small_is_refused():
    model = network("tiny")
    with pytest.raises(SettingError, match="100 pixels are too few for the halo of tiny, 32 pixels") as error:
        ts.predict(model, noise(320, 9), tile=100)
    enough = int(str(error.value).split("Choose ")[1].split()[0])
    assert ts.predict(model, noise(320, 9), tile=enough).shape == (320, 9)


def test_reading_an_array_copies_nothing():
    picture = noise(9, 4)
    assert np.shares_memory(rows_of(picture)(2, 5), picture)
