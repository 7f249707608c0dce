"""Graders that check a learner's answer to an exercise and say what is wrong with it.

    my_dx = grade("conv2d_dx", my_dx)    returns the function to continue with, or raises WrongAnswer
    predict("rows_after_pooling", 23)    compares a prediction with what will happen
    keep_answers()                       agrees that right answers are kept in mysegnet.py
    exercises()                          returns all exercises by name

An exercise consists of a right answer, test cases and common mistakes, each with a sentence that names the mistake; a
challenge is also measured. The exercises of a lesson are the list EXERCISES of its file, such as lesson01.py, and its
predictions are the dictionary PREDICTIONS. The package finds new files by their names.

Reading order: exercise, compare (what counts as equal), examine (one case), grading, message, guesses (mistakes that
occur in any exercise), kept_answers.
"""

from .exercise import Challenge, Exercise, Prediction, exercises, find_exercise, predictions
from .grading import StandIn, WrongAnswer, grade, predict
from .kept_answers import keep_answers, kept_answers

__all__ = ["Challenge", "Exercise", "Prediction", "StandIn", "WrongAnswer", "exercises", "find_exercise", "grade",
           "keep_answers", "kept_answers", "predict", "predictions"]  # fmt: skip
