"""The grading itself, on an exercise without listed mistakes: which answers are right, and what a refusal says."""

import copy
import re
from types import SimpleNamespace

import numpy as np
import pytest

from tinysegnet.ops.conv import conv2d_backward_numpy, conv2d_forward_numpy
from tinysegnet_lessons.grader import Exercise, WrongAnswer, exercises, grade, grading
from tinysegnet_lessons.grader.compare import wrong_entries


def refusal(name, answer):
    with pytest.raises(WrongAnswer) as caught:
        grade(name, answer)
    return str(caught.value)


def _backward(dout, x, weight):
    _, cache = conv2d_forward_numpy(x, weight, np.zeros(weight.shape[3]))
    return conv2d_backward_numpy(dout, cache)


def _cases():
    rng = np.random.default_rng(3)
    shapes = ((2, 4, 5, 2), (3, 3, 2, 2)), ((3, 5, 4, 2), (3, 3, 2, 3))
    return [(rng.standard_normal((*x[:3], w[3])), rng.standard_normal(x), rng.standard_normal(w)) for x, w in shapes]


PLAIN = Exercise("plain", ("dx", "dweight", "dbias"), _backward, _cases)


@pytest.fixture(autouse=True)
def _plain(monkeypatch):
    monkeypatch.setattr(grading, "find_exercise", lambda name: {**exercises(), "plain": PLAIN}[name])


def wrong(dx=None, dweight=None, dbias=None):
    """Return an answer whose results are changed by these functions."""
    changes = dx, dweight, dbias

    def my_backward(dout, x, weight):
        rights = _backward(dout, x, weight)
        return tuple(right if change is None else change(right)
                     for change, right in zip(changes, rights, strict=True))  # fmt: skip

    return my_backward


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (wrong(dweight=lambda a: a.swapaxes(0, 1)), ["dweight", "transposed", "(0, 1)", "of 36"]),
        (wrong(dweight=lambda a: a[::-1, ::-1]), ["dweight", "flipped", "(0, 1)"]),
        (wrong(dx=lambda a: -a), ["dx", "sign"]),
        (wrong(dbias=lambda a: a / 40), ["dbias", "mean", "N*H*W = 40"]),
        (wrong(dx=lambda a: a * 2), ["dx", "divide by N = 2"]),
        (wrong(dx=lambda a: a * np.nan), ["dx", "got nan", "80 entries are NaN"]),
        (wrong(dx=lambda a: a.astype(int)), ["dx", "dtype is int64"]),
        (wrong(dx=lambda a: a.transpose(0, 2, 1, 3)), ["(2, 5, 4, 2), not (2, 4, 5, 2)", "transposed"]),
        (wrong(dbias=lambda a: np.broadcast_to(a / 40, (2, 4, 5, 2))), ["shape", "sum is missing", "(0, 1, 2)"]),
        (wrong(dbias=lambda a: a[None]), ["dbias", "(1, 2)", "keepdims"]),
        (wrong(dx=lambda a: np.pad(a, ((0, 0), (1, 1), (1, 1), (0, 0)))), ["(1, 2) are too long", "padding"]),
        (wrong(dx=lambda a: a[:, :-1]), ["Axis 1 is too short", "padding"]),
        (wrong(dweight=lambda a: a * 0), ["Your result is zero everywhere"]),
        (wrong(dweight=lambda a: None), ["dweight is None"]),
        (wrong(dx=lambda a: a * (1 + 1e-6)), ["nearly right", "eps"]),
        (wrong(dx=lambda a: a + np.eye(1, 80).reshape(a.shape)), ["dx[0, 0, 0, 0]", "1 of 80"]),
        (wrong(dbias=lambda a: a[:-1]), ["Axis 0 is too short"]),
        (wrong(dbias=lambda a: a[None].repeat(3, 0)), ["must be an array with 1 axis, not an array with 2 axes"]),
        (wrong(dx=lambda a: "dx"), ["dx", "type str"]),
        (lambda dout, x, w: _backward(dout, x, w[::-1, ::-1]), ["would be right for weight flipped"]),
        (lambda dout, x, w: _backward(dout[:1], x[:1], w), ["dx", "(1, 4, 5, 2), not (2, 4, 5, 2)"]),
        (lambda dout, x, w: (_backward(dout, x, w)[0], *_backward(dout[:1], x[:1], w)[1:]), ["only the first of 2"]),
        (lambda dout, x, w: _backward(dout, x, w)[:2], ["a tuple of 2", "3 results", "dx, dweight, dbias"]),
        (lambda dout, x, w: _backward(dout, x, w)[0], ["a single ndarray"]),
    ],
)  # fmt: skip
def test_grader_recognises_common_mistakes(answer, words):
    text = refusal("plain", answer)
    for word in words:
        assert word.lower() in text.lower(), text
    assert not re.search("gradient|analytic|numeric|backward use", text)  # the words of a gradient check


