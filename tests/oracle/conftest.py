"""Settings of the tests that compare with other programs. Without PyTorch, those that need it are skipped."""

import importlib.util
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # golden_values, import_samples

REASON = "PyTorch is not installed (pip install torch). Only the stored results in tests/golden are compared."


def pytest_collection_modifyitems(items):
    if importlib.util.find_spec("torch") is None:
        for item in items:
            if Path(__file__).parent in item.path.parents and item.path.name.startswith("test_torch"):
                item.add_marker(pytest.mark.skip(reason=REASON))
