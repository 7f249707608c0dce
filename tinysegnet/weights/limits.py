"""Limits on what a file of weights may claim, so that a forged one costs no more than a valid one."""

from ..errors import CheckpointError

MAX_AXES = 8
MAX_TENSORS = 10_000
MAX_HEADER_BYTES = 1 << 20  # everything but the numbers; VGG16's has 3 kB


def shown(text: str) -> str:
    """Text from a file, made printable and short for messages."""
    return text if text.isprintable() and len(text) <= 100 else ascii(text[:100])


def check_name(name: str) -> str:
    """The name of a tensor. Raises CheckpointError if it is not printable, empty or too long."""
    if not name.isprintable() or not 0 < len(name) <= 200:
        raise CheckpointError(f"damaged: a tensor called {shown(name)}. Download it again")
    return name


def check_total(claimed: int, size: int) -> None:
    """Raise CheckpointError if the arrays that a file of `size` bytes claims take more."""
    if claimed > size:
        raise CheckpointError(f"damaged or forged: its arrays would take {claimed:,} bytes, the file has {size:,}. "
                              "Download it again")  # fmt: skip
