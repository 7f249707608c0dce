"""Graders that check a learner's answer to an exercise and say what is wrong with it.

    grade("conv2d_dx", my_conv2d_dx)     prints one line, or raises WrongAnswer
    exercises()                          returns all exercises by name

An exercise consists of a right answer, test cases and common mistakes, each with a sentence that names the mistake.
The exercises of a lesson are the list EXERCISES of its file, such as lesson01.py. The package finds new files by
their names.

Reading order: exercise, compare (what counts as equal), grading, guesses (mistakes that occur in any exercise).
"""

from .exercise import Exercise, exercises, find_exercise
from .grading import WrongAnswer, grade

__all__ = ["Exercise", "WrongAnswer", "exercises", "find_exercise", "grade"]
