"""The one writer of a log: gathers what waits, and appends it in one commit that is signed and proved at once.

A commit is one statement on the head that this writer saw last. If another has written meanwhile, the swap of the head
misses and nothing is written: so no two writers can make a fork (safety). A commit that missed is repeated in turn,
under a lock that makes the writers of all processes wait for each other, and there it cannot miss (liveness).
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.log import get_logger

from igstats_audit.batch import Done, Plan, Submission, alike, prepare, seal, signed, withhold
from igstats_audit.errors import KeyDamagedError, KeyLostError, LogForkedError
from igstats_audit.model import (
    Acknowledgement,
    Appended,
    Commit,
    DataKey,
    Delivery,
    Head,
    Known,
    Log,
    LogStore,
    LogTurn,
    NewCall,
    NewEntry,
    SealedEntry,
    Subject,
    Withheld,
)
from igstats_audit.note import NoteSigner
from igstats_audit.proofs import Proofs
from igstats_audit.telemetry import ENTRIES_APPENDED
from igstats_audit.tree import Range

GROUP_LIMIT = 5_000
_ATTEMPTS = 3
_TURNS = 5  # of the loop, from the bytes of a request to the place where it waits here
_KEYS_KEPT = 10_000

_log = get_logger()


class Sequencer:
    """Appends entries to one log. `run` must run for `append` to answer."""

    def __init__(self, store: LogStore, proofs: Proofs, signer: NoteSigner, clock: Clock) -> None:
        self._store = store
        self._proofs = proofs
        self._signer = signer
        self._clock = clock
        self._unique = store.log is Log.EVIDENCE
        self._queue: asyncio.Queue[Submission] = asyncio.Queue()
        self._head: Head | None = None
        self._keys: dict[str, DataKey] = {}
        self._newest: Head | None = None
        self._ended = False
        self._crowded = False
        self.grown = asyncio.Event()

    @property
    def newest(self) -> Head | None:
        """The last head that this process has signed."""
        return self._newest

    async def open(self) -> None:
        """Makes sure that the log has a head, and that this log has signed it.

        Raises:
            LogForkedError: The head is not ours.
        """
        await self._store.create_head(signed(self._signer, Range(), 0))
        self._require_ours(await self._store.head())

    async def append(self, entries: Sequence[NewEntry], delivery: Delivery | None = None) -> Appended:
        """Appends the entries, each once; answers when they are durable, with proofs against a signed checkpoint.

        Raises:
            DomainError: FIELD_INVALID; DEPENDENCY_UNAVAILABLE: repeat it with the same ids;
                IDEMPOTENCY_KEY_REUSED: an entry id stands for another content.
        """
        done = await self._submit(entries, delivery)
        first = done.growth.before.size
        if all(index >= first for index in done.indexes):
            paths = done.growth.inclusions(done.indexes)
        else:
            paths = list(map(tuple, await self._proofs.inclusions(done.indexes, done.growth.after)))
        names = [entry.entry_id for entry in entries]
        return Appended(list(map(Acknowledgement, names, done.indexes, paths)), done.checkpoint)

    async def deliver(self, entries: Sequence[NewEntry], delivery: Delivery) -> Done:
        """Appends entries that came as events, in one commit that records them as handled; raises as `append`."""
        return await self._submit(entries, delivery)

    async def _submit(self, entries: Sequence[NewEntry], delivery: Delivery | None) -> Done:
        if self._unique:
            _require_one_content(entries)
        submission = Submission(prepare(entries), delivery)
        self._seal_at_once(submission.entries)
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
                self._queue.get_nowait().fail(_unavailable())

    async def _take(self) -> list[Submission]:
        group = [await self._queue.get()]
        try:
            if self._crowded:
                await self._gather()
        except asyncio.CancelledError:
            _fail(group, _unavailable())
            raise
        waiting = len(group[0].entries)
        while not self._queue.empty() and waiting < GROUP_LIMIT:
            group.append(self._queue.get_nowait())
            waiting += len(group[-1].entries)
        self._crowded = len(group) > 1
        return group

    async def _gather(self) -> None:
        """Lets those in who are on their way, when the last commit was shared: a commit costs as much as many entries.

        It waits for nobody: it only lets the loop do what it has to do, until that brings no more.
        """
        turns = 0
        while turns < _TURNS and self._queue.qsize() < GROUP_LIMIT:
            before = self._queue.qsize()
            await asyncio.sleep(0)
            turns = turns + 1 if self._queue.qsize() == before else 0

    async def _settle(self, group: Sequence[Submission]) -> None:
        """Commits the submissions together; when the database refuses one of them, each alone."""
        try:
            if not await self._commit_at_once(group):
                await self._commit_in_turn(group)
        except LogForkedError:
            _fail(group, _unavailable())
            raise
        except DomainError as error:
            self._head = None
            _fail(group, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must reach the one whose entry caused it
            self._head = None
            if len(group) == 1:
                _fail(group, error)
                return
            for submission in group:
                await self._settle([submission])

    async def _commit_at_once(self, group: Sequence[Submission]) -> bool:
        """Commits on top of the head seen last, if nothing must be read before; False when that was not possible."""
        head, self._head = self._head, None
        if head is None:
            return False
        plan = self._planned(head, {}, group)
        if plan.tokens or any(not one.key_id for one in plan.fresh):
            return False
        commit = self._grown(plan, await self._today())
        if not await self._store.swap(commit):
            return False
        self._finish(plan, commit)
        return True

    async def _commit_in_turn(self, group: Sequence[Submission]) -> None:
        names = list(dict.fromkeys(one.new.entry_id for submission in group for one in submission.entries))
        for _ in range(_ATTEMPTS):
            today = await self._today()
            async with self._store.turn() as turn:
                head, known = await turn.begin(names if self._unique else [])
                if head is None:
                    raise LogForkedError("the log has lost its head")
                self._require_ours(head)
                plan = self._planned(head, known, group)
                keys = await self._seal_in_turn(turn, plan)
                commit = self._grown(plan, today)
                swapped = await turn.swap(commit)
            if swapped:
                self._keep(keys)
                self._finish(plan, commit)
                return
        raise _unavailable()

    async def _today(self) -> date:
        """Today, with room for its entries. Should the head be of a later day, there is room for that, too."""
        today = self._clock.now().date()
        await self._store.make_days([today])
        return today

    def _planned(self, head: Head, known: Mapping[str, Known], group: Sequence[Submission]) -> Plan:
        plan = Plan(head, known, unique=self._unique)
        for submission in group:
            plan.take(submission)
        return plan

    def _grown(self, plan: Plan, today: date) -> Commit:
        growth, new = plan.grow(self._signer, today)
        return Commit(plan.head, new, plan.fresh, growth, plan.deliveries)

    def _finish(self, plan: Plan, commit: Commit) -> None:
        self._head = commit.new
        self._newest = commit.new
        plan.settle(commit.growth, commit.new.checkpoint)
        for kind, count in Counter(one.new.kind for one in plan.fresh).items():
            ENTRIES_APPENDED.labels(kind=kind).inc(count)
        self.grown.set()

    def _seal_at_once(self, entries: Sequence[SealedEntry]) -> None:
        """Seals what needs no question whether its person is fenced, under keys at hand; others commit meanwhile."""
        if self._store.log is Log.ACCESS:
            return  # the fence must be asked, and is asked in turn
        for name, mine in _by_name(entries).items():
            if name in self._keys:
                seal(mine, Log.EVIDENCE, self._keys[name])

    async def _seal_in_turn(self, turn: LogTurn, plan: Plan) -> Mapping[Subject, DataKey]:
        """Seals the new entries under keys that exist now; what is withheld keeps its leaf only."""
        free = await turn.admitted(plan.tokens) if plan.tokens else set()
        by_subject: dict[Subject, list[SealedEntry]] = {}
        for one in plan.fresh:
            if (token := _token(one.new)) is None or token in free:
                by_subject.setdefault(one.new.subject, []).append(one)
            else:
                withhold(one, Withheld.FENCED)
        keys = await self._data_keys(turn, list(by_subject))
        for subject, mine in by_subject.items():
            if subject in keys:
                seal(mine, self._store.log, keys[subject])
            else:
                for one in mine:
                    withhold(one, Withheld.KEY_DAMAGED)
        return keys

    async def _data_keys(self, turn: LogTurn, subjects: Sequence[Subject]) -> Mapping[Subject, DataKey]:
        """The keys of subjects. In the access log those that are damaged are missing: one must not stop all accounts.

        Evidence is never dropped: an event with such an entry is parked, and can be handled again.
        """
        if not subjects:
            return {}
        try:
            return await turn.keys(subjects)
        except KeyLostError as error:
            _log.exception("key of the day is gone: see the runbook on audit keys")
            raise _unavailable("keys") from error
        except KeyDamagedError as error:
            whole = [subject for subject in subjects if subject.name not in error.subjects]
            if self._store.log is Log.EVIDENCE or len(whole) == len(subjects):
                raise
            _log.exception("data key is damaged: see the runbook on audit keys", key_id=error.key_id)
            return await self._data_keys(turn, whole)

    def _keep(self, keys: Mapping[Subject, DataKey]) -> None:
        """Remembers keys that no erasure can take away; every commit asks the table whether they exist."""
        if len(self._keys) > _KEYS_KEPT:
            self._keys.clear()
        self._keys |= {subject.name: key for subject, key in keys.items() if subject.token is None}

    def _require_ours(self, head: Head) -> None:
        """A signature of ours is always the same, so a head that is ours signs to its own checkpoint."""
        ours = signed(self._signer, head.tree, head.epoch)
        if (self._newest and head.tree.size < self._newest.tree.size) or ours.checkpoint != head.checkpoint:
            raise LogForkedError(f"the head of size {head.tree.size} is not one that this log has signed last")


def _by_name(entries: Sequence[SealedEntry]) -> dict[str, list[SealedEntry]]:
    """Entries by the name of their subject: in the evidence log that is the request."""
    found: dict[str, list[SealedEntry]] = {}
    for one in entries:
        found.setdefault(one.new.request_id, []).append(one)
    return found


def _token(entry: NewEntry) -> bytes | None:
    return entry.token if isinstance(entry, NewCall) else None


def _require_one_content(entries: Sequence[NewEntry]) -> None:
    first: dict[str, NewEntry] = {}
    for entry in entries:
        known = first.setdefault(entry.entry_id, entry)
        if known is not entry and not alike(known, entry):
            raise DomainError(Reason.IDEMPOTENCY_KEY_REUSED, entry_id=entry.entry_id)


def _unavailable(dependency: str = "log") -> DomainError:
    return DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency=dependency)


def _fail(group: Sequence[Submission], error: Exception) -> None:
    for submission in group:
        submission.fail(error)
