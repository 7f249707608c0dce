"""Median-frequency weights match the published ones, those of real CamVid, and the formula on tiny data sets."""

from pathlib import Path

import numpy as np
import pytest

from tinysegnet.data import (
    CAMVID,
    Folder,
    Palette,
    PixelCounts,
    Sample,
    count_pixels,
    median_frequency_weights,
    sqrt_median_frequency_weights,
)
from tinysegnet.errors import DataError

SHARED = Path(__file__).parents[3] / "shared"

# Pixels and images of classes 0..10 and then void in the first version of the tutorial's training labels.
FIRST_PIXELS = [10667303, 15120524, 606559, 19594653, 2916618, 6405466]
FIRST_PIXELS += [214885, 739200, 4068712, 386191, 212692, 2484797]
FIRST_IMAGES = [366, 365, 366, 367, 349, 324, 274, 180, 367, 319, 207, 367]
PUBLISHED = [0.2595, 0.1826, 4.5640, 0.1417, 0.9051, 0.3826, 9.6446, 1.8418, 0.6823, 6.2478, 7.3614]
TODAY = [0.2793, 0.2017, 4.7865, 0.1490, 1.0000, 0.4217, 3.8467, 1.9736, 0.7889, 6.3747, 8.8587]


class Maps:
    """A data set with given label maps and black pictures."""

    name = "maps"

    def __init__(self, *labels, num_classes=3):
        self.labels = [np.array(a, np.uint8) for a in labels]
        names = ("Sky", "Road", "Fence", "Car")[:num_classes]
        self.palette = Palette(names, ((0, 0, 0),) * num_classes, ignore_label=9)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        labels = self.labels[index]
        return Sample(np.zeros((*labels.shape, 3), np.uint8), labels, str(index))


def test_median_frequency_weights_match_the_published_eleven():
    images = np.array(FIRST_IMAGES)
    counts = PixelCounts((*CAMVID.names, "Void"), np.array(FIRST_PIXELS), images * 360 * 480, images)
    weights = median_frequency_weights(counts)  # void is one of twelve classes in the median
    assert weights[:11].round(4).tolist() == PUBLISHED
    assert weights[11].round(4) == 1.1172


@pytest.mark.skipif(not (SHARED / "camvid").is_dir(), reason="real CamVid (../shared/camvid) is not here")
def test_class_weights_of_real_camvid():
    counts = count_pixels(Folder(SHARED / "camvid"))
    assert counts.images.tolist() == [366, 365, 366, 367, 349, 319, 351, 173, 360, 317, 201]
    assert median_frequency_weights(counts).round(4).tolist() == TODAY


def test_counts_and_weights_match_a_calculation_by_hand():
    counts = count_pixels(Maps([[0, 0, 1], [1, 9, 9]], [[0, 0, 0, 0]], [[2, 9]]))
    assert counts.names == ("Sky", "Road", "Fence")
    assert counts.pixels.tolist() == [6, 2, 1]
    assert counts.image_pixels.tolist() == [10, 6, 2]  # all pixels, including void, of the images with the class
    assert counts.images.tolist() == [2, 1, 1]
    freq = np.array([6 / 10, 2 / 6, 1 / 2])
    weights = median_frequency_weights(counts)
    np.testing.assert_allclose(weights, 0.5 / freq)
    np.testing.assert_allclose(sqrt_median_frequency_weights(counts), np.sqrt(weights))


def test_the_median_of_an_even_number_of_classes_is_the_mean_of_the_middle_two():
    counts = count_pixels(Maps([[0] * 8 + [1] * 4], [[2] * 2 + [3] * 6 + [9] * 12], num_classes=4))
    assert counts.pixels.tolist() == [8, 4, 2, 6]
    assert counts.image_pixels.tolist() == [12, 12, 20, 20]
    # the frequencies 2/3, 1/3, 1/10 and 3/10 have the median (3/10 + 1/3) / 2
    median = 19 / 60
    np.testing.assert_allclose(median_frequency_weights(counts), [median * f for f in (1.5, 3, 10, 10 / 3)])


def test_classes_up_to_254_and_void_at_255_are_counted():
    names = tuple(f"c{k}" for k in range(255))

    class Wide(Maps):
        def __init__(self, *labels):
            super().__init__(*labels)
            self.palette = Palette(names, ((0, 0, 0),) * 255, ignore_label=255)

    counts = count_pixels(Wide([[0, 253, 254, 254, 255]]))
    assert counts.pixels[[0, 252, 253, 254]].tolist() == [1, 0, 1, 2]
    assert counts.pixels.shape == (255,)
    assert counts.pixels.sum() == 4
    assert counts.image_pixels[254] == 5


def test_an_absent_class_gets_weight_zero_and_a_warning():
    counts = count_pixels(Maps([[0, 0, 0, 1]], num_classes=4))
    with pytest.warns(UserWarning, match="Fence"), pytest.warns(UserWarning, match="Car"):
        weights = median_frequency_weights(counts)
    np.testing.assert_allclose(weights, [0.5 / 0.75, 0.5 / 0.25, 0, 0])  # median of the present classes: 0.5


def test_class_weights_reject_data_without_labels():
    with pytest.raises(DataError, match="no pixel is labelled"):
        median_frequency_weights(count_pixels(Maps([[9, 9]])))
