"""The change of the key of the day: make a new one, wrap every living data key under it, destroy all older ones.

Whatever an erasure removed is not wrapped again, so the destruction kills it in every backup and in the WAL. Each step
is one transaction under one lock, and looks at what is there rather than at what the step before has said: killed
anywhere, the next run goes on. What must never happen is kept by the order: a data key changes its wrapping only when
the new key of the day is durable and in force, and a key of the day dies only when no data key needs it.

A data key that does not open is somebody's damage, and must not keep the days of others from ending: it is passed over,
and keeps but the one key of the day that it names, so that its row can be restored.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from igstats_kit.clock import Clock

from igstats_audit.errors import KeyDamagedError, KeyLostError
from igstats_audit.keyring import DayKey, KeyRing, KeyTable, KeyTurn, WrappedKey, rewrap
from igstats_audit.keystore import KeyStore

BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a run did, the key of the day now in force, and the ids of data keys that do not open."""

    kek_id: str
    rewrapped: int
    destroyed: int
    damaged: Sequence[str] = ()


class Rotation:
    """Rotates the key of the day. Any replica may run it at any time."""

    def __init__(self, keystore: KeyStore, table: KeyTable, ring: KeyRing, clock: Clock, *, batch: int = BATCH) -> None:
        self._keystore = keystore
        self._table = table
        self._ring = ring
        self._clock = clock
        self._batch = batch

    async def open(self) -> None:
        """Makes sure that today's key of the day is in force.

        Raises:
            KeyLostError: Half of the data keys or more need keys of the day that the key store does not have: the table
                was restored, or the folder was lost. Fewer are rows that somebody has changed.
        """
        self._ring.forget()  # what counts is what the key store has, not what this process remembers
        async with self._table.turn() as turn:
            await self._change(turn)

    async def run(self) -> Rotated:
        """Brings the rotation to its end, wherever it stands; raises as `open`."""
        await self.open()
        rewrapped, damaged = 0, set[str]()
        while True:
            rewrapped += await self._rewrap(damaged)
            async with self._table.turn() as turn:
                current = await self._current(turn)
                if not await turn.outdated(current, "", damaged, 1):
                    destroyed = await self._destroy_all_but(current, await turn.in_use())
                    return Rotated(current, rewrapped, destroyed, sorted(damaged))

    async def _change(self, turn: KeyTurn) -> None:
        in_use = await turn.in_use()
        gone = {kek_id: in_use[kek_id] for kek_id in set(in_use) - set(await self._ring.load(in_use))}
        if gone and 2 * sum(gone.values()) >= sum(in_use.values()):
            raise KeyLostError(gone)
        current, today = await turn.current(), self._clock.now().date()
        if current is None and not in_use:
            await turn.make_current(DayKey(await self._adopt(), today))
        elif current is None or current.day < today or not await self._ring.load([current.kek_id]):
            await turn.make_current(DayKey(await self._create(), today))

    async def _adopt(self) -> str:
        """For an empty table: the newest key that is there, left by a start that was killed, or else a new one."""
        there = await asyncio.to_thread(self._keystore.ids)
        return max(await self._ring.load(there), default="") or await self._create()

    async def _create(self) -> str:
        return await asyncio.to_thread(self._keystore.create)

    async def _rewrap(self, damaged: set[str]) -> int:
        """Wraps all outdated data keys again, in batches by id; adds those that do not open to the damaged ones."""
        done, after = 0, ""
        while True:
            async with self._table.turn() as turn:
                current = await self._current(turn)
                keys = await turn.outdated(current, after, damaged, self._batch)
                fresh = await self._rewrapped(keys, current, damaged)
                await turn.rewrap(fresh)
            if not keys:
                return done
            done, after = done + len(fresh), keys[-1].key_id

    async def _rewrapped(self, keys: Sequence[WrappedKey], current: str, damaged: set[str]) -> list[WrappedKey]:
        found, keks = [], await self._ring.load({current, *(key.kek_id for key in keys)})
        _require(current, keks)
        for key in keys:
            try:
                found.append(rewrap(key, keks, current))
            except KeyDamagedError:
                damaged.add(key.key_id)
        return found

    async def _destroy_all_but(self, current: str, in_use: Iterable[str]) -> int:
        self._ring.forget()
        # From the store: were it not there, the older ones would be all that is left.
        _require(current, await self._ring.load([current]))
        needed = {current, *in_use}
        older = [kek_id for kek_id in await asyncio.to_thread(self._keystore.ids) if kek_id not in needed]
        for kek_id in older:
            await asyncio.to_thread(self._keystore.destroy, kek_id)
        return len(older)

    @staticmethod
    async def _current(turn: KeyTurn) -> str:
        current = await turn.current()
        if current is None:
            raise KeyLostError({"in force": 0})
        return current.kek_id


def _require(current: str, keks: Collection[str]) -> None:
    if current not in keks:
        raise KeyLostError({current: 0})
