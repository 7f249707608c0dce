"""Every kernel gives the same results compiled and as plain Python."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from forms import amount
from op_laws import ROUNDING

from tinysegnet import runtime

pytestmark = [
    pytest.mark.skipif(not runtime.JIT, reason="numba does not compile here"),
    pytest.mark.long,  # in the short form, test_runtime.py runs one kernel in both ways
]

# Print the results of all compiled variants for all cases of the gradient check, pickled.
RESULTS = """
import pickle, sys
import numpy as np
from tinysegnet.errors import ShapeError
from tinysegnet.gradcheck import find_ops, find_variants
from tinysegnet.gradcheck.cases import cases_of

def cast(value):
    is_float = isinstance(value, (np.ndarray, np.floating)) and value.dtype.kind == "f"
    return value.astype(sys.argv[1]) if is_float else value

def results(forward, backward, arrays, settings):
    out, cache = forward(*map(cast, arrays), **{name: cast(value) for name, value in settings.items()})
    outs = out if isinstance(out, tuple) else (out,)
    found = backward(cast(np.random.default_rng(1).normal(size=np.shape(outs[0]))), cache)
    return [np.asarray(r) for r in (*outs, *(found if isinstance(found, tuple) else (found,))) if r is not None]

found = {}
for op in find_ops():
    for variant, (forward, backward) in find_variants(op).items():
        for case in cases_of(op) if variant != "numpy" else ():
            try:
                found[op, variant, case.name] = results(forward, backward, *case.arguments())
            except ShapeError:  # not every variant supports every shape
                assert variant != "numba"
pickle.dump(found, sys.stdout.buffer)
"""


def results(dtype, **environment):
    done = subprocess.run([sys.executable, "-c", RESULTS, dtype], env={**os.environ, **environment},
                          capture_output=True, check=True, timeout=500)  # fmt: skip
    return pickle.loads(done.stdout)


@pytest.mark.parametrize("dtype", amount([], ["float32", "float64"]))
def test_kernels_as_plain_python_give_the_same_results(dtype, record_property):
    compiled, plain = results(dtype), results(dtype, NUMBA_DISABLE_JIT="1")
    # Without vector instructions, the fast algorithms of convolutions serve other shapes.
    both = {key for key in compiled if key in plain}
    assert {key for key in compiled if key[1] == "numba"} <= both
    worst = 0.0
    for key in both:
        for a, b in zip(compiled[key], plain[key], strict=True):
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            if a.dtype.kind != "f":
                np.testing.assert_array_equal(a, b, err_msg=str(key))
            elif np.isfinite(a).all():
                error = np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-30)
                assert error <= {"float32": 1e-6, "float64": 1e-14}[dtype] * ROUNDING.get(key[1], 1), key
                worst = max(worst, error)
            else:
                np.testing.assert_array_equal(np.isfinite(a), np.isfinite(b), err_msg=str(key))
    record_property(f"compiled and plain {dtype}", f"{len(both)} cases, worst {worst:.1e}")
