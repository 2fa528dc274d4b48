"""Who holds data: announcements, keys, switches. A newcomer gets its part of every request that is still open."""

from datetime import UTC, datetime, timedelta

from igstats_kit.clock import Clock
from igstats_kit.record import record
from igstats_kit.sql import Database

from igstats_privacy import holder_store, store, task_store
from igstats_privacy.changes import Changes
from igstats_privacy.errors import holder_unknown
from igstats_privacy.fanout import Fanout
from igstats_privacy.lifecycle import RUNNING
from igstats_privacy.model import Cause, Holder, Shown
from igstats_privacy.store import Connection

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
# A holder notes the time before it waits for its turn to register; a request may end in between.
_REGISTERING = timedelta(minutes=1)


class Registry:
    """The registered holders."""

    def __init__(self, database: Database, fanout: Fanout, changes: Changes, clock: Clock) -> None:
        self._database = database
        self._fanout = fanout
        self._changes = changes
        self._clock = clock
        self._keys: dict[tuple[str, str], bytes] = {}

    async def register(self, holder: Holder, key_id: str) -> int:
        """Writes an announcement; returns how many tasks of open requests it created. Repeating it creates none."""
        async with self._database.transaction() as connection:
            await holder_store.change_registry(connection)
            await holder_store.put(connection, holder, key_id)
            waiting = await holder_store.without_tasks(connection, holder.name, RUNNING)
            locked = await store.lock(connection, waiting)
            rights = {name: right for name, (right, state) in locked.items() if state in RUNNING}
            created = await task_store.plan(connection, rights, self._clock.now(), holder.name) if rights else 0
            await self._fanout.advance(connection, rights)
        self._changes.publish(rights)
        return created

    async def switch(self, name: str, *, enabled: bool) -> Holder:
        """Switches a holder on or off; its open tasks are sent to it, or wait visibly for a person.

        Raises:
            DomainError: HOLDER_UNKNOWN.
        """
        async with self._database.transaction() as connection:
            await holder_store.change_registry(connection)
            running = await store.lock_open(connection, RUNNING)
            if not await holder_store.switch(connection, name, enabled=enabled):
                raise holder_unknown(name)
            touched = await self._switched(connection, name, list(running), enabled=enabled)
            await self._fanout.advance(connection, touched)
            payload = {"holder": name, "enabled": enabled}
            await record(connection, "privacy", "holder.switched", payload, now=self._clock.now())
        self._changes.publish(touched)
        return next(holder for holder in await self.holders() if holder.name == name)

    async def _switched(self, connection: Connection, name: str, request_ids: list[str], *, enabled: bool) -> set[str]:
        if enabled:
            return await task_store.retry(connection, request_ids, name, cause=Cause.DISABLED)
        return await task_store.block(connection, request_ids, _LONG_AGO)

    async def holders(self) -> list[Holder]:
        """All holders by name."""
        async with self._database.read() as connection:
            return await holder_store.every(connection)

    async def keys(self, shown: Shown) -> list[tuple[str, bytes]]:
        """Keys of all holders that a closed request concerned, old ones included: old receipts must verify.

        Whoever was registered when the request ended is one of them, whether it was asked or not, so that a holder
        that was left out shows. One that registers while a request ends is one only if it was asked.
        """
        async with self._database.read() as connection:
            found = await holder_store.keys(connection)
            known = await holder_store.every(connection)
        asked = {task.holder for task in shown.tasks}
        end = shown.request.closed_at or self._clock.now()
        concerned = asked | {holder.name for holder in known if holder.registered_at <= end - _REGISTERING}
        return [(holder, key) for (holder, _), key in found.items() if holder in concerned]

    async def key(self, holder: str, key_id: str) -> bytes | None:
        """A holder's public key; None when the holder never announced one with this id."""
        if (holder, key_id) not in self._keys:
            async with self._database.read() as connection:
                self._keys = await holder_store.keys(connection)
        return self._keys.get((holder, key_id))
