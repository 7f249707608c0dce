"""What notebooks show of a figure: a text for readers who do not see it, and a picture for light and for dark pages."""

from __future__ import annotations

import io
import re
from base64 import b64decode
from functools import cache
from html.parser import HTMLParser

import numpy as np
import pytest
from browser import demand, launched, missing
from forms import amount
from matplotlib.colors import same_color, to_rgb
from matplotlib.patches import FancyArrowPatch
from PIL import Image

import tinysegnet as ts
from tinysegnet import viz
from tinysegnet.data import CAMVID, Palette, Sample
from tinysegnet.metrics import Scores
from tinysegnet.viz.figures import new_figure
from tinysegnet.viz.overlay import class_boundaries, colour_map
from tinysegnet_lessons import figures

TWO = Palette(("grass", "cow"), ((0, 200, 0), (200, 0, 100)), ignore_label=9)
RNG = np.random.default_rng(0)
X = RNG.integers(-4, 5, (4, 5))
IMAGE = RNG.integers(0, 200, (32, 48, 3)).astype(np.uint8)
LABELS = np.arange(48)[None].repeat(32, 0) // 24
STREET = Sample(IMAGE, LABELS, "street 7")


class Streets(list):
    palette = TWO


HISTORY = [{"epoch": e, "train_loss": 2 / e, "val_G": 0.9, "val_C": 0.8, "val_mIoU": 0.7, "learning_rate": 0.1,
            **{f"IoU class {k}": 0.1 * k for k in range(7)}} for e in (1, 2, 3)]  # fmt: skip
SCORES = Scores.from_confusion(np.array([[9, 1], [30, 70]]), TWO.names)
RATES = np.logspace(-4, 0, 9)
TINY = ts.build("tiny", num_classes=2)
DOTS = [figures.RooflineDot("conv 64", 60, 7e10, "convolution", 5e10), figures.RooflineDot("relu", 0.3, 3e9, "memory")]

