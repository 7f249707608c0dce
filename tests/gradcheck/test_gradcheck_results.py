"""Tests of the results of gradient checks: text, HTML for notebooks, and figures."""

from __future__ import annotations

import numpy as np
import pytest
from forms import amount

import tinysegnet as ts
from tinysegnet import viz
from tinysegnet.errors import ShapeError
from tinysegnet.gradcheck import Report, check, check_all, check_op, find_ops, run, suite, table
from tinysegnet_lessons import figures
from tinysegnet_lessons.bugs import bugs


@pytest.fixture(scope="module")
def wrong() -> Report:
    """The report of a linear layer whose dweight is divided by the number of samples, 4."""
    rng = np.random.default_rng(0)
    arrays = rng.standard_normal((4, 3)), rng.standard_normal((3, 3)), rng.standard_normal(3)
    return check(lambda x, weight, bias: (x @ weight + bias, (x, weight)),
                 lambda d, c: (d @ c[1].T, c[0].T @ d / 4, d.sum(0)), *arrays)  # fmt: skip


def test_report_has_the_verdict_and_the_hint_of_each_gradient(wrong):
    assert (wrong.ok, wrong.verdict, wrong.tensors[1].count("wrong")) == (False, "bug", 9)
    assert "N = 4" in wrong.tensors[1].hint


def test_html_report_escapes_its_title(wrong):
    wrong.title, before = "<lambda>", wrong.title
    assert "&lt;lambda&gt;" in wrong._repr_html_()
    wrong.title = before


@pytest.mark.long
def test_html_report_shows_failed_gradients_and_folds_the_cases():
    text = check_op("conv2d", backward=bugs["dweight_axes_swapped"].backward)._repr_html_()
    shown, folded = text.split("<details>")
    assert "FAIL</b> dweight" in shown
    assert "ok</b> dx" in shown
    assert "transposed over axes (0, 1)" in shown
    assert "1x1 kernel" in folded
    assert (
        "contract violation: backward writes to dout" in check_op("relu", pair=bugs["dout_written"].pair)._repr_html_()
    )
    assert "FAIL" not in check_op("relu")._repr_html_()


def test_check_op_accepts_a_backward_alone():
    assert check_op("relu", backward=lambda dout, cache: dout * (cache.out > 0)).ok
    assert not check_op("relu", backward=lambda dout, cache: dout).ok


def test_run_returns_a_table_and_the_verdict():
    text, ok = run(["relu", "dropout"])
    assert ok
    assert text.count("\n") == 2 * len(ts.gradcheck.find_variants("relu"))
    assert "relu [numpy]" in text
    assert "relu [numba]" in text
    with pytest.raises(ShapeError, match=r"'rleu'.* batchnorm2d.* Did you mean 'relu'"):
        run(["rleu"])
    with pytest.raises(ShapeError, match=r"relu .*'cuda'.* numpy, numba"):
        check_op("relu", "cuda")


def test_check_all_runs_every_op_of_a_variant(monkeypatch):
    monkeypatch.setattr(suite, "check_op", lambda op, variant, **settings: Report(f"{op} [{variant}]"))
    reports = check_all("numpy")
    assert [r.title for r in reports] == [f"{op} [numpy]" for op in find_ops()]
    assert "FAIL" not in table(reports)


@pytest.mark.parametrize("theme", [viz.LIGHT, viz.DARK])
def test_gradient_figure_shows_backward_differences_and_error(wrong, theme):
    figure = figures.show_gradient(wrong, "dweight", theme=theme)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:2] == ["backward says dweight", "differences say"]
    assert "9 of 9" in titles[2]
    assert figure._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(KeyError, match=r"gamma.*bias, weight, x"):
        figures.show_gradient(wrong, "gamma")


SHOWN = ["dweight_axes_swapped", "relu_sign_of_dout", "loss_not_divided", "dx_kernel_flipped"]


@pytest.mark.parametrize("name", amount(SHOWN[:2], SHOWN))
def test_gradient_figure_contains_every_entry_once(name):
    report = check_op(bugs[name].op, pair=bugs[name].pair)
    for tensor in {t.name for t in report.all_tensors() if not t.ok}:
        sheet = np.asarray(figures.show_gradient(report, tensor).axes[1].images[0].get_array().filled(np.nan))
        entries = np.sort(sheet[~np.isnan(sheet)])
        assert any(np.array_equal(entries, np.sort(t.numeric.ravel())) for t in report.all_tensors() if not t.ok)
