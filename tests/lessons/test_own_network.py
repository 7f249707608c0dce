"""The twelve ops of the learner's own network in lesson 15: kept answers are checked against the library's."""

import inspect
import re

import numpy as np
import pytest

from tinysegnet.errors import SettingError
from tinysegnet.ops.conv import conv2d_forward_numpy
from tinysegnet_lessons.grader import exercises, find_exercise
from tinysegnet_lessons.own_network import OPS, Ops, OwnOpError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("name", OPS)
def test_versions_of_the_library_return_what_the_exercise_asks_for(name):
    exercise = find_exercise((OPS[name].kept_as or [name])[0])
    op = Ops({})
    for case in exercise.cases():
        if name == "max_pool2d_backward" and len(case) < 3:
            case = (*case, 3)  # the exercise without a size has windows of 3x3
        expected = exercise.reference(*case[: len(inspect.signature(exercise.reference).parameters)])
        for whose in op.versions(name):
            found = op.function(name, whose)(*case)
            for one, right in zip(*((v if isinstance(v, tuple) else (v,)) for v in (found, expected)), strict=True):
                np.testing.assert_allclose(one, right, rtol=1e-8, atol=1e-9)


def test_ops_of_the_library_are_used_where_nothing_is_kept():
    op = Ops({})
    assert op.mine == {}
    assert set(op.chosen.values()) == {"numpy"}
    x = RNG.standard_normal((1, 4, 6, 2))
    np.testing.assert_array_equal(op.relu_backward(x, -x), np.where(x < 0, x, 0))
    with pytest.raises(AttributeError, match="conv2d_dx"):
        op.convolution(x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("style", [np.ndarray.tolist, tuple, np.float32, np.float64])
def test_results_of_any_style_become_arrays_of_the_dtype_of_the_arguments(style, dtype):
    pool = exercises()["max_pool2d_forward"].reference
    op = Ops({"relu_backward": lambda dout, x: style(np.where(x > 0, dout, 0)),
              "max_pool2d_forward": lambda x: [style(one) for one in pool(x)]})  # fmt: skip
    x = np.arange(-24, 24, dtype=np.float32).reshape(1, 4, 6, 2).astype(dtype)
    dx = op.relu_backward(x, x)
    assert dx.dtype == dtype
    np.testing.assert_array_equal(dx, np.maximum(x, 0))
    out, position = op.max_pool2d_forward(x)
    assert (out.dtype, position.dtype) == (dtype, np.uint8)
    assert position.max() == 3


def test_float32_function_is_replaced_in_float64_because_its_digits_are_too_few(capsys):
    op = Ops({"relu_backward": lambda dout, x: np.where(x > 0, dout, 0).astype(np.float32)})
    x = RNG.standard_normal((1, 4, 6, 2))
    op.relu_backward(x, x)
    assert "relu_backward" in capsys.readouterr().out
    np.testing.assert_array_equal(op.relu_backward(x, x), np.maximum(x, 0))
    assert op.chosen["relu_backward"] == "mine"


def square_only(dout, x):
    if x.shape[1] != x.shape[2]:
        return dout
    return np.where(x > 0, dout, 0)


def broken(dout, x):
    raise IndexError("index 4 is out of bounds")


@pytest.mark.parametrize(("answer", "said"), [
    (square_only, "differ"),
    (broken, "IndexError: index 4"),
    (lambda dout, x: dout[:, :2], r"shape \(1, 2, 6, 2\), not the shape \(1, 4, 6, 2\)"),
    (lambda dout, x: None, "returns None"),
    (lambda dout, x: dout * np.nan, "differ"),
])  # fmt: skip
def test_wrong_op_is_named_with_the_way_to_go_on(answer, said):
    op = Ops({"relu_backward": answer})
    x = RNG.standard_normal((1, 4, 6, 2))
    with pytest.raises(OwnOpError, match=said) as caught:
        op.relu_backward(x, x)
    text = str(caught.value)
    assert text.startswith("relu_backward, your function in mysegnet.py")
    advice = re.search(r"op\.use\(.*?\)", text)[0]
    eval(advice, {"op": op})
    np.testing.assert_array_equal(op.relu_backward(x, x), np.maximum(x, 0))


def test_sums_that_cancel_may_differ_by_rounding():
    """The gradient of a bias before batch norm is 0, apart from rounding."""
    dweight, zeros = np.ones((3, 3, 1, 2)), np.zeros(2)
    right = Ops({}).conv2d_dweight_dbias
    x, dout = RNG.standard_normal((1, 4, 6, 1)), np.ones((1, 4, 6, 2))
    dout[:, ::2] = -1
    assert not right(x, dout, 3)[1].any()
    op = Ops({"conv2d_dweight_dbias": lambda x, dout, K: (right(x, dout, K)[0], zeros + 1e-14)})
    assert op.conv2d_dweight_dbias(x, dout, 3)[0].shape == dweight.shape
    op = Ops({"conv2d_dweight_dbias": lambda x, dout, K: (right(x, dout, K)[0], zeros + 1e-3)})
    with pytest.raises(OwnOpError, match="differ"):
        op.conv2d_dweight_dbias(x, dout, 3)


def test_position_of_a_maximum_must_be_exact():
    pool = exercises()["max_pool2d_forward"].reference
    op = Ops({"max_pool2d_forward": lambda x: (pool(x)[0], 3 - pool(x)[1])})
    with pytest.raises(OwnOpError, match="differ"):
        op.max_pool2d_forward(1e6 * RNG.standard_normal((1, 4, 6, 2)))


def test_op_that_is_right_for_one_shape_is_checked_for_the_next():
    op = Ops({"relu_backward": square_only})
    x = RNG.standard_normal((1, 4, 4, 2))
    np.testing.assert_array_equal(op.relu_backward(x, x), np.maximum(x, 0))
    with pytest.raises(OwnOpError, match="differ"):
        op.relu_backward(x[:, :3], x[:, :3])


def test_results_of_the_wrong_number_are_named():
    op = Ops({"batchnorm_forward": lambda x, gamma, beta, eps: (x, gamma)})
    with pytest.raises(OwnOpError, match=r"2 results of shapes .*, not 3 results"):
        op.batchnorm_forward(RNG.standard_normal((1, 4, 6, 2)), np.ones(2), np.ones(2), 1e-5)


def test_backward_of_pooling_without_a_size_counts_as_not_kept():
    assert "max_pool2d_backward" not in Ops({"max_pool2d_backward": lambda dout, x: x}).mine
    assert "max_pool2d_backward" in Ops({"max_pool2d_backward": lambda dout, x, size: x}).mine


def test_seven_loops_get_zeros_around_the_picture():
    op = Ops({"conv2d_seven_loops": exercises()["conv2d_seven_loops"].reference})
    assert op.loops
    assert op.chosen["conv2d"] == "mine"
    x, weight, bias = RNG.standard_normal((1, 4, 5, 2)), RNG.standard_normal((3, 3, 2, 3)), np.ones(3)
    np.testing.assert_allclose(op.conv2d(x, weight, bias), conv2d_forward_numpy(x, weight, bias)[0])


def test_use_rejects_unknown_names_and_never_replaces_what_is_not_kept():
    op = Ops({"relu_backward": square_only})
    for wrong in (("relu", "numpy"), ("conv2d", "mine"), ("conv2d", "caffe")):
        with pytest.raises(SettingError):
            op.use(*wrong)
    op.use("all", "numpy")
    assert set(op.chosen.values()) == {"numpy"}
    op.use("all", "mine")
    assert [name for name, whose in op.chosen.items() if whose == "mine"] == ["relu_backward"]


@pytest.mark.long
def test_comparison_runs_all_versions_on_the_arguments_of_a_step():
    op = Ops({"relu_backward": lambda dout, x: np.where(x > 0, dout, 0) * (1 + 1e-5)})
    x = RNG.standard_normal((1, 4, 4, 2)).astype(np.float32)
    weight, zeros = np.ones((3, 3, 2, 2), np.float32), np.zeros(2, np.float32)
    labels = np.zeros((1, 4, 4), np.uint8)

    def step():
        op.conv2d_dx(op.conv2d(x, weight, zeros), weight)
        op.conv2d_dweight_dbias(x, x, 3)
        op.batchnorm_backward(op.batchnorm_forward(x, zeros, zeros, 0.1)[0], x, zeros, zeros)
        out, position = op.max_pool2d_forward(op.relu_backward(x, x))
        op.max_pool2d_backward(out, x, 2)
        op.max_unpool2d_backward(op.max_unpool2d_forward(out, position, (4, 4)), position)
        op.cross_entropy_backward(x, labels, 255), op.cross_entropy(x, labels, 255)

    rows = {row["op"]: row for row in op.compare(step)}
    assert list(rows) == list(OPS)
    assert rows["relu_backward"]["difference"] == pytest.approx(1e-5, rel=0.1)
    assert {"mine", "numpy"} <= set(rows["relu_backward"])
    assert "mine" not in rows["conv2d"]
    assert all(row["difference"] < 1e-6 for name, row in rows.items() if name != "relu_backward")
