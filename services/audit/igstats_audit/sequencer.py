"""The one writer of the log: gathers what waits, and appends it in one commit that is signed and proved at once.

A lock in the database makes writers of several processes take turns (liveness). What keeps the log from forking is the
swap of the head: every insert of a commit happens only if the head is still the one that the commit was built on.
"""

import asyncio
import secrets
from collections import ChainMap, Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from igstats_kit.errors import DomainError, Reason, Violation

from igstats_audit.errors import LogForkedError
from igstats_audit.leaf import SALT_SIZE, Leaf, commitment, decode, encode
from igstats_audit.model import (
    Acknowledgement,
    Appended,
    Delivery,
    Entry,
    Head,
    Known,
    LogStore,
    LogTransaction,
    NewEntry,
)
from igstats_audit.note import Checkpoint, NoteSigner
from igstats_audit.proofs import Proofs
from igstats_audit.telemetry import ENTRIES_APPENDED
from igstats_audit.tree import Growth, Range, grow, inclusion_spans, leaf_hash

GROUP_LIMIT = 5_000
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class _Prepared:
    """An entry with its leaf; only its place is missing."""

    entry: NewEntry
    salt: bytes
    leaf: bytes

    def placed(self, index: int) -> Entry:
        new = self.entry
        return Entry(
            index=index,
            entry_id=new.entry_id,
            kind=new.kind,
            request_id=new.request_id,
            producer=new.producer,
            leaf=self.leaf,
            salt=self.salt,
            payload=new.payload,
            occurred_at=new.occurred_at,
        )


class _Done(NamedTuple):
    """Where the entries of a submission are, and the growth of the commit that put or found them there."""

    indexes: list[int]
    growth: Growth
    checkpoint: str


