"""Two forms of the tests: `make test` runs the short one, `make test-all` the long one (TINYSEGNET_TESTS=long).

A test that draws examples takes `amount(short, long)` of them, so that the short form makes the same claim. Mark a
test `long` only if another test makes its claim in the short form.
"""

import os

LONG = os.environ.get("TINYSEGNET_TESTS") == "long"


def amount(short, long):
    """Choose between the values of the short and the long form."""
    return long if LONG else short
