"""The laws that every op obeys. Ops and variants come from `ops.REGISTRY`, and a test finds ops that are not in it.

1. The op is complete (test_declarations).
2. The gradient is right.
3. The cases reject a wrong gradient.
4. Every variant returns what the NumPy variant returns, in the dtype of the input and for any number of threads, and
   any backward can follow any forward (test_calls).
5. Arguments are not written to, and may have any memory layout (test_calls).
6. NaN and infinity are preserved.
7. Linear ops are adjoint to their backward.

The short form compiles each kernel for writable float64 arrays, and without threads. It checks the
gradients of the NumPy variants; those of the other variants are right because law 4 compares them on the same cases.
"""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from backends import ops_run_as
from forms import amount
from op_laws import (
    COMPLETE,
    FAST,
    GRADIENTS,
    OPS,
    ROUNDING,
    TYPED,
    VARIANTS,
    close,
    dout_like,
    drawn,
    gradients,
    is_float,
    run,
    same_bits,
)

from tinysegnet import runtime
from tinysegnet.errors import ShapeError
from tinysegnet.gradcheck import check_op, find_variants
from tinysegnet.gradcheck.cases import cases_of

# --- 2 gradient, 3 the case can fail ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("op", "variant"), GRADIENTS)
def test_gradient_is_right(op, variant):
    report = check_op(op, variant)
    assert report.ok, f"\n{report}"
    assert report.crossed == 0
    assert report.taylor is None or abs(report.taylor - 2) <= 0.05


@pytest.mark.parametrize(("op", "factor"), [(op, factor) for op in OPS for factor in amount([1.001], [1.001, 0.0])])
def test_cases_reject_a_wrong_gradient(op, factor):
    """Every case rejects a gradient that is 0.1 % too large, or 0, and accepts the other gradients."""
    forward, backward = find_variants(op)["numpy"]
    arrays, _ = next(case for case in cases_of(op) if case.gradient).arguments()
    for k in range(sum(map(is_float, arrays))):

        def wrong(dout, cache, k=k):
            found = list(gradients(backward, dout, cache))
            found[k] = None if found[k] is None else found[k] * factor
            return tuple(found)

        report = check_op(op, pair=(forward, wrong), **amount({"every": 0, "directions": 1, "entries": 1}, {}))
        for part in report.parts:
            if k < len(part.tensors):
                assert [t.ok for t in part.tensors] == [at != k for at in range(len(part.tensors))], f"\n{part}"


# --- 4 variants agree ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("op", "variant", "dtype"), FAST)
def test_variants_return_what_numpy_returns(op, variant, dtype):
    served = 0
    for case, arrays, kwargs in drawn(op, dtype):
        expected, found = run(op, "numpy", arrays, kwargs), run(op, variant, arrays, kwargs)
        if found is None:
            continue
        served += 1
        for a, b in zip(sum(map(tuple, found), ()), sum(map(tuple, expected), ()), strict=True):
            assert (a is None) == (b is None)
            if b is not None and is_float(b):
                rounding = (2e-6 if dtype == np.float32 else 1e-13) * ROUNDING.get(variant, 1)
                assert close(a, b, rounding), f"{op} {case.name}"
            elif b is not None:
                assert same_bits(a, b), f"{op} {case.name}"
    assert served


@pytest.mark.parametrize(("op", "variant", "dtype"), TYPED)
def test_dtype_follows_the_input(op, variant, dtype):
    for case, arrays, kwargs in drawn(op, dtype):
        found = run(op, variant, arrays, kwargs)
        for result in () if found is None else (*found[0], *found[1]):
            assert result is None or not is_float(result) or result.dtype == dtype, f"{op} {case.name}"


