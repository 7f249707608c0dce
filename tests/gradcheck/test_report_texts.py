"""Every field of a result and of the printed table, for reports whose probes are given."""

import itertools

import numpy as np
import pytest

from tinysegnet.gradcheck import Report, TensorReport, table
from tinysegnet.gradcheck.differences import Probe


def probe(where=(0,), analytic=1.0, numeric=1.0, allowed=0.5, **fields):
    return Probe(where, analytic, numeric, allowed, 1e-5, **fields)


def tensor(name, *probes, shape=(2, 3), taylor=2.0, hint=None):
    return TensorReport(name, np.zeros(shape), np.zeros(shape), list(probes), taylor, hint)


OK = probe((0, 0), 1.25, 1.0)  # half of the allowed error
NEAR = probe((0, 1), 1.0, 1.0, shrunk=True, kind="kink", ratio=1.0)
WRONG = probe((1, 2), -3.0, 1.0, status="wrong")  # 8 times the allowed error
WORSE = probe("direction 1", 9.0, 1.0, status="wrong", kind="smooth", ratio=0.5)  # 16 times
CROSSED = probe((1, 0), 90.0, 1.0, status="crossed", kind="kink", ratio=1.0, shrunk=True)
JUMPED = probe((1, 1), 90.0, 1.0, status="crossed", kind="jump", ratio=2.0, shrunk=True)


def test_a_tensor_counts_its_probes_and_finds_the_worst():
    found = tensor("x", OK, NEAR, WRONG, WORSE, CROSSED)
    assert [found.count(status) for status in ("ok", "wrong", "crossed")] == [2, 2, 1]
    assert found.worst is WORSE
    assert found.excess == 16
    assert not found.ok
    assert tensor("x", CROSSED, OK, NEAR).worst is OK
    assert tensor("x", CROSSED).excess == 0
    assert tensor("x", CROSSED, probe(analytic=1.0, status="wrong"), OK).worst.status == "wrong"
    assert tensor("x", OK, probe(analytic=np.nan, status="wrong")).excess == np.inf


@pytest.mark.parametrize(("crossed", "of", "ok"), [(1, 50, True), (1, 49, False), (2, 100, True), (3, 149, False)])
def test_two_percent_of_the_probes_may_be_at_a_kink(crossed, of, ok):
    found = tensor("x", *[CROSSED] * crossed, *[OK] * (of - crossed))
    assert (found.ok, found.too_many_crossed) == (ok, not ok)


def test_the_printed_report_has_a_row_per_tensor_and_the_details_of_failed_ones():
    report = Report("linear", [
        tensor("x", OK, OK),
        tensor("weight", OK, WRONG, shape=(3, 3, 4, 10), taylor=1.0, hint="turn it"),
        tensor("bias", CROSSED, JUMPED, JUMPED, OK, shape=(5,), taylor=None),
        tensor("scale", probe((), 2e-4 + 1, allowed=1.0), NEAR, shape=(), taylor=np.nan),
        tensor("many", probe("direction 0", allowed=1e-9, analytic=1 + 1e-5), *[OK] * 60, CROSSED),
    ], ["it writes"], reproduce="seed=0", refused=3)  # fmt: skip
    assert str(report).splitlines() == [
        "FAIL linear   (3 cases not supported)",
        "     FAIL it writes",
        "          tensor shape        entries          error/allowed   Taylor   crossed",
        "     ok   x      2x3          2 of 6                   0.500     2.00   0",
        "     FAIL weight 3x3x4x10     1 of 2 wrong             8.000     1.00   0",
        "            worst  weight[1, 2]   analytic -3.0000e+00   numeric +1.0000e+00   error 4.0e+00   "
        "allowed 5.0e-01",
        "            kink?  no (one-sided slopes agree)      Taylor slope 1.00 (2.00 expected)",
        "            hint   turn it",
        "     KINK bias   5            4 of 5                   0.500   linear   3 (jump, kink)",
        "            worst  bias[1, 0]   analytic +9.0000e+01   numeric +1.0000e+00   error 8.9e+01   "
        "allowed 5.0e-01",
        "            kink?  yes, a kink (one-sided slopes differ, with ratio 1.00)"
        "      Taylor slope linear (2.00 expected)",
        "            hint   3 of 4 entries are at a kink or jump, where no slope exists. Choose arguments away from "
        "ties and zeros",
        "     ok   scale  number       2 of 1                 2.0e-04        -   0, 1 judged with a smaller step",
        "     ok   many   2x3          62 of 6                1.0e+04     2.00   1 (kink)",
        "     reproduce   seed=0",
    ]  # fmt: skip
    assert repr(report) == str(report)


