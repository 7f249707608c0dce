"""Two forms of the tests: `make test` runs the short one, `make test-all` the long one (TINYSEGNET_TESTS=long).

The short form is for each change. It tests the mathematics, the contract of each command, and one example of each kind,
in at most four minutes on two cores. The long form, which continuous integration always runs as well, contains all
tests: above all those that drive a browser, start many processes, or run whole lessons.

A test that draws examples takes `amount(short, long)` of them. A test that takes more than three seconds is marked
`long`. A test that drives a browser (with the fixture `browser`) is long without a mark, unless it is marked `smoke`:
each kind of page has one such test.
"""

import os

LONG = os.environ.get("TINYSEGNET_TESTS") == "long"


def amount(short, long):
    """Choose between the values of the short and the long form."""
    return long if LONG else short
