"""The modules and folders of the site, for its tests."""

import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SITE = ROOT / "lessons" / "site"


@pytest.fixture(scope="module", autouse=True)
def modules():
    """Make the site's modules importable during these tests. They do not belong to a package."""
    names = [path.stem for path in SITE.glob("*.py")]
    kept = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, str(SITE))
    yield
    sys.path.remove(str(SITE))
    for name in names:
        sys.modules.pop(name, None)
    sys.modules.update(kept)


def module(name):
    return importlib.import_module(name)