# name -> a function that draws, and what its text must say
DRAWN = {
    "class_histogram_figure": (
        lambda: figures.class_histogram_figure(np.array([30, 70]), TWO),
        ["cow 70.0 %", "grass"],
    ),
    "overlays_figure": (
        lambda: figures.overlays_figure([(IMAGE, LABELS, LABELS, "street 7")], TWO),
        ["street 7", "100.0 % of pixels correct", "prediction", "errors"],
    ),
    "roofline_figure": (lambda: figures.roofline_figure(DOTS, 8e10, 9e9), ["conv 64 70", "relu 3", "memory 9 GB/s"]),
    "show_array": (lambda: figures.show_array([[1, -2]], "x"), ["x (1 x 2): 1 \N{MINUS SIGN}2"]),
    "show_arrays": (
        lambda: figures.show_arrays([("x", X), "+", ("y", X)], highlight={"y": np.s_[0:2, 3]}),
        ["x (4 x 5)", "+", "y (4 x 5)", "Framed in y: (0, 3) to (1, 3)"],
    ),
    "show_batch": (lambda: figures.show_batch(IMAGE[None], LABELS[None], TWO), ["1 pictures", "grass 50.0 %"]),
    "show_costs": (lambda: figures.show_costs(TINY, (32, 48)), ["Parameters", "million", "encoder4.conv1"]),
    "show_feature_maps": (
        lambda: figures.show_feature_maps(np.stack([X, 2 * X], -1), ["edges", "sky"], title="Maps"),
        ["Maps: 2 of 4 x 5", "edges", "sky"],
    ),
    "show_gallery": (
        lambda: figures.show_gallery([("a dog", IMAGE), ("noise\n3", X)]),
        ["2 small", "a dog", "noise 3"],
    ),
    "show_gradient": (
        lambda: figures.show_gradient(ts.gradcheck.check_op("relu"), "dx"),
        ["Gradient dx", "Refused: 0 of"],
    ),
    "show_heat": (
        lambda: figures.show_heat(np.eye(32, 48), "loss", image=IMAGE),
        ["loss", "32 x 48", "largest 1 at row 0, column 0"],
    ),
    "show_kernel": (lambda: figures.show_kernel(X, [[1, 2]], at=(1, 1)), ["Kernel weight (1 x 2)", "out[1, 1] ="]),
    "show_kernel_sliding": (lambda: figures.show_kernel_sliding(X, [[1, 2]]), ["4 positions", "out[3, 4] ="]),
    "show_labels": (
        lambda: figures.show_labels(np.where(LABELS, 1, 9), TWO, rest="quiet"),
        ["cow 50.0 %", "quiet 50.0 %"],
    ),
    "show_ladder": (
        lambda: figures.show_ladder([("slow", 1.0), ("fast", 0.1)]),
        ["slow 1,000 ms", "fast 100 ms", "10.0 x"],
    ),
    "show_network": (lambda: figures.show_network(TINY, (32, 48)), ["encoder1.conv1 32", "indices", "decoder1.unpool"]),
    "show_paths": (
        lambda: figures.show_paths(lambda a, b: a * a + b * b + 1, {"Adam": [(1, 1), (0, 0.5)]}, x=(-2, 2), y=(-2, 2)),
        ["Adam from (1, 1) to (0, 0.5) in 1 steps"],
    ),
    "show_picture": (lambda: figures.show_picture(Image.fromarray(IMAGE), "A black picture"), ["A black picture"]),
    "show_pixel": (
        lambda: figures.show_pixel(IMAGE, (3, 4), {"logits": np.array([1.5, -2])}, TWO),
        ["pixel (3, 4)", "logits: grass 1.50, cow -2.00"],
    ),
    "show_plot": (
        lambda: figures.show_plot({"Adam": [3, 1, 2]}, title="Loss of a", x="step", y="J", marks={"best": (1, 1)}),
        ["Loss of a: J against step", "Adam from 3 at 0 to 2 at 2, lowest 1 at 1", "best marked at (1, 1)"],
    ),
    "show_pool_arrows": (lambda: figures.show_pool_arrows([[1, 2], [3, 4]]), ["x: 1 2; 3 4", "positions: 3"]),
    "show_receptive_field": (
        lambda: figures.show_receptive_field(IMAGE, TINY, "encoder1.pool", (1, 2)),
        ["encoder1.pool[1, 2]", "32 x 48", "half of its gradient"],
    ),
    "show_sample": (lambda: figures.show_sample(STREET, TWO), ["street 7", "grass 50.0 %"]),
    "show_strip_plot": (lambda: figures.show_strip_plot({"mIoU": {"Unet": [0.5, 0.6]}}), ["mIoU: Unet 0.55"]),
    "show_worst": (lambda: figures.show_worst(TINY, Streets([STREET]), count=1), ["street 7", "pixels correct"]),
    "confusion_figure": (
        lambda: viz.confusion_figure(SCORES, TWO),
        ["grass 90, cow 70", "30 % of cow, predicted as grass"],
    ),
    "curves_figure": (
        lambda: viz.curves_figure(HISTORY, {"prior": 0.2}),
        ["Training loss", "0.667", "mIoU 0.700", "prior 0.200"],
    ),
    "curves_figure, classes": (
        lambda: viz.curves_figure(HISTORY, panels=["classes"]),
        ["Validation IoU", "class 6 0.600"],
    ),
    "per_class_figure": (lambda: viz.per_class_figure(SCORES, TWO), ["cow", "grass", "Mean"]),
    "rate_curve_figure": (
        lambda: viz.rate_curve_figure(RATES, RATES, RATES, 0.01),
        ["from 0.0001 to 1", "suggested: 0.01"],
    ),
}
NOT_DRAWN = {"show_source"}  # text
ONE_PICTURE = {"show_picture"}  # without text and margins, and therefore the same on every page
every_figure = pytest.mark.parametrize("name", DRAWN)


class Tags(HTMLParser):
    """The attributes of all <img> of a page."""

    def __init__(self, text):
        super().__init__()
        self.images = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.images.append(dict(attributes))


def shown(figure):
    """Return the attributes of the one image that a notebook shows."""
    (image,) = Tags(figure._repr_mimebundle_()["text/html"]).images
    return image


