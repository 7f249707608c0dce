"""Lesson 15 and the file of kept answers: the lesson runs with none, five or all of them, and shows which are used."""

import json
import re
import subprocess
import sys

import lesson_runs
import numpy as np
import pytest
from folder_samples import save
from kept_solutions import kept
from lesson_runs import build

from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet_lessons.own_network import MORE, OPS, read_ops
from tinysegnet_lessons.own_report import Badge, Table

(SOURCE,) = (source for source in build.SOURCES if build.number(source) == "15")
FIVE = "conv2d", "relu_backward", "max_pool2d_forward", "max_unpool2d_backward", "cross_entropy"


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


@pytest.mark.long
@pytest.mark.parametrize("names", [(), FIVE, (*OPS, *MORE)], ids=["none", "five", "all"])
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
