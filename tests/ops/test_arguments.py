"""Every form of an argument: the right result, or an error of tinysegnet with the argument or the op in it.

A form is a list, another dtype, another memory layout or another shape. The ops come from their registry.
"""

import inspect

import numpy as np
import pytest
from forms import LONG

from tinysegnet import metrics, ops
from tinysegnet.errors import ShapeError, TinySegNetError
from tinysegnet.gradcheck import find_ops, find_variants
from tinysegnet.gradcheck.cases import cases_of


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def spread(array):
    """Return an equal array with gaps between its values, and the last axis reversed in memory."""
    spaced = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    spaced[..., ::-2] = array
    return spaced[..., ::-2]


# Forms that are no arrays. Only the public functions check for them.
OBJECTS = {
    "list": lambda a: a.tolist(),
    "tuple": lambda a: tuple(a.tolist()),
    "tuple of arrays": tuple,
    "Python number": lambda a: float(a.flat[0]),
    "None": lambda a: None,
    "string": lambda a: "x",
    "masked array": lambda a: np.ma.masked_array(a, a == a.flat[0]),
}
DTYPES = [">f4", ">f8", ">i8", "i8", "u1", "f2", "g", "?", "c16", "O", "U8", "M8[s]"]
LAYOUTS = {
    "Fortran order": np.asfortranarray,
    "gaps and a reversed axis": spread,
    "reversed rows": lambda a: a[::-1].copy()[::-1],
    "read-only": read_only,
}
SHAPES = {
    "no axis": lambda a: np.array(a.flat[0]),
    "NumPy number": lambda a: a.flat[0],
    "no row": lambda a: a[:0],
    "no channel": lambda a: a[..., :0],
    "nothing": lambda a: a.ravel()[:0],
    "one axis more": lambda a: a[None],
    "one axis fewer": lambda a: a[0],
    "one axis": lambda a: a.ravel(),
    "one channel fewer": lambda a: a[..., 1:],
    "one channel more": lambda a: np.concatenate([a, a[..., :1]], -1),
    "one row more": lambda a: np.concatenate([a, a[:1]]),
}
ARRAYS = {**{f"dtype {name}": lambda a, name=name: a.astype(name) for name in DTYPES}, **LAYOUTS, **SHAPES}


def arguments(op):
    """Return the positional arguments and the settings of the op's first case with a gradient."""
    return next(case for case in cases_of(op) if case.gradient).arguments()


def replaced(op, forward):
    """Yield (argument, array, call) for each array that forward or backward takes. call(value) returns the results."""
    arrays, settings = arguments(op)
    given = dict(zip(inspect.signature(forward.forward).parameters, arrays, strict=False)) | settings
    if op.startswith("batchnorm2d"):
        given |= {"mean": np.zeros(len(arrays[1])), "var": np.ones(len(arrays[1]))}
    for name, array in given.items():
        if isinstance(array, np.ndarray):
            yield name, array, lambda value, name=name: flat(forward.forward(**given | {name: value})[0])
    out, cache = forward.forward(**given)
    dout = np.random.default_rng(1).standard_normal(np.shape(flat(out)[0]))
    if dout.ndim:
        yield "dout", dout, lambda value: flat(forward.backward(value, cache))


def flat(results):
    return [np.asarray(r) for r in (results if isinstance(results, tuple) else (results,)) if r is not None]


def result_or_error(call, value, place):
    """Return the results, or None after an error of tinysegnet on one line."""
    try:
        with np.errstate(all="ignore"):
            return call(value)
    except TinySegNetError as error:
        message = str(error)
    except Exception as error:
        raise AssertionError(f"{place}: {type(error).__name__}: {error}") from error
    assert len(message.splitlines()) == 1, place
    return None


def formed(form, array):
    """Return the array in this form, or the array itself if it cannot have it, as one number cannot be reversed."""
    try:
        return form(array)
    except (IndexError, ValueError, TypeError):
        return array


VARIANTS = [(op, variant) for op in find_ops() for variant in find_variants(op)]


def compiles_again(variant, kind):
    """Return whether numba would compile kernels for this form, which only the long form of the tests does."""
    return kind == "read-only" and variant != "numpy" and not LONG


@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
@pytest.mark.parametrize(("op", "variant"), [
    row for row in VARIANTS if LONG or not row[1].startswith("winograd")])  # they check as "numba" does  # fmt: skip
def test_an_array_of_any_dtype_layout_and_shape_is_right_or_refused(op, variant):
    accepted = 0
    for name, array, call in replaced(op, find_variants(op)[variant]):
        for kind, form in ARRAYS.items():
            if compiles_again(variant, kind):
                continue
            value, place = formed(form, array), f"{op} [{variant}], {name}: {kind}"
            found = result_or_error(call, value, place)
            if found is None:
                assert kind not in LAYOUTS, f"{place} is refused"
                continue
            accepted += 1
            native = value.astype(array.dtype) if value.dtype.kind == array.dtype.kind else value
            plain = np.array(native, dtype=value.dtype.newbyteorder("="), order="C")
            for a, b in zip(found, call(plain), strict=True):
                assert a.shape == b.shape, place
                np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12, err_msg=place)
    assert accepted >= len(LAYOUTS)


