"""These tests are about logic, not speed: their short form runs with NumPy."""

from numpy_variants import numpy_in_the_short_form  # noqa: F401
