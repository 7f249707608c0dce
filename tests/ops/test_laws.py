"""The laws that every op obeys. Ops and variants come from `ops.REGISTRY`, and a test finds ops that are not in it.

1. The op is complete.
2. The gradient is right.
3. The cases reject a wrong gradient.
4. Every variant returns what the NumPy variant returns, in the dtype of the input and for any number of threads, and
   any backward can follow any forward.
5. Arguments are not written to, and may have any memory layout.
6. NaN and infinity are preserved.
7. Linear ops are adjoint to their backward.

The short form compiles each kernel for writable float64 arrays, and without threads, except for one convolution. It
checks the gradients of the NumPy variants; those of the other variants are right because law 4 compares them on the
same cases.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import io
import os
import pickle
import pkgutil
import subprocess
import sys
import tokenize
from types import ModuleType

import numpy as np
import pytest
from forms import LONG, amount

from tinysegnet import ops, runtime
from tinysegnet.errors import ShapeError
from tinysegnet.gradcheck import check_op, find_ops, find_variants
from tinysegnet.gradcheck.cases import CASES, cases_of

OPS = find_ops()
VARIANTS = [(op, variant) for op in OPS for variant in find_variants(op)]
MIXED = [(op, first, second) for op in OPS for first in find_variants(op) for second in find_variants(op)]
DTYPE_DEPENDENT = [("softmax", "numba")]  # the exponential function has code for each dtype
TYPED = [(op, variant, dtype) for op, variant in VARIANTS for dtype in (np.float32, np.float64)
         if LONG or variant == "numpy" or dtype == np.float64 or (op, variant) in DTYPE_DEPENDENT]  # fmt: skip
FAST = [row for row in TYPED if row[1] != "numpy"]
COMPLETE = ("numpy", "numba")  # variants that support every case; others may raise a ShapeError for some shapes
NEED_NUMBA = ("simd", "gemm_microkernel")
MODULES = [importlib.import_module(info.name) for info in pkgutil.walk_packages(ops.__path__, "tinysegnet.ops.")
           if runtime.HAS_NUMBA or not info.name.endswith(NEED_NUMBA)]  # fmt: skip


def is_float(value):
    return isinstance(value, (np.ndarray, np.floating)) and value.dtype.kind == "f"


def cast(value, dtype):
    return value.astype(dtype) if is_float(value) else value


def run(op, variant, arrays, kwargs):
    """Return the results of forward and the gradients for a random dout, or None if the variant rejects the shape.

    No argument may be written to.
    """
    forward, backward = find_variants(op)[variant]
    before = [np.array(a) for a in (*arrays, *kwargs.values())]
    try:
        out, cache = forward(*arrays, **kwargs)
    except ShapeError:
        assert variant not in COMPLETE
        return None
    outs = out if isinstance(out, tuple) else (out,)
    dout = dout_like(outs[0])
    kept, results = np.array(dout), [np.array(r) for r in outs]
    found = gradients(backward, dout, cache)
    assert same_bits(kept, np.asarray(dout))
    for a, b in zip((*before, *results), (*arrays, *kwargs.values(), *outs), strict=True):
        assert not isinstance(b, np.ndarray) or same_bits(a, b), f"{op} [{variant}] writes to an argument"
    return outs, found


def gradients(backward, dout, cache):
    found = backward(dout, cache)
    return found if isinstance(found, tuple) else (found,)


def dout_like(out):
    rng, dtype = np.random.default_rng([1, 9]), out.dtype
    return dtype.type(rng.uniform(0.5, 1.5)) if np.ndim(out) == 0 else rng.standard_normal(out.shape).astype(dtype)


def drawn(op, dtype=np.float64):
    """Yield (case, arrays, kwargs) for every case, including those that check values only."""
    for case in cases_of(op):
        arrays, kwargs = case.arguments()
        yield case, [cast(a, dtype) for a in arrays], {name: cast(a, dtype) for name, a in kwargs.items()}


def same_bits(a, b):
    return a is b is None or (a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())


def close(a, b, tolerance):
    """Return whether a and b are close as vectors, with NaN and infinity at the same places."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    finite = np.isfinite(b)
    if a.shape != b.shape or not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return False
    return np.linalg.norm((a - b)[finite]) <= tolerance * max(np.linalg.norm(b[finite]), 1e-300)


