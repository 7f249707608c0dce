"""Checks of the library's ops: which cases and variants run, what is refused, and what the reports say."""

import pytest

from tinysegnet.errors import ShapeError
from tinysegnet.gradcheck import Report, check_all, check_op, find_ops, find_variants, run, suite
from tinysegnet.gradcheck.cases import Case, cases_of
from tinysegnet.gradcheck.suite import REGISTRY
from tinysegnet.ops import Variant


@pytest.fixture
def settings(monkeypatch):
    """Replace the check itself, and return the arguments of its calls."""
    calls = []

    def check(forward, backward, *arrays, **settings):
        calls.append({"forward": forward, "backward": backward, "arrays": arrays, **settings})
        return Report(settings["title"])

    monkeypatch.setattr(suite, "check", check)
    return calls


def test_each_case_with_a_gradient_is_checked_with_its_arguments(settings):
    report = check_op("dropout", "numpy", seed=4, every=7)
    cases = [case for case in cases_of("dropout") if case.gradient]
    assert [part.title for part in report.parts] == [case.name for case in cases] == [c["title"] for c in settings]
    assert report.title == "dropout [numpy]"
    assert {part.reproduce for part in report.parts} == {'ts.gradcheck.check_op("dropout", "numpy", seed=4)'}
    for call, case in zip(settings, cases, strict=True):
        (x, mask), kwargs = case.arguments(4)
        assert (call["arrays"][0] == x).all()
        assert (call["arrays"][1] == mask).all()
        assert call["names"] == ["x", "mask"]
        assert (call["seed"], call["every"]) == (4, 7)
        assert (call["forward"].func, call["forward"].keywords) == (find_variants("dropout")["numpy"].forward, kwargs)
        assert call["backward"] is find_variants("dropout")["numpy"].backward
    assert check_op("softmax").parts[0].reproduce == 'ts.gradcheck.check_op("softmax", seed=0)'


def test_public_functions_another_pair_or_another_backward_are_checked(settings):
    relu, numpy = REGISTRY["relu"], find_variants("relu")["numpy"]

    def own(dout, cache):
        return dout

    for given, pair, note in (({}, (relu.forward, relu.backward), ""), ({"pair": (own, own)}, (own, own), ", pair=..."),
                              ({"backward": own}, (numpy.forward, own), ", backward=...")):  # fmt: skip
        settings.clear()
        report = check_op("relu", **given)
        assert (settings[0]["forward"].func, settings[0]["backward"]) == pair
        assert report.title == "relu"
        assert report.parts[0].reproduce == f'ts.gradcheck.check_op("relu"{note}, seed=0)'


def test_fast_variants_may_refuse_cases_but_complete_ones_may_not(monkeypatch):
    seen = []

    def check(forward, backward, *arrays, title, **settings):
        seen.append(title)
        if len(seen) % 2:
            raise ShapeError("too wide")
        return Report(title)

    monkeypatch.setattr(suite, "check", check)
    winograd = next(op for op in find_ops() if set(find_variants(op)) - set(suite.COMPLETE))
    fast = next(iter(set(find_variants(winograd)) - set(suite.COMPLETE)))
    report = check_op(winograd, fast)
    assert (report.refused, len(report.parts)) == (-(-len(seen) // 2), len(seen) // 2)
    assert report.ok
    for given in ({"variant": "numpy"}, {"variant": "numba"}, {}, {"pair": (print, print)}):
        seen.clear()
        with pytest.raises(ShapeError, match="too wide"):
            check_op(winograd, **given)
    monkeypatch.setattr(suite, "cases_of", lambda op: [next(c for c in cases_of(op) if c.gradient)])
    seen.clear()
    none = check_op(winograd, fast)
    assert none.problems == ["the variant supports none of the 1 cases"]
    assert not none.ok


def test_cases_without_a_gradient_are_left_out(monkeypatch):
    monkeypatch.setattr(suite, "cases_of", lambda op: [Case(op, "values", lambda rng: ((), {}), gradient=False)])
    with pytest.raises(ShapeError, match="relu has no case"):
        check_op("relu")


def test_unknown_names_are_refused_before_any_check(settings):
    for names in (["softmaxx"], ["relu", "softmaxx"]):
        with pytest.raises(ShapeError, match="softmax"):
            run(names)
    assert settings == []


def test_all_variants_of_the_given_ops_are_checked_with_the_settings(monkeypatch):
    calls = []
    monkeypatch.setattr(suite, "check_op", lambda *names, **settings: calls.append((names, settings)) or Report("r"))
    check_all(ops=["relu", "conv2d"], seed=3, every=5)
    expected = [(op, v) for op in ("relu", "conv2d") for v in sorted(find_variants(op), reverse=True)]
    assert [names for names, _ in calls] == expected
    assert all(settings == {"seed": 3, "every": 5} for _, settings in calls)
    calls.clear()
    check_all("winograd")
    assert {names[1] for names, _ in calls} <= {"winograd"}
    calls.clear()
    check_all()
    assert len(calls) == sum(len(find_variants(op)) for op in find_ops())
    assert all(settings == {"seed": 0} for _, settings in calls)


def test_the_output_is_the_table_and_the_reports_of_failed_checks(monkeypatch):
    reports = [Report("good"), Report("bad", problems=["it writes"]), Report("worse", problems=["it leaks"])]
    seeds = []
    monkeypatch.setattr(suite, "check_all", lambda ops, seed, progress: seeds.append((ops, seed)) or reports)
    text, ok = run(["relu"], seed=8)
    assert not ok
    assert seeds == [(["relu"], 8)]
    head, *details = text.split("\n\n")
    assert head.count("\n") == 3
    assert details == [str(reports[1]), str(reports[2])]
    del reports[1:]
    assert run() == (suite.table(reports), True)
    assert seeds[-1] == ((), 0)


def test_a_variant_is_a_pair():
    assert find_ops() == sorted(REGISTRY)
    assert all(isinstance(v, Variant) for v in find_variants("relu").values())
    with pytest.raises(ShapeError, match="no variant 'simd'; its variants are numpy, numba"):
        check_op("relu", "simd")
