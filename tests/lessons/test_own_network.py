"""The learner's own network of lesson 15: kept answers become checked ops; the lesson runs with none, five or all."""

import ast
import inspect
import json
import linecache
import re
import subprocess
import sys
from functools import cache

import lesson_runs
import numpy as np
import pytest
from folder_samples import save
from lesson_runs import build

from tinysegnet import ops
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.errors import SettingError
from tinysegnet.ops.conv import conv2d_forward_numpy
from tinysegnet_lessons.grader import exercises, find_exercise
from tinysegnet_lessons.grader.kept_answers import keep, keep_answers
from tinysegnet_lessons.own_network import MORE, OPS, Ops, OwnOpError, read_ops
from tinysegnet_lessons.own_report import Badge, Table

(SOURCE,) = (source for source in build.SOURCES if build.number(source) == "15")
GRADED = re.compile(r"^\w+ = grader\.grade\(\"(\w+)\", (\w+)\)", re.M)
RNG = np.random.default_rng(0)


@cache
def solutions():
    """Return the solutions in the lessons' sources by the name of their exercise."""
    found, waiting = {}, {}
    for source in build.SOURCES:
        student = build.student(build.read(source)).cells
        for number, cell in enumerate(build.solved(build.read(source)).cells):
            if cell.cell_type == "code" and cell.source != student[number].source:
                waiting |= _functions(f"<{source.stem}, cell {number} for keeping>", cell.source)
            for name, answer in GRADED.findall(cell.source) if cell.cell_type == "code" else ():
                found[name] = waiting.get(answer)
    return found


def _functions(file, code):
    tree = ast.parse(code)
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    linecache.cache[file] = len(code), None, code.splitlines(keepends=True), file
    names = {"__name__": "__main__", "np": np, "ops": ops}
    exec(compile(tree, file, "exec"), names)
    return {node.name: names[node.name] for node in tree.body}


def kept(folder, names):
    """Keep the lessons' solutions of these ops in a folder, as the grader does."""
    keep_answers(folder)
    for name in names:
        exercise = (*getattr(OPS.get(name), "kept_as", ()), name)[0]
        assert "not kept" not in (keep(find_exercise(exercise), solutions()[exercise], folder) or ""), name


# --- the lesson -------------------------------------------------------------------------------------------------------


def run_lesson(folder, **environment):
    """Run the solved lesson up to its challenge, in the fast mode on the NumPy backend, in this folder."""
    lesson = folder / SOURCE.name
    lesson.write_text(SOURCE.read_text().split("# %% [markdown]\n# ### Challenge")[0])
    environment = lesson_runs._environment(folder, TINYSEGNET_BACKEND="numpy", OPENBLAS_NUM_THREADS="1",
                                           MPLBACKEND="agg", **environment)  # fmt: skip
    done = subprocess.run([sys.executable, lesson_runs.__file__, str(lesson)], cwd=folder, env=environment, text=True,
                          capture_output=True, timeout=580, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    failure = json.loads(done.stdout)[SOURCE.stem]["failure"]
    assert failure is None, failure["shown"]


FIVE = "conv2d", "relu_backward", "max_pool2d_forward", "max_unpool2d_backward", "cross_entropy"


@pytest.mark.parametrize("names", [pytest.param((), id="none", marks=pytest.mark.long), pytest.param(FIVE, id="five"),
                                   pytest.param((*OPS, *MORE), id="all", marks=pytest.mark.long)])  # fmt: skip
def test_lesson_runs_with_the_answers_that_are_kept(names, tmp_path, capsys):
    kept(tmp_path, names)
    count = len(read_ops(tmp_path).mine)
    assert count == sum(name in OPS for name in names)
    streets = tmp_path / "streets"
    if names == FIVE:  # and own pictures, with three classes
        for k, sample in enumerate(ToyScenes(8, seed=1, size=(40, 60))[k] for k in range(8)):
            split = "val" if k > 5 else "train"
            save(streets / "images" / split / f"{k}.png", sample.image)
            save(streets / "labels" / split / f"{k}.png", np.minimum(sample.labels, 2))
        (streets / "classes.txt").write_text("a\nb\nc\n")
    run_lesson(tmp_path, TINYSEGNET_CAMVID="", TINYSEGNET_PICTURES=str(streets) if names == FIVE else "")
    assert f"{count} of 12 ops are mine" in (tmp_path / "badge.svg").read_text()
    page = (tmp_path / "my_segnet_report.html").read_text()
    assert f"{count} of 12 ops are mine" in page
    assert "position prior" in page
    assert re.search(r"95 % confidence intervals: G 0\.\d+ to 0\.\d+", page) or names == FIVE  # with two test pictures
    assert "last.safetensors" not in page
    assert str(tmp_path) not in page


# --- the twelve ops ---------------------------------------------------------------------------------------------------


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


# --- the file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["def my_relu(dout, x)\n    return x\n", "import no_such_module\n", "print(1)\n"])
def test_broken_file_is_one_line_with_its_place(code, tmp_path, capsys):
    kept(tmp_path, ["relu_backward"])
    file = tmp_path / "mysegnet.py"
    file.write_text(file.read_text() + f"\n\n# %% cross_entropy, kept on 2026-01-01\n{code}")
    line = file.read_text().splitlines().index("# %% cross_entropy, kept on 2026-01-01") + 1
    capsys.readouterr()
    op = read_ops(tmp_path)
    said = capsys.readouterr().out
    assert op.mine == {}
    assert f"{file}, line {line}: the answer to cross_entropy" in said.splitlines()[0]
    assert "0 of 12" in said


def test_file_that_does_not_exist_is_no_error(tmp_path, capsys):
    assert read_ops(tmp_path).mine == {}
    assert "keep_answers" in capsys.readouterr().out


def test_table_and_source_show_where_an_answer_stands(tmp_path):
    kept(tmp_path, ["relu_backward", "he_std"])
    op = read_ops(tmp_path)
    rows = {row[1]: row for row in op.table().rows}
    assert len(rows) == len(OPS) + len(MORE)
    assert rows["relu_backward"][2] == rows["he_std"][2] == "mine"
    assert rows["conv2d"][2:] == ("library", "")
    first, last = map(int, re.findall(r"\d+", rows["relu_backward"][3]))
    lines = (tmp_path / "mysegnet.py").read_text().splitlines()[first - 1 : last]
    assert lines[0].startswith("def ")
    assert op.source("relu_backward").text.splitlines() == lines
    assert "conv2d_backward_numpy" in op.source("conv2d_dx").text


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_table_is_aligned_in_a_terminal_and_escaped_in_html():
    table = Table(("op", "ms"), [("a<b", 1.5), ("mine", float("nan"))])
    assert str(table).splitlines() == ["op      ms", "a<b    1.5", "mine     -"]
    page = table._repr_html_()
    assert "a&lt;b" in page
    assert page.count("<tr>") == 3


def test_badge_counts_the_own_ops(tmp_path):
    badge = Badge([True, False, True])
    assert str(badge) == "2 of 3 ops are mine"
    badge.save(tmp_path / "badge.svg")
    text = (tmp_path / "badge.svg").read_text()
    assert "2 of 3 ops are mine" in text
    assert text.count("<rect") == 1 + 3
