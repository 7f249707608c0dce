"""The graders of the lessons: they examine a learner's answer and say what is wrong with it.

    grade("conv2d_backward", my_conv2d_backward)     prints one line, or raises WrongAnswer
    exercises()                                      all of them, by name

An exercise is a right answer, arguments to try it on, and common mistakes, each with a sentence that names it. They
live in one file per lesson, such as lesson01.py, as a list EXERCISES; a new file is found by its name.

Reading order: exercise, compare (what counts as equal), grading, guesses (mistakes that any exercise may see).
"""

from .exercise import Exercise, exercises, find_exercise
from .grading import WrongAnswer, grade

__all__ = ["Exercise", "WrongAnswer", "exercises", "find_exercise", "grade"]
