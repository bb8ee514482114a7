"""Puts hashes of the tree together from the complete subtrees that are stored."""

from collections.abc import Sequence

from libs.database.transactions import Reader
from services.audit import store
from services.audit.rules.merkle import Span, complete_subtrees, joined


async def span_hashes(reader: Reader, spans: Sequence[Span]) -> list[bytes]:
    """The hash of each span of leaves; one statement reads the O(log n) nodes of all of them."""
    parts = [complete_subtrees(span) for span in spans]
    hashes = iter(await store.node_hashes(reader, [place for part in parts for place in part]))
    return [joined([next(hashes) for _ in part]) for part in parts]
