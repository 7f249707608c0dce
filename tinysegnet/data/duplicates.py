"""Pictures that occur in more than one split."""

from collections.abc import Sequence

from .folders import Folder


def shared_pictures(folders: Sequence[Folder]) -> list[str]:
    """Return one line of text for each group of pictures that splits share."""
    return []
