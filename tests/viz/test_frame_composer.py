"""Frames of videos and animations have one size, and only the picture and the shares of the classes change."""

import numpy as np
import pytest
from forms import amount

from tinysegnet.data import CAMVID, Palette
from tinysegnet.data.palette import distinct_colors
from tinysegnet.viz.frame_composer import FrameComposer
from tinysegnet.viz.overlay import overlay


def legend_of(composer, labels):
    picture = np.zeros((*labels.shape, 3), np.uint8)
    return np.asarray(composer.frame(picture, labels), int)[composer.place[0] :]


@pytest.mark.parametrize("place", [(480, 640), (481, 641), (200, 10), *amount([], [(96, 1280), (1080, 1920)])])
@pytest.mark.parametrize("count", [1, 2, 11, 40])
def test_all_classes_are_listed_at_places_that_do_not_depend_on_the_labels(place, count):
    palette = Palette(tuple(f"class {k}" for k in range(count)), distinct_colors(count))
    composer = FrameComposer(palette, place)
    legends = [legend_of(composer, np.full(place, k, np.uint8)) for k in (0, count - 1)]
    frame = composer.frame(np.zeros((*place, 3), np.uint8), np.zeros(place, np.uint8))
    assert frame.width % 2 == frame.height % 2 == 0
    assert frame.width >= max(place[1], 320)
    for color in palette.colors:
        places = [(legend == color).all(axis=-1) for legend in legends]
        assert places[0].any()
        np.testing.assert_array_equal(*places)
    changed = (legends[0] != legends[1]).any(axis=-1)
    assert (changed.sum() > 0) == (count > 1)
    assert changed.mean() < 0.05


def test_the_picture_is_the_overlay():
    rng = np.random.default_rng(0)
    image, labels = rng.integers(0, 256, (240, 320, 3), np.uint8), rng.integers(0, 11, (240, 320), np.uint8)
    frame = np.asarray(FrameComposer(CAMVID, (240, 320)).frame(image, labels))
    np.testing.assert_array_equal(frame[:240], overlay(image, labels, CAMVID))


def test_shares_are_those_of_the_labels():
    """Half of a tiny picture has each class, also if the enlarged overlay cannot be divided evenly."""
    composer = FrameComposer(CAMVID, (33, 320))
    halves = legend_of(composer, np.uint8([[0], [1]]).repeat(10, 1))
    larger = legend_of(composer, np.uint8([[0], [1]]).repeat(100, 0).repeat(970, 1))
    np.testing.assert_array_equal(halves, larger)
    assert (halves != legend_of(composer, np.zeros((2, 10), np.uint8))).any()


def test_very_long_names_do_not_widen_the_frame():
    palette = Palette(("a" * 500, "b"), distinct_colors(2))
    assert (
        FrameComposer(palette, (100, 320)).frame(np.zeros((5, 5, 3), np.uint8), np.zeros((5, 5), np.uint8)).width == 320
    )
