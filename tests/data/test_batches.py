"""Batches and augmentation: pictures and labels move together, randomness has one source, and epochs resume.

In `position_sample`, red is the column and green the row of each pixel, and the label map repeats one of the two. After
any flip, scale and crop, picture and labels both show where a pixel came from.
"""

import numpy as np
import pytest
import resampling

from tinysegnet.data import Augment, Palette, Sample, batches, num_batches, resize_sample
from tinysegnet.errors import DataError, SettingError

H, W = 36, 60


def position_sample(axis):
    rows, columns = np.mgrid[:H, :W]
    image = np.stack([columns * 4, rows * 4, np.full((H, W), 7)], axis=-1).astype(np.uint8)
    return Sample(image, (rows, columns)[axis].astype(np.uint8), "position")


class Solid:
    """Every pixel of picture i has red i and label i."""

    palette = Palette(tuple(f"value {k}" for k in range(W)), ((0, 0, 0),) * W)
    name = "solid"

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        image = np.full((8, 12, 3), (index, 50 + 10 * index, 255 - index), np.uint8)
        image[:, 6:, 1] += 40
        return Sample(image, np.full((8, 12), index, np.uint8), str(index))


def read(dataset, batch_size=2, size=(8, 12), seed=0, **options):
    return list(batches(dataset, batch_size, size=size, rng=np.random.default_rng(seed), **options))


@pytest.mark.parametrize("size", [(36, 60), (18, 30), (20, 28), (27, 21), (50, 90)])
@pytest.mark.parametrize("axis", [0, 1])
def test_augmentation_moves_picture_and_labels_together(size, axis):
    rng = np.random.default_rng(1)
    augment = Augment(flip=0.5, scale=(1.0, 2.5), color_jitter=0)
    sample, channel, errors, mirrored = position_sample(axis), 1 - axis, [], 0
    for _ in range(40):
        image, labels = augment(sample, rng=rng, size=size)
        assert image.shape == (*size, 3)
        assert labels.shape == size
        error = image[..., channel] / 4 - labels.astype(float)
        # Labels may be off by half a pixel of the original. The border is ignored, because antialiasing bends it.
        inner = error[2:-2, 2:-2]
        assert np.abs(inner).max() <= 0.5 + 1 / 8 + 1e-9  # rounded grey levels, 4 per column, add 1/8
        errors.append(inner.mean())
        mirrored += image[0, 0, 0] > image[0, -1, 0]
        assert image[0, 0, 1] < image[-1, 0, 1]  # never upside down
    assert abs(np.mean(errors)) < 0.05  # no half-pixel shift between picture and labels
    assert 8 < mirrored < 32


def test_augmentation_at_scale_2_shows_half_of_each_side_at_random_places():
    """Over many draws, the crop reaches every border."""
    rng = np.random.default_rng(2)
    sample = position_sample(1)
    crops = [Augment(flip=0, scale=(2, 2), color_jitter=0)(sample, rng=rng, size=(36, 60))[0] / 4 for _ in range(300)]
    for crop in crops:
        assert np.ptp(crop[..., 0]) == pytest.approx(W / 2 - 0.5, abs=1)
        assert np.ptp(crop[..., 1]) == pytest.approx(H / 2 - 0.5, abs=1)
    lefts, tops = np.array([(crop[0, 0, 0], crop[0, 0, 1]) for crop in crops]).T
    assert lefts.min() < 1 < W / 2 - 1 < lefts.max() + 0.5
    assert tops.min() < 1 < H / 2 - 1 < tops.max() + 0.5
    assert abs(np.corrcoef(lefts, tops)[0, 1]) < 0.2
    whole, _ = Augment(flip=0, scale=(1, 1), color_jitter=0)(sample, rng=rng, size=(H, W))
    np.testing.assert_array_equal(whole, sample.image)


def test_resizing_labels_adds_no_new_values():
    labels = np.random.default_rng(3).choice(np.array([0, 11], np.uint8), (H, W))
    sample = Sample(np.zeros((H, W, 3), np.uint8), labels, "x")
    for size in ((13, 17), (70, 90)):
        assert set(np.unique(resize_sample(sample, size)[1])) == {0, 11}


