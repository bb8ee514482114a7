"""The Merkle tree of RFC 9162 section 2.1: grown, proven, verified.

A tree is held as the hashes of its complete subtrees (2^level leaves that begin at a multiple of 2^level). They never
change once made, so that appending n leaves makes n to 2n of them, and any tree of any earlier size can be put together
from O(log n) of them.
"""

import hashlib
from collections.abc import Iterable, Sequence

from services.audit.model import Node, Place

# The root of the tree without leaves: the hash of nothing.
EMPTY_ROOT = hashlib.sha256().digest()

Span = tuple[int, int]


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf. The prefix keeps leaves and interior nodes apart."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an interior node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def complete_subtrees(span: Span) -> tuple[Place, ...]:
    """The complete subtrees that the leaves [first, end) consist of, from left to right.

    For a whole tree, and for any span that a proof names, these are the largest first.
    """
    first, end = span
    places = []
    while first < end:
        largest = (end - first).bit_length() - 1
        aligned = (first & -first).bit_length() - 1 if first else largest
        level = min(largest, aligned)
        places.append(Place(level, first >> level))
        first += 1 << level
    return tuple(places)


def joined(hashes: Sequence[bytes]) -> bytes:
    """The hash over complete subtrees that stand side by side, from left to right; of none, the empty root."""
    if not hashes:
        return EMPTY_ROOT
    *rest, joint = hashes
    for left in reversed(rest):
        joint = node_hash(left, joint)
    return joint


def grown(size: int, frontier: Sequence[bytes], leaves: Iterable[bytes]) -> list[Node]:
    """The complete subtrees that appending these leaf hashes makes, leaves included.

    `frontier`: the hashes of `complete_subtrees((0, size))`.
    """
    stack = list(frontier)
    made = []
    for leaf_index, leaf in enumerate(leaves, size):
        level, number, joint = 0, leaf_index, leaf
        made.append(Node(Place(0, number), joint))
        # Each trailing one of the index is a subtree to the left that this leaf completes.
        while number & 1:
            joint = node_hash(stack.pop(), joint)
            level, number = level + 1, number >> 1
            made.append(Node(Place(level, number), joint))
        stack.append(joint)
    return made


def inclusion_spans(index: int, size: int) -> tuple[Span, ...]:
    """The subtrees on the path from a leaf to the root, leaf first (section 2.1.3.1). Needs index < size."""
    first, end = 0, size
    spans = []
    while end - first > 1:
        split = first + _largest_power_below(end - first)
        if index < split:
            spans.append((split, end))
            end = split
        else:
            spans.append((first, split))
            first = split
    return tuple(reversed(spans))


def consistency_spans(first_size: int, second_size: int) -> tuple[Span, ...]:
    """The subtrees that show one tree to be the beginning of another (section 2.1.4.1). Needs 0 < first ≤ second."""
    first, end = 0, second_size
    is_beginning = True
    spans = []
    while first_size != end:
        split = first + _largest_power_below(end - first)
        if first_size <= split:
            spans.append((split, end))
            end = split
        else:
            spans.append((first, split))
            first = split
            is_beginning = False
    if not is_beginning:
        spans.append((first, end))
    return tuple(reversed(spans))


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """True if the path leads from the leaf's hash to the root of the tree of that size (section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    here, last, joint = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if here & 1 or here == last:
            joint = node_hash(sibling, joint)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            joint = node_hash(joint, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and joint == root


def verify_consistency(
    first_size: int, second_size: int, first_root: bytes, second_root: bytes, path: Sequence[bytes]
) -> bool:
    """True if the first tree is the beginning of the second (section 2.1.4.2); every tree begins with the empty one."""
    if first_size == second_size:
        return not path and first_root == second_root
    if first_size == 0:
        return not path and first_root == EMPTY_ROOT
    if not 0 < first_size < second_size:
        return False
    # Where the first tree is itself a complete subtree, its root stands at the head of the path unsaid.
    is_power = first_size & (first_size - 1) == 0
    hashes = [first_root, *path] if is_power else list(path)
    if not hashes:
        return False
    here, last = first_size - 1, second_size - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    first_joint = second_joint = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if here & 1 or here == last:
            first_joint, second_joint = node_hash(sibling, first_joint), node_hash(sibling, second_joint)
            while here and not here & 1:
                here, last = here >> 1, last >> 1
        else:
            second_joint = node_hash(second_joint, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and first_joint == first_root and second_joint == second_root


def _largest_power_below(count: int) -> int:
    """The largest power of two smaller than a count of two or more."""
    return 1 << (count - 1).bit_length() - 1
