"""The graders: every right answer is accepted, every known mistake refused by name, every common one recognised."""

import copy
import re

import numpy as np
import pytest

from tinysegnet.errors import SettingError
from tinysegnet.ops.conv import conv2d_backward_numpy, conv2d_forward_numpy
from tinysegnet_lessons import grader
from tinysegnet_lessons.grader import Exercise, WrongAnswer, exercise, exercises, grade, grading
from tinysegnet_lessons.grader.compare import wrong_entries

EXERCISES = list(exercises().values())
MISTAKES = [pytest.param(e, hint, id=f"{e.name}: {hint[:60]}") for e in EXERCISES for hint in e.mistakes]


def refusal(name, answer):
    with pytest.raises(WrongAnswer) as caught:
        grade(name, answer)
    return str(caught.value)


# --- over all exercises of all lessons --------------------------------------------------------------------------------


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_the_reference_is_right(exercise, capsys):
    grade(exercise.name, exercise.reference)
    assert capsys.readouterr().out.startswith(f"{exercise.name}: right")


@pytest.mark.parametrize(("exercise", "hint"), MISTAKES)
def test_every_mistake_is_refused_by_name(exercise, hint):
    assert f"hint    {hint}" in refusal(exercise.name, exercise.mistakes[hint])


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_three_mistakes_each_and_cases_that_stay_the_same(exercise):
    assert len(exercise.mistakes) >= 3
    for one, two in zip(exercise.cases(), exercise.cases(), strict=True):
        np.testing.assert_equal(one, two)


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_an_answer_that_is_not_written_yet_comes_through(exercise):
    def my_answer(*_):
        raise NotImplementedError("your turn")

    with pytest.raises(NotImplementedError):
        grade(exercise.name, my_answer)


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_none_is_refused(exercise):
    assert "None" in refusal(exercise.name, lambda *_: None)


# --- the engine, on one exercise without any listed mistake -----------------------------------------------------------


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
    """The answer with some results changed by functions."""
    changes = dx, dweight, dbias

    def my_backward(dout, x, weight):
        rights = _backward(dout, x, weight)
        return tuple(right if change is None else change(right)
                     for change, right in zip(changes, rights, strict=True))  # fmt: skip

    return my_backward


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (wrong(dweight=lambda a: a.swapaxes(0, 1)), ["dweight is wrong", "transposed over axes (0, 1)", "of 36"]),
        (wrong(dweight=lambda a: a[::-1, ::-1]), ["dweight is wrong", "flipped along axes (0, 1)"]),
        (wrong(dx=lambda a: -a), ["dx is wrong", "wrong sign"]),
        (wrong(dbias=lambda a: a / 40), ["dbias is wrong", "a mean where a sum belongs (N*H*W = 40)"]),
        (wrong(dx=lambda a: a * 2), ["dx", "forgot to divide by N = 2"]),
        (wrong(dx=lambda a: a * np.nan), ["dx", "got nan", "80 entries are NaN"]),
        (wrong(dx=lambda a: a.astype(int)), ["dx", "dtype is int64"]),
        (wrong(dx=lambda a: a.transpose(0, 2, 1, 3)), ["shape (2, 5, 4, 2), expected (2, 4, 5, 2)", "transposed"]),
        (wrong(dbias=lambda a: np.broadcast_to(a / 40, (2, 4, 5, 2))), ["shape", "not summed up", "axes (0, 1, 2)"]),
        (wrong(dbias=lambda a: a[None]), ["dbias has the shape (1, 2)", "keepdims"]),
        (wrong(dx=lambda a: np.pad(a, ((0, 0), (1, 1), (1, 1), (0, 0)))), ["axes (1, 2) are too long", "padding"]),
        (wrong(dx=lambda a: a[:, :-1]), ["axis 1 is too short", "padding"]),
        (wrong(dweight=lambda a: a * 0), ["your result is zero everywhere"]),
        (wrong(dweight=lambda a: None), ["dweight is None"]),
        (wrong(dx=lambda a: a * (1 + 1e-6)), ["nearly right"]),
        (wrong(dx=lambda a: a.astype(np.float32)), ["nearly right", "computed in float32"]),
        (wrong(dx=lambda a: a + np.eye(1, 80).reshape(a.shape)), ["dx[0, 0, 0, 0]", "1 of 80"]),
        (wrong(dbias=lambda a: a[:-1]), ["axis 0 is too short: what is each axis"]),
        (wrong(dbias=lambda a: a[None].repeat(3, 0)), ["an array with 1 axis is expected, not an array with 2 axes"]),
        (wrong(dx=lambda a: "dx"), ["dx is one str"]),
        (lambda dout, x, w: _backward(dout, x, w[::-1, ::-1]), ["it would be right for weight flipped along axes"]),
        (lambda dout, x, w: _backward(dout[:1], x[:1], w), ["dx has the shape (1,"]),
        (lambda dout, x, w: (_backward(dout, x, w)[0], *_backward(dout[:1], x[:1], w)[1:]), ["only the first of 2"]),
        (lambda dout, x, w: _backward(dout, x, w)[:2], ["a tuple of 2", "3 results are expected: dx, dweight, dbias"]),
        (lambda dout, x, w: _backward(dout, x, w)[0], ["it returns one ndarray"]),
    ],
)  # fmt: skip
def test_common_mistakes_are_recognised(answer, words):
    text = refusal("plain", answer)
    for word in words:
        assert word in text, text


