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
from matplotlib.colors import to_rgb
from PIL import Image

import tinysegnet as ts
from tinysegnet import viz
from tinysegnet.data import Palette, Sample
from tinysegnet.metrics import Scores
from tinysegnet.viz.figures import new_figure
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
    "show_sum_tree": (
        lambda: figures.show_sum_tree(3, [1, 2]),
        ["over 3 pictures", "1 rank: 0 dashed lines", "2 ranks: 2 dashed lines"],
    ),
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
every_figure = pytest.mark.parametrize("name", list(DRAWN)[:: amount(3, 1)])


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


@pytest.mark.long
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
