"""What one commit of a log does: which entries it appends, where those are that it does not, and whom it answers."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from igstats_kit.errors import DomainError, Reason, Violation

from igstats_audit.leaf import SALT_SIZE, commitment, decode, written
from igstats_audit.model import DataKey, Delivery, Head, Known, Log, NewCall, NewEntry, SealedEntry, Withheld
from igstats_audit.note import Checkpoint, NoteSigner
from igstats_audit.tree import Growth, Range, grow, leaf_hashes


def seal(entries: Sequence[SealedEntry], log: Log, key: DataKey) -> None:
    """Seals salts and payloads, but for those that this key has sealed before."""
    todo = [one for one in entries if one.key_id != key.key_id]
    plains = [one.salt + one.new.payload for one in todo]
    for one, sealed in zip(todo, key.sealer.seal_all(plains, seal_context(log, key.key_id)), strict=True):
        one.sealed, one.key_id, one.withheld = sealed, key.key_id, None


def withhold(one: SealedEntry, why: Withheld) -> None:
    """Drops the content."""
    one.key_id, one.sealed, one.withheld = "", b"", why


@dataclass(frozen=True, slots=True)
class Done:
    """Where the entries of a submission are, and the growth of the commit that put or found them there."""

    indexes: Sequence[int]
    growth: Growth
    checkpoint: str
    withheld: Counter[Withheld]


@dataclass(eq=False, slots=True)
class Submission:
    """Entries that somebody waits for; they are committed together or not at all."""

    entries: Sequence[SealedEntry]
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
        self.fresh: list[SealedEntry] = []
        self.taken: dict[Submission, list[int]] = {}
        self._known = known
        self._places = {name: one.index for name, one in known.items()}
        self._mine: dict[str, SealedEntry] = {}
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
        if self._unique:
            self.taken[submission] = list(map(self._place, submission.entries))
        else:
            self.taken[submission] = [self._next(one) for one in submission.entries if self._is_new(one)]

    def grow(self, signer: NoteSigner, today: date) -> tuple[Growth, Head]:
        """What the commit makes of the tree, and the signed head on top of it."""
        head = self.head
        growth = grow(head.tree, leaf_hashes(one.leaf for one in self.fresh))
        position = max([head.stream_sequence, *(delivery.position for delivery in self.deliveries)])
        if not self.fresh:
            return growth, replace(head, epoch=head.epoch + 1, stream_sequence=position)
        new = replace(signed(signer, growth.after, head.epoch + 1), minimum_index=head.minimum_index)
        return growth, replace(new, stream_sequence=position, day=max(head.day, today))

    def settle(self, growth: Growth, checkpoint: str) -> None:
        """Answers those who still wait."""
        for submission, indexes in self.taken.items():
            if not submission.done.done():
                withheld = Counter(one.withheld for one in submission.entries if one.withheld)
                submission.done.set_result(Done(indexes, growth, checkpoint, withheld))

    def _is_new(self, one: SealedEntry) -> bool:
        """Whether the entry came after what the stream has brought so far; always, if it came by no stream."""
        return not isinstance(one.new, NewCall) or not 0 < one.new.position <= self.head.stream_sequence

    def _reused(self, submission: Submission) -> Iterator[str]:
        if not self._places:
            return
        for one in submission.entries:
            name = one.new.entry_id
            if name in self._mine:
                same = alike(self._mine[name].new, one.new)
            else:
                same = name not in self._known or _says(self._known[name], one.new)
            if not same:
                yield name

    def _next(self, one: SealedEntry) -> int:
        self.fresh.append(one)
        return self.head.tree.size + len(self.fresh) - 1

    def _place(self, one: SealedEntry) -> int:
        name = one.new.entry_id
        place = self._places.get(name)
        if place is None:
            place = self._places[name] = self._next(one)
            self._mine[name] = one
        return place


def alike(one: NewEntry, other: NewEntry) -> bool:
    """Whether two entries say the same: what, from whom, of which request."""
    return _names(one) == _names(other) and one.payload == other.payload


def _says(known: Known, new: NewEntry) -> bool:
    """Whether a known entry says what a new one does; which payload an erased one had nobody can tell."""
    leaf = decode(known.leaf)
    if (leaf.kind, leaf.producer, known.request_id) != _names(new):
        return False
    return not known.salt or commitment(known.salt, new.payload) == leaf.commitment


def _names(new: NewEntry) -> tuple[str, str, str]:
    return new.kind, new.producer, new.request_id


def prepare(entries: Sequence[NewEntry]) -> list[SealedEntry]:
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
            leaf = written(new.kind, new.producer, new.sequence, new.occurred_at, committed)
        except ValueError as error:
            violation = Violation(f"entries[{position}]", str(error))
            raise DomainError(Reason.FIELD_INVALID, violations=[violation]) from error
        found.append(SealedEntry(new, salt, leaf))
    return found


def seal_context(log: Log, key_id: str) -> str:
    """What the seal of an entry is bound to. Its place is not known before the commit; its leaf says the rest."""
    return f"{log}:{key_id}"


def signed(signer: NoteSigner, tree: Range, epoch: int) -> Head:
    """A head with its checkpoint."""
    checkpoint = Checkpoint(signer.name, tree.size, tree.root)
    return Head(tree, epoch, signer.sign(checkpoint.text))
