"""The converter of labelme is loaded from its own file, because importing the whole program would need Qt."""

import importlib.util
import sys
import types
from pathlib import Path


def shape_to_mask():
    """Return labelme's function of this name, or None if labelme is not installed (pip install --no-deps labelme)."""
    found = importlib.util.find_spec("labelme")  # finds the folder without importing anything
    if found is None:
        return None
    sys.modules.setdefault("labelme._label_file", types.SimpleNamespace(ShapeDict=dict))  # only for type hints
    path = Path(found.submodule_search_locations[0]) / "utils" / "shape.py"
    spec = importlib.util.spec_from_file_location("labelme_shape", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.shape_to_mask
