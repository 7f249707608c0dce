"""Graders of the lessons, which examine a learner's answer and say what is wrong with it.

    grade("conv2d_backward", my_conv2d_backward)     prints one line, or raises WrongAnswer
    exercises()                                      all exercises by name

An exercise consists of a reference solution, arguments to test with, and common mistakes, each with a hint. Each
lesson's exercises are in one file, such as lesson01.py, as a list EXERCISES; new files are found by their names.

Reading order: exercise, compare (what counts as equal), grading, guesses (mistakes that can occur in any exercise).
"""

from .exercise import Exercise, exercises, find_exercise
from .grading import WrongAnswer, grade

__all__ = ["Exercise", "WrongAnswer", "exercises", "find_exercise", "grade"]
