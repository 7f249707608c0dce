"""The short form of these tests runs the NumPy variants of the ops; the tests of kernels are in tests/runtime."""

from backends import numpy_in_the_short_form  # noqa: F401