@cache
def drawn(name):
    """Return a figure of DRAWN and the attributes of its image."""
    figure = DRAWN[name][0]()
    return figure, shown(figure)


def pixels(address):
    (code,) = re.findall(r"data:image/png;base64,([\w+/=]+)", address)
    return np.asarray(Image.open(io.BytesIO(b64decode(code))).convert("RGB")).astype(int)


def test_every_function_that_draws_is_listed():
    of_lessons = {name for name in figures.__all__ if name.startswith("show_") or name.endswith("_figure")}
    of_library = {name for name in viz.__all__ if name.endswith("_figure") and name != "save_figure"}
    assert {name.partition(",")[0] for name in DRAWN} | NOT_DRAWN == of_lessons | of_library


@every_figure
def test_figures_say_what_they_show(name):
    text = drawn(name)[1]["alt"]
    for word in DRAWN[name][1]:
        assert word in text
    assert "nan" not in text


@every_figure
def test_figures_have_a_picture_for_dark_pages(name):
    image = drawn(name)[1]
    light = pixels(image["src"])
    if name in ONE_PICTURE:
        assert "style" not in image
        return
    dark = pixels(image["style"])
    assert dark.shape == light.shape
    paper = [np.array(to_rgb(theme.paper)) * 255 for theme in (viz.LIGHT, viz.DARK)]
    share = [(np.abs(picture - color).max(-1) < 2).mean() for picture, color in zip((light, dark), paper, strict=True)]
    assert share[1] > 0.6 * share[0] > 0, "the dark picture has as much paper as the light one"
    assert (dark.min(-1) > 250).mean() < 0.03, "the dark picture has white blocks"


@every_figure
def test_a_chosen_dark_theme_is_the_only_one(name):
    dark = drawn(name)[0].dark
    assert (dark is None) == (name in ONE_PICTURE)
    assert dark is None or dark().dark is None


@pytest.mark.parametrize("theme", [viz.LIGHT, viz.DARK])
def test_texts_and_curves_have_contrast(theme):
    for color in (theme.ink, theme.muted, theme.loss, theme.G, theme.C, theme.mIoU):
        assert contrast(color, theme.paper) >= 4.5


def test_no_single_ink_has_contrast_on_white_and_on_jupyters_black():
    """The reason for two pictures: a transparent one would need an ink with 4.5 : 1 on both."""
    assert max(min(contrast((v,) * 3, "#ffffff"), contrast((v,) * 3, "#111111")) for v in np.linspace(0, 1, 256)) < 4.5


def contrast(a, b):
    def luminance(color):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
        return np.dot(linear, (0.2126, 0.7152, 0.0722))

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("text", ['a "quoted" <b> & c', "' onerror='x", "two\nlines"])
def test_any_text_arrives_unchanged(text):
    figure = new_figure(1, 1, viz.LIGHT)
    figure.alt = text
    assert shown(figure)["alt"] == text


PAGES = {  # attributes of <html> and <body>, whether the system is dark, and whether the page is
    "JupyterLab, light": ("", 'data-jp-theme-light="true"', True, False),
    "JupyterLab, dark": ("", 'data-jp-theme-light="false"', False, True),
    "VS Code, dark": ("", 'class="vscode-dark"', False, True),
    "VS Code, light": ("", 'class="vscode-light"', True, False),
    "Colab, dark": ('theme="dark"', "", False, True),
    "furo, dark": ("", 'data-theme="dark"', False, True),
    "furo, light": ("", 'data-theme="light"', True, False),
    "furo, automatic, dark": ("", 'data-theme="auto"', True, True),
    "furo, automatic, light": ("", 'data-theme="auto"', False, False),
    "another page": ("", "", True, False),
}