def test_an_overwritten_argument():
    def my_backward(dout, x, weight):
        right = _backward(dout, x, weight)
        x -= 1
        return right

    assert "writes into its argument x" in refusal("plain", my_backward)


def test_the_first_case_that_fails_is_told_with_its_shapes():
    """The first case has two samples, the second three: an answer for two only fails there."""

    def my_backward(dout, x, weight):
        dx, dweight, dbias = _backward(dout, x, weight)
        return (dx if len(x) == 2 else dx + 1), dweight, dbias

    text = refusal("plain", my_backward)
    assert "dout (3, 5, 4, 3), x (3, 5, 4, 2), weight (3, 3, 2, 3)" in text
    assert refusal("plain", wrong(dx=lambda a: a + 1)).count("(2, 4, 5, 2)") == 2


def test_rounding_passes_and_bugs_do_not():
    right = np.random.default_rng(0).standard_normal((50, 50))
    assert not wrong_entries(right * (1 + 1e-12), right).any()
    assert not wrong_entries(right.astype(np.float32) * np.float32(1 + 1e-6), right.astype(np.float32)).any()
    assert wrong_entries(right + 1e-6, right).all()
    assert not wrong_entries(np.array([1e-17]), np.array([-3e-17])).any()
    assert list(wrong_entries(np.array([np.nan, 1, np.inf, -np.inf]), np.array([np.nan, np.nan, np.inf, np.inf]))) == [
        False, True, False, True]  # fmt: skip
    assert wrong_entries(np.array([1, 2]), np.array([1, 3])).tolist() == [False, True]


def test_an_error_inside_the_answer_comes_through():
    with pytest.raises(ZeroDivisionError) as caught:
        grade("plain", lambda *_: 1 / 0)
    (note,) = caught.value.__notes__
    assert note == "plain: raised in case 1 of 2: dout (2, 4, 5, 2), x (2, 4, 5, 2), weight (3, 3, 2, 2)"


def test_a_notebook_shows_the_message_and_no_traceback():
    with pytest.raises(WrongAnswer) as caught:
        grade("plain", wrong(dx=np.negative))
    assert caught.value._render_traceback_() == str(caught.value).splitlines()
    assert len(str(caught.value).splitlines()) == 5


def test_a_value_instead_of_a_function(monkeypatch, capsys):
    value = Exercise("value", ("size",), lambda: 212, lambda: [()], {"a pixel too many": lambda: 213})
    monkeypatch.setattr(grading, "find_exercise", lambda name: value)
    grade("value", 212)
    assert capsys.readouterr().out == "value: right (size; 1 case)\n"
    text = refusal("value", 213)
    assert "expected 212   got 213" in text
    assert "a pixel too many" in text
    assert "hint" not in refusal("value", 210.5)


def test_numbers_that_agree_get_more_digits():
    text = refusal("plain", wrong(dx=lambda a: a.astype(np.float32)))
    expected, got = re.search(r"expected (\S+) +got (\S+)", text).groups()
    assert expected != got
    assert f"{float(expected):.6g}" == f"{float(got):.6g}"


def test_an_array_where_a_number_belongs():
    text = refusal("cross_entropy", lambda logits, labels, ignore_label: np.zeros(3))
    assert "one number is expected, not an array with 1 axis" in text


def test_an_unknown_exercise():
    with pytest.raises(SettingError, match="did you mean output_size"):
        exercise.find_exercise("ouput_size")


def test_grading_leaves_the_cases_alone():
    before = copy.deepcopy(PLAIN.cases())
    grade("plain", _backward)
    np.testing.assert_equal(PLAIN.cases(), before)


def test_the_grader_exports_what_lessons_use():
    assert set(grader.__all__) == {"Exercise", "WrongAnswer", "exercises", "find_exercise", "grade"}
