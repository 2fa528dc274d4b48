"""Rules for entries, pure: a row against its leaf, its content against the commitment, 256 leaves against a tile."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from igstats_audit.leaf import Leaf, commitment, decode, encode
from igstats_audit.model import CALL_ANSWERED, Log
from igstats_audit.monitor.model import EntryRow, FindingKind, Observation, Opening, OpeningState
from igstats_audit.monitor.tiling import Claim, Hashes, claim_holds, holds, leaf_hashes, place_of, swapped

_GATEWAY = "gateway"
_GOOD = {
    Log.EVIDENCE: frozenset({OpeningState.OPENED}),  # no person's data, so no key of it is ever erased
    Log.ACCESS: frozenset({OpeningState.OPENED, OpeningState.ERASED, OpeningState.WITHHELD}),
}


def content(log: Log, row: EntryRow, opening: Opening) -> Iterator[Observation]:
    """Compares the columns of a row and its opened content with its leaf."""
    place = f"entry {row.index}"
    try:
        leaf = decode(row.leaf)
    except ValueError as error:
        yield Observation(log, FindingKind.LEAF_CHANGED, place, f"its leaf cannot be read: {error}")
        return
    if wrong := [name for name, same in _columns(row, leaf) if not same]:
        detail = f"its row and its leaf do not agree on {', '.join(wrong)}"
        yield Observation(log, FindingKind.LEAF_CHANGED, place, detail)
    if opening.state not in _GOOD[log]:
        yield Observation(log, FindingKind.PAYLOAD_CHANGED, place, opening.state.value)
    elif opening.state is OpeningState.OPENED and commitment(opening.salt, opening.payload) != leaf.commitment:
        yield Observation(log, FindingKind.PAYLOAD_CHANGED, place, "its content is not what its leaf commits to")


def rebuilt(row: EntryRow, opening: Opening) -> bytes | None:
    """The leaf as the rest of the row says that it was; None when the row does not say enough."""
    if opening.state is not OpeningState.OPENED:
        return None
    with suppress(ValueError, KeyError, TypeError):
        moment = row.occurred_at or _called_at(opening.payload)
        committed = commitment(opening.salt, opening.payload)
        return encode(Leaf(row.kind or CALL_ANSWERED, row.producer or _GATEWAY, row.sequence, moment, committed))
    return None


@dataclass(frozen=True, slots=True)
class Block:
    """Up to 256 neighbouring leaves: what their rows say, what is known of them, and other witnesses.

    The first `cut` of them have no rows any more; the tile that they share with living ones has kept their hashes.
    """

    log: Log
    place: int
    hashes: Hashes
    claims: Sequence[Claim]
    cut: int = 0
    served: Hashes = ()
    rebuilt: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def absent(self) -> list[range]:
        """Entries without a row."""
        missing = runs([at for at, one in enumerate(self.hashes) if one is None])
        return [range((self.place << 8) + run[0], (self.place << 8) + run[-1] + 1) for run in missing]

    def check(self) -> Iterator[Observation]:
        """Compares the leaves with their tile, and names those that are wrong as exactly as can be."""
        missing = [at for at, one in enumerate(self.hashes) if one is None]
        yield from map(self._missing, runs(missing))
        if not holds(self.hashes, self.claims):
            named = [at for at in self._named() if at not in missing]
            for at in named:
                yield self._leaf(at, "its leaf is not the one in the tree")
            if not named and not missing:
                yield from self._unnamed()

    def proved(self) -> list[bytes] | None:
        """The hashes of the leaves as the tree has them; None when no witness knows all of them."""
        for witness in (self.hashes, self.served, self._mixed()):
            if len(witness) == len(self.hashes) and holds(witness, self.claims):
                return [one for one in witness if one is not None]
        return None

    def _named(self) -> list[int]:
        proved = self.proved()
        if proved is not None:
            return [at for at, one in enumerate(self.hashes) if one != proved[at]]
        return list(swapped(self.hashes, self._failing()) or ())

    def _mixed(self) -> Hashes:
        """Rows, and where a row contradicts its leaf, what the row says that the leaf was."""
        return [self.rebuilt.get(at, one) for at, one in enumerate(self.hashes)]

    def _unnamed(self) -> Iterator[Observation]:
        """When every row says what its leaf says, the hashes without rows are the wrong ones."""
        if self.cut and all(self.rebuilt.get(at) == self.hashes[at] for at in range(self.cut, len(self.hashes))):
            yield self._leaf(0, "")
        else:
            yield from map(self._range, self._failing())

    def _failing(self) -> list[Claim]:
        return [claim for claim in self.claims if not claim_holds(self.hashes, claim)]

    def _leaf(self, at: int, detail: str) -> Observation:
        if at < self.cut:
            words = "what its row keeps of cut entries is not what is in the tree"
            return Observation(self.log, FindingKind.TILE_CHANGED, place_of(0, self.place), words)
        return Observation(self.log, FindingKind.LEAF_CHANGED, f"entry {(self.place << 8) + at}", detail)

    def _missing(self, run: Sequence[int]) -> Observation:
        first, last = ((self.place << 8) + at for at in (run[0], run[-1]))
        place, words = (f"entry {first}", "its row is") if first == last else (f"entries {first}..{last}", "rows are")
        return Observation(self.log, FindingKind.LEAF_CHANGED, place, f"{words} missing")

    def _range(self, claim: Claim) -> Observation:
        first = self.place << 8
        words = f"entries {first + claim.start}..{first + claim.end - 1}"
        return Observation(
            self.log, FindingKind.LEAF_CHANGED, words, f"they do not make what is known of {place_of(0, self.place)}"
        )


def runs(places: Sequence[int]) -> list[list[int]]:
    """Neighbours together."""
    found: list[list[int]] = []
    for place in places:
        if found and found[-1][-1] == place - 1:
            found[-1].append(place)
        else:
            found.append([place])
    return found


def hashes_of(rows: Sequence[EntryRow], start: int, width: int) -> list[bytes | None]:
    """Hashes of the leaves of rows, each at its place; of two rows with one index the first counts."""
    found: list[bytes | None] = [None] * width
    for row, value in zip(rows, leaf_hashes(row.leaf for row in rows), strict=True):
        if found[row.index - start] is None:
            found[row.index - start] = value
    return found


def doubles(log: Log, rows: Sequence[EntryRow]) -> Iterator[Observation]:
    """Rows that stand beside another one with the same index."""
    for one, other in itertools.pairwise(rows):
        if one.index == other.index:
            yield Observation(log, FindingKind.LEAF_CHANGED, f"entry {one.index}", "it has two rows")


def numbered(rows: Sequence[EntryRow]) -> Iterator[tuple[int, str, int]]:
    """Index, producer and number of each leaf that can be read."""
    for row in rows:
        with suppress(ValueError):
            leaf = decode(row.leaf)
            yield row.index, leaf.producer, leaf.sequence


def _columns(row: EntryRow, leaf: Leaf) -> Iterator[tuple[str, bool]]:
    yield "sequence", row.sequence == leaf.sequence
    yield "kind", row.kind in {None, leaf.kind}
    yield "producer", row.producer in {None, leaf.producer}
    if row.occurred_at is not None:
        yield "occurred_at", row.occurred_at.replace(second=0, microsecond=0) == leaf.minute


def _called_at(payload: bytes) -> datetime:
    return datetime.fromisoformat(json.loads(payload)["called_time"])