@pytest.mark.parametrize("seed", range(8))
def test_color_jitter_matches_its_definition(seed):
    draws = np.random.default_rng(seed)
    draws.random(4)
    brightness, contrast, saturation = 1 + 0.5 * draws.uniform(-1, 1, 3)
    image = np.random.default_rng(99).integers(80, 120, (H, W, 3)).astype(np.uint8)
    image += np.add.outer(np.arange(H), np.arange(W) // 2).astype(np.uint8)[..., None]  # the mean differs by place
    grey = image @ np.array([0.299, 0.587, 0.114])
    expected = grey[..., None] + saturation * (image - grey[..., None])
    expected = brightness * (grey.mean() + contrast * (expected - grey.mean()))
    augment = Augment(flip=0, scale=(1, 1), color_jitter=0.5)
    sample = Sample(image, image[..., 0], "x")
    out, labels = augment(sample, rng=np.random.default_rng(seed), size=(H, W))
    assert np.abs(out - expected.clip(0, 255)).max() < 1.2  # Pillow rounds the mean and the result to whole numbers
    np.testing.assert_array_equal(labels, sample.labels)


@pytest.mark.parametrize("size", [(35, 61), (18, 30), (7, 11), (50, 90), (1, 1)])
def test_resizing_equals_its_definition_between_pixel_centres(size):
    sample = noisy_sample(35, 61)  # from odd sizes, no centre lies exactly between two pixels
    image, labels = resize_sample(sample, size)
    np.testing.assert_array_equal(labels, resampling.nearest(sample.labels, size))
    assert np.abs(image - resampling.bilinear(sample.image, size)).max() < 1.01  # Pillow rounds after each axis


def noisy_sample(*size):
    rng, size = np.random.default_rng(4), size or (H, W)
    return Sample(rng.integers(0, 256, (*size, 3)).astype(np.uint8), rng.integers(0, 99, size).astype(np.uint8), "x")


@pytest.mark.parametrize("seed", range(10))
def test_a_crop_lies_where_its_random_numbers_say(seed):
    """The numbers are, in this order: flip, scale, and the place from left to right and from top to bottom."""
    flip, zoom, left, top = np.random.default_rng(seed).random(4)
    sample, scale, size = noisy_sample(), 1.2 + zoom * (3.0 - 1.2), (20, 28)
    x, y = left * (W - W / scale), top * (H - H / scale)
    box = x, y, x + W / scale, y + H / scale
    augment = Augment(flip=0.4, scale=(1.2, 3.0), color_jitter=0)
    image, labels = augment(sample, rng=np.random.default_rng(seed), size=size)
    right = resampling.nearest(sample.labels, size, box)
    np.testing.assert_array_equal(labels, right[:, ::-1] if flip < 0.4 else right)
    cut, _ = resize_sample(sample, size, box)
    np.testing.assert_array_equal(image, cut[:, ::-1] if flip < 0.4 else cut)


class Drawn:
    """A generator whose first numbers are given."""

    def __init__(self, *numbers):
        self.numbers = numbers

    def random(self, count):
        return np.array(self.numbers)

    def uniform(self, low, high, count):
        return np.zeros(count)


@pytest.mark.parametrize("left", [0.0, 1 - 2**-53])
@pytest.mark.parametrize("top", [0.0, 1 - 2**-53])
def test_a_crop_may_touch_each_border(left, top):
    """At scale 2, a crop of half the size contains every pixel of a quarter of the picture once."""
    sample = noisy_sample()
    augment = Augment(flip=0, scale=(2, 2), color_jitter=0)
    image, labels = augment(sample, rng=Drawn(0, 0, left, top), size=(H // 2, W // 2))
    rows, columns = (slice(n // 2, n) if last else slice(n // 2) for n, last in ((H, top), (W, left)))
    np.testing.assert_array_equal(labels, sample.labels[rows, columns])
    assert np.abs(image - sample.image[rows, columns].astype(int)).max() <= 1


@pytest.mark.parametrize(("drawn", "flip", "mirrored"), [(0.0, 0.0, False), (0.0, 1e-9, True), (0.3, 0.3, False),
                                                         (0.3, 0.31, True), (1 - 2**-53, 1.0, True)])  # fmt: skip
def test_a_flip_mirrors_picture_and_labels_exactly(drawn, flip, mirrored):
    sample = noisy_sample()
    augment = Augment(flip=flip, scale=(1, 1), color_jitter=0)
    image, labels = augment(sample, rng=Drawn(drawn, 0, 0, 0), size=(H, W))
    np.testing.assert_array_equal(image, sample.image[:, ::-1] if mirrored else sample.image)
    np.testing.assert_array_equal(labels, sample.labels[:, ::-1] if mirrored else sample.labels)


def test_augment_has_the_documented_defaults_and_limits():
    default = Augment()
    assert (default.flip, default.scale, default.color_jitter) == (0.5, (1.0, 1.5), 0.2)
    for good in ({"scale": (1, 1)}, {"scale": (2, 2)}, {"flip": 0}, {"flip": 1}, {"color_jitter": 0.999}):
        assert getattr(Augment(**good), next(iter(good))) == next(iter(good.values()))
    for wrong in ({"scale": (0.999, 1)}, {"scale": (1.5, 1.4)}, {"flip": 1.001}, {"flip": -0.001}, {"color_jitter": 1},
                  {"color_jitter": -0.001}, {"scale": 2}, {"scale": (1, 2, 3)}):  # fmt: skip
        with pytest.raises(SettingError, match=next(iter(wrong))):
            Augment(**wrong)


def test_an_epoch_has_every_picture_once_in_new_float32_arrays():
    out = read(Solid(9), 3)
    assert [images.shape for images, _ in out] == [(3, 8, 12, 3)] * 3
    assert all(images.dtype == np.float32 and labels.dtype == np.uint8 for images, labels in out)
    seen = [int(n) for _, labels in out for n in labels[:, 0, 0]]
    assert sorted(seen) == list(range(9))
    assert seen != sorted(seen)
    for images, labels in out:  # pictures still match their labels, and channels are in order
        np.testing.assert_array_equal(images[..., 0], labels)
        np.testing.assert_array_equal(images[..., 2], 255 - labels.astype(float))
    assert not np.shares_memory(out[0][0], out[1][0])


def test_no_picture_is_dropped_and_no_batch_is_much_smaller_than_the_others():
    assert [len(labels) for _, labels in read(Solid(7), 3)] == [3, 2, 2]
    assert [len(labels) for _, labels in read(Solid(7), 3, shuffle=False)] == [3, 2, 2]
    assert [len(labels) for _, labels in read(Solid(12), 8)] == [6, 6]
    assert [len(labels) for _, labels in read(Solid(2), 3)] == [2]
    for shuffle in (True, False):
        seen = np.concatenate([labels[:, 0, 0] for _, labels in read(Solid(17), 5, shuffle=shuffle)])
        assert sorted(seen.tolist()) == list(range(17))


def test_batches_in_order_need_no_generator():
    out = list(batches(Solid(5), 2, size=(4, 6), shuffle=False))
    assert [labels[:, 0, 0].tolist() for _, labels in out] == [[0, 1], [2, 3], [4]]
    assert out[0][0].shape == (2, 4, 6, 3)
    for options in ({}, {"shuffle": False, "augment": Augment()}):
        with pytest.raises(TypeError, match="rng"):
            batches(Solid(5), 2, size=(4, 6), **options)


def test_an_epoch_resumes_at_any_batch_from_the_generators_state():
    dataset, augment = Solid(11), Augment()
    whole = read(dataset, seed=6, augment=augment)
    for start in range(6):
        rest = read(dataset, seed=6, augment=augment, start=start)
        assert len(rest) == len(whole) - start
        for (images, labels), (again, labels_again) in zip(whole[start:], rest, strict=True):
            np.testing.assert_array_equal(images, again)
            np.testing.assert_array_equal(labels, labels_again)
    first = [labels[:, 0, 0].tolist() for _, labels in whole]
    other = [labels[:, 0, 0].tolist() for _, labels in read(dataset, seed=7, augment=augment)]
    assert first != other


def test_each_picture_is_augmented_differently():
    class Same(Solid):
        def __getitem__(self, index):
            return position_sample(0)

    images = np.concatenate([images for images, _ in read(Same(8), 2, augment=Augment())])
    assert len(np.unique(images.reshape(8, -1), axis=0)) == 8


def test_batches_draws_all_random_numbers_at_the_call():
    """Batches do not depend on how the generator is used after the call."""
    states, outs = [], []
    for steps in (0, 5):
        rng = np.random.default_rng(8)
        epoch = batches(Solid(11), 2, size=(8, 12), rng=rng, augment=Augment())
        states.append(rng.bit_generator.state)
        rng.random(steps)
        outs.append(next(epoch)[0])
    assert states[0] == states[1]
    np.testing.assert_array_equal(*outs)


@pytest.mark.parametrize(("count", "batch_size", "sizes"), [
    (1, 1, [1]), (1, 2, [1]), (5, 1, [1] * 5), (5, 5, [5]), (5, 6, [5]), (6, 5, [3, 3]), (9, 5, [5, 4]),
    (10, 5, [5, 5]), (11, 5, [4, 4, 3]),
])  # fmt: skip
@pytest.mark.parametrize("shuffle", [True, False])
def test_the_number_of_batches_is_rounded_up_and_their_sizes_differ_by_at_most_one(count, batch_size, sizes, shuffle):
    assert num_batches(Solid(count), batch_size) == len(sizes)
    assert [len(labels) for _, labels in read(Solid(count), batch_size, shuffle=shuffle)] == sizes
    assert not read(Solid(count), batch_size, shuffle=shuffle, start=len(sizes))


def test_an_epoch_draws_its_order_and_then_one_seed_per_picture():
    draws, order = np.random.default_rng(3), np.arange(6)
    draws.shuffle(order)
    seeds, augment = draws.integers(2**63, size=6), Augment(flip=0.5, scale=(1, 2))
    images, labels = map(np.concatenate, zip(*read(Solid(6), 3, seed=3, augment=augment), strict=True))
    for k, index in enumerate(order):
        image, own = augment(Solid(6)[index], rng=np.random.default_rng(seeds[index]), size=(8, 12))
        np.testing.assert_array_equal(images[k], image)
        np.testing.assert_array_equal(labels[k], own)


def test_batches_in_order_may_be_augmented_and_shuffled_ones_need_not():
    augmented = read(Solid(5), 2, shuffle=False, augment=Augment())
    assert [labels[:, 0, 0].tolist() for _, labels in augmented] == [[0, 1], [2, 3], [4]]
    plain = read(Solid(5), 2, augment=None)
    for images, labels in plain:
        for image, label in zip(images, labels, strict=True):
            np.testing.assert_array_equal(image, Solid(5)[int(label[0, 0])].image)


def test_batches_rejects_empty_data_and_batch_size_zero():
    with pytest.raises(DataError, match=r"solid.*no pictures"):
        read(Solid(0))
    with pytest.raises(SettingError, match=r"batch_size.*0"):
        read(Solid(3), 0)