@pytest.mark.parametrize("variant", amount(["numpy"], COMPLETE))
@pytest.mark.parametrize("op", OPS)
def test_settings_that_are_scalars_of_numpy_change_nothing(op, variant):
    """Unlike a float, a float64 scalar such as np.float64(1e-5) turns float32 arrays into float64."""
    forward, backward = find_variants(op)[variant]
    case, arrays, kwargs = next(drawn(op, np.float32))
    parameters = inspect.signature(forward).parameters.items()
    kwargs = {name: p.default for name, p in parameters if isinstance(p.default, float)} | kwargs
    scalars = {name: np.float64(value) for name, value in kwargs.items() if type(value) is float}
    expected, found = (run(op, variant, arrays, kwargs | more) for more in ({}, scalars))
    for a, b in zip((*expected[0], *expected[1]), (*found[0], *found[1]), strict=True):
        assert same_bits(a, b), f"{op} {case.name}"
    if np.ndim(expected[0][0]) == 0:
        assert backward(np.float64(1), forward(*arrays, **kwargs)[1]).dtype == np.float32


@pytest.mark.skipif(not runtime.JIT, reason="numba does not compile here")
@pytest.mark.long
@pytest.mark.parametrize(("op", "variant", "dtype"), FAST)
def test_number_of_threads_does_not_change_a_bit(op, variant, dtype):
    import numba

    before = numba.get_num_threads()
    cases = list(drawn(op, dtype))
    try:
        numba.set_num_threads(1)
        alone = [run(op, variant, arrays, kwargs) for _, arrays, kwargs in cases]
        for threads in [2, 4] * 25:
            numba.set_num_threads(threads)
            for (case, arrays, kwargs), one in zip(cases, alone, strict=True):
                many = run(op, variant, arrays, kwargs)
                assert (one is None) == (many is None)
                if one is not None:
                    pairs = zip(sum(map(tuple, one), ()), sum(map(tuple, many), ()), strict=True)
                    assert all(same_bits(a, b) for a, b in pairs), case.name
    finally:
        numba.set_num_threads(before)


# --- 6 NaN and infinity ---------------------------------------------------------------------------------------------


SPREADING = ("conv2d", "conv_transpose2d", "depthwise_conv2d")


def poisoned(arrays, kwargs, dout):
    """Yield (what, arrays, kwargs, dout) with one NaN or infinity in one float argument or in dout."""
    rng = np.random.default_rng(3)
    for poison in amount((np.nan, np.inf), (np.nan, np.inf, -np.inf)):
        for k, value in enumerate((*arrays, dout)):
            if is_float(value):
                bad = np.array(value)
                bad[tuple(rng.integers(0, n) for n in bad.shape)] = poison
                bad = bad if bad.ndim else bad[()]
                given = [bad if at == k else a for at, a in enumerate(arrays)]
                yield f"{poison} in argument {k} of {len(arrays)}", given, kwargs, bad if k == len(arrays) else dout


@pytest.mark.parametrize(("op", "variant"), [row for row in VARIANTS if row[1] != "numpy"])
def test_nan_and_infinity_are_preserved(op, variant):
    """A variant's results are finite exactly where the definition's are.

    Only convolutions and variants that work tile by tile may spread a NaN, by a product with padding (0 * NaN).
    """
    with np.errstate(all="ignore"):
        for case in cases_of(op):
            arrays, kwargs = case.arguments()
            definition, mine = find_variants(op)["numpy"], find_variants(op)[variant]
            outs, _ = definition[0](*arrays, **kwargs)
            dout = dout_like(outs[0] if isinstance(outs, tuple) else outs)
            for what, given, settings, d in poisoned(arrays, kwargs, dout):
                expected = _all_results(definition, given, settings, d)
                try:
                    found = _all_results(mine, given, settings, d)
                except ShapeError:
                    assert variant not in COMPLETE
                    continue
                for e, f in zip(expected, found, strict=True):
                    lost = ~np.isfinite(e) & np.isfinite(f)
                    assert not lost.any(), f"{op} [{variant}] {case.name}: {what} was lost"
                if variant in COMPLETE and op not in SPREADING:
                    finite = sum(int(np.isfinite(e).sum()) for e in expected)
                    assert finite == sum(int(np.isfinite(f).sum()) for f in found), f"{op} {case.name}: {what} spread"