# --- 1 complete -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", OPS)
def test_every_op_is_complete(op):
    declared, variants = ops.REGISTRY[op], find_variants(op)
    assert {"numpy", "numba"} <= set(variants)
    assert (getattr(ops, f"{op}_forward"), getattr(ops, f"{op}_backward")) == (declared.forward, declared.backward)
    assert issubclass(declared.cache, tuple)
    assert declared.cache._fields
    assert [case for case in cases_of(op) if case.gradient], f"{op} has no case in tinysegnet/gradcheck/cases.py"


def unregistered(modules, registry, exported):
    """Return what the modules declare but the registry or __all__ lacks, and forwards that belong to no declaration."""
    declared = {id(value): value for module in modules for value in vars(module).values() if isinstance(value, ops.Op)}
    missing = [op.name for op in declared.values() if registry.get(op.name) is not op]
    for op in declared.values():
        missing += [name for name in (f"{op.name}_forward", f"{op.name}_backward") if name not in exported]
    variants = {function for op in declared.values() for pair in op.variants.values() for function in pair}
    pairs = tuple(f"{way}_{variant}" for way in ("forward", "backward") for variant in COMPLETE)
    for module in modules:
        missing += [name for name, value in vars(module).items()
                    if name.endswith(pairs) and not name.startswith("_") and value not in variants]  # fmt: skip
    return sorted(missing)


def test_every_declared_op_is_registered_and_exported():
    assert unregistered(MODULES, ops.REGISTRY, ops.__all__) == []


def test_unregistered_ops_are_found():
    """Find a declaration missing from the registry, a name missing from __all__, and a function without a
    declaration."""
    forgotten, relu = ModuleType("forgotten"), ops.REGISTRY["relu"]
    forgotten.CUBE = ops.Op("cube", **relu.variants, cache=relu.cache, differentiable=("x",))
    assert unregistered([forgotten], {}, ["cube_forward", "cube_backward"]) == ["cube"]
    assert unregistered([forgotten], {"cube": forgotten.CUBE}, ["cube_forward"]) == ["cube_backward"]
    forgotten.cube_forward_numpy = lambda x: (x**3, x)
    exported = ["cube_forward", "cube_backward"]
    assert unregistered([forgotten], {"cube": forgotten.CUBE}, exported) == ["cube_forward_numpy"]


@pytest.mark.parametrize("op", OPS)
def test_public_functions_look_like_their_definition(op):
    """A public function has the name, module, docstring, signature and source of the NumPy variant."""
    for public, definition in zip((ops.REGISTRY[op].forward, ops.REGISTRY[op].backward), find_variants(op)["numpy"],
                                  strict=True):  # fmt: skip
        name = definition.__name__.removesuffix("_numpy")
        assert (public.__name__, public.__qualname__, public.__module__) == (name, name, definition.__module__)
        assert (public.__doc__, inspect.signature(public)) == (definition.__doc__, inspect.signature(definition))
        assert getattr(inspect.getmodule(definition), name) is public is getattr(ops, name)
        assert inspect.unwrap(public) is definition
        assert pickle.loads(pickle.dumps(public)) is public


@pytest.mark.parametrize("op", OPS)
def test_differentiable_arguments_are_the_float_arrays_of_the_cases(op):
    names = list(inspect.signature(ops.REGISTRY[op].forward).parameters)
    seen = set()
    for case in (case for case in cases_of(op) if case.gradient):
        arrays, _ = case.arguments()
        floats = [name for name, value in zip(names, arrays, strict=False) if is_float(value)]
        assert floats == [name for name in ops.REGISTRY[op].differentiable if name in floats], case.name
        seen.update(floats)
    assert seen == set(ops.REGISTRY[op].differentiable)


