"""Imported masks agree with those of pycocotools and of labelme's own converter."""

import numpy as np
import pytest
from import_samples import SHAPES, H, W
from labelme_converter import shape_to_mask
from scipy.ndimage import binary_dilation

from tinysegnet.data.importing.coco import decode_runs, fill_polygon
from tinysegnet.data.importing.labelme import _draw


@pytest.fixture
def coco_mask():
    return pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed (make oracle installs it)")


@pytest.fixture
def labelme_mask():
    if (converter := shape_to_mask()) is None:
        pytest.skip("labelme is not installed (make oracle installs it); the stored masks are compared in tests/data")
    return converter


def random_polygon(rng, height, width):
    """Return corners around a centre or, in a third of the cases, anywhere, so that edges cross."""
    count = rng.integers(3, 16)
    if rng.random() < 1 / 3:
        return rng.uniform(0, [width, height], (count, 2))
    angle, radius = np.sort(rng.uniform(0, 2 * np.pi, count)), rng.uniform(2, 0.5 * max(height, width), count)
    corners = rng.uniform(0, [width, height]) + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return corners.clip(0, [width, height])


def near_outline(points, height, width):
    """Return the pixels within one pixel of the outline, from points on it that are 0.05 pixels apart."""
    near = np.zeros((height, width), bool)
    for start, end in zip(points, np.roll(points, -1, axis=0), strict=True):
        steps = np.linspace(0, 1, int(20 * np.abs(end - start).max()) + 2)[:, None]
        x, y = np.floor(start + steps * (end - start)).astype(int).T
        near[y.clip(0, height - 1), x.clip(0, width - 1)] = True
    return binary_dilation(near)


def test_coco_polygons_differ_from_pycocotools_only_at_their_outlines(coco_mask):
    """0.6 % of the pixels inside differ. If Pillow drew the polygons, 6 % would differ."""
    rng = np.random.default_rng(0)
    different = inside = 0
    for _ in range(200):
        height, width = (int(n) for n in rng.integers(20, 300, 2))
        points = random_polygon(rng, height, width)
        runs = coco_mask.frPyObjects([points.ravel().tolist()], height, width)
        theirs, ours = coco_mask.decode(runs)[..., 0] > 0, np.zeros((height, width), bool)
        fill_polygon(ours, points)
        assert not (theirs != ours)[~near_outline(points, height, width)].any()
        different += np.count_nonzero(theirs != ours)
        inside += np.count_nonzero(theirs)
    assert different < 0.007 * inside


def test_coco_polygons_on_whole_pixels_are_equal(coco_mask):
    rng = np.random.default_rng(1)
    for _ in range(50):
        left, top, right, bottom = (rng.integers(0, 10, 4) + [0, 0, 10, 10]).tolist()
        polygon = [left, top, right, top, right, bottom, left, bottom]
        ours = np.zeros((H, W), bool)
        fill_polygon(ours, np.reshape(polygon, (4, 2)).astype(float))
        np.testing.assert_array_equal(ours, coco_mask.decode(coco_mask.frPyObjects([polygon], H, W))[..., 0])


def test_run_lengths_decode_as_in_pycocotools(coco_mask):
    rng = np.random.default_rng(2)
    for share in (0, 0.001, 0.3, 0.5, 1):
        for height, width in rng.integers(1, 200, (20, 2)).tolist():
            mask = binary_dilation(rng.random((height, width)) < share, iterations=int(rng.integers(1, 4)))
            runs = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
            np.testing.assert_array_equal(decode_runs(runs["counts"].decode(), height, width), mask)
            edges = np.flatnonzero(np.diff(mask.T.ravel(), prepend=False, append=not mask[-1, -1]))
            lengths = np.diff(edges, prepend=0).tolist()
            theirs = coco_mask.frPyObjects({"size": [height, width], "counts": lengths}, height, width)
            np.testing.assert_array_equal(decode_runs(lengths, height, width), coco_mask.decode(theirs))


def test_labelme_shapes_are_drawn_as_by_its_converter(labelme_mask):
    rng = np.random.default_rng(3)
    shapes = list(SHAPES.values())
    for kind, count in (("polygon", 3), ("polygon", 7), ("rectangle", 2), ("circle", 2), ("oriented_rectangle", 4)):
        shapes += [(kind, rng.uniform([-5, -5], [W + 5, H + 5], (count, 2)).tolist()) for _ in range(100)]
    for kind, points in shapes:
        np.testing.assert_array_equal(_draw(kind, np.array(points), H, W), labelme_mask((H, W), points, kind))
