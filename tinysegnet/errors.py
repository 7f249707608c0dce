"""The types of errors. Every message says what is wrong, where, and what to do."""


class TinySegNetError(Exception):
    """Base of every error that tinysegnet raises on purpose."""


class ShapeError(TinySegNetError, ValueError):
    """An array has the wrong number of axes, size or dtype for an operation."""


class SettingError(TinySegNetError, ValueError):
    """A chosen name or number is invalid: an unknown model, a negative learning rate, zero epochs."""


class DataError(TinySegNetError, ValueError):
    """A picture, a label map or a data set on disk is missing, damaged or inconsistent."""


class CheckpointError(TinySegNetError, ValueError):
    """A file is not a checkpoint of tinysegnet, is damaged, or does not fit the model."""


class NonFiniteError(TinySegNetError, ArithmeticError):
    """A loss or a gradient became NaN or infinite during training."""


class MeasurementError(TinySegNetError, RuntimeError):
    """A benchmark failed: a process that measures ended early."""


class StateError(TinySegNetError, RuntimeError):
    """Something was called out of order: a backward without its forward, an unpooling before its pooling."""