def test_grader_accepts_float32_lists_and_arrays_in_place_of_tuples():
    def my_backward(dout, x, weight):
        return [result.tolist() for result in _backward(dout, x, weight)]

    grade("plain", my_backward)
    grade("plain", wrong(dx=lambda a: a.astype(np.float32)))
    assert "dx is wrong" in refusal("plain", wrong(dx=lambda a: (a * 1.001).astype(np.float32)))
    grade("mean_and_variance", lambda samples: np.array(exercises()["mean_and_variance"].reference(samples)))


def test_grader_refuses_an_answer_that_overwrites_its_argument():
    def my_backward(dout, x, weight):
        right = _backward(dout, x, weight)
        x -= 1
        return right

    text = refusal("plain", my_backward)
    assert "it changes its argument x" in text
    assert "Work on a copy." in text


def test_grader_refuses_the_wrong_dtype_where_it_matters(monkeypatch):
    picture = Exercise("plain", ("picture",), lambda x: x.astype(np.uint8), lambda: [(np.arange(3.0),)],
                       dtypes={"picture": "uint8"})  # fmt: skip
    monkeypatch.setattr(grading, "find_exercise", lambda name: picture)
    assert "picture has the dtype float64, not uint8. Its numbers are right" in refusal("plain", lambda x: x + 0)


def test_grader_examines_the_arguments_after_the_call(monkeypatch):
    def left_on(lamp):
        return "the lamp is on" if lamp.on else None

    found = Exercise("plain", ("y",), lambda lamp: 0, lambda: [(SimpleNamespace(on=False),)], after=left_on)
    monkeypatch.setattr(grading, "find_exercise", lambda name: found)
    grade("plain", lambda lamp: 0)
    assert "the lamp is on" in refusal("plain", lambda lamp: setattr(lamp, "on", True) or 0)


def test_message_shows_no_warnings_of_the_graders_functions(monkeypatch, recwarn):
    found = Exercise("plain", ("y",), lambda x: x, lambda: [(np.arange(3.0),)], {"no": lambda x: 1 / (x * 0)})
    monkeypatch.setattr(grading, "find_exercise", lambda name: found)
    refusal("plain", lambda x: x + 1)
    assert not recwarn.list


def test_message_gives_the_shapes_of_the_first_failing_case():
    def my_backward(dout, x, weight):
        dx, dweight, dbias = _backward(dout, x, weight)
        return (dx if len(x) == 2 else dx + 1), dweight, dbias  # wrong in the second case, which has three samples

    text = refusal("plain", my_backward)
    assert "dout (3, 5, 4, 3), x (3, 5, 4, 2), weight (3, 3, 2, 3)" in text
    assert refusal("plain", wrong(dx=lambda a: a + 1)).count("(2, 4, 5, 2)") == 2


