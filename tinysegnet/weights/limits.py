"""Limits on the sizes that a weights file claims, so that a forged file costs no more than a valid one."""

from ..errors import CheckpointError

MAX_AXES = 8
MAX_TENSORS = 10_000
MAX_HEADER_BYTES = 1 << 20  # limit for everything but the arrays; VGG16's header takes 3 kB


def shown(text: str) -> str:
    """Make a string from a file printable and short for messages."""
    return text if text.isprintable() and len(text) <= 100 else ascii(text[:100])


def damaged(fact: str) -> CheckpointError:
    """Return the error about a file that torch.save or Keras cannot have written."""
    return CheckpointError(f"damaged or forged: {fact}. Download it again")


def check_name(name: str) -> str:
    """Return the name of a tensor. Raises CheckpointError if it is not printable, empty or too long."""
    if not name.isprintable() or not 0 < len(name) <= 200:
        raise damaged(f"a tensor has the name {shown(name)}")
    return name


def check_total(claimed: int, size: int) -> None:
    """Raise CheckpointError if the claimed bytes of the arrays exceed the size of the file."""
    if claimed > size:
        raise damaged(f"its arrays need {claimed:,} bytes, but the file has {size:,}")