@pytest.mark.parametrize("op", find_ops())
def test_what_is_not_an_array_is_refused_with_the_remedy(op):
    declared = ops.REGISTRY[op]
    for name, array, call in replaced(op, ops.Variant(declared.forward, declared.backward)):
        if name == "class_weights":
            continue  # may be a list
        for form in OBJECTS.values():
            value = form(array)
            if value is None and name in ("bias", "mean", "var"):
                continue  # an optional argument
            with pytest.raises(ShapeError, match=rf"{op}_\w+ needs a NumPy array as {name}, .*numpy\.array"):
                call(value)


@pytest.mark.parametrize("op", ["softmax_cross_entropy", "sigmoid_cross_entropy", "focal_loss", "dice_loss"])
def test_dloss_must_be_one_real_number(op):
    arrays, settings = arguments(op)
    for forward, backward in find_variants(op).values():
        _, cache = forward(*arrays, **settings)
        for wrong in (None, "1", [1.0], np.ones(1), np.ones((2, 2)), 1j, np.datetime64(1, "s")):
            with pytest.raises(ShapeError, match="dloss"):
                backward(wrong, cache)
        expected = backward(2.0, cache)
        for right in (2, np.float32(2), np.array(2), np.array(2.0, ">f8")):
            np.testing.assert_allclose(backward(right, cache), expected, rtol=1e-14)


@pytest.mark.parametrize("op", ["relu", "sigmoid"])
def test_one_number_without_an_axis_has_a_result_without_an_axis(op):
    for forward, backward in find_variants(op).values():
        out, cache = forward(np.array(0.5))
        assert np.shape(out) == np.shape(backward(np.array(1.0), cache)) == ()


@pytest.mark.parametrize("dtype", ["f2", "g", "i8", "?", "O", "U1"])
@pytest.mark.parametrize("op", ["max_pool2d", "max_unpool2d"])
def test_a_gradient_that_only_moves_must_be_a_float_array(op, dtype):
    arrays, settings = arguments(op)
    for forward, backward in find_variants(op).values():
        out, cache = forward(*arrays, **settings)
        first = out[0] if isinstance(out, tuple) else out
        with pytest.raises(ShapeError, match=f"{op} needs arrays that are all float32"):
            backward(np.ones(first.shape).astype(dtype), cache)


# --- other functions -------------------------------------------------------------------------------------------------


def other_functions():
    """Yield (name, function of one array, array)."""
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 3, (2, 6, 7)).astype(np.uint8)
    values, wrong = rng.random((6, 7)), rng.random((6, 7)) < 0.5
    matrix = metrics.confusion_matrix(labels, predictions, 3)
    counts = np.stack([metrics.class_counts(matrix)] * 60)
    x, weight = rng.random((1, 5, 6, 3)), rng.random((3, 3, 3, 2))
    logits, classes = rng.random((4, 3)), np.zeros(4, int)
    indices = rng.integers(0, 4, (1, 2, 3, 2)).astype(np.uint8)
    for score in (metrics.confusion_matrix, metrics.boundary_f1, metrics.boundary_f1_by_distance):
        yield f"{score.__name__} labels", lambda a, score=score: score(a, predictions, 3), labels
        yield f"{score.__name__} predictions", lambda a, score=score: score(labels, a, 3), predictions
    yield "boundary_map", metrics.boundary_map, labels
    yield "class_counts", metrics.class_counts, matrix
    yield "Scores", lambda a: metrics.Scores.from_confusion(a).IoU, matrix
    yield "auroc values", lambda a: metrics.auroc(a, wrong), values
    yield "auroc positive", lambda a: metrics.auroc(values, a), wrong
    yield "bootstrap_intervals", lambda a: metrics.bootstrap_intervals(a, rng=np.random.default_rng(0)), counts
    yield "Collector labels", lambda a: collected(a, predictions, values), labels
    yield "Collector predictions", lambda a: collected(labels, a, values), predictions
    yield "Collector uncertainty", lambda a: collected(labels, predictions, a), values
    yield "pack_indices", ops.pack_indices, rng.integers(0, 4, (1, 2, 3, 5)).astype(np.uint8)
    yield "unpack_indices", lambda a: ops.unpack_indices(a, 5), indices
    yield "flat_plane_indices", lambda a: ops.flat_plane_indices(a, 5, (4, 6)), indices
    yield "flat_plane_indices, 3x3", lambda a: ops.flat_plane_indices(a, 2, (6, 9), size=3, stride=3), indices
    yield "conv2d_inference x", lambda a: ops.conv2d_inference(a, weight), x
    yield "conv2d_inference weight", lambda a: ops.conv2d_inference(x, a), weight
    yield "conv2d_inference scale", lambda a: ops.conv2d_inference(x, weight, scale=a), rng.random(2)
    yield "cross_entropy_for", lambda a: str(ops.cross_entropy_for(a)), logits
    yield "class_weights", lambda a: ops.softmax_cross_entropy_forward(logits, classes, class_weights=a)[0], np.ones(3)


def collected(labels, predictions, values):
    collector = metrics.Collector(3, boundary=True)
    collector.add(labels, predictions, uncertainty=values)
    return collector.scores().as_dict()


@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
def test_every_form_of_an_argument_of_other_functions_is_right_or_refused():
    for name, call, array in other_functions():
        expected = call(array)
        for kind, form in {**OBJECTS, **ARRAYS}.items():
            if compiles_again("public", kind):
                continue
            found = result_or_error(call, formed(form, array), f"{name}: {kind}")
            if kind in LAYOUTS or (found is not None and kind in ("list", "tuple", "tuple of arrays")):
                np.testing.assert_equal(found, expected, err_msg=f"{name}: {kind}")
