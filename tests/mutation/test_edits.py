"""The edits of `make mutants` leave texts and types alone, and each yields another valid program."""

import ast
import tomllib

from edits import Source
from mutants import ROOT

CODE = b'''"""A text: 1 + 1."""
def f(x: int, H, W, step=2) -> int:
    total = -x[H, W] // step if x < 0.5 and step else 0
    for i in range(H):
        total += min(x[i], x[i:W].max()) * 3
    return total, f"{x + 1}"
'''
EXPECTED = {"2 -> 3", "0.5 -> 0.25", "< -> <=", "-x[H, W] -> (x[H, W])", "H, W -> W, H", "H -> (H + 1)", "H -> W",
            "i -> (i - 1)", "min -> max", "W -> (W - 1)", "x < 0.5 and step -> (step)", "* -> /",
            "total += min(x[i], x[i:W].max()) * 3 -> pass", "total, f\"{x + 1}\" -> f\"{x + 1}\", total",
            "x < 0.5 and step -> (not (x < 0.5 and step))"}  # fmt: skip


def test_edits_change_computations_only():
    edits = Source(CODE).edits
    planted = [CODE[:start] + text.encode() + CODE[end:] for _, start, end, text in edits]
    assert all(ast.dump(ast.parse(code)) != ast.dump(ast.parse(CODE)) for code in planted)
    assert all(text in code for code in planted for text in (b'"""A text: 1 + 1."""', b"(x: int, ", b'f"{x + 1}"'))
    assert {f"{CODE[start:end].decode()} -> {text}" for _, start, end, text in edits} >= EXPECTED


def test_bugs_that_are_listed_as_equivalent_still_have_their_lines():
    for row in tomllib.loads((ROOT / "tests" / "mutation" / "equivalent.toml").read_text())["mutant"]:
        assert row.get("before", "") in (ROOT / row["file"]).read_text()
        assert row["reason"]