@dataclass(eq=False, slots=True)
class _Submission:
    entries: list[_Prepared]
    delivery: Delivery | None
    done: asyncio.Future[_Done] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Sequencer:
    """Appends entries. `run` must run for `append` to answer."""

    def __init__(self, store: LogStore, proofs: Proofs, signer: NoteSigner) -> None:
        self._store = store
        self._proofs = proofs
        self._signer = signer
        self._queue: asyncio.Queue[_Submission] = asyncio.Queue()
        self._signed = 0
        self._ended = False

    async def open(self) -> None:
        """Makes sure that the log has a head, and that this log has signed it.

        Raises:
            LogForkedError: The head is not ours.
        """
        await self._store.create_head(self._sign(Range(), 0))
        self._require_ours(await self._store.head())

    async def append(self, entries: Sequence[NewEntry], delivery: Delivery | None = None) -> Appended:
        """Appends the entries, each once; answers when they are durable, with proofs against a signed checkpoint.

        Raises:
            DomainError: FIELD_INVALID; DEPENDENCY_UNAVAILABLE: repeat it with the same ids;
                IDEMPOTENCY_KEY_REUSED: an entry id stands for another content.
        """
        done = await self._submit(entries, delivery)
        size, growth = done.growth.after.size, done.growth
        hashes = ChainMap(growth.nodes, growth.before.nodes)
        paths = await self._proofs.paths([inclusion_spans(index, size) for index in done.indexes], hashes)
        acknowledgements = [
            Acknowledgement(entry.entry_id, index, path)
            for entry, index, path in zip(entries, done.indexes, paths, strict=True)
        ]
        return Appended(acknowledgements, done.checkpoint)

    async def deliver(self, entries: Sequence[NewEntry], delivery: Delivery) -> None:
        """Appends entries that came as events, in one commit with their inbox; raises what `append` raises."""
        await self._submit(entries, delivery)

    async def _submit(self, entries: Sequence[NewEntry], delivery: Delivery | None) -> _Done:
        first: dict[str, NewEntry] = {}
        for entry in entries:
            if first.setdefault(entry.entry_id, entry).payload != entry.payload:
                raise DomainError(Reason.IDEMPOTENCY_KEY_REUSED, entry_id=entry.entry_id)
        submission = _Submission([_prepare(position, entry) for position, entry in enumerate(entries)], delivery)
        if self._ended:
            raise _unavailable()
        self._queue.put_nowait(submission)
        return await submission.done

    async def run(self) -> None:
        """Commits what waits, until cancelled.

        Raises:
            LogForkedError: Signing on would hide that somebody changed the log.
        """
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                group = await self._take()
                # A cancel must not tear a commit: it ends first.
                running = {asyncio.create_task(self._settle(group))}
                await asyncio.shield(*running)
        finally:
            self._ended = True
            if running:
                await asyncio.wait(running)
            while not self._queue.empty():
                _fail([self._queue.get_nowait()], _unavailable())

    async def _take(self) -> list[_Submission]:
        group = [await self._queue.get()]
        waiting = len(group[0].entries)
        while not self._queue.empty() and waiting < GROUP_LIMIT:
            group.append(self._queue.get_nowait())
            waiting += len(group[-1].entries)
        return group

    async def _settle(self, group: Sequence[_Submission]) -> None:
        """Commits the submissions together; when the database refuses one of them, each alone."""
        try:
            await self._commit(group)
        except LogForkedError:
            _fail(group, _unavailable())
            raise
        except DomainError as error:
            _fail(group, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must reach the one whose entry caused it
            if len(group) == 1:
                _fail(group, error)
                return
            for submission in group:
                await self._settle([submission])

    async def _commit(self, group: Sequence[_Submission]) -> None:
        for _ in range(_ATTEMPTS):
            if await self._try_commit(group):
                return
        raise _unavailable()

    async def _try_commit(self, group: Sequence[_Submission]) -> bool:
        async with self._store.transaction() as transaction:
            names = list(dict.fromkeys(one.entry.entry_id for submission in group for one in submission.entries))
            head, known = await transaction.begin(names)
            if head is None:
                raise LogForkedError("the log has lost its head")
            self._require_ours(head)
            plan = _Plan(head.tree.size, known)
            for submission in group:
                plan.take(submission)
            growth, checkpoint, swapped = await self._write(transaction, head, plan.fresh)
            for delivery in plan.deliveries if swapped else ():
                await transaction.claim(delivery)
        if swapped:
            self._signed = max(self._signed, growth.after.size)
            plan.settle(growth, checkpoint)
            for kind, count in Counter(one.entry.kind for one in plan.fresh).items():
                ENTRIES_APPENDED.labels(kind=kind).inc(count)
        return swapped

    async def _write(
        self, transaction: LogTransaction, head: Head, fresh: Sequence[_Prepared]
    ) -> tuple[Growth, str, bool]:
        growth = grow(head.tree, [leaf_hash(one.leaf) for one in fresh])
        if not fresh:
            return growth, head.checkpoint, True
        new = self._sign(growth.after, head.epoch + 1)
        entries = [one.placed(index) for index, one in enumerate(fresh, start=head.tree.size)]
        return growth, new.checkpoint, await transaction.swap(head, new, entries, growth.nodes)

    def _sign(self, tree: Range, epoch: int) -> Head:
        checkpoint = Checkpoint(self._signer.name, tree.size, tree.root)
        return Head(tree, epoch, self._signer.sign(checkpoint.text))

    def _require_ours(self, head: Head) -> None:
        """A signature of ours is always the same, so a head that is ours signs to its own checkpoint."""
        if head.tree.size < self._signed or self._sign(head.tree, head.epoch) != head:
            raise LogForkedError(f"the head of size {head.tree.size} is not one that this log has signed last")


class _Plan:
    """Which entries a commit appends, and where those are that it does not."""

    def __init__(self, size: int, known: Mapping[str, Known]) -> None:
        self.fresh: list[_Prepared] = []
        self.taken: dict[_Submission, list[int]] = {}
        self._size = size
        self._known = dict(known)

    @property
    def deliveries(self) -> list[Delivery]:
        """The events that this commit handles."""
        return [submission.delivery for submission in self.taken if submission.delivery is not None]

    def settle(self, growth: Growth, checkpoint: str) -> None:
        """Answers those who still wait."""
        for submission, indexes in self.taken.items():
            if not submission.done.done():
                submission.done.set_result(_Done(indexes, growth, checkpoint))

    def take(self, submission: _Submission) -> None:
        """Takes a submission whole; one that gives a known id another content fails alone."""
        if (reused := next(self._reused(submission), None)) is not None:
            _fail([submission], DomainError(Reason.IDEMPOTENCY_KEY_REUSED, entry_id=reused))
        elif not submission.done.done():
            self.taken[submission] = [self._place(one) for one in submission.entries]

    def _reused(self, submission: _Submission) -> Iterator[str]:
        for one in submission.entries:
            known = self._known.get(one.entry.entry_id)
            if known is not None and commitment(known.salt, one.entry.payload) != decode(known.leaf).commitment:
                yield one.entry.entry_id

    def _place(self, one: _Prepared) -> int:
        known = self._known.get(one.entry.entry_id)
        if known is None:
            known = Known(self._size + len(self.fresh), one.leaf, one.salt)
            self._known[one.entry.entry_id] = known
            self.fresh.append(one)
        return known.index


def _prepare(position: int, entry: NewEntry) -> _Prepared:
    salt = secrets.token_bytes(SALT_SIZE)
    try:
        leaf = encode(Leaf(entry.kind, entry.producer, 0, entry.occurred_at, commitment(salt, entry.payload)))
    except ValueError as error:
        violation = Violation(f"entries[{position}]", str(error))
        raise DomainError(Reason.FIELD_INVALID, violations=[violation]) from error
    return _Prepared(entry, salt, leaf)


def _unavailable() -> DomainError:
    return DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="log")


def _fail(group: Sequence[_Submission], error: Exception) -> None:
    for submission in group:
        if not submission.done.done():
            submission.done.set_exception(error)
