"""`tinysegnet lessons DIR` copies the notebooks and never overwrites a learner's work."""

import importlib
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tinysegnet.cli import lessons_command
from tinysegnet.cli.main import main

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.name for path in (ROOT / "lessons").glob("[0-9][0-9]*_*.ipynb"))
FILES = [*NAMES, "decoder_study.csv"]  # which lesson 11 reads


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_lessons_copies_all_notebooks_unchanged(tmp_path, capsys):
    assert main(["lessons", str(tmp_path / "my lessons")]) == 0
    assert names(tmp_path / "my lessons") == FILES
    for name in FILES:
        assert (tmp_path / "my lessons" / name).read_bytes() == (ROOT / "lessons" / name).read_bytes()
    out = capsys.readouterr().out
    assert f"{len(NAMES)} of {len(NAMES)}" in out
    assert "kept" not in out
    assert f"jupyter lab '{tmp_path}/my lessons/{NAMES[0]}'" in out


def test_lessons_keeps_and_names_a_changed_notebook(tmp_path, capsys):
    assert main(["lessons", str(tmp_path)]) == 0
    (tmp_path / NAMES[0]).write_text("my work")
    (tmp_path / NAMES[1]).unlink()
    capsys.readouterr()
    assert main(["lessons", str(tmp_path)]) == 0
    assert (tmp_path / NAMES[0]).read_text() == "my work"
    assert names(tmp_path) == FILES
    out = capsys.readouterr().out
    kept = [line for line in out.splitlines() if line.startswith("kept")]
    assert len(kept) == 1
    assert NAMES[0] in kept[0]
    assert f"1 of {len(NAMES)}" in out
    assert f"other {len(NAMES) - 1}" in out


def test_lessons_copies_nothing_the_second_time(tmp_path, capsys):
    assert main(["lessons", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["lessons", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "Copied" not in out
    assert re.search(f"{len(NAMES)} lessons.*kept", out)


def test_lessons_keeps_changed_data_and_does_not_count_it(tmp_path, capsys):
    (tmp_path / FILES[-1]).write_text("my figures")
    assert main(["lessons", str(tmp_path)]) == 0
    assert (tmp_path / FILES[-1]).read_text() == "my figures"
    out = capsys.readouterr().out
    assert f"kept    {tmp_path / FILES[-1]}" in out
    assert f"{len(NAMES)} of {len(NAMES)}" in out


def test_lessons_keeps_a_dangling_link(tmp_path, capsys):
    (tmp_path / NAMES[0]).symlink_to(tmp_path / "nowhere")
    assert main(["lessons", str(tmp_path)]) == 0
    assert not (tmp_path / "nowhere").exists()
    assert "kept" in capsys.readouterr().out


def test_lessons_rejects_a_file_as_its_folder(tmp_path, capsys):
    (tmp_path / "file").write_text("hello")
    assert main(["lessons", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'file'}: a text file")
    assert (tmp_path / "file").read_text() == "hello"


def test_lessons_needs_a_folder(capsys):
    assert main(["lessons"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "DIR" in error


def test_lessons_explains_how_to_install_jupyterlab(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(lessons_command.importlib.util, "find_spec", lambda name: None)
    assert main(["lessons", str(tmp_path)]) == 0
    assert 'pip install "tinysegnet[lessons]"' in capsys.readouterr().out


def test_lessons_reports_an_installation_without_lessons(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(lessons_command, "_PACKAGE", tmp_path / "tinysegnet")
    assert main(["lessons", str(tmp_path / "out")]) == 2
    assert str(tmp_path / "tinysegnet") in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.long
def test_wheel_contains_notebooks_and_graders_but_no_solutions(tmp_path):
    pytest.importorskip("hatchling")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        carried = {name for name in archive.namelist() if not re.match(r"tinysegnet-[\d.]+\.dist-info/", name)}
        (scripts,) = (name for name in archive.namelist() if name.endswith("/entry_points.txt"))
        module, name = re.search(r"^tinysegnet = ([\w.]+):(\w+)$", archive.read(scripts).decode(), re.M).groups()
        archive.extractall(tmp_path / "unpacked")
    assert callable(getattr(importlib.import_module(module), name))
    notebooks = {f"tinysegnet/lessons/{name}" for name in FILES}
    assert carried == notebooks | files_of("tinysegnet", ROOT) | files_of("tinysegnet_lessons", ROOT / "lessons")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "unpacked")}
    command = [sys.executable, "-m", "tinysegnet", "lessons", str(tmp_path / "mine")]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=300)
    assert names(tmp_path / "mine") == FILES
    script = [sys.executable, "-c", "from tinysegnet_lessons import grader; print(grader.__file__)"]
    found = subprocess.run(script, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    assert found.stdout.startswith(str(tmp_path / "unpacked" / "tinysegnet_lessons"))


def files_of(package, folder):
    """Return all files of a package except Python's caches."""
    paths = (path.relative_to(folder) for path in (folder / package).rglob("*") if path.is_file())
    return {path.as_posix() for path in paths if "__pycache__" not in path.parts}