def test_comparison_accepts_rounding_errors_but_not_bugs():
    right = np.random.default_rng(0).standard_normal((50, 50))
    assert not wrong_entries(right * (1 + 1e-12), right).any()
    assert not wrong_entries(right.astype(np.float32) * np.float32(1 + 1e-6), right.astype(np.float32)).any()
    assert wrong_entries(right + 1e-6, right).all()
    assert not wrong_entries(np.array([1e-17]), np.array([-3e-17])).any()
    assert list(wrong_entries(np.array([np.nan, 1, np.inf, -np.inf]), np.array([np.nan, np.nan, np.inf, np.inf]))) == [
        False, True, False, True]  # fmt: skip
    assert wrong_entries(np.array([1, 2]), np.array([1, 3])).tolist() == [False, True]


def test_error_inside_an_answer_ends_at_the_learners_line_with_a_note_about_the_case():
    def my_backward(dout, x, weight):
        return np.linalg.inv(x[0, 0])

    with pytest.raises(np.linalg.LinAlgError) as caught:
        grade("plain", my_backward)
    assert caught.traceback[-1].name == "my_backward"  # not inside NumPy
    (note,) = caught.value.__notes__
    for fact in ("plain", "case 1 of 2", "dout (2, 4, 5, 2), x (2, 4, 5, 2), weight (3, 3, 2, 2)"):
        assert fact in note


def test_wrong_number_of_arguments_is_refused_in_words():
    text = refusal("plain", lambda x, weight: None)
    assert "your function takes (x, weight), but the exercise calls it with (dout, x, weight)" in text


def test_endless_recursion_is_one_line_with_the_learners_line():
    def my_backward(dout, x, weight):
        return my_backward(dout, x, weight)

    text = refusal("plain", my_backward)
    assert len(text.splitlines()) == 1
    assert "calls itself without end" in text
    assert "return my_backward(dout, x, weight)" in text


def test_prints_of_an_answer_are_shown_once(capsys):
    def my_backward(dout, x, weight):
        print("called with", x.shape)
        dx, dweight, dbias = _backward(dout, x, weight)
        return dx, dweight, dbias + (len(x) == 3)

    refusal("plain", my_backward)
    assert capsys.readouterr().out.splitlines() == ["called with (2, 4, 5, 2)", "called with (3, 5, 4, 2)"]


def test_answer_written_for_some_cases_only_is_wrong():
    def my_backward(dout, x, weight):
        if len(x) == 3:
            raise NotImplementedError
        return _backward(dout, x, weight)

    assert "not written for case 2: dout (3, 5, 4, 3)" in refusal("plain", my_backward)


def test_notebook_shows_the_message_without_a_traceback():
    with pytest.raises(WrongAnswer) as caught:
        grade("plain", wrong(dx=np.negative))
    assert caught.value._render_traceback_() == str(caught.value).splitlines()
    assert len(str(caught.value).splitlines()) == 5


def test_grader_accepts_a_value_instead_of_a_function(monkeypatch, capsys):
    value = Exercise("value", ("size",), lambda: 212, lambda: [()], {"a pixel too many": lambda: 213})
    monkeypatch.setattr(grading, "find_exercise", lambda name: value)
    grade("value", 212)
    assert capsys.readouterr().out == "value: right (size; 1 case)\n"
    text = refusal("value", 213)
    assert "expected 212   got 213" in text
    assert "a pixel too many" in text
    assert "hint" not in refusal("value", 210.5)


def test_message_shows_more_digits_of_nearly_equal_numbers():
    text = refusal("plain", wrong(dx=lambda a: a * (1 + 1e-7)))
    expected, got = re.search(r"expected (\S+) +got (\S+)", text).groups()
    assert expected != got
    assert f"{float(expected):.6g}" == f"{float(got):.6g}"


def test_grader_refuses_an_array_in_place_of_a_number():
    text = refusal("cross_entropy", lambda logits, labels, ignore_label: np.zeros(3))
    assert "a single number, not an array with 1 axis" in text


def test_grading_does_not_change_the_cases():
    before = copy.deepcopy(PLAIN.cases())
    grade("plain", _backward)
    np.testing.assert_equal(PLAIN.cases(), before)