def test_every_case_and_every_variant_belongs_to_a_public_op():
    assert {case.op for case in CASES} <= set(OPS)
    assert len({(case.op, case.name) for case in CASES}) == len(CASES)
    for module in MODULES:
        for name in vars(module):
            if "_forward" in name and not name.startswith("_"):
                assert name.split("_forward")[0] in OPS, f"{module.__name__}.{name} belongs to no public op"


@pytest.mark.parametrize(("op", "variant"), VARIANTS)
def test_variants_have_the_same_signature(op, variant):
    for mine, definition in zip(find_variants(op)[variant], find_variants(op)["numpy"], strict=True):
        assert inspect.signature(mine) == inspect.signature(definition)
        assert mine.__doc__


# --- 2 gradient, 3 the case can fail ----------------------------------------------------------------------------------


GRADIENTS = [row for row in VARIANTS if LONG or row[1] == "numpy" or row == ("relu", "numba")]


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


ROUNDING = {"winograd": 10}  # powers of Winograd's points 2 and -2 amplify rounding errors


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


# A separate process is needed, because the short form compiles kernels without threads.
THREADS = """
import numba, numpy as np, tinysegnet as ts
rng = np.random.default_rng(0)
x, w, b = rng.normal(size=(2, 9, 10, 5)), rng.normal(size=(3, 3, 5, 6)), rng.normal(size=6)
found = []
for threads in (1, 2, 4):
    numba.set_num_threads(threads)
    found.append(ts.ops.conv2d_forward(x, w, b)[0].tobytes())
assert ts.runtime.PARALLEL
print(all(one == found[0] for one in found))
"""


@pytest.mark.skipif(not runtime.JIT, reason="numba does not compile here")
def test_number_of_threads_does_not_change_a_convolution():
    done = subprocess.run([sys.executable, "-c", THREADS], env={**os.environ, "TINYSEGNET_PARALLEL": "1"},
                          capture_output=True, text=True, timeout=500, check=False)  # fmt: skip
    assert done.stdout == "True\n", done.stderr


def mixed(op, forward, backward, cache_type, dtype):
    """Return the cases in which `backward` does not work after `forward`, and how many cases ran."""
    wrong, served = [], 0
    definition = find_variants(op)["numpy"]
    for case, arrays, kwargs in drawn(op, dtype):
        expected_out, expected_cache = definition.forward(*arrays, **kwargs)
        dout = dout_like(expected_out[0] if isinstance(expected_out, tuple) else expected_out)
        expected = gradients(definition.backward, dout, expected_cache)
        arrays, kwargs = [strided(a) for a in arrays], {name: strided(a) for name, a in kwargs.items()}
        try:
            _, cache = forward(*arrays, **kwargs)
            found = gradients(backward, dout, cache)
        except ShapeError:  # not every variant supports every shape
            continue
        except (ValueError, TypeError, AttributeError) as error:  # a cache of another type
            wrong.append(f"{case.name}: {error}")
            continue
        served += 1
        fits = type(cache) is cache_type and len(found) == len(expected)
        rounding = (2e-6 if dtype == np.float32 else 1e-13) * max(ROUNDING.values())
        for a, b in zip(found, expected, strict=False):
            fits &= (a is b is None) or (a is not None and b is not None and a.dtype == dtype and close(a, b, rounding))
        if not fits:
            wrong.append(case.name)
    return wrong, served


@pytest.mark.parametrize("dtype", amount([np.float64], [np.float32, np.float64]))
@pytest.mark.parametrize(("op", "first", "second"), MIXED)
def test_any_backward_can_follow_any_forward(op, first, second, dtype):
    variants = find_variants(op)
    wrong, served = mixed(op, variants[first].forward, variants[second].backward, ops.REGISTRY[op].cache, dtype)
    assert not wrong
    assert served