def test_pages_show_the_picture_of_their_theme(tmp_path):
    demand(missing())
    text = figures.show_plot({"a": [1, 2]})._repr_mimebundle_()["text/html"]
    found, expected = {}, {}
    with launched() as browser:
        for name, (html, body, system, dark) in PAGES.items():
            path = tmp_path / "page.html"
            path.write_text(f"<!doctype html><html {html}><body {body} style='margin:0'>{text}")
            page = browser.new_page(color_scheme="dark" if system else "light")
            page.goto(path.as_uri())
            page.wait_for_timeout(100)
            for medium in ("screen", "print"):
                page.emulate_media(media=medium)
                picture = Image.open(io.BytesIO(page.locator("img").screenshot())).convert("RGB")
                found[name, medium] = "#{:02x}{:02x}{:02x}".format(*picture.getpixel((5, 5)))
                expected[name, medium] = (viz.DARK if dark and medium == "screen" else viz.LIGHT).paper
            page.close()
    assert found == expected


# --- colours, dashes and axes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", [viz.LIGHT, viz.DARK])
def test_channels_of_bytes_have_their_own_colours(theme):
    channel = np.array([[0, 100], [200, 255]], np.uint8)
    panels = [(name, channel) for name in ("red", "green", "blue")]
    figure = figures.show_arrays([*panels, ("class", np.array([[0, 3]]))], theme=theme)
    cells = {patch.get_gid(): patch.get_facecolor() for patch in figure.axes[0].patches}
    for own, (name, _) in enumerate(panels):
        colors = np.array([cells[f"{name}[{i}, {j}]"][:3] for i, j in np.ndindex(2, 2)])
        assert (np.delete(colors, own, 1) == 0).all(), "only its own light"
        assert (np.diff(colors[:, own]) > 0).all(), "brighter for larger numbers"
    assert not same_color(cells["class[0, 1]"], cells["class[0, 0]"]), "classes have their own scale"


def test_other_numbers_called_red_stay_signed():
    cells = figures.show_arrays([("red", [[-3, 3]])]).axes[0].patches
    low, high = (cell.get_facecolor() for cell in cells)
    assert low[2] > low[0]
    assert high[0] > high[2]


@pytest.mark.parametrize("count", amount([2, 5, 9, 16], range(1, 17)))
def test_curves_are_told_apart_by_dashes_on_the_axes_and_at_the_names(count):
    figure = figures.show_plot({f"c{k}": np.arange(9) * (k + 1) for k in range(count)}, size=(8.5, 5))
    lines = figure.axes[0].get_lines()
    assert_told_apart(lines[:count], samples(figure.axes[0]))


@pytest.mark.parametrize("count", amount([5, 12], range(5, 17)))
def test_classes_are_told_apart_by_dashes(count):
    rows = [{"epoch": e, **{f"IoU {k}": 0.05 * k for k in range(count)}} for e in (1, 2)]
    axes = viz.curves_figure(rows, panels=["classes"]).axes[0]
    assert_told_apart(axes.get_lines()[:count], samples(axes))


def samples(axes):
    return [line for line in axes.get_lines() if line.get_gid() == "sample"]


def assert_told_apart(curves, shown_at_names):
    def styles(lines):  # the dashes in units of the line's width
        return [(to_rgb(line.get_color()), repr(line._unscaled_dash_pattern)) for line in lines]

    assert len(set(styles(curves))) == len(curves)
    assert sorted(styles(curves)) == sorted(styles(shown_at_names))


@pytest.mark.parametrize("decades", amount([(-4, 5), (-2, 1), (0, 1), (-12, 0), (2, 9)],
                                           [(a, b) for a in range(-12, 6) for b in range(a + 1, 10)]))  # fmt: skip
@pytest.mark.parametrize("axis", ["x", "y"])
def test_logarithmic_axes_have_plain_numbers_where_these_are_short(axis, decades):
    values = np.logspace(*decades, 30)
    figure = figures.show_plot({"a": (values, values)}, log=True, size=(9, 6))
    figure.canvas.draw()
    on = getattr(figure.axes[0], f"{axis}axis")
    low, high = on.get_view_interval() * np.array([1 - 1e-9, 1 + 1e-9])  # a tick may lie at the end, but for rounding
    ticks = [tick for tick in on.get_major_ticks() if low <= tick.get_loc() <= high and tick.label1.get_text()]
    assert ticks
    for tick in ticks:
        text = tick.label1.get_text()
        if decades[0] >= -4 and decades[1] <= 5:
            assert float(text.replace(",", "")) == pytest.approx(tick.get_loc())
            assert "e" not in text
        else:
            assert "10^{" in text


