"""Data keys, wrapped by keys of the day: what they are, how they open, and the seam to the table that keeps them."""

import asyncio
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Protocol

from igstats_kit.errors import DomainError, Reason
from igstats_kit.log import get_logger
from igstats_kit.seal import KEY_BYTES, Sealer, SealError
from ulid import ULID

from igstats_audit.errors import KeyDamagedError
from igstats_audit.keystore import KeyStore
from igstats_audit.model import DataKey, Log, Subject

_log = get_logger()


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key as it is stored. It opens under the key of the day `kek_id` only, and in its own row only."""

    key_id: str
    log: Log
    subject: Subject
    kek_id: str
    wrapped: bytes = field(repr=False)

    @property
    def place(self) -> str:
        """What the wrapping is bound to. No part holds a slash, but perhaps the last."""
        return f"data_keys.wrapped:{self.kek_id}/{self.log}/{self.key_id}/{self.subject.name}"


@dataclass(frozen=True, slots=True)
class DayKey:
    """Which key of the day wraps data keys now, and since which day."""

    kek_id: str
    day: date


@dataclass(frozen=True, slots=True)
class Living:
    """Data keys that exist, and the key of the day that new ones are wrapped under; None before the first."""

    kek_id: str | None
    keys: Sequence[WrappedKey]


class KeyTurn(Protocol):
    """A transaction of the rotation; no other runs meanwhile."""

    async def current(self) -> DayKey | None:
        """The key of the day in force."""
        ...

    async def in_use(self) -> Mapping[str, int]:
        """How many data keys each key of the day wraps."""
        ...

    async def make_current(self, key: DayKey) -> None:
        """Wraps new data keys under another key of the day; waits for those who are wrapping one under the old."""
        ...

    async def outdated(self, kek_id: str, after: str, but: Collection[str], limit: int) -> Sequence[WrappedKey]:
        """Data keys under any other key of the day but some, by id, and keeps others from changing them."""
        ...

    async def rewrap(self, keys: Sequence[WrappedKey]) -> None:
        """Replaces the wrapping of data keys that `outdated` has given."""
        ...


class KeyTable(Protocol):
    """Where wrapped keys are kept. `connection` is the caller's transaction; only the implementation knows its type."""

    def turn(self) -> AbstractAsyncContextManager[KeyTurn]:
        """A transaction of the rotation."""
        ...

    async def of(self, connection: object, log: Log, names: Sequence[str]) -> Living:
        """The keys of subjects of a log."""
        ...

    async def find(self, connection: object, key_ids: Sequence[str]) -> Living:
        """The keys with these ids."""
        ...

    async def add(self, connection: object, keys: Sequence[WrappedKey]) -> set[str]:
        """Adds keys, all under one key of the day and only if that is in force; answers the ids that were added."""
        ...

    async def alive(self, key_ids: Sequence[str]) -> set[str]:
        """Which of these keys exist."""
        ...


class KeyRing:
    """The keys of the day that this process has read."""

    def __init__(self, keystore: KeyStore) -> None:
        self._keystore = keystore
        self._sealers: dict[str, Sealer] = {}

    async def load(self, kek_ids: Iterable[str]) -> dict[str, Sealer]:
        """Those that the key store has.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE; the key store cannot be read.
        """
        found: dict[str, Sealer] = {}
        for kek_id in set(kek_ids):
            sealer = self._sealers.get(kek_id)
            if sealer is None:
                sealer = await self._read(kek_id)
            if sealer is not None:
                found[kek_id] = self._sealers[kek_id] = sealer
        return found

    async def _read(self, kek_id: str) -> Sealer | None:
        try:
            return Sealer(await asyncio.to_thread(self._keystore.read, kek_id))
        except LookupError:
            return None
        except OSError as error:
            _log.exception("key of the day cannot be read", key_id=kek_id)
            raise DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="keys") from error

    def forget(self) -> None:
        """Drops all keys from memory; they are read again when needed, as long as they are in the key store."""
        self._sealers.clear()


def make(log: Log, subject: Subject, kek_id: str, kek: Sealer) -> tuple[WrappedKey, DataKey]:
    """A new data key."""
    key = DataKey(f"key_{str(ULID()).lower()}", secrets.token_bytes(KEY_BYTES))
    return _wrap(key, WrappedKey(key.key_id, log, subject, kek_id, b""), kek), key


def unwrap(stored: WrappedKey, kek: Sealer | None) -> DataKey:
    """Opens a data key; `kek` is the key of the day that it names, None when that does not exist.

    Raises:
        KeyDamagedError: The row was changed, or stands in another's place.
    """
    if kek is None:
        raise KeyDamagedError(stored.key_id, [stored.subject.name])
    try:
        return DataKey(stored.key_id, kek.open(stored.wrapped, stored.place))
    except SealError as error:
        raise KeyDamagedError(stored.key_id, [stored.subject.name]) from error


def rewrap(stored: WrappedKey, keks: Mapping[str, Sealer], kek_id: str) -> WrappedKey:
    """The same data key under another key of the day; raises KeyDamagedError."""
    return _wrap(unwrap(stored, keks.get(stored.kek_id)), replace(stored, kek_id=kek_id), keks[kek_id])


def _wrap(key: DataKey, row: WrappedKey, kek: Sealer) -> WrappedKey:
    return replace(row, wrapped=kek.seal(key.secret, row.place))
