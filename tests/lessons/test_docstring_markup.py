"""The public names of a file are found, and docstrings become markup of the site."""

from site_modules import module, modules  # noqa: F401

SOURCE = """
from os.path import join
import sys
if sys:
    class A: kept = 1
def f(x): y = x
sys.z, B, _C, d = 1, 2, 3, 4
E: int = 5
"""


def test_public_names_are_those_of_all_or_those_that_a_file_binds(tmp_path, monkeypatch):
    (tmp_path / "site_plain.py").write_text(SOURCE)
    (tmp_path / "site_listed.py").write_text(SOURCE + "__all__ = ['join', 'f']\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert module("api").public_names(module("site_plain")) == ["A", "f", "B", "d", "E"]
    assert module("api").public_names(module("site_listed")) == ["join", "f"]


DOCSTRING = """Sums x * y, `a_b` and **kw: see `conv2d`s of `a
b`.

    out = x * y_

      drawn |

Like this:
    `code`

Args:
    x: an array, of `np.ndarray` (see x: above).
    **others: more.

        indented
"""


def prepared(text, **link):
    return "\n".join(module("api").prepare_docstring(text.splitlines(), link))


def test_docstrings_become_markup():
    assert prepared(DOCSTRING, conv2d="tinysegnet.ops.conv2d") == (
        "Sums x * y, ``a_b`` and \\*\\*kw: see :py:obj:`conv2d <tinysegnet.ops.conv2d>`\\ s of ``a b``.\n\n"
        "\n::\n\n    out = x * y_\n\n      drawn |\n\n\n"
        "Like this:\n\n::\n\n    `code`\n\n\n"
        "Args:\n    x: an array, of ``np.ndarray`` (see x: above).\n    \\*\\*others: more.\n\n        indented"
    )


def test_existing_markup_stays():
    text = "A list:\n\n* ``x_`` and\n  more\n* y"
    assert prepared(text) == text
    assert prepared(">>> f(*x)\n1") == ">>> f(*x)\n1"