# --- label maps -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(amount(3, 30)))
def test_areas_have_outlines_and_names_inside_them(seed):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 11, (3, 4))
    coarse[0, :2] = 4  # is called Pavement, and is large
    labels = coarse.repeat(40, 0).repeat(80, 1)
    drawn = np.asarray(viz.panels.named_map(labels, CAMVID)).astype(int)
    changed = (drawn != colour_map(labels, CAMVID)).any(-1)
    edges = class_boundaries(labels)
    assert (changed | (colour_map(labels, CAMVID).max(-1) == 0))[edges].all()
    written = changed & ~edges
    assert written[labels == 4].any()
    for k in range(11):
        inside = np.pad(labels == k, 1)[1:-1, 1:-1]
        rows, columns = np.nonzero(written & inside)
        if len(rows):
            box = labels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            assert (box == k).all(), "a name leaves its area"


def test_small_areas_have_no_name():
    labels = np.zeros((60, 90), int)
    labels[20:28, 20:50] = 1
    drawn = np.asarray(viz.panels.named_map(labels, TWO))
    assert (drawn[21:27, 21:49] == TWO.colors[1]).all()


def test_colours_of_classes_are_the_palettes_on_light_and_dark_pages():
    for figure in (figures.show_labels(LABELS, TWO), figures.show_labels(LABELS, TWO, theme=viz.DARK)):
        (image,) = figure.axes[0].images
        for color in TWO.colors:
            assert (np.asarray(image.get_array()) == color).all(-1).mean() > 0.1


# --- nothing is crossed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("kernel", "stride"), [((3, 3), 1), ((2, 3), 1), ((3, 1), 2)])
def test_zoom_lines_cross_no_number(kernel, stride, padding):
    figure = figures.show_kernel(X, np.ones(kernel), stride=stride, padding=padding)
    outputs = {patch.get_gid() for patch in figure.axes[0].patches if re.match(r"out\[", patch.get_gid() or "")}
    for name in sorted(outputs)[:: amount(3, 1)]:
        at = tuple(map(int, re.findall(r"\d+", name)))
        axes = figures.show_kernel(X, np.ones(kernel), at=at, stride=stride, padding=padding).axes[0]
        corners = [patch.get_xy() for patch in axes.patches if re.search(r"\[\d", patch.get_gid() or "")
                   and hasattr(patch, "get_xy") and "frame" not in patch.get_gid()]  # fmt: skip
        zooms = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch) and patch.get_gid() == "zoom"]
        assert len(zooms) == 2
        for zoom in zooms:
            points = zoom._path_original.interpolated(50).vertices
            for corner in np.array([xy for xy in corners if len(np.shape(xy)) == 1]):
                assert not np.all((points > corner + 0.12) & (points < corner + 0.88), axis=1).any(), (name, corner)


@pytest.mark.parametrize("product", [2e10, 8e10, 5e11])
@pytest.mark.parametrize("copy", [3e9, 9e9, 4e10])
def test_names_of_roofs_lie_on_no_line(product, copy):
    figure = figures.roofline_figure(DOTS, product, copy)
    figure.canvas.draw()
    axes = figure.axes[0]
    lines = [line for line in axes.get_lines() if same_color(line.get_color(), viz.LIGHT.muted)]
    roofs = [line.get_transform().transform(line.get_xydata()) for line in lines if len(line.get_xdata()) == 2]
    assert len(roofs) == 3
    for text in (text for text in axes.texts if re.match("products|Winograd", text.get_text())):
        box = text.get_window_extent()
        for start, end in roofs:
            points = start + np.linspace(0, 1, 2000)[:, None] * (end - start)
            inside = (points > (box.x0, box.y0)) & (points < (box.x1, box.y1))
            assert not inside.all(1).any(), text.get_text()
