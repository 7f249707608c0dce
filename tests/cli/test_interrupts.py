"""Commands survive Ctrl-C at any moment."""

import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest
from forms import amount

from tinysegnet.cli.interrupts import is_interrupt
from tinysegnet.cli.main import main

# Python's own start and the first imports, a few milliseconds in all, run before `main` can handle the signal. A
# traceback that consists of these frames alone, without one of `main`, is therefore accepted.
STARTING = re.compile(
    r'  File "(<frozen .*|<string>.*|.*/(_distutils_hack|sitecustomize|start-tinysegnet).*|'
    r'.*/tinysegnet/(__init__|runtime/__init__|runtime/lazy_imports|cli/\w+)\.py", line \d+, in <module>|'
    r'.*/tinysegnet/runtime/lazy_imports\.py", line \d+, in (LazyPackage|import_lazily))'
)
# the start script that pip writes, which other processes import, too
SCRIPT = "import sys\nfrom tinysegnet.cli.main import main\nif __name__ == '__main__':\n    sys.exit(main())\n"


def interrupted(script, command, seconds, folder, **environment):
    """Start a command, send SIGINT after some seconds, and return stderr and the exit code."""
    environment = {**os.environ, **environment}
    process = subprocess.Popen([sys.executable, script, *command.split()], cwd=folder, env=environment, text=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # fmt: skip
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=120)[1], process.returncode


def duration(script, command, folder):
    began = time.perf_counter()
    subprocess.run([sys.executable, script, *command.split()], cwd=folder, capture_output=True, check=True)
    return time.perf_counter() - began


@pytest.mark.skipif(os.name != "posix", reason="signals of processes")
@pytest.mark.parametrize(("command", "count"), [
    ("--help", amount(4, 60)),
    pytest.param("doctor", 100, marks=pytest.mark.long),
    pytest.param("gradcheck relu", 60, marks=pytest.mark.long),
    pytest.param("predict toy scenes/images --out out", 60, marks=pytest.mark.long),
    pytest.param("predict toy scenes/images --out out --jobs 2", 20, marks=pytest.mark.long),
    pytest.param("train --limit 1 --epochs 1 --size 20x28 --width 0.1", 40, marks=pytest.mark.long),
])  # fmt: skip
def test_ctrl_c_never_shows_a_traceback(tmp_path, command, count):
    if "scenes" in command:
        main(["data", "scenes", "--out", str(tmp_path / "scenes"), "--count", "4"])
    script = tmp_path / "start-tinysegnet"
    script.write_text(SCRIPT)
    whole = min(duration(script, command, tmp_path) for _ in range(2))  # the first run may compile kernels
    rng = random.Random(0)
    for number in range(count):
        moment = 0.005 + 1.1 * whole * (number + rng.random()) / count
        compiles = {"TINYSEGNET_CACHE": str(tmp_path / "cache")} if number % 2 else {}  # every second one
        err, code = interrupted(script, command, moment, tmp_path, **compiles)
        frames = re.findall(r'^  File ".*$', err, re.MULTILINE)
        if err == "KeyboardInterrupt\n" or (frames and all(map(STARTING.match, frames))):
            continue
        assert "Traceback" not in err, f"after {moment:.3f} s of {whole:.3f}: {err}"
        assert code in (0, 130, -signal.SIGINT), f"after {moment:.3f} s of {whole:.3f}: {code} {err}"


def test_an_interrupt_that_python_turned_into_another_error_is_an_interrupt(monkeypatch, capsys):
    """In Python 3.11, an interrupt during __set_name__ can become a RuntimeError, for example in an import."""

    def fails(*arguments, **settings):
        raise RuntimeError("__set_name__") from KeyboardInterrupt()

    monkeypatch.setattr("tinysegnet.gradcheck.run", fails)
    assert main(["gradcheck", "relu"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_errors_that_cause_each_other_are_not_an_interrupt():
    first, second = ValueError(), ValueError()
    first.__cause__, second.__cause__ = second, first
    assert not is_interrupt(first)


def test_an_interrupt_in_python_is_exit_code_130_and_keeps_the_handler(monkeypatch, capsys):
    def interrupt(*arguments, **settings):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("tinysegnet.gradcheck.run", interrupt)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert main(["gradcheck", "relu"]) == 130
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
