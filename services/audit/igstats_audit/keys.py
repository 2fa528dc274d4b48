"""Data keys: one per subject and log, under which all of its entries are sealed. Erasing a subject = deleting its row.

The cache can never bring an erased key back, because it never answers alone: whoever seals or opens asks the table in
its own transaction which keys exist, after taking the subject's lock (`igstats_kit.fence`), and the cache only saves
opening the wrapping again. It is emptied when the key of the day changes, and checked against the table every minute.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.log import get_logger
from igstats_kit.seal import Sealer

from igstats_audit.errors import KeyDamagedError, KeyLostError
from igstats_audit.keyring import KeyRing, KeyTable, Living, WrappedKey, make, unwrap
from igstats_audit.keystore import KeyStore
from igstats_audit.leaf import SALT_SIZE
from igstats_audit.model import DataKey, Log, Subject
from igstats_audit.rotation import BATCH, Rotation
from igstats_audit.telemetry import DATA_KEYS_REWRAPPED, DAY_KEYS_DESTROYED

CACHED = 10_000
_ATTEMPTS = 4
_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_RETRY = timedelta(seconds=5)

_log = get_logger()


class DataKeys:
    """Gives data keys, seals and opens with them, and rotates the key of the day."""

    def __init__(
        self, keystore: KeyStore, table: KeyTable, clock: Clock, *, cached: int = CACHED, batch: int = BATCH
    ) -> None:
        self._table = table
        self._clock = clock
        self._ring = KeyRing(keystore)
        self._rotation = Rotation(keystore, table, KeyRing(keystore), clock, batch=batch)
        self._cache: OrderedDict[bytes, DataKey] = OrderedDict()  # by its wrapping: another wrapping is another entry
        self._cached = cached
        self._kek_id: str | None = None
        self._damaged: frozenset[str] = frozenset()

    async def of(self, connection: object, log: Log, subjects: Sequence[Subject]) -> dict[Subject, DataKey]:
        """The keys of subjects, made now for those that have none, in the caller's transaction. Take the fence before.

        Raises:
            KeyLostError: The key of the day is gone.
            KeyDamagedError: Some keys do not open; it names the subjects of all of them.
            DomainError: DEPENDENCY_UNAVAILABLE; no key of the day is in force yet, it changes all the time, or the key
                store cannot be read.
        """
        found: dict[str, DataKey] = {}
        missing = {subject.name: subject for subject in subjects}
        for _ in range(_ATTEMPTS):
            living = await self._table.of(connection, log, list(missing))
            names = {key.key_id: key.subject.name for key in living.keys}
            found |= {names[key_id]: key for key_id, key in (await self._opened(connection, living)).items()}
            missing = {name: subject for name, subject in missing.items() if name not in found}
            if missing and living.kek_id is not None:
                found |= await self._add(connection, log, living.kek_id, list(missing.values()))
                missing = {name: subject for name, subject in missing.items() if name not in found}
            if not missing:
                return {subject: found[subject.name] for subject in subjects}
        raise DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="keys")

    async def find(self, connection: object, key_ids: Sequence[str]) -> dict[str, DataKey]:
        """The keys with these ids; one that is missing is erased, and its entries are unreadable for good.

        Raises:
            KeyLostError: The key of the day is gone.
            KeyDamagedError: Some keys do not open.
            DomainError: DEPENDENCY_UNAVAILABLE; the key store cannot be read.
        """
        return await self._opened(connection, await self._table.find(connection, list(set(key_ids))))

    @staticmethod
    def seal(key: DataKey, salt: bytes, payload: bytes, context: str) -> bytes:
        """Salt and payload as one ciphertext; without the key neither the payload nor a guess at it can be checked."""
        if len(salt) != SALT_SIZE:
            raise ValueError(f"a salt has {SALT_SIZE} bytes")
        return key.sealer.seal(salt + payload, context)

    @staticmethod
    def open(key: DataKey, sealed: bytes, context: str) -> tuple[bytes, bytes]:
        """Salt and payload of what `seal` made.

        Raises:
            SealError: Key, bytes or context do not fit.
        """
        plain = key.sealer.open(sealed, context)
        return plain[:SALT_SIZE], plain[SALT_SIZE:]

    async def ready(self) -> None:
        """Makes sure that a key of the day is in force; for the start, before anything is sealed.

        Raises:
            KeyLostError: Data keys need a key of the day that the key store does not have.
        """
        try:
            await self._rotation.open()
        except KeyLostError:
            _log.exception("key of the day is gone: see the runbook on audit keys")
            raise

    async def rotate(self) -> None:
        """Brings the rotation of the key of the day to its end, wherever it stands; it changes at midnight UTC.

        Raises:
            KeyLostError: Data keys need a key of the day that the key store does not have. Nothing is destroyed.
            KeyDamagedError: Some data keys do not open. The keys of the day that they name stay; all else is done.
        """
        done = await self._rotation.run()
        DATA_KEYS_REWRAPPED.inc(done.rewrapped)
        DAY_KEYS_DESTROYED.inc(done.destroyed)
        self._notice(done.kek_id)
        self._damaged = frozenset(done.damaged)
        if done.damaged:
            _log.error("data keys are damaged: see the runbook on audit keys", count=len(done.damaged))
            raise KeyDamagedError(done.damaged[0])

    async def drop_erased(self) -> None:
        """Drops erased keys from memory, also those that another replica erased."""
        alive = await self._table.alive([key.key_id for key in self._cache.values()])
        for wrapped in [wrapped for wrapped, key in self._cache.items() if key.key_id not in alive]:
            self._cache.pop(wrapped, None)

    async def run(self) -> None:
        """Rotates every hour and at midnight, and drops erased keys every minute, until cancelled."""
        due = self._clock.now()
        while True:
            now = self._clock.now()
            try:
                await self.drop_erased()
                if now >= due:
                    due = min(now + _HOUR, _midnight(now))
                    await self.rotate()
            except (DomainError, OSError) as error:
                _log.warning("rotation of keys waits", error=type(error).__name__)
                due = now
            except KeyDamagedError as error:
                _log.exception("data key is damaged: see the runbook on audit keys", key_id=error.key_id)
            except KeyLostError:
                _log.exception("key of the day is gone: see the runbook on audit keys")
            pause = min(_MINUTE, _midnight(now) - now) if due > now else _RETRY
            await asyncio.sleep(pause.total_seconds())

    async def _opened(self, connection: object, living: Living) -> dict[str, DataKey]:
        self._notice(living.kek_id)
        keys = list(living.keys)
        keks = await self._ring.load({key.kek_id for key in keys})
        if gone := [key.key_id for key in keys if key.kek_id not in keks]:
            # Another replica has changed the key of the day since we read these rows: by now they name the new one.
            again = (await self._table.find(connection, gone)).keys
            keks |= await self._ring.load({key.kek_id for key in again})
            keys = [*(key for key in keys if key.key_id not in gone), *again]
        # A row that the rotation has found to name no key of the day is one account's damage; any other may be a loss.
        if lost := Counter(key.kek_id for key in keys if key.kek_id not in keks and key.key_id not in self._damaged):
            raise KeyLostError(lost)
        return self._all(keys, keks)

    def _all(self, keys: Sequence[WrappedKey], keks: Mapping[str, Sealer]) -> dict[str, DataKey]:
        found: dict[str, DataKey] = {}
        damaged: list[KeyDamagedError] = []
        for key in keys:
            try:
                found[key.key_id] = self._one(key, keks.get(key.kek_id))
            except KeyDamagedError as error:
                damaged.append(error)
        if damaged:
            raise KeyDamagedError(damaged[0].key_id, frozenset().union(*(error.subjects for error in damaged)))
        return found

    def _one(self, stored: WrappedKey, kek: Sealer | None) -> DataKey:
        key = self._cache.get(stored.wrapped)
        if key is None:
            key = self._cache[stored.wrapped] = unwrap(stored, kek)
            if len(self._cache) > self._cached:
                self._cache.popitem(last=False)
        else:
            self._cache.move_to_end(stored.wrapped)
        return key

    def _notice(self, kek_id: str | None) -> None:
        """Empties memory when the key of the day has changed."""
        if kek_id != self._kek_id:
            self._ring.forget()
            self._cache.clear()
            self._kek_id = kek_id

    async def _add(self, connection: object, log: Log, kek_id: str, subjects: Sequence[Subject]) -> dict[str, DataKey]:
        """Makes keys. Those that another transaction made first are not in the answer."""
        kek = (await self._ring.load([kek_id])).get(kek_id)
        if kek is None:
            if (await self._table.find(connection, [])).kek_id == kek_id:
                raise KeyLostError({kek_id: 0})
            return {}  # the key of the day has changed meanwhile
        made = [make(log, subject, kek_id, kek) for subject in sorted(subjects, key=lambda one: one.name)]
        added = await self._table.add(connection, [row for row, _ in made])
        return {row.subject.name: key for row, key in made if key.key_id in added}


def _midnight(now: datetime) -> datetime:
    return datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), now.tzinfo)
