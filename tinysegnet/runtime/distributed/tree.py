"""Sums over the pictures of a batch that do not depend on how the pictures are divided over processes.

Floating-point addition is not associative, so the order of additions must be fixed. Here it is a binary tree over the
pictures. For six pictures:

    level 3                  (0+1 + 2+3) + (4+5)
    level 2          0+1 + 2+3            4+5               a node without a sibling moves up unchanged
    level 1        0+1     2+3            4+5
    level 0       0   1   2   3          4   5

The node (level, index) is the sum of the pictures from index * 2^level to (index + 1) * 2^level. A process with the
pictures 1, 2 and 3 can compute the nodes (0, 1) and (1, 1) alone, which are its `subtrees`. The remaining additions
need the subtrees of other processes. They are the same for every division, and so are the bits of the result.
"""

from collections.abc import Callable, Mapping
from typing import Any

Node = tuple[int, int]


def merge(nodes: Mapping[Node, Any], count: int, add: Callable[[Any, Any], Any]) -> dict[Node, Any]:
    """Add siblings in the tree over `count` pictures as long as both are known.

    Args:
        nodes: the values of the known nodes. None of them is part of another.
        add: a function that returns the value of two siblings, the left one first.

    Returns:
        The values of the nodes that remain. If the nodes cover all pictures, this is only the root.

    >>> merge({(0, 1): "b", (0, 2): "c", (0, 3): "d"}, 6, str.__add__)
    {(0, 1): 'b', (1, 1): 'cd'}
    """
    nodes = dict(nodes)
    for level in range((count - 1).bit_length()):
        last = (count - 1) >> level  # the last node of this level
        for index in sorted(index for own, index in nodes if own == level and index % 2 == 0):
            if index == last:
                nodes[level + 1, index // 2] = nodes.pop((level, index))
            elif (level, index + 1) in nodes:
                nodes[level + 1, index // 2] = add(nodes.pop((level, index)), nodes.pop((level, index + 1)))
    return dict(sorted(nodes.items(), key=lambda item: item[0][1] << item[0][0]))


def subtrees(begin: int, end: int, count: int) -> list[Node]:
    """Return the largest nodes of the tree over `count` pictures that consist of pictures begin, ..., end - 1."""
    return list(merge({(0, picture): None for picture in range(begin, end)}, count, lambda left, right: None))


def share(count: int, rank: int, ranks: int) -> range:
    """Return the numbers of the pictures of a rank. The first ranks have one more if the division is uneven."""
    least, more = divmod(count, ranks)
    begin = rank * least + min(rank, more)
    return range(begin, begin + least + (rank < more))
