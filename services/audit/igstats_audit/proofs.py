"""Reads proofs from the log: what to fetch, and what to make of it."""

from collections.abc import Mapping, Sequence

from igstats_kit.errors import DomainError, Reason

from igstats_audit.model import Entry, Head, LogStore
from igstats_audit.tree import Node, Span, consistency_spans, inclusion_spans, nodes_of, path


class Proofs:
    """The log towards those who check it."""

    def __init__(self, store: LogStore) -> None:
        self._store = store

    async def head(self) -> Head:
        """The newest state."""
        return await self._store.head()

    async def entry(self, index: int) -> Entry:
        """One entry with its opening.

        Raises:
            DomainError: ENTRY_NOT_FOUND.
        """
        found = await self._store.entry(index)
        if found is None:
            raise _not_found(index)
        return found

    async def inclusion(self, index: int, size: int) -> tuple[list[bytes], int, str]:
        """Path, tree size, and the checkpoint of that size if it is the newest. Size 0 means the newest.

        Raises:
            DomainError: TREE_SIZE_INVALID, ENTRY_NOT_FOUND.
        """
        head = await self._store.head()
        wanted = size or head.tree.size
        if wanted > head.tree.size:
            raise _size_invalid(size)
        if index >= wanted:
            raise _not_found(index)
        (found,) = await self.paths([inclusion_spans(index, wanted)])
        return found, wanted, head.checkpoint if wanted == head.tree.size else ""

    async def consistency(self, old: int, size: int) -> tuple[list[bytes], int]:
        """Path and the newer size. Size 0 means the newest.

        Raises:
            DomainError: TREE_SIZE_INVALID.
        """
        head = await self._store.head()
        wanted = size or head.tree.size
        if wanted > head.tree.size or not 0 < old <= wanted:
            raise _size_invalid(old if wanted <= head.tree.size else wanted)
        (found,) = await self.paths([consistency_spans(old, wanted)])
        return found, wanted

    async def paths(
        self, proofs: Sequence[Sequence[Span]], known: Mapping[Node, bytes] | None = None
    ) -> list[list[bytes]]:
        """Hashes of many proofs with one read; `known` nodes are not read."""
        at_hand = known or {}
        spans = dict.fromkeys(span for proof in proofs for span in proof)  # proofs of one tree share most of theirs
        wanted = nodes_of(spans)
        missing = [node for node in wanted if node not in at_hand]
        hashes = {node: at_hand[node] for node in wanted if node in at_hand}
        if missing:
            hashes |= await self._store.nodes(missing)
        folded = dict(zip(spans, path(spans, hashes), strict=True))
        return [[folded[span] for span in proof] for proof in proofs]


def _not_found(index: int) -> DomainError:
    return DomainError(Reason.ENTRY_NOT_FOUND, log="evidence", index=str(index))


def _size_invalid(size: int) -> DomainError:
    return DomainError(Reason.TREE_SIZE_INVALID, size=str(size))
