"""Any backward can follow any forward, and arguments may have any layout. These are laws 4 and 5 of test_laws."""

from __future__ import annotations

import numpy as np
import pytest
from forms import LONG, amount
from op_laws import GRADIENTS, MIXED, ROUNDING, VARIANTS, close, dout_like, drawn, gradients, run, same_bits, strided

from tinysegnet import ops
from tinysegnet.errors import ShapeError
from tinysegnet.gradcheck import find_variants


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
