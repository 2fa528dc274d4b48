"""What one commit of a log does: which entries it appends, where those are that it does not, and whom it answers."""

import asyncio
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from igstats_kit.errors import DomainError, Reason, Violation

from igstats_audit.leaf import SALT_SIZE, Leaf, commitment, decode, encode
from igstats_audit.model import DataKey, Delivery, Head, Known, Log, NewCall, NewEntry, SealedEntry
from igstats_audit.note import Checkpoint, NoteSigner
from igstats_audit.tree import Growth, Range, grow, leaf_hash


@dataclass(slots=True, eq=False)
class Prepared:
    """An entry with its leaf. It lacks its place, and perhaps its seal."""

    new: NewEntry
    salt: bytes = field(repr=False)
    leaf: bytes
    key_id: str = ""
    sealed: bytes = field(repr=False, default=b"")
    withheld: bool = False

    def seal(self, log: Log, key: DataKey) -> None:
        """Seals salt and payload, unless this key has done so before."""
        if self.key_id != key.key_id:
            self.sealed = key.sealer.seal(self.salt + self.new.payload, seal_context(log, key.key_id))
            self.key_id = key.key_id
        self.withheld = False

    def withhold(self) -> None:
        """Drops the content: it belongs to a fenced person."""
        self.key_id, self.sealed, self.withheld = "", b"", True


@dataclass(frozen=True, slots=True)
class Done:
    """Where the entries of a submission are, and the growth of the commit that put or found them there."""

    indexes: Sequence[int]
    growth: Growth
    checkpoint: str
    withheld: int


@dataclass(eq=False, slots=True)
class Submission:
    """Entries that somebody waits for; they are committed together or not at all."""

    entries: Sequence[Prepared]
    delivery: Delivery | None
    done: asyncio.Future[Done] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def fail(self, error: Exception) -> None:
        """Answers with an error, if nobody has answered yet."""
        if not self.done.done():
            self.done.set_exception(error)


class Plan:
    """One commit on top of a head."""

    def __init__(self, head: Head, known: Mapping[str, Known], *, unique: bool) -> None:
        self.head = head
        self.fresh: list[Prepared] = []
        self.taken: dict[Submission, list[int]] = {}
        self._known = dict(known)
        self._unique = unique

    @property
    def deliveries(self) -> list[Delivery]:
        """The events that this commit handles."""
        return [submission.delivery for submission in self.taken if submission.delivery is not None]

    @property
    def tokens(self) -> set[bytes]:
        """Accounts that the new entries belong to."""
        return {one.new.token for one in self.fresh if isinstance(one.new, NewCall) and one.new.token is not None}

    def take(self, submission: Submission) -> None:
        """Takes a submission whole; one that gives a known id another content fails alone."""
        if submission.done.done():
            return
        if self._unique and (reused := next(self._reused(submission), None)) is not None:
            submission.fail(DomainError(Reason.IDEMPOTENCY_KEY_REUSED, entry_id=reused))
            return
        place = self._place if self._unique else self._next
        self.taken[submission] = [place(one) for one in submission.entries if self._is_new(one)]

    def sealed(self) -> list[SealedEntry]:
        """The new entries as they are stored."""
        first = self.head.tree.size
        return [
            SealedEntry(one.new, index, one.leaf, one.key_id, one.sealed)
            for index, one in enumerate(self.fresh, start=first)
        ]

    def grow(self, signer: NoteSigner, today: date) -> tuple[Growth, Head]:
        """What the commit makes of the tree, and the signed head on top of it."""
        head = self.head
        growth = grow(head.tree, [leaf_hash(one.leaf) for one in self.fresh])
        position = max([head.stream_sequence, *(delivery.position for delivery in self.deliveries)])
        if not self.fresh:
            return growth, replace(head, epoch=head.epoch + 1, stream_sequence=position)
        new = replace(signed(signer, growth.after, head.epoch + 1), minimum_index=head.minimum_index)
        return growth, replace(new, stream_sequence=position, day=max(head.day, today))

    def settle(self, growth: Growth, checkpoint: str) -> None:
        """Answers those who still wait."""
        for submission, indexes in self.taken.items():
            if not submission.done.done():
                withheld = sum(one.withheld for one in submission.entries)
                submission.done.set_result(Done(indexes, growth, checkpoint, withheld))

    def _is_new(self, one: Prepared) -> bool:
        """Whether the entry came after what the stream has brought so far; always, if it came by no stream."""
        return not isinstance(one.new, NewCall) or not 0 < one.new.position <= self.head.stream_sequence

    def _reused(self, submission: Submission) -> Iterator[str]:
        for one in submission.entries:
            known = self._known.get(one.new.entry_id)
            if known is None or not known.salt:  # nobody can say what stands in an erased entry
                continue
            if commitment(known.salt, one.new.payload) != decode(known.leaf).commitment:
                yield one.new.entry_id

    def _next(self, one: Prepared) -> int:
        self.fresh.append(one)
        return self.head.tree.size + len(self.fresh) - 1

    def _place(self, one: Prepared) -> int:
        known = self._known.get(one.new.entry_id)
        if known is None:
            known = Known(self._next(one), one.leaf, one.salt)
            self._known[one.new.entry_id] = known
        return known.index


def prepare(entries: Sequence[NewEntry]) -> list[Prepared]:
    """Makes the leaves of entries.

    Raises:
        DomainError: FIELD_INVALID.
    """
    salts = secrets.token_bytes(SALT_SIZE * len(entries))
    found = []
    for position, new in enumerate(entries):
        salt = salts[position * SALT_SIZE : (position + 1) * SALT_SIZE]
        committed = commitment(salt, new.payload)
        try:
            leaf = encode(Leaf(new.kind, new.producer, new.sequence, new.occurred_at, committed))
        except ValueError as error:
            violation = Violation(f"entries[{position}]", str(error))
            raise DomainError(Reason.FIELD_INVALID, violations=[violation]) from error
        found.append(Prepared(new, salt, leaf))
    return found


def seal_context(log: Log, key_id: str) -> str:
    """What the seal of an entry is bound to. Its place is not known before the commit; its leaf says the rest."""
    return f"{log}:{key_id}"


def signed(signer: NoteSigner, tree: Range, epoch: int) -> Head:
    """A head with its checkpoint."""
    checkpoint = Checkpoint(signer.name, tree.size, tree.root)
    return Head(tree, epoch, signer.sign(checkpoint.text))
