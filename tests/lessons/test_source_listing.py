"""show_source prints the file's own text."""

import sys

import pytest

from tinysegnet import ops, viz
from tinysegnet.errors import SettingError
from tinysegnet.ops import conv
from tinysegnet_lessons import figures
from tinysegnet_lessons.figures import source_listing


def test_listing_is_the_files_own_text():
    shown = figures.show_source(conv.conv2d_forward_numpy)
    text = str(shown)
    assert text.startswith(f"# tinysegnet/ops/conv.py, line {shown.line}\ndef conv2d_forward_numpy(x, weight")
    assert '\n    """' in text, "the docstring belongs to the source"
    lines = (source_listing._PACKAGE / "ops" / "conv.py").read_text().splitlines()
    assert lines[shown.line - 1].startswith("def conv2d_forward_numpy(")
    assert shown.text.splitlines() == lines[shown.line - 1 :][: len(shown.text.splitlines())]


def test_listing_of_a_kernel_is_its_python_function():
    shown = figures.show_source(conv._rotate_kernel)
    assert "def _rotate_kernel(weight, rotated):" in shown.text
    assert shown.compiled == hasattr(conv._rotate_kernel, "py_func")
    assert ("(compiled by numba)" in shown.head) == shown.compiled


def test_listing_of_a_method_starts_at_the_margin():
    assert str(figures.show_source(figures.LivePlot.__init__)).splitlines()[1].startswith("def __init__(")


def test_listing_names_the_file_of_classes_and_public_functions():
    assert figures.show_source(viz.Theme).file == "tinysegnet/viz/themes.py"
    assert figures.show_source(ops.conv2d_forward).file == "tinysegnet/ops/conv.py"


def test_listing_names_the_notebook_of_the_learners_functions():
    assert figures.show_source(test_listing_names_the_file_of_classes_and_public_functions).file == "this notebook"


def test_listing_html_is_coloured_and_escaped():
    page = figures.show_source(conv.conv2d_backward_numpy)._repr_html_()
    assert "tinysegnet/ops/conv.py, line" in page
    assert "background:#f8f8f8;color:#1d1d22" in page
    assert "<script" not in page


def test_listing_html_works_without_pygments(monkeypatch):
    monkeypatch.setitem(sys.modules, "pygments", None)
    page = figures.show_source(conv.conv2d_backward_numpy)._repr_html_()
    assert "dx_shifted += dout @ w^T" in page
    assert "function: Any) -&gt; SourceListing:" in figures.show_source(source_listing.show_source)._repr_html_()


@pytest.mark.parametrize("thing", [3, len, "conv2d"])
def test_show_source_rejects_objects_without_source(thing):
    with pytest.raises(SettingError, match="source"):
        figures.show_source(thing)
