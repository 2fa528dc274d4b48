"""What holders remember of erasures, from which a lost part of the ledger is written anew. Pure.

Each fence leaves a tombstone at every holder: the request's id and the person's tokens. The oldest request of a person
has them; a later one of the same person adds only tokens that are new, and what it lacks its predecessor covers.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from igstats_privacy.model import Erasure


class MemoryFormError(ValueError):
    """A line is not what `igstats_kit tombstones` prints; the text names its number."""


@dataclass(frozen=True)
class Memory:
    """How far the farthest holder has applied the ledger, and every erasure that a holder remembers."""

    applied: int
    erasures: tuple[Erasure, ...]

    def missing(self, known: Collection[str], head: int, since: datetime) -> tuple[list[Erasure], int]:
        """Entries that the ledger lacks, numbered above all that any holder has seen, and its new last number.

        What was remembered before `since` is older than the ledger keeps.
        """
        start = max(head, self.applied)
        lost = [one for one in self.erasures if one.request_id not in known and one.accepted_at >= since]
        numbered = [replace(one, sequence=start + place) for place, one in enumerate(lost, 1)]
        return numbered, start + len(numbered)


def read(lines: Iterable[str]) -> Memory:
    """The memory of all holders whose lines these are, in any order.

    Raises:
        MemoryFormError: A line cannot be read, or no holder has spoken.
    """
    applied: list[int] = []
    found: dict[str, Erasure] = {}
    for number, line in enumerate(lines, 1):
        try:
            said = json.loads(line)
            if "holder" in said:
                applied.append(int(said["applied"]))
            else:
                one = _erasure(said)
                found[one.request_id] = _joined(found.get(one.request_id), one)
        except (ValueError, TypeError, KeyError) as error:
            raise MemoryFormError(f"line {number} is not one of igstats_kit tombstones") from error
    if not applied:
        raise MemoryFormError("no line says how far a holder has come")
    return Memory(max(applied), tuple(sorted(found.values(), key=lambda one: (one.accepted_at, one.request_id))))


def _erasure(said: dict[str, object]) -> Erasure:
    tokens, request_id = said["tokens"], said["request_id"]
    if not isinstance(tokens, list) or not tokens or not isinstance(request_id, str) or not request_id:
        raise TypeError
    since = datetime.fromisoformat(str(said["since"]))
    if since.tzinfo is None:
        raise ValueError
    return Erasure(0, request_id, tuple(sorted(map(bytes.fromhex, tokens))), since)


def _joined(before: Erasure | None, one: Erasure) -> Erasure:
    if before is None:
        return one
    tokens = tuple(sorted({*before.tokens, *one.tokens}))
    return replace(one, tokens=tokens, accepted_at=min(before.accepted_at, one.accepted_at))
