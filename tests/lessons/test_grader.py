"""The graders of all lessons accept every right answer, and refuse every listed mistake with its hint."""

import copy
import re

import numpy as np
import pytest
from forms import amount
from lesson_runs import build

from tinysegnet.errors import SettingError
from tinysegnet_lessons import grader
from tinysegnet_lessons.grader import Challenge, WrongAnswer, exercise, exercises, grade

CHALLENGES = [one for one in exercises().values() if isinstance(one, Challenge)]
EXERCISES = [one for one in exercises().values() if one not in CHALLENGES]
TRAINING = {"learning_rates", "measure_of_doubt", "frugal_segnet", "training_plan", "attribution"}  # they take seconds


def refusal(name, answer):
    with pytest.raises(WrongAnswer) as caught:
        grade(name, answer)
    return str(caught.value)


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_grader_accepts_the_reference_answer(exercise, capsys):
    grade(exercise.name, exercise.reference)
    assert capsys.readouterr().out.startswith(f"{exercise.name}: right")


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_grader_refuses_every_listed_mistake_with_its_hint(exercise):
    for hint, wrong in exercise.mistakes.items():
        assert f"hint    {hint}" in refusal(exercise.name, wrong)


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_exercise_lists_three_mistakes_and_repeats_its_cases(exercise):
    assert len(exercise.mistakes) >= 3
    for one, two in zip(exercise.cases(), exercise.cases(), strict=True):
        np.testing.assert_equal(one, two)


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_right_answer_stands_in_for_an_answer_that_is_not_written(exercise, capsys):
    def my_answer(*_):
        raise NotImplementedError("your turn")

    stand_in = grade(exercise.name, my_answer)
    assert capsys.readouterr().out.startswith(f"{exercise.name}: not written yet")
    with np.errstate(all="ignore"):
        for case in exercise.cases():
            np.testing.assert_equal(stand_in(*copy.deepcopy(case)), exercise.reference(*copy.deepcopy(case)))
    assert grade(exercise.name, stand_in) is stand_in  # it never counts as the learner's answer
    assert "not written yet" in capsys.readouterr().out
    with pytest.raises(WrongAnswer, match="not written yet"):
        grade(exercise.name, my_answer, required=True)


@pytest.mark.parametrize("seed", amount([2026], [1, 2, 2026]))
@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_hidden_seed_changes_the_numbers_but_not_the_verdicts(exercise, seed, capsys):
    grade(exercise.name, exercise.reference, seed=seed, required=True)
    for wrong in exercise.mistakes.values():
        with pytest.raises(Exception):  # noqa: B017, PT011  some mistakes fail with an error on other numbers
            grade(exercise.name, wrong, seed=seed)


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_grader_refuses_none(exercise):
    assert "None" in refusal(exercise.name, lambda *_: None)


@pytest.mark.parametrize("challenge", [
    pytest.param(one, id=one.name, marks=[pytest.mark.long] * (one.name in TRAINING)) for one in CHALLENGES
])  # fmt: skip
def test_reference_answer_reaches_the_goal_of_a_challenge(challenge, capsys):
    for one, two in zip(challenge.cases(), challenge.cases(), strict=True):
        np.testing.assert_equal(one, two)
    grade(challenge.name, challenge.reference)
    said = capsys.readouterr().out
    assert challenge.unit in said
    assert challenge.timed or "reached)" in said
    for hint, wrong in challenge.mistakes.items():
        assert f"hint    {hint}" in refusal(challenge.name, wrong)


def test_unknown_exercise_suggests_the_nearest_name():
    with pytest.raises(SettingError, match=r"ouput_size.*output_size"):
        exercise.find_exercise("ouput_size")


def test_grader_exports_the_names_that_lessons_use():
    texts = [source.read_text(encoding="utf-8") for source in build.SOURCES]
    used = {name for text in texts for name in re.findall(r"(?<!\.)\bgrader\.(\w+)", text)}
    assert used <= set(grader.__all__)
