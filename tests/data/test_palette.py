"""People with any colour vision can tell safe colours apart, and no class has the red that marks errors.

Colour blindness is simulated as in Machado, Oliveira & Fernandes, "A Physiologically-based Model for Simulation of
Color Vision Deficiency", 2009, with the matrices for severity 1.0, which are applied to linear RGB. Distances are
Euclidean in CIELAB (CIE76); a distance of about 2 is just noticeable.
"""

import zlib

import numpy as np
import pytest

from tinysegnet.data.palette import CAMVID, ERROR_RED, SAFE_COLORS, Palette, distinct_colors

VISION = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def lab(colors, vision="normal"):
    """Convert (N, 3) sRGB colours in 0..255 to CIELAB as seen with this colour vision."""
    srgb = np.array(colors, float) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(VISION[vision]), 0, 1)
    xyz = seen @ XYZ.T / XYZ.sum(1)  # relative to white
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


def closest(colors, others=None):
    """Return the smallest distance between two of the colours, or to the others, for the worst colour vision."""
    smallest = []
    for vision in VISION:
        a, b = lab(colors, vision), lab(colors if others is None else others, vision)
        distances = np.linalg.norm(a[:, None] - b, axis=-1)
        smallest.append((distances if others is not None else distances[np.triu_indices(len(a), 1)]).min())
    return min(smallest)


def test_the_conversion_gives_known_lab_values():
    np.testing.assert_allclose(lab([(255, 255, 255), (255, 0, 0)]), [[100, 0, 0], [53.24, 80.09, 67.20]], atol=0.02)
    grey = [(90, 90, 90)]
    for vision in VISION:  # simulated colour blindness keeps greys
        np.testing.assert_allclose(lab(grey, vision), lab(grey), atol=0.1)


def test_safe_colours_are_distinct_for_everybody():
    assert len(SAFE_COLORS) == 20
    assert closest(SAFE_COLORS) > 18
    assert closest(SAFE_COLORS[:11]) > 29
    assert closest(CAMVID.colors) < 7  # CamVid's own colours
    for pair in (("Building", "Pedestrian"), ("Sky", "SignSymbol")):
        own = [CAMVID.colors[CAMVID.names.index(name)] for name in pair]
        safe = [CAMVID.with_colors("safe").colors[CAMVID.names.index(name)] for name in pair]
        assert closest(own) < 15 < 29 < closest(safe)


def test_safe_colours_differ_from_red_and_black():
    assert closest(SAFE_COLORS, [ERROR_RED, (0, 0, 0)]) > 12
    assert np.linalg.norm(lab(SAFE_COLORS) - lab([ERROR_RED]), axis=1).min() > 30


def test_safe_colours_suit_camvid():
    colors = dict(zip(CAMVID.names, CAMVID.with_colors("safe").colors, strict=True))
    assert np.argmax(colors["Sky"]) == 2
    assert np.argmax(colors["Tree"]) == 1


@pytest.mark.parametrize("count", [1, 2, 11, 20, 21, 255])
def test_a_safe_palette_has_any_number_of_distinct_colours(count):
    palette = Palette(tuple(map(str, range(count))), distinct_colors(count), 255 if count < 255 else None)
    safe = palette.with_colors("safe")
    assert (safe.names, safe.ignore_label) == (palette.names, palette.ignore_label)
    assert len({*safe.colors, safe.ignore_color}) == count + 1
    assert safe.colors[:20] == SAFE_COLORS[:count]
    assert palette.with_colors("own") is palette
    assert safe.ignore_color == palette.ignore_color == (0, 0, 0)


@pytest.mark.parametrize(("colors", "crc"), [
    (CAMVID.colors, 3918894513), (SAFE_COLORS, 3538173983), (distinct_colors(255), 1013016850),
    (distinct_colors(9, taken=distinct_colors(5)), 613321928),
])  # fmt: skip
def test_colours_never_change(colors, crc):
    """Label maps in colours, and pictures in reports and lessons, belong to these colours."""
    assert zlib.crc32(np.array(colors, np.uint8).tobytes()) == crc


def test_distinct_colours_avoid_the_red_of_errors_and_keep_the_others():
    colors = distinct_colors(255)
    assert np.linalg.norm(lab(colors) - lab([ERROR_RED]), axis=1).min() > 25
    assert colors[0] == (61, 242, 242)  # instead of (242, 61, 61)
    assert colors[1:5] == ((45, 84, 178), (88, 128, 32), (242, 133, 229), (98, 178, 165))
