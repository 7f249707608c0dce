"""Trained networks for other programs: ONNX files, and an HTML page that runs a network in a browser."""

from ..runtime.lazy_imports import import_lazily

import_lazily(__name__)
