"""What can go wrong, as types. Every message says what is wrong, where, and what to do."""

__all__ = [
    "CheckpointError",
    "DataError",
    "MeasurementError",
    "NonFiniteError",
    "SettingError",
    "ShapeError",
    "StateError",
    "TinySegNetError",
]


class TinySegNetError(Exception):
    """Base of every error that tinysegnet raises on purpose."""


class ShapeError(TinySegNetError, ValueError):
    """An array has the wrong number of axes, size or dtype, or an operation cannot take it so."""


class SettingError(TinySegNetError, ValueError):
    """A name or number that someone chose cannot be: an unknown model, a negative learning rate, no epochs."""


class DataError(TinySegNetError, ValueError):
    """A picture, a label map or a data set on disk is missing, damaged or inconsistent."""


class CheckpointError(TinySegNetError, ValueError):
    """A file is not a checkpoint of tinysegnet, is damaged, or does not fit the model."""


class NonFiniteError(TinySegNetError, ArithmeticError):
    """A loss or a gradient became NaN or infinite during training."""


class MeasurementError(TinySegNetError, RuntimeError):
    """A benchmark could not be carried out: a process that measures failed or ended."""


class StateError(TinySegNetError, RuntimeError):
    """Something was called out of order: a backward without its forward, an unpooling before its pooling."""
