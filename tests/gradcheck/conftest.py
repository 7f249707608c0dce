"""All tests in this folder run kernels in one thread, except those that set the number of threads."""

from properties import one_thread

__all__ = ["one_thread"]
