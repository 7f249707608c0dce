"""Compiling and launching kernels, their cache, memory, threads and settings."""

from .lazy_imports import import_lazily

import_lazily(__name__)
