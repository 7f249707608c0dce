"""Trained networks for other programs: ONNX files, and an HTML page that runs a network in a browser."""

from ..runtime.lazy_imports import import_lazily

TYPE_CHECKING = False  # as in `typing`, which takes time to import
if TYPE_CHECKING:
    from .onnx_file import to_onnx

__all__ = ["to_onnx"]

import_lazily(__name__, onnx_file="to_onnx")