def test_parts_are_printed_below_their_report():
    report = Report("op", parts=[Report("first case", [tensor("x", OK)], reproduce="again"), Report("second case")])
    lines = str(report).splitlines()
    assert lines[0] == "ok   op"
    assert lines[1] == "  ok   first case"
    assert lines[3].startswith("       ok   x ")
    assert lines[4:] == ["  ok   second case"]


@pytest.mark.parametrize(("worst", "answer"), [
    (WRONG, "kink?  no (one-sided slopes agree)"),
    (WORSE, "kink?  no (one-sided slopes agree as the step shrinks, with ratio 0.50)"),
    (probe(status="wrong", kind="kink"), "kink?  yes, a kink (a branch changes within the step)"),
    (JUMPED, "kink?  yes, a jump (one-sided slopes differ, with ratio 2.00)"),
])  # fmt: skip
def test_details_answer_whether_the_worst_probe_is_at_a_kink(worst, answer):
    assert tensor("x", worst).details()[1].startswith(answer)


def test_details_locate_an_entry_and_a_direction():
    assert tensor("w", WRONG).details()[0].startswith("worst  w[1, 2]   analytic")
    assert tensor("w", WORSE, WRONG).details()[0].startswith("worst  w along direction 1   analytic")
    assert tensor("w", OK, JUMPED, CROSSED).details()[0].startswith("worst  w[1, 1]   ")
    assert len(tensor("w", WRONG).details()) == 2


@pytest.mark.parametrize(("ratio", "text"), [(4e-4, "4.0e-04"), (5e-4, "0.001"), (0.0, "0.0e+00"), (999.0, "999.000"),
                                             (1e3, "1.0e+03"), (np.inf, "inf")])  # fmt: skip
def test_very_small_and_large_ratios_are_printed_with_an_exponent(ratio, text):
    shown = tensor("x", probe(analytic=ratio, numeric=0.0, allowed=1.0))
    assert f" {text}   " in shown.line(6)
    assert f" {text}  " in table([Report("r", [shown])])


def test_the_table_has_one_row_per_report():
    passed = Report("conv2d", [tensor("x", OK, NEAR), tensor("w", OK, taylor=1.97)])
    failed = Report("relu", parts=[Report("a", [tensor("x", WRONG, taylor=None)]), Report("b", [tensor("x", CROSSED)])])
    assert table([passed, failed]).splitlines() == [
        "check   cases  entries  error/allowed  Taylor  crossed  verdict",
        "conv2d      1        3          0.500    1.97        0  ok",
        "relu        2        2          8.000    2.00        1  bug",
    ]
    assert table([Report("r")]).splitlines()[1] == "r          1        0        0.0e+00  linear        0  ok"


def test_a_nan_is_the_worst_in_any_order():
    lost = probe((0, 2), np.nan, status="wrong")
    for probes in itertools.permutations([OK, WORSE, lost]):
        found = tensor("x", *probes)
        assert found.worst is lost
        assert (found.excess, found.ok) == (np.inf, False)
    tensors = [
        tensor("x", OK, taylor=1.9),
        tensor("x", lost, taylor=np.nan),
        tensor("x", WORSE),
        tensor("x", taylor=None),
    ]
    for order in itertools.permutations(tensors):
        for report in (Report("r", list(order)), Report("r", [order[0]], parts=[Report("p", list(order[1:]))])):
            assert np.isnan(report.taylor)
            assert report.worst_ratio == np.inf