def _all_results(pair, arrays, kwargs, dout):
    out, cache = pair[0](*arrays, **kwargs)
    outs = out if isinstance(out, tuple) else (out,)
    return [np.asarray(r) for r in (*outs, *gradients(pair[1], dout, cache)) if is_float(r)]


@pytest.mark.parametrize("op", OPS)
def test_definition_preserves_nan(op):
    """A NaN anywhere in the first argument appears in the result."""
    forward, _ = find_variants(op)["numpy"]
    arrays, kwargs = next(case for case in cases_of(op) if case.gradient).arguments()
    seen = 0
    for index in np.ndindex(arrays[0].shape):
        x = arrays[0].copy()
        x[index] = np.nan
        with np.errstate(all="ignore"):
            out, _ = forward(x, *arrays[1:], **kwargs)
        seen += bool(np.isnan(out[0] if isinstance(out, tuple) else out).any())
    assert seen == arrays[0].size


# --- 7 adjointness -----------------------------------------------------------------------------------------------


def linear_arguments():
    """Yield every (op, case, argument) in which forward is affine, as an experiment shows."""
    for op in OPS:
        for case in (c for c in cases_of(op) if c.gradient):
            arrays, kwargs = case.arguments()
            for k in (k for k, a in enumerate(arrays) if is_float(a)):
                at = _line(op, "numpy", arrays, kwargs, k)
                u, v = (np.random.default_rng([5, i]).standard_normal(arrays[k].shape) for i in (0, 1))
                zero = at(0 * u)
                if np.allclose(at(u - 2 * v) - zero, (at(u) - zero) - 2 * (at(v) - zero), rtol=1e-9, atol=1e-9):
                    yield op, case, k


def _line(op, variant, arrays, kwargs, k):
    """Return the first result as a function of argument k, with the others fixed."""

    def at(value):
        out, _ = find_variants(op)[variant][0](*[value if i == k else a for i, a in enumerate(arrays)], **kwargs)
        return out[0] if isinstance(out, tuple) else out

    return at


with ops_run_as("numpy"):  # so that collecting the tests compiles no kernel
    LINEAR = list(linear_arguments())


def test_linear_ops_are_found():
    found = {(op, k) for op, _, k in LINEAR}
    convolutions = {(op, k) for op in ("conv2d", "conv_transpose2d", "depthwise_conv2d") for k in range(3)}
    assert convolutions | {("max_unpool2d", 0), ("batchnorm2d", 1)} <= found
    assert not {("relu", 0), ("softmax", 0), ("softmax_cross_entropy", 0)} & found


@pytest.mark.parametrize(("op", "case", "k"), LINEAR, ids=lambda value: getattr(value, "name", str(value)))
def test_backward_is_the_adjoint(op, case, k):
    """<A x, y> = <x, A^T y>, where A^T y comes from backward. This test needs no finite differences."""
    arrays, kwargs = case.arguments()
    for variant, (forward, backward) in find_variants(op).items():
        try:
            out, cache = forward(*arrays, **kwargs)
        except ShapeError:
            assert variant not in COMPLETE
            continue
        at = _line(op, variant, arrays, kwargs, k)
        y = dout_like(out[0] if isinstance(out, tuple) else out)
        forward_part = (at(arrays[k]) - at(0 * arrays[k])) * y
        backward_part = arrays[k] * gradients(backward, y, cache)[k]
        size = np.abs(forward_part).sum() + np.abs(backward_part).sum() + np.abs(at(0 * arrays[k]) * y).sum()
        assert abs(forward_part.sum() - backward_part.sum()) <= 1e-12 * size, variant
