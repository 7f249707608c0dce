"""The list of all commands, and the help page that shows it. This file imports nothing, so the page appears at once."""

USE, DATA = "Train and use a network", "Data sets"
UNDERSTAND, MACHINE = "Learn and verify", "Speed and installation"

#: The group and the summary of each command. "train" is in train_command.py, and so on.
COMMANDS: dict[str, tuple[str, str]] = {
    "train": (USE, "Train a network; write checkpoints, overlays and a report."),
    "find-lr": (USE, "Find a learning rate for `train`, with a picture of the loss."),
    "evaluate": (USE, "Score a trained network on labelled pictures."),
    "predict": (USE, "Segment pictures of any size."),
    "compare": (USE, "Write a page that compares training runs."),
    "walk": (USE, "Write a page that follows a picture through a network."),
    "export": (USE, "Write a small checkpoint, an ONNX file or a live page."),
    "data check": (DATA, "Check the pictures and label maps of a folder."),
    "data import": (DATA, "Make a data set from annotations of labelme or COCO."),
    "data crops": (DATA, "Make a small data set from a large one."),
    "data baselines": (DATA, "Score predictors without a network, from position and colour."),
    "data scenes": (DATA, "Draw toy street scenes and their labels."),
    "gradcheck": (UNDERSTAND, "Check the gradients against finite differences."),
    "summary": (UNDERSTAND, "Show the shapes, parameters and memory of a network."),
    "lessons": (UNDERSTAND, "Copy the lessons (notebooks with exercises) into a folder."),
    "bench": (MACHINE, "Time ops and networks, alone or against other libraries."),
    "profile": (MACHINE, "Show where the time of a training step goes."),
    "doctor": (MACHINE, "Show versions, processor and cache; clear the cache."),
    "warmup": (MACHINE, "Compile the kernels in advance."),
}

_HEAD = """\
Usage: tinysegnet COMMAND [ARGUMENTS] [OPTIONS]

Train SegNet, see what it does, and check its gradients.
"""
_OPTIONS = """\
Options:
  -h, --help            Show this page, or the help of a command.
  -V, --version         Show the version.
  --install-completion  Let bash, zsh or fish complete commands.
  --debug               Show the traceback of an error.

The exit code is 0 for success, 1 if the work failed (for example because the
disk is full or a gradient is wrong), 2 for wrong input, and 130 if interrupted.
Errors are one line on stderr.
"""


def overview() -> str:
    """Return the help page of the program."""
    groups = dict.fromkeys(group for group, _ in COMMANDS.values())
    return "\n".join([_HEAD, *(f"{group}:\n{_rows(group)}" for group in groups), _OPTIONS])


def data_overview() -> str:
    """Return the help page of `tinysegnet data`."""
    return f"Usage: tinysegnet data COMMAND [ARGUMENTS] [OPTIONS]\n\nMake and examine data sets.\n\n{_rows(DATA)}"


def _rows(group: str) -> str:
    return "".join(f"  {name:<16}{summary}\n" for name, (own, summary) in COMMANDS.items() if own == group)
