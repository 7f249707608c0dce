"""The short form of these tests runs the NumPy variants of the ops, because they make no claim about speed."""

from backends import numpy_in_the_short_form  # noqa: F401
