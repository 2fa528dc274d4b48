"""The change of the key of the day: make a new one, wrap every living data key under it, destroy all older ones.

Whatever an erasure removed is not wrapped again, so the destruction kills it in every backup and in the WAL. Each step
is one transaction under one lock, and looks at what is there rather than at what the step before has said: killed
anywhere, the next run goes on. What must never happen is kept by the order: a data key changes its wrapping only when
the new key of the day is durable and in force, and a key of the day dies only when no data key needs it.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from igstats_kit.clock import Clock
from igstats_kit.seal import Sealer

from igstats_audit.errors import KeyLostError
from igstats_audit.keyring import DayKey, KeyRing, KeyTable, KeyTurn, rewrap
from igstats_audit.keystore import KeyStore

BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a run did, and the key of the day now in force."""

    kek_id: str
    rewrapped: int
    destroyed: int


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
            KeyLostError: Data keys need a key of the day that the key store does not have.
        """
        self._ring.forget()  # what counts is what the key store has, not what this process remembers
        async with self._table.turn() as turn:
            await self._change(turn)

    async def run(self) -> Rotated:
        """Brings the rotation to its end, wherever it stands.

        Raises:
            KeyLostError: As `open`.
            KeyDamagedError: A data key does not open. The key of the day that it names stays.
        """
        await self.open()
        rewrapped = 0
        while True:
            rewrapped += await self._rewrap()
            async with self._table.turn() as turn:
                current = await self._current(turn)
                if set(await turn.in_use()) <= {current}:
                    return Rotated(current, rewrapped, await self._destroy_all_but(current))

    async def _change(self, turn: KeyTurn) -> None:
        in_use = await turn.in_use()
        await self._load(in_use)
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

    async def _rewrap(self) -> int:
        """Wraps all outdated data keys again, in batches by id."""
        done, after = 0, ""
        while True:
            async with self._table.turn() as turn:
                current = await self._current(turn)
                keys = await turn.outdated(current, after, self._batch)
                keks = await self._load({current: 0} | Counter(key.kek_id for key in keys))
                await turn.rewrap([rewrap(key, keks, current) for key in keys])
            if not keys:
                return done
            done, after = done + len(keys), keys[-1].key_id

    async def _destroy_all_but(self, current: str) -> int:
        self._ring.forget()
        await self._load({current: 0})  # from the store: were it not there, the older ones would be all that is left
        older = [kek_id for kek_id in await asyncio.to_thread(self._keystore.ids) if kek_id != current]
        for kek_id in older:
            await asyncio.to_thread(self._keystore.destroy, kek_id)
        return len(older)

    async def _load(self, wrapped: Mapping[str, int]) -> Mapping[str, Sealer]:
        """Reads keys of the day; told how many data keys each wraps."""
        keks = await self._ring.load(wrapped)
        if gone := set(wrapped) - set(keks):
            raise KeyLostError({kek_id: wrapped[kek_id] for kek_id in gone})
        return keks

    @staticmethod
    async def _current(turn: KeyTurn) -> str:
        current = await turn.current()
        if current is None:
            raise KeyLostError({"in force": 0})
        return current.kek_id
