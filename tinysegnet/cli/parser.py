"""The parser, which finds the function of a command, converts its arguments, and writes its help page in plain text."""

import textwrap
from collections.abc import Callable
from functools import partial
from importlib import import_module
from inspect import BoundArguments
from typing import Any

from cyclopts import App, CycloptsError, Group
from cyclopts.help import PlainFormatter

from ..errors import SettingError, did_you_mean
from .cli_errors import check_required, usage_error
from .help_pages import COMMANDS
from .options import DEFAULT_PARAMETER

# The parser's own usage line does not show repeated arguments, and takes long for many options.
USAGE = {"train": "[OPTIONS]", "find-lr": "[OPTIONS]", "bench": "[WORD]... [OPTIONS]",
         "gradcheck": "[OP]... [OPTIONS]", "compare": "RUN RUN... [OPTIONS]",
         "predict": "CHECKPOINT IMAGE... --out DIR [OPTIONS]"}  # fmt: skip
NAMES = {"INT": "N", "FLOAT": "NUMBER", "STR": "TEXT", "CHOICE": "NAME"}  # readable names instead of Python's types
INDENT = 26  # the column where the descriptions of options start


def parse(arguments: list[str]) -> tuple[Callable[..., int], BoundArguments]:
    """Find the command, which may be to print a help page, and convert its arguments. Raises TinySegNetError."""
    name = "" if arguments[:1] == ["--install-completion"] else _command_name(arguments)
    if name == "train" and any(word.startswith("--config") for word in arguments):
        from .config_file import with_config

        arguments = [name, *with_config(arguments[1:])]
    try:
        command, bound, _ = _app(name, arguments).parse_args(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise usage_error(error) from error
    return command, bound


def _command_name(arguments: list[str]) -> str:
    for count in (1, 2):
        if (name := " ".join(arguments[:count])) in COMMANDS:
            return name
    program, word, known = "tinysegnet", arguments[0], ["data", *COMMANDS]
    if word == "data":
        program, word = "tinysegnet data", arguments[1]
        known = [name.removeprefix("data ") for name in COMMANDS if name.startswith("data ")]
    raise SettingError(f"{program} has no command {word!r}.{did_you_mean(word, known)} See {program} --help")


def _app(name: str, arguments: list[str]) -> App:
    """Build the parser of one command, or of all commands if the name is empty."""
    app = App(
        name="tinysegnet", default_parameter=DEFAULT_PARAMETER, config=partial(check_required, arguments),
        help_format="plaintext", help_formatter=HelpFormatter(), group_parameters=Group("Options", sort_key=0),
    )  # fmt: skip
    app.register_install_completion_command()
    data = App(name="data")
    for full_name in [name] if name else COMMANDS:
        module = f"{__package__}.{full_name.replace('-', '_')}_command"
        command: Any = f"{module}:run"
        if full_name.startswith("data "):
            command = f"{__package__}.data_commands:{full_name.replace(' ', '_')}"
        if full_name in ("train", "find-lr"):  # their defaults depend on the arguments
            from . import training_options

            training = import_module(module)
            command = training_options.command(training.OPTIONS, arguments[1:] if name else [], training.HIDDEN)
        parent = data if full_name.startswith("data ") else app
        usage = f"Usage: tinysegnet {full_name} {USAGE[full_name]}" if full_name in USAGE else None
        parent.command(command, name=full_name.split()[-1], usage=usage)
    app.command(data)
    return app


class HelpFormatter(PlainFormatter):
    """The parser's plain formatter, except that it aligns the descriptions of options in a column."""

    def _print_plain(self, console: Any, text: str) -> None:
        if not text.startswith(" "):  # not a row of options or arguments
            wrap = partial(textwrap.fill, width=_width(console), break_on_hyphens=False)
            text = "\n\n".join(wrap(" ".join(paragraph.split())) for paragraph in text.split("\n\n"))
        console.print(text.replace("`", ""), markup=False, highlight=False, soft_wrap=True)

    def _format_parameter_entry(self, options: Any, desc: str, console: Any, entry: Any) -> None:
        label = ", ".join(entry.display_labels)
        if entry.metavar and not entry.positional_label:
            label += " " + " ".join(NAMES.get(word, word) for word in entry.metavar.split())
        notes = {"choices": ", ".join(entry.choices or ()), "default": entry.default}
        text = " ".join([*desc.split(), *(f"[{name}: {note}]" for name, note in notes.items() if note)])
        text += " [required]" if entry.required else ""
        wrapped = textwrap.wrap(text, _width(console) - INDENT, break_on_hyphens=False)
        if len(label) > INDENT - 4:  # the description then starts on the next line
            wrapped.insert(0, "")
        self._print_plain(console, f"  {label:<{INDENT - 2}}" + f"\n{' ' * INDENT}".join(wrapped))


def _width(console: Any) -> int:
    return max(60, min(console.width, 100))
