"""The tests in this folder compare with PyTorch. Without it they are skipped, each with this reason."""

import importlib.util
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # golden_values

REASON = "PyTorch is not installed (pip install torch): no second opinion but the frozen values in tests/golden"


def pytest_collection_modifyitems(items):
    if importlib.util.find_spec("torch") is None:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=REASON))
