"""What makes the text of boosted trees sound: where it is damaged, LightGBM may end the process instead of raising.

The format is that of LightGBM's `model_to_string`, version 4: a head, each tree in as many bytes as `tree_sizes` says, a tail.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from features.pieces import in_pieces

_END = "end of trees\n"
_OF_NODES = ("split_gain", "threshold", "decision_type", "internal_value", "internal_weight", "internal_count")
_OF_LEAVES = ("leaf_value", "leaf_weight", "leaf_count")


def sound(text: str, width: int) -> str:
    """Head and trees of the text, without the tail, which only repeats how they were learned.

    Errors: ValueError where these are no trees over `width` features that can be walked from root to leaf.
    """
    head, mark, _ = text.partition("\nTree=0\n")
    told = fields(head)
    if not text.startswith("tree\n") or not mark or "max_feature_idx" not in told:
        raise ValueError("the trees cannot be read (no head of a LightGBM model)")
    if (found := int(numbers(told, "max_feature_idx", 1)[0]) + 1) != width:
        raise ValueError(f"the trees were learned over {found} features, not {width}")
    start = len(head) + 1
    for number, size in enumerate(in_pieces(told.get("tree_sizes", "").split())):
        if not size.isdigit():
            raise ValueError(f"the trees cannot be read (tree_sizes holds {size!r})")
        _check_tree(text[start : start + int(size)], number, width)
        start += int(size)
    if not text[start:].startswith(_END):
        raise ValueError("the trees cannot be read (they do not end where their head says)")
    return text[:start] + _END


def _check_tree(text: str, number: int, width: int) -> None:
    told = fields(text)
    leaves = int(numbers(told, "num_leaves", 1)[0])
    plain = told.get("num_cat") == "0" and told.get("is_linear", "0") == "0"
    if told.get("Tree") != str(number) or leaves < 1 or not plain:
        raise ValueError(f"the trees cannot be read (tree {number} is none that LambdaRank grows here)")
    if leaves == 1:
        numbers(told, "leaf_value", 1)
        return
    for name in _OF_NODES:
        numbers(told, name, leaves - 1)
    for name in _OF_LEAVES:
        numbers(told, name, leaves)
    feature = numbers(told, "split_feature", leaves - 1)
    if feature.min() < 0 or feature.max() >= width:
        raise ValueError(f"the trees cannot be read (tree {number} splits by a feature outside 0..{width - 1})")
    _check_children(numbers(told, "left_child", leaves - 1), numbers(told, "right_child", leaves - 1), number)


def _check_children(left: NDArray[np.float64], right: NDArray[np.float64], number: int) -> None:
    """A node below its parent has a higher number, a leaf k stands as -1 - k; each but the root is a child once."""
    nodes, children = len(left), np.concatenate([left, right])
    below = np.concatenate([np.arange(nodes)] * 2)
    every = [*range(-nodes - 1, 0), *range(1, nodes)]
    if sorted(children.tolist()) != every or np.any((children > 0) & (children <= below)):
        raise ValueError(f"the trees cannot be read (the nodes of tree {number} make no tree)")


def fields(text: str) -> dict[str, str]:
    return dict(_pairs(text))


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            yield name, value


def numbers(told: dict[str, str], name: str, count: int) -> NDArray[np.float64]:
    try:
        found = np.array([float(word) for word in told.get(name, "").split()], dtype=np.float64)
    except ValueError:
        found = np.zeros(0)
    # An infinite threshold parts what is known from what is not.
    if len(found) != count or not (np.isfinite(found) | (np.isinf(found) & (name == "threshold"))).all():
        raise ValueError(f"the trees cannot be read ({name} is not {count} finite numbers)")
    return found