def test_mixed_variants_with_different_caches_are_found():
    """Find variants whose own backward fits, but whose cache has fewer fields or a field of another meaning."""
    op = ops.REGISTRY["softmax_cross_entropy"]
    forward, backward = op.variants["numpy"]

    def short_forward(logits, labels, **settings):
        loss, cache = forward(logits, labels, **settings)
        return loss, tuple(cache)[:3]

    def doubled_forward(logits, labels, **settings):
        loss, cache = forward(logits, labels, **settings)
        return loss, cache._replace(divisor=2 * cache.divisor)

    def doubled_backward(dloss, cache):
        return backward(dloss, cache._replace(divisor=cache.divisor / 2))

    assert mixed(op.name, doubled_forward, doubled_backward, op.cache, np.float64)[0] == []
    for planted in (short_forward, doubled_forward):
        assert mixed(op.name, planted, op.variants["numba"].backward, op.cache, np.float64)[0]
    assert mixed(op.name, op.variants["numba"].forward, doubled_backward, op.cache, np.float64)[0]
    assert mixed(op.name, lambda *a, **k: (0.0, tuple(forward(*a, **k)[1])), backward, op.cache, np.float64)[0]


# --- 5 arguments -------------------------------------------------------------------------------------------------


def read_only(value):
    if isinstance(value, np.ndarray):
        value = value.copy()
        value.flags.writeable = False
    return value


def strided(value):
    """Return an equal array with gaps between its values and the last axis reversed in memory."""
    if not isinstance(value, np.ndarray) or value.ndim == 0:
        return value
    spaced = np.zeros((*value.shape[:-1], 2 * value.shape[-1]), value.dtype)
    view = spaced[..., ::-2]
    view[...] = value
    assert not view.flags.c_contiguous or view.size == 1
    return view


# For read-only arrays, numba compiles all kernels again, so the short form tests only NumPy and one fast variant.
LAYOUTS = [(*row, layout) for row in VARIANTS for layout in (read_only, strided)
           if LONG or layout == strided or row in GRADIENTS]  # fmt: skip


@pytest.mark.parametrize(("op", "variant", "layout"), LAYOUTS)
def test_arguments_may_be_read_only_or_strided(op, variant, layout):
    forward, backward = find_variants(op)[variant]
    for case, arrays, kwargs in drawn(op):
        expected = run(op, variant, arrays, kwargs)
        if expected is None:
            continue
        given, settings = [layout(a) for a in arrays], {name: layout(a) for name, a in kwargs.items()}
        before = [a.copy() if isinstance(a, np.ndarray) else a for a in (*given, *settings.values())]
        out, cache = forward(*given, **settings)
        outs = out if isinstance(out, tuple) else (out,)
        dout = layout(dout_like(outs[0]))
        kept = np.array(dout)
        found = gradients(backward, dout, cache)
        assert all(close(a, b, 1e-13) for a, b in zip((*outs, *found), sum(map(tuple, expected), ()), strict=True)
                   if b is not None), case.name  # fmt: skip
        after = (*given, *settings.values())
        assert all(same_bits(a, b) if isinstance(a, np.ndarray) else a == b for a, b in zip(before, after, strict=True))
        assert same_bits(kept, np.array(dout))


@pytest.mark.parametrize(("op", "variant"), VARIANTS)
def test_backward_twice_on_one_cache_gives_the_same_bits(op, variant):
    forward, backward = find_variants(op)[variant]
    for case, arrays, kwargs in drawn(op, amount(np.float64, np.float32)):
        if run(op, variant, arrays, kwargs) is None:
            continue
        out, cache = forward(*arrays, **kwargs)
        dout = dout_like(out[0] if isinstance(out, tuple) else out)
        first = [None if g is None else g.copy() for g in gradients(backward, dout, cache)]
        assert all(map(same_bits, first, gradients(backward, dout, cache))), case.name


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


# --- sources -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_ops_do_not_name_float_types(module):
    """The dtype follows the input, so only comments and docstrings of ops name one."""
    tokens = tokenize.generate_tokens(io.StringIO(inspect.getsource(module)).readline)
    names = {token.string for token in tokens if token.type == tokenize.NAME}
    assert not names & {"float16", "float32", "float64", "double", "float_", "longdouble"}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_kernels_never_raise(module):
    """An exception inside a parallel loop is lost, so only the callers of kernels may raise."""
    for function in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(function, ast.FunctionDef) and any("kernel" in ast.unparse(d) for d in function.decorator_list):
            assert not [node for node in ast.walk(function) if isinstance(node, (ast.Raise, ast.Assert, ast.Try))]
