"""The command `tinysegnet train` in this process or another, and the step that it saved."""

import os
import subprocess
import sys

from forms import LONG, amount

from tinysegnet.cli.main import main
from tinysegnet.weights import checkpoint

OPTIONS = ["--limit", amount("4", "8"), "--epochs", "3", "--size", "20x28", "--width", "0.0625"]
# the program without the report, which takes longer than the training
WITHOUT_REPORT = """
import sys
from tinysegnet.cli.main import main
from tinysegnet.report import run_report
run_report.write_run_page, run_report.evaluate_baselines = lambda run, *_, **__: run.path / "report.html", lambda *_: {}
sys.exit(main())
"""


def command(*arguments):
    """Return the command that trains in another process, in the short form without a report."""
    program = amount(["-c", WITHOUT_REPORT], ["-m", "tinysegnet"])
    return [sys.executable, *program, "train", *map(str, arguments)]


def train(*arguments, **environment):
    """Run the command to its end, in the short form in this process."""
    if LONG:
        subprocess.run(command(*arguments), check=True, capture_output=True, env={**os.environ, **environment})
    else:
        assert main(["train", *map(str, arguments)]) == 0


def last_step(path):
    """Return the step of the last checkpoint of a run, or 0 if there is none."""
    return checkpoint.read(path / "last.safetensors").progress["step"] if (path / "last.safetensors").exists() else 0
