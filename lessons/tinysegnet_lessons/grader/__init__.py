"""The graders of the lessons: they examine what a learner wrote and say what is wrong with it.

    grade("conv2d_backward", my_conv2d_backward)     prints one line, or raises WrongAnswer
    exercises()                                      all of them, by name

An exercise is a right answer, arguments to try it on, and the mistakes that people make, each with a sentence that
names it. They live in one file a lesson, lesson01.py, as a list EXERCISES; a new file is found by its name.

Reading order: exercise, compare (what counts as equal), grading, guesses (mistakes that any exercise may see).
"""

from .exercise import Exercise, exercises, find_exercise
from .grading import WrongAnswer, grade

__all__ = ["Exercise", "WrongAnswer", "exercises", "find_exercise", "grade"]
