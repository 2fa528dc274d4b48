"""The worker that synchronises what is due: regularly, on request, and never twice at once. Replicas share the work.

A connection is leased with SKIP LOCKED. A worker that dies leaves a lease that runs out, so nothing is lost.
"""

import asyncio
import zlib
from datetime import timedelta

from igstats_kit.clock import Clock, woken
from igstats_kit.errors import DomainError, Reason
from igstats_kit.log import get_logger
from ulid import ULID

from igstats_stats.errors import LeaseLostError
from igstats_stats.ingestion import Ingestion
from igstats_stats.instagram import InstagramClient
from igstats_stats.model import Lease
from igstats_stats.store.connections import RESTRICTED, ConnectionStore
from igstats_stats.store.ingest import LEASE_TIME
from igstats_stats.telemetry import SYNCS

SLOTS = 8
_LOOK_SECONDS = 5.0
_RETRY = timedelta(minutes=5)
_SPREAD = 0.2
ERASED = "The profile's owner asked for erasure; the connection has ended."
FAILED = "The last synchronisation failed on our side; it will be repeated."

_log = get_logger()


class SyncWorker:
    """Leases connections that are due and synchronises them, several at a time."""

    def __init__(
        self,
        store: ConnectionStore,
        ingestion: Ingestion,
        instagram: InstagramClient,
        clock: Clock,
        *,
        interval: timedelta,
    ) -> None:
        self._store = store
        self._ingestion = ingestion
        self._instagram = instagram
        self._clock = clock
        self._interval = interval
        self._awake = asyncio.Event()

    async def run(self) -> None:
        """Works until cancelled, one connection at a time; run it `SLOTS` times beside itself."""
        while True:
            self._awake.clear()  # before looking: what becomes due afterwards wakes again
            try:
                found = await self.run_once()
            except DomainError as error:
                _log.warning("synchronisation waits", reason=error.reason)
                found = False
            if not found:
                await woken(self._awake, _LOOK_SECONDS)

    def wake(self) -> None:
        """Looks for due connections at once."""
        self._awake.set()

    async def run_once(self) -> bool:
        """Synchronises the connection that waits longest; False when none is due."""
        now = self._clock.now()
        leases = await self._store.lease(str(ULID()), now, now + LEASE_TIME, 1)
        for lease in leases:
            await self._sync(lease)
        return bool(leases)

    async def _sync(self, lease: Lease) -> None:
        outcome = "DONE"
        try:
            await self._ingestion.sync(lease, self._instagram.owner(lease.access_token))
        except LeaseLostError:
            outcome = "LEASE_LOST"
        except DomainError as error:
            outcome = error.reason
            await self._end_early(lease, error)
        except Exception:  # noqa: BLE001 - one odd profile must not stop the others
            outcome = Reason.INTERNAL
            _log.exception("synchronisation failed", connection_id=lease.connection_id)
            await self._store.postpone(lease, FAILED, self._clock.now() + _RETRY)
        else:
            await self._store.finish(lease, self._clock.now(), self._clock.now() + self._pause(lease))
        SYNCS.labels(outcome=outcome).inc()
        _log.info("synchronisation ended", connection_id=lease.connection_id, outcome=outcome)

    async def _end_early(self, lease: Lease, error: DomainError) -> None:
        now = self._clock.now()
        problem = f"{error.public.text} {error.public.fix}"
        match error.reason:
            case Reason.SUBJECT_ERASED:
                await self._store.end(lease, ERASED)
            case Reason.INSTAGRAM_TOKEN_DEAD:
                await self._store.end(lease, problem)
            case Reason.INSTAGRAM_THROTTLED:
                await self._store.throttle(lease, problem, now + timedelta(seconds=error.retry_after or 0))
            case Reason.SUBJECT_RESTRICTED:
                await self._store.postpone(lease, RESTRICTED, now + self._pause(lease))
            case Reason.INSTAGRAM_REFUSED:
                code = error.metadata.get("code", "")
                await self._store.postpone(lease, f"{problem} (code {code})", now + self._pause(lease))
            case _:
                await self._store.postpone(lease, problem, now + _RETRY)

    def _pause(self, lease: Lease) -> timedelta:
        """The interval, spread by connection so that profiles connected together do not stay together."""
        share = zlib.crc32(lease.connection_id.encode()) / 2**32
        return self._interval * (1 - _SPREAD / 2 + _SPREAD * share)
