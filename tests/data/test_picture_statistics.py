"""Statistics that tell a picture from the training pictures: by hand, over seeds, and as a checkpoint stores them."""

from dataclasses import asdict

import numpy as np
import pytest

from tinysegnet.data import CAMVID, InMemory, Sample, open_dataset
from tinysegnet.data.picture_statistics import MOST_PICTURES, QUALITIES, TrainingPictures, picture_statistics
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.errors import SettingError


@pytest.fixture(scope="module")
def known():
    return TrainingPictures.of(ToyScenes(60, seed=0, size=(24, 32)))


def colours(grey):
    """A picture with the given grey values in the red, green and blue channel."""
    return np.repeat(np.asarray(grey, np.uint8)[..., None], 3, axis=2)


def test_the_statistics_of_stripes_are_as_computed_by_hand():
    found = picture_statistics(colours(np.tile([0, 200], (8, 4))))
    # Contrast 100; no colour; steps of 200 across (7 of 8 columns, 8 rows) and of 0 down (7 rows, 8 columns).
    rms = np.sqrt(200**2 / 2)
    expected = [np.log(100), 0, np.log(rms / 100), 100 / rms, -1, 0, 1, 1, np.log(200**2 / 0.01)]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_colour_and_direction_have_a_sign():
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[::2, :, 0] = picture[1::2, :, 1] = 255
    picture[:, ::2, 2] = 100
    found = dict(zip(QUALITIES, picture_statistics(picture), strict=True))
    assert found["colourfulness"] == pytest.approx(np.log1p(255))
    assert found["direction of edges"] == pytest.approx(np.log((100 / 3) ** 2 / 0.01))


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (3, 2), (37, 53)])
@pytest.mark.parametrize("value", [0, 255])
def test_every_picture_has_finite_statistics(shape, value):
    assert np.isfinite(picture_statistics(np.full((*shape, 3), value, np.uint8))).all()


def test_the_size_of_a_large_picture_hardly_matters():
    small = ToyScenes(1, seed=3)[0].image
    sizes = [picture_statistics(np.kron(small, np.ones((n, n, 1), np.uint8))) for n in (3, 8)]
    np.testing.assert_allclose(*sizes, atol=0.05)


def test_other_drawn_streets_are_near_and_noise_is_far(known):
    near = [known.deviation(sample.image)[0] for sample in ToyScenes(40, seed=1, size=(24, 32))]
    assert np.mean(np.array(near) > 2) <= 0.05
    assert 0.6 < np.median(near) < 1.4
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    assert known.deviation(noise)[0] > 4


def test_a_grey_copy_differs_in_its_colours(known):
    picture = ToyScenes(1, seed=1, size=(24, 32))[0].image
    deviation, quality = known.deviation(colours(picture.mean(-1)))
    assert deviation > 4
    assert quality == "colourfulness"


def test_the_deviation_of_training_pictures_does_not_depend_on_their_number():
    """The mean square of a new picture's deviation is about 1, with 10 training pictures and with 100."""
    data = InMemory(ToyScenes(120, seed=2, size=(16, 16)))
    for count in (10, 100):
        known = TrainingPictures.of(InMemory(data, limit=count))
        squares = [known.deviation(data[i].image)[0] ** 2 for i in range(100, 120)]
        assert 0.4 < np.mean(squares) < 2


def test_at_most_100_pictures_are_read_spread_over_the_data():
    class Counted:
        name, palette, read = "counted", CAMVID, []

        def __len__(self):
            return 250

        def __getitem__(self, index):
            self.read.append(index)
            return Sample(np.full((4, 4, 3), index, np.uint8), np.zeros((4, 4), np.uint8), "")

    known = TrainingPictures.of(Counted())
    assert known.count == MOST_PICTURES == len(Counted.read)
    assert Counted.read[:3] == [0, 2, 5]


def test_fewer_than_10_pictures_have_no_spread():
    assert TrainingPictures.of(ToyScenes(9, seed=0, size=(16, 16))) is None


def test_saved_statistics_are_equal_after_reading(known):
    assert TrainingPictures.from_dict(asdict(known)) == known


@pytest.mark.parametrize("wrong", [{"mean": [0] * 8}, {"std": [float("nan")] * 9}, {"count": 3}, {"count": "x"},
                                   {"mean": None}, {"std": {}}])  # fmt: skip
def test_malformed_statistics_are_refused(known, wrong):
    with pytest.raises(SettingError, match=r"^(input: \w+|count): "):
        TrainingPictures.from_dict(asdict(known) | wrong)


def test_the_bundled_network_stores_the_statistics_of_its_drawn_streets():
    from tinysegnet.weights import open_checkpoint

    known = open_checkpoint("toy").training_pictures
    again = TrainingPictures.of(open_dataset("toy", "train"))
    np.testing.assert_allclose(known.mean, again.mean)
    np.testing.assert_allclose(known.std, again.std)
