"""The short form of these tests runs the NumPy variants of the ops, because it makes no claim about speed."""

import pytest
from backends import defined_ops, numpy_in_the_short_form  # noqa: F401
from browser import launched
from live_pages import HTML_NAMES, toy

import tinysegnet as ts
from tinysegnet.export.network_page import build_live_page
from tinysegnet.weights.checkpoint import Checkpoint


@pytest.fixture(scope="module")
def browser():
    """A headless chromium with a fake camera, or a skipped test."""
    with launched("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream") as running:
        yield running


@pytest.fixture(scope="package")
def toy_page(tmp_path_factory):
    path = tmp_path_factory.mktemp("live") / "toy.html"
    path.write_text(build_live_page(toy()), encoding="utf-8")
    return path


@pytest.fixture(scope="package")
def plain_page(tmp_path_factory):
    """The page of an untrained network of two classes, which has no sample and no size."""
    path = tmp_path_factory.mktemp("live") / "plain.html"
    palette = ts.data.Palette(HTML_NAMES, ((200, 40, 40), (40, 40, 200)))
    path.write_text(build_live_page(Checkpoint(ts.build("tiny", 2, width=1 / 8), palette)), encoding="utf-8")
    return path
