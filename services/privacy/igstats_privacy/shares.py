"""Shares of packages: what each holder sends for access and portability requests, many requests at a time.

Every package has its own key, itself sealed with the service's: destroying one row makes all parts unreadable.
"""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.fence import lock
from igstats_kit.seal import KEY_BYTES, Sealer
from igstats_kit.sql import Database

from igstats_privacy import export_store
from igstats_privacy.errors import task_not_owned
from igstats_privacy.export_store import Begun, Package, Part, Upload
from igstats_privacy.model import Phase, TaskKey
from igstats_privacy.store import Connection


@dataclass(frozen=True)
class Piece:
    """What a holder sends: whole JSON lines of one store, or none to name a task."""

    store: str
    lines: bytes
    row_count: int


@dataclass(frozen=True)
class Share:
    """What arrived of one task."""

    digest: bytes
    row_count: int


Message = Sequence[tuple[str, Piece]]
"""Pieces with the ids of their tasks."""


class Shares:
    """Takes what holders send."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock, export_days: int) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._days = timedelta(days=export_days)
        self._turn = asyncio.Lock()

    async def take_one(self, holder: str, task_id: str, pieces: AsyncIterator[Piece]) -> Share:
        """Takes the share of one task.

        Raises:
            DomainError: TASK_NOT_OWNED; SUBJECT_ERASED while the person is being erased.
        """

        async def alone() -> AsyncIterator[Message]:
            yield [(task_id, Piece("", b"", 0))]
            async for piece in pieces:
                yield [(task_id, piece)]

        return (await self.take(holder, alone()))[task_id]

    async def take(self, holder: str, messages: AsyncIterator[Message]) -> Mapping[str, Share]:
        """Stores a holder's shares in one transaction, all or none; repeating one replaces it.

        The first message names every task. Nothing but the message that came last is held in memory.

        Raises:
            DomainError: TASK_NOT_OWNED; SUBJECT_ERASED while one of the persons is being erased; EXPORT_EXPIRED.
        """
        message: Message = await anext(messages, [])
        arriving = {task_id: _Arriving(key) for task_id, key in _tasks(holder, message).items()}
        uploads = await self._open(holder, arriving.values())
        async with self._database.transaction() as connection:
            await _lock(connection, uploads)
            keys = _unfenced(await export_store.begin(connection, holder, [one.request_id for one in uploads]))
            for one in arriving.values():
                one.unlock(self._sealer, keys)
            async for following in messages:
                await export_store.add(connection, holder, _parts(holder, arriving, message), {}, self._clock.now())
                message = following
            parts = _parts(holder, arriving, message)
            shares = {task_id: one.share for task_id, one in arriving.items()}
            done = {one.key.request_id: (one.share.digest, one.share.row_count) for one in arriving.values()}
            await export_store.add(connection, holder, parts, done, self._clock.now())
        return shares

    async def _open(self, holder: str, arriving: "Collection[_Arriving]") -> Sequence[Upload]:
        """Opens packages not there yet, in a transaction of its own: holders must not wait for each other's upload.

        Here they take turns, because all are asked at the same time: the first opens the packages of all.
        """
        wanted = {one.key.request_id for one in arriving}
        async with self._turn:
            async with self._database.read() as connection:
                uploads = await export_store.uploads(connection, holder, wanted)
            if len(uploads) < len(wanted):
                raise task_not_owned(holder)
            if fresh := [one for one in uploads if not one.opened]:
                await self._make(fresh)
        return uploads

    async def _make(self, fresh: Sequence[Upload]) -> None:
        now = self._clock.now()
        made = {one.request_id: Package(self._new_key(one.request_id), now, now + self._days) for one in fresh}
        async with self._database.transaction() as connection:
            await _lock(connection, fresh)
            if await export_store.erased(connection, made):
                raise DomainError(Reason.SUBJECT_ERASED)
            await export_store.open_packages(connection, made)

    def _new_key(self, request_id: str) -> bytes:
        return self._sealer.seal(secrets.token_bytes(KEY_BYTES), _place(request_id))


async def _lock(connection: Connection, uploads: Sequence[Upload]) -> None:
    """The persons' locks, under which this ingress looks at its fence."""
    await lock(connection, [token for one in uploads for token in one.tokens], exclusive=False)


def _unfenced(begun: Begun) -> Mapping[str, bytes]:
    """The keys of the packages. Nobody who asks to be forgotten is copied once more."""
    if begun.erased:
        raise DomainError(Reason.SUBJECT_ERASED)
    return begun.keys


def _tasks(holder: str, names: Message) -> dict[str, TaskKey]:
    found: dict[str, TaskKey] = {}
    for task_id, _ in names:
        key = TaskKey.parse(task_id)
        if key is None or key.holder != holder or key.phase is not Phase.EXPORT:
            raise task_not_owned(holder)
        found[task_id] = key
    if not found:
        raise task_not_owned(holder)
    return found


def _parts(holder: str, arriving: "Mapping[str, _Arriving]", message: Message) -> list[tuple[str, Part]]:
    if any(task_id not in arriving for task_id, _ in message):
        raise task_not_owned(holder)
    return [
        (arriving[task_id].key.request_id, arriving[task_id].part(piece)) for task_id, piece in message if piece.lines
    ]


class _Arriving:
    """The share of one task while it comes in."""

    def __init__(self, key: TaskKey) -> None:
        self.key = key
        self._digest = hashlib.sha256()
        self._rows = 0
        self._number = 0

    @property
    def share(self) -> Share:
        return Share(self._digest.digest(), self._rows)

    def unlock(self, sealer: Sealer, keys: Mapping[str, bytes]) -> None:
        if self.key.request_id not in keys:
            raise DomainError(Reason.EXPORT_EXPIRED)
        self._sealer = opened(sealer, self.key.request_id, keys[self.key.request_id])

    def part(self, piece: Piece) -> Part:
        number = self._number
        self._number += 1
        self._rows += piece.row_count
        self._digest.update(piece.lines)
        sealed = self._sealer.seal(piece.lines, f"{self.key.request_id}/{self.key.holder}/{number}")
        return Part(self.key.holder, number, piece.store, piece.row_count, sealed)


def opened(sealer: Sealer, request_id: str, sealed_key: bytes) -> Sealer:
    """What opens the parts of a package."""
    return Sealer(sealer.open(sealed_key, _place(request_id)))


def _place(request_id: str) -> str:
    return f"exports.sealed_key:{request_id}"
