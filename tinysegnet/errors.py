"""The types of errors, and suggestions for mistyped names. Every message says what is wrong, where, and what to do."""

from collections.abc import Iterable


class TinySegNetError(Exception):
    """The base of all errors that tinysegnet raises on purpose."""


class ShapeError(TinySegNetError, ValueError):
    """An array has the wrong number of axes, size or dtype for an operation."""


class SettingError(TinySegNetError, ValueError):
    """A chosen name or number is invalid, such as an unknown model or a negative learning rate."""


class DataError(TinySegNetError, ValueError):
    """A picture, a label map or a data set on disk is missing, damaged or inconsistent."""


class CheckpointError(TinySegNetError, ValueError):
    """A file is not a checkpoint of tinysegnet, is damaged, or does not fit the model."""


class NonFiniteError(TinySegNetError, ArithmeticError):
    """A loss or a gradient became NaN or infinite during training."""


class MeasurementError(TinySegNetError, RuntimeError):
    """A benchmark failed because a measuring process ended early."""


class StateError(TinySegNetError, RuntimeError):
    """Functions were called in the wrong order, such as a backward without its forward."""


def nearest_name(name: object, known: Iterable[str]) -> str | None:
    """Return the known name that is closest to this one, ignoring case, or None if none is close."""
    import difflib  # imported here, because only errors need it

    by_lower_case = {other.lower(): other for other in known}
    word = name.lower() if isinstance(name, str) else ""
    starting = [other for other in by_lower_case if len(word) > 1 and other.startswith(word)]
    close = starting or difflib.get_close_matches(word, by_lower_case, 1)
    return by_lower_case[close[0]] if close else None


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return " Did you mean X?" if one of the known names is close to this one, and "" otherwise.

    >>> did_you_mean("tinny", ["tiny", "basic"])
    " Did you mean 'tiny'?"
    """
    nearest = nearest_name(name, known)
    return f" Did you mean {nearest!r}?" if nearest else ""


def unknown_name(what: str, name: object, known: Iterable[str]) -> str:
    """Return a message about a name that is not in a list. The message contains the list and the nearest name."""
    names = [*known]
    meant = did_you_mean(name, names)
    return f"no {what} named {name!r}; there are {', '.join(names)}{'.' if meant else ''}{meant}"
