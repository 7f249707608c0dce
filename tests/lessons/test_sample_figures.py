"""Figures of data and mistakes: batches, worst pictures, histograms, confusion matrices and the live plot."""

import sys
from itertools import combinations
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from forms import amount
from matplotlib.text import Text

import tinysegnet as ts
from tinysegnet import viz
from tinysegnet.data import CAMVID, InMemory, Palette, Sample
from tinysegnet.errors import SettingError, ShapeError
from tinysegnet.metrics import Scores
from tinysegnet_lessons import figures
from tinysegnet_lessons.figures.samples import worst

TWO = Palette(("grass", "cow"), ((0, 200, 0), (200, 0, 100)), ignore_label=9)
FORTY = Palette(
    tuple(f"class {i} $a$" for i in range(39)) + ("Rindfleischetikettierungsgesetz" * 4,),
    tuple((i * 6, 255 - i * 6, i * 37 % 256) for i in range(40)),
)


def assert_legible(figure):
    """Check that no text leaves the figure or touches another."""
    figure.canvas.draw()
    W, H = figure.canvas.get_width_height()
    texts = (t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible())
    boxes = [(t.get_text(), t.get_window_extent()) for t in texts]
    for text, box in boxes:
        assert -1 <= box.x0 <= box.x1 <= W + 1, text
        assert -1 <= box.y0 <= box.y1 <= H + 1, text
    for (a, p), (b, q) in combinations(boxes, 2):
        apart = p.x1 <= q.x0 + 0.5 or q.x1 <= p.x0 + 0.5 or p.y1 <= q.y0 + 0.5 or q.y1 <= p.y0 + 0.5
        assert apart, f"{a!r} overlaps {b!r}"


# --- confusion matrix and histogram ------------------------------------------------------------------------


@pytest.mark.parametrize("palette", [TWO, CAMVID, FORTY], ids=lambda palette: str(palette.num_classes))
@pytest.mark.parametrize("theme", amount([viz.DARK], [viz.LIGHT, viz.DARK]))
def test_confusion_is_legible_for_any_number_of_classes(palette, theme):
    K = palette.num_classes
    matrix = np.random.default_rng(0).integers(0, 1000, (K, K))
    matrix[-1] = 0
    figure = viz.confusion_figure(Scores.from_confusion(matrix, palette.names), palette, theme=theme)
    assert_legible(figure)
    assert "absent" in [t.get_text() for t in figure.findobj(Text)]


def test_confusion_rows_are_the_truth_and_sum_to_one():
    scores = Scores.from_confusion(np.array([[9, 1], [30, 70]]), TWO.names)
    axes = viz.confusion_figure(scores, TWO).axes[0]
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.9, 0.1], [0.3, 0.7]])
    cells = {t.get_position(): t.get_text() for t in axes.texts if t.get_text().isdigit()}
    assert cells == {(0, 0): "90", (1, 0): "10", (0, 1): "30", (1, 1): "70"}


@pytest.mark.parametrize("palette", [TWO, CAMVID, FORTY], ids=lambda palette: str(palette.num_classes))
def test_histogram_is_legible_and_exact(palette):
    counts = np.arange(palette.num_classes) * 123_456_789
    figure = figures.class_histogram_figure(counts, palette)
    assert_legible(figure)
    assert [bar.get_width() for bar in figure.axes[0].patches] == sorted(counts, reverse=True)
    unsorted = figures.class_histogram_figure(counts, palette, sort=False, theme=viz.DARK)
    assert [bar.get_width() for bar in unsorted.axes[0].patches] == counts.tolist()
    assert_legible(figures.class_histogram_figure(0 * counts, palette))
    with pytest.raises(ShapeError, match="one number per class"):
        figures.class_histogram_figure(counts[1:], palette)


