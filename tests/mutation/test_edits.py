"""The edits of `make mutants` change what they say, and every one yields another valid program."""

import ast

from edits import Source

CODE = b'''"""Docstring 1 + 1."""
def f(x: int, H, W, step=2) -> int:
    if x < 0.5 and step:
        raise ValueError(f"{x + 1} is too small")
    total = -x[H, W] // step
    for i in range(H):
        total += min(x[i], x[i:W].max()) * 3 - 1
    return total, not step
'''


def test_edits_are_valid_and_leave_texts_alone():
    planted = {}
    for operator, start, end, text in Source(CODE).edits:
        planted[operator, CODE[start:end].decode(), text] = CODE[:start] + text.encode() + CODE[end:]
    assert all(ast.dump(ast.parse(code)) != ast.dump(ast.parse(CODE)) for code in planted.values())
    assert all(
        b'"""Docstring 1 + 1."""' in code and b"{x + 1} is" in code and b"x: int" in code for code in planted.values()
    )
    assert {("constant", "2", "3"), ("constant", "0.5", "0.25"), ("< to <=", "<", "<="), ("and to or", "and", "or"),
            ("sign or not", "-x[H, W]", "(x[H, W])"), ("axes", "H, W", "W, H"), ("boundary", "H", "(H + 1)"),
            ("+= to -=", "+=", "-="), ("index", "i", "(i - 1)"), ("function or dtype", "min", "max"),
            ("rounding", "-x[H, W] // step", "(-(-(-x[H, W]) // (step)))"),
            ("returned values", "total, not step", "not step, total")} <= planted.keys()  # fmt: skip
