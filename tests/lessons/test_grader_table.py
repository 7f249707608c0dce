"""Every exercise accepts three styles of the right answer, refuses mechanical corruptions of it, and names them."""

import pytest
from forms import amount
from grader_table import STYLES, row

from tinysegnet_lessons.grader import Challenge, exercises

GRADED = [exercise for exercise in exercises().values() if exercise.cases()]
CORE = [exercise for exercise in GRADED if not isinstance(exercise, Challenge)]


@pytest.mark.parametrize("exercise", amount(CORE[::4], GRADED), ids=lambda exercise: exercise.name)
def test_styles_are_accepted_and_corruptions_are_refused_and_named(exercise):
    """About 15 corruptions change a number, at least 24 an array. The short form corrupts the first result of every
    fourth exercise that is no challenge.
    """
    found = row(exercise, amount(1, None))
    assert found.accepted == list(STYLES)
    assert not found.missed
    assert found.wrong >= 14
    assert found.named >= 0.8 * found.wrong, found.unnamed
