"""Commands start quickly, show help, and survive wrong settings of the environment."""

import importlib.util
import os
import re
import subprocess
import sys

import pytest
from run_samples import write_run

import tinysegnet as ts
from tinysegnet import runtime
from tinysegnet.cli import options, training_options
from tinysegnet.cli.main import COMMANDS, main
from tinysegnet.models import PREPROCESSING
from tinysegnet.runtime.jit import remove_invalid_settings
from tinysegnet.training import Recipe, recipe_for

# --- help ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["-h", "--help", "help"])
def test_help_lists_every_command_in_groups(flag, capsys):
    assert main([flag]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert [name for name in COMMANDS if f"\n  {name} " not in out] == []
    for group, summary in COMMANDS.values():
        assert f"\n{group}:\n" in out
        assert summary in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_the_version_is_printed(flag, capsys):
    assert main([flag]) == 0
    assert capsys.readouterr().out.strip() == ts.__version__


@pytest.mark.parametrize("words", ["data --help", "data -h", "help data", "--help data"])
def test_help_of_data_lists_its_commands(words, capsys):
    assert main(words.split()) == 0
    out = capsys.readouterr().out
    assert out.startswith("Usage: tinysegnet data COMMAND")
    assert [name for name in COMMANDS if name.startswith("data ") != (f"\n  {name} " in out)] == []


@pytest.mark.parametrize("words", ["", "--debug", "data"])
def test_without_a_command_the_help_is_printed_with_exit_code_2(words, capsys):
    assert main(words.split()) == 2
    out, err = capsys.readouterr()
    assert err == ""
    assert main([*words.replace("--debug", "").split(), "--help"]) == 0
    assert capsys.readouterr().out == out


def test_help_of_train_shows_how_to_switch_the_mirror_off(capsys):
    assert main(["train", "--help"]) == 0
    assert "--mirror, --no-mirror" in capsys.readouterr().out


def test_every_way_to_ask_for_help_shows_the_same_page(capsys):
    pages = set()
    for words in ("help data crops", "--help data crops", "data crops -h", "data crops --help", "data crops x --help"):
        assert main(words.split()) == 0
        out, err = capsys.readouterr()
        assert err == ""
        pages.add(out)
    assert len(pages) == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_readable_placeholders(command, capsys):
    assert main([*command.split(), "--help"]) == 0
    page = capsys.readouterr().out
    assert page.startswith(f"Usage: tinysegnet {command}")
    assert re.findall(r"\b(?:INT|FLOAT|STR|PATH|CHOICE|ARGS|Path|int|float|str)\b", page) == []
    assert max(map(len, page.splitlines())) <= 100
    undescribed = [line for line in re.findall(r"^  (\S.*)$", page, re.MULTILINE) if len(line.split("  ")) < 2]
    assert [line for line in undescribed if not line.startswith("-") and len(line) < 24] == []


def test_help_of_train_shows_the_recipe_of_the_data(capsys):
    assert main(["train", "--help"]) == 0
    assert "96x128" in capsys.readouterr().out
    assert main(["train", "--recipe", "paper-basic", "--help"]) == 0
    assert "360x480" in capsys.readouterr().out


def test_names_that_help_shows_without_importing_networks_are_right():
    assert tuple(ts.models) == options.MODELS
    assert tuple(PREPROCESSING) == training_options.PREPROCESSING
    assert recipe_for(ts.data.open_dataset("toy", "train")) == Recipe()  # the defaults for toy scenes


# --- imports ---------------------------------------------------------------------------------------------------------

HEAVY = ("numpy", "numba", "scipy", "matplotlib", "PIL", "jinja2", "tqdm", "safetensors", "rich.markdown", "av")
# Run command lines one after the other, and print which modules are imported after each.
IMPORTS = """
import io, sys
import tinysegnet.cli.main
assert not {{"cyclopts", "numpy", "typing"}} & set(sys.modules), "the entry is not light"
output, sys.stdout = sys.stdout, io.StringIO()
for command in {commands!r}:
    code = tinysegnet.cli.main.main(command.split())
    print(command, code, *(name for name in {heavy!r} if name in sys.modules), sep=";", file=output)
"""


def imports_of(commands, folder, **environment):
    """Return the exit code of each command, and the heavy modules that it or a command before it imports."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS.format(commands=commands, heavy=HEAVY)], cwd=folder,
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    rows = [line.split(";") for line in done.stdout.splitlines()]
    return {command: (int(code), set(modules)) for command, code, *modules in rows}


def test_help_imports_nothing_heavy(tmp_path):
    pages = ["--help", "--version", "data --help", *(f"{command} --help" for command in COMMANDS)]
    found = imports_of(pages, tmp_path)
    assert found == dict.fromkeys(pages, (0, set()))


ARRAYS = {"numpy", "PIL"}
# In a row, each command may import what those before it may.
DATA_COMMANDS = {
    "lessons copy": set(),
    "doctor --clear-cache": set(),
    "data check streets": ARRAYS | {"tqdm"},
    "data scenes --out scenes --count 2 --size 16x16": ARRAYS | {"tqdm", "matplotlib"},
}
NETWORK_COMMANDS = {
    "summary tiny": ARRAYS | {"numba", "scipy"},  # numba imports SciPy if it is installed
    "doctor": ARRAYS | {"numba", "scipy", "safetensors"},
    "predict toy streets/images --out out --scale 0.2": ARRAYS
    | {"numba", "scipy", "safetensors", "matplotlib", "tqdm"},
    "compare first second": ARRAYS | {"numba", "scipy", "safetensors", "matplotlib", "tqdm", "jinja2"},
}


@pytest.mark.parametrize("allowed", [DATA_COMMANDS, pytest.param(NETWORK_COMMANDS, marks=pytest.mark.long)], ids=len)
def test_commands_import_only_what_they_use(tmp_path, allowed):
    assert main(["data", "scenes", "--out", str(tmp_path / "streets"), "--count", "2", "--size", "16x16"]) == 0
    for name in ("first", "second"):
        write_run(tmp_path / name, data="gone")
    found = imports_of(list(allowed), tmp_path, TINYSEGNET_CACHE=str(tmp_path / "cache"), TINYSEGNET_BACKEND="numpy")
    assert {command: code for command, (code, _) in found.items()} == dict.fromkeys(allowed, 0)
    extra = {command: found[command][1] - modules for command, modules in allowed.items()}
    assert {command: modules for command, modules in extra.items() if modules} == {}


LAZY = """
import pickle, pydoc, sys
import tinysegnet as ts
assert "numpy" not in sys.modules
import tinysegnet.walk.trace, tinysegnet.models.network
assert isinstance(ts.models, dict) and "tiny" in ts.models
from tinysegnet import *
assert predict is ts.predict and errors is ts.errors and callable(ts.ops.conv2d_forward)
assert set(ts.__all__) <= set(dir(ts))
assert "write_report" in pydoc.render_doc(ts)
assert pickle.loads(pickle.dumps(ts.Recipe())) == ts.Recipe() and pickle.loads(pickle.dumps(ts.build)) is ts.build
assert ts.runtime.threads() >= 1 and ts.runtime.memory.LARGE and ts.data.CAMVID and ts.optim.SGD
try:
    ts.nothing
except AttributeError as error:
    assert "nothing" in str(error)
else:
    sys.exit("an unknown name was found")
"""


@pytest.mark.long
def test_the_package_imports_its_rooms_on_first_use():
    subprocess.run([sys.executable, "-c", LAZY], check=True, timeout=100)


# --- environment -----------------------------------------------------------------------------------------------------

SETTINGS = [
    {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "NUMBA_NUM_THREADS": "0"},
    {"MPLBACKEND": "Agggg", "NUMBA_NUM_THREADS": "abc", "NUMBA_THREADING_LAYER": "nonsense", "OMP_NUM_THREADS": "x"},
    {"MPLBACKEND": "module://no.such.backend", "NUMBA_NUM_THREADS": "-1"},
    {"MPLBACKEND": "TkAgg", "NUMBA_NUM_THREADS": "1000000", "DISPLAY": ""},
    {"MPLBACKEND": "", "NUMBA_OPT": "abc"},
]
# Run a command that draws and a command that compiles a kernel, as the program does.
DRAW_AND_COMPILE = """
import sys
from tinysegnet.cli.main import main
for command in ("data scenes --count 1 --out scenes", "gradcheck relu"):
    sys.argv[1:] = command.split()
    if code := main():
        sys.exit(code)
"""


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: " ".join(settings.values()))
@pytest.mark.long
def test_wrong_settings_of_the_environment_cost_one_line_each(tmp_path, settings):
    done = subprocess.run(
        [sys.executable, "-c", DRAW_AND_COMPILE], cwd=tmp_path, env={**os.environ, **settings},
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    told = [line for line in done.stderr.splitlines() if "NUMBA_" in line]
    wrong = [name for name in settings if name.startswith("NUMBA_")] if runtime.HAS_NUMBA else []
    assert len(told) == len(wrong), done.stderr
    assert all(sum(name in line for line in told) == 1 for name in wrong), done.stderr


@pytest.mark.parametrize("name", ["NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER"])
@pytest.mark.parametrize("value", ["0", "abc", "-1", "1000000", "1.5"])
def test_invalid_settings_of_numba_are_removed_with_one_line(monkeypatch, capsys, name, value):
    for other, valid in {"NUMBA_NUM_THREADS": "2", "NUMBA_THREADING_LAYER": "omp", name: value}.items():
        monkeypatch.setenv(other, valid)
    remove_invalid_settings()
    assert name not in os.environ
    assert {"NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER"} - {name} <= set(os.environ)
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{name}={value}" in line


@pytest.mark.skipif(not runtime.JIT, reason="numba is not installed")
@pytest.mark.long
def test_a_missing_threading_layer_is_refused_in_one_line(tmp_path):
    pytest.importorskip("numba")
    if importlib.util.find_spec("tbb"):
        pytest.skip("the layer is installed")
    environment = {**os.environ, "NUMBA_THREADING_LAYER": "tbb", "TINYSEGNET_CACHE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-m", "tinysegnet", "doctor"], env=environment, text=True,
                          capture_output=True, timeout=100, check=False)  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: NUMBA_THREADING_LAYER=tbb")
    assert done.stderr.count("\n") == 1