def test_totals_are_over_all_tensors_and_parts():
    inner = Report("inner", [tensor("x", WRONG, CROSSED, taylor=None)], ["second"])
    report = Report("outer", [tensor("w", OK, WORSE, taylor=1.5)], ["first", "twice"],
                    [inner, Report("p", [tensor("x", JUMPED, taylor=2.6)], ["twice"])])  # fmt: skip
    assert [t.name for t in report.all_tensors()] == ["w", "x", "x"]
    assert (report.checked, report.wrong, report.crossed, report.worst_ratio) == (5, 2, 2, 16)
    assert report.all_problems() == ["first", "twice", "second"]
    assert report.taylor == 2.6
    assert Report("r", [tensor("x", OK, taylor=None)]).taylor is None
    assert Report("r").worst_ratio == 0
    assert report.case_of(inner.tensors[0]) == "inner"
    assert report.case_of(report.tensors[0]) == ""
    assert report.tensor("x") is inner.tensors[0]
    both = Report("r", parts=[Report("a", [tensor("x", OK)]), Report("b", [failing := tensor("x", WRONG)])])
    assert both.tensor("x") is failing
    with pytest.raises(KeyError, match="no tensor 'y'; it has w, x"):
        report.tensor("y")


def test_the_verdict_names_the_gravest_failure():
    good, bug, kink = tensor("x", OK), tensor("x", WRONG), tensor("x", CROSSED)
    assert [Report("r", [good], []).verdict, Report("r", [bug], ["p"]).verdict, Report("r", [kink]).verdict,
            Report("r", [kink], ["p"]).verdict, Report("r", [good], ["p"]).verdict] == [
            "ok", "bug", "kink", "contract", "contract"]  # fmt: skip
    assert Report("r", parts=[Report("a", [good], ["p"]), Report("b", [good])]).verdict == "contract"
    assert Report("r", parts=[Report("a", [good]), Report("b", [kink])]).verdict == "kink"
    assert [bool(Report("r", [t])) for t in (good, bug, kink)] == [True, False, False]
    assert not Report("r", [good], ["p"])
    assert not Report("r", [good], parts=[Report("a", [bug])])


@pytest.mark.parametrize(("tensors", "problems", "laws"), [
    ([OK], [], ()), ([WRONG], [], ("gradient",)), ([OK], ["x is not linear in dout"], ("linear in dout",)),
    ([OK], ["differs when called again", "and after another forward"], ("repeatable",)),
    ([WRONG], ["it writes to x"], ("gradient", "arguments unwritten")), ([OK], ["something else"], ("other",)),
    ([OK], ["after another forward"], ("repeatable",)), ([WRONG], ["something else"], ("gradient",)),
])  # fmt: skip
def test_broken_laws_follow_from_the_problems(tensors, problems, laws):
    assert Report("r", parts=[Report("part", [tensor("x", *tensors)], problems)]).broken_laws == laws


def test_the_page_for_notebooks_prefers_failed_gradients_and_has_limits():
    """It has at most eight rows and the details of three gradients, each from its first case with a hint."""
    passed = [tensor(f"fine{k}", OK) for k in range(7)]
    failed = [tensor(f"bad{k}", WRONG, hint=f"reason {k}") for k in range(4)]
    plain = Report("plain case", [tensor("bad0", WRONG), *passed])
    text = Report("op", parts=[plain, Report("case with a hint", failed)])._repr_html_().split("<details>")[0]
    assert [text.count(f"</b> d{name}<") for name in ("bad0", "bad3", "fine0", "fine3", "fine4")] == [1, 1, 1, 1, 0]
    assert text.index("dbad0<") < text.index("dfine0<") < text.index("dbad3<")
    assert "and 3 more" in text
    assert [f"reason {k}" in text for k in range(4)] == [True, True, True, False]
    assert "case “case with a hint”" in text
    assert "plain case" not in text
    assert text.split("<pre")[1].split(">", 1)[1].splitlines()[:3] == [f"  {line}" for line in failed[0].details()]
    assert "more" not in Report("r", passed)._repr_html_().split("<details>")[0]