# --- batches and mistakes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 30, 40), (2, 3, 300), (3, 300, 3)])
def test_show_batch_draws_any_shape(shape):
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, 9], shape).astype(np.uint8)
    figure = figures.show_batch(rng.random((*shape, 3), np.float32) * 255, labels, TWO)
    width, height = figure.get_size_inches() * 100
    assert 480 <= width < 2500
    assert height < 2500
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_show_batch_draws_labels_below_the_pictures():
    images = np.stack([np.zeros((24, 24, 3)), np.full((24, 24, 3), 255.0)])
    labels = np.stack([np.zeros((24, 24), np.uint8), np.ones((24, 24), np.uint8)])
    shown = figures.show_batch(images, labels, TWO).axes[0].images[0].get_array()
    assert shown[200, 200].tolist() == [0, 0, 0]
    assert shown[200, 800].tolist() == [255, 255, 255]
    np.testing.assert_allclose(shown[700, 200], [0, 140, 0], atol=1)
    np.testing.assert_allclose(shown[700, 800], np.array([140, 0, 70]) + 0.3 * 255, atol=1.5)


def test_show_batch_rejects_other_shapes():
    for images, labels in [((2, 4, 4, 3), (2, 4, 5)), ((4, 4, 3), (4, 4)), ((0, 4, 4, 3), (0, 4, 4))]:
        with pytest.raises(ShapeError, match="batch"):
            figures.show_batch(np.zeros(images), np.zeros(labels, np.uint8), TWO)


class Graded:
    """Make pictures with different shares of class 0, and one without labels."""

    palette, name = CAMVID, "graded"

    def __len__(self):
        return 5

    def __getitem__(self, index):
        labels = np.ones((20, 28), np.uint8)
        labels[: 4 * ((index * 3) % 5)] = 0  # 0, 12, 4, 16, 8 rows of 20
        labels[...] = 11 if index == 3 else labels
        return Sample(np.zeros((20, 28, 3), np.uint8), labels, f"number {index}")


def test_show_worst_draws_the_worst_picture_first():
    model = ts.build("tiny", num_classes=11, width=1 / 16)
    classifier = model.layers["classifier"]
    classifier.params["weight"][...] = 0
    classifier.params["bias"][0] = 1  # so that it predicts class 0 everywhere
    assert [name for *_, name in worst(model, Graded(), count=3)] == ["number 0", "number 2", "number 4"]
    assert len(worst(model, Graded(), count=99)) == 4, "a picture without labels has no score"
    net, how = ts.build("tiny", num_classes=11, width=1 / 16), {"size": (20, 28), "mirror": True, "scales": (1.0, 1.5)}
    (*_, predicted, _), *_ = worst(net, Graded(), count=1, **how)
    assert np.array_equal(predicted, ts.predict(net, np.zeros((20, 28, 3), np.uint8), **how))
    seen = []
    figure = figures.show_worst(
        model, InMemory(Graded()), size=(20, 28), count=2, progress=lambda x: seen.append(1) or x
    )
    assert seen == [1]
    assert figure._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(SettingError, match="count: 0"):
        figures.show_worst(model, Graded(), count=0)


# --- live plot ---------------------------------------------------------------------------------------------

HISTORY = [{"epoch": k, "train_loss": 3 / k, "val_mIoU": 0.1 * k} for k in (1, 2, 3)]


def fake_ipython(monkeypatch, shell):
    """Replace IPython with a stand-in that records what is shown and what is updated."""
    shown = []
    handle = SimpleNamespace(update=lambda figure: shown.append(("updated", figure)))
    display = ModuleType("IPython.display")
    display.display = lambda figure, display_id: shown.append(("shown", figure)) or handle
    ipython = ModuleType("IPython")
    ipython.get_ipython, ipython.display = lambda: shell, display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return shown


def test_live_plot_is_redrawn_in_place_in_a_notebook(monkeypatch):
    shown = fake_ipython(monkeypatch, SimpleNamespace(kernel=object()))
    plot = figures.LivePlot({"position prior": 0.2})
    for epochs in range(4):
        plot(HISTORY[:epochs])
    assert [what for what, _ in shown] == ["shown", "updated", "updated"]
    assert shown[-1][1]._repr_png_().startswith(b"\x89PNG")
    assert "position prior 0.200" in [t.get_text() for t in shown[-1][1].findobj(Text)]


@pytest.mark.parametrize("shell", [None, SimpleNamespace()], ids=["script", "terminal"])
def test_live_plot_does_nothing_outside_notebooks(monkeypatch, shell):
    shown = fake_ipython(monkeypatch, shell)
    figures.LivePlot()(HISTORY)
    assert shown == []
    monkeypatch.delitem(sys.modules, "IPython")
    figures.LivePlot()(HISTORY)
