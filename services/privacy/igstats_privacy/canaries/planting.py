"""Runs canaries, one at a time: plant a person, have them erased, look for them, try to bring them back.

Every step is written down before the next, under a key that makes its repetition harmless: whoever goes on after a
death plants nobody twice and asks for no second erasure.
"""

import json
import secrets
from dataclasses import replace
from datetime import timedelta
from typing import Protocol

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.log import get_logger
from igstats_kit.record import record
from igstats_kit.seal import Sealer
from igstats_kit.sql import Database
from ulid import ULID

from igstats_privacy.canaries import rules, store
from igstats_privacy.canaries.rules import PROVED, Canary, Result, Verdict, violated
from igstats_privacy.canaries.words import words
from igstats_privacy.model import CANARY, Identifier, NewRequest, Right
from igstats_privacy.registry import Registry
from igstats_privacy.requests import Requests

_log = get_logger()


class Gateway(Protocol):
    """Where a canary is planted and looked for."""

    async def plant(self, address: str) -> str:
        """Puts a person on file, once; answers the id of the account."""
        ...

    async def is_on_file(self, address: str) -> bool:
        """Whether the person is known."""
        ...


class Planting:
    """The use case; its steps are those of one canary."""

    def __init__(
        self,
        database: Database,
        requests: Requests,
        registry: Registry,
        gateway: Gateway,
        sealer: Sealer,
        clock: Clock,
    ) -> None:
        self._database = database
        self._requests = requests
        self._registry = registry
        self._gateway = gateway
        self._sealer = sealer
        self._clock = clock

    async def run_once(self, every: timedelta) -> Canary | None:
        """Goes on with the canary that lives, or begins the one that is due; answers it. One replica at a time.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE; the canary waits.
        """
        async with self._database.alone("canary"):
            due = rules.slot(self._clock.now(), every)
            canary = await self._live() or await self._begun(due, every)
            return None if canary is None else await self._go_on(canary)

    async def by_hand(self, within: timedelta) -> str:
        """Begins a canary now, whatever is due, unless one lives; answers the id of the one that lives."""
        async with self._database.alone("canary"):
            canary = await self._live() or await self._begun(str(ULID()), within)
        if canary is None:
            raise LookupError("a new id was known before")
        return canary.canary_id

    async def go_on(self, canary_id: str) -> Canary:
        """One step of this canary; answers what it is then.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE; the canary waits.
        """
        async with self._database.alone("canary"):
            async with self._database.read() as connection:
                canary = await store.find(connection, canary_id)
            if canary is None:
                raise LookupError(canary_id)
            return canary if canary.ended_at is not None else await self._go_on(canary)

    async def _live(self) -> Canary | None:
        async with self._database.read() as connection:
            return await store.live(connection)

    async def _begun(self, canary_id: str, within: timedelta) -> Canary | None:
        now = self._clock.now()
        address = f"canary-{secrets.token_hex(16)}@canary.invalid"
        canary = Canary(canary_id, self._seal(canary_id, address, ""), "", now, now + within)
        async with self._database.transaction() as connection:
            return canary if await store.begin(connection, canary) else None

    async def _go_on(self, canary: Canary) -> Canary:
        late = self._clock.now() >= canary.deadline_at
        try:
            canary, verdict = await self._step(canary)
        except DomainError as error:
            if not late:
                raise
            verdict = violated(f"not ended in time: {error.reason}")
        if verdict is None and late:
            verdict = violated("not ended in time")
        return canary if verdict is None else await self._end(canary, verdict)

    async def _step(self, canary: Canary) -> tuple[Canary, Verdict | None]:
        address, account_id = self._open(canary)
        if not account_id:
            try:
                account_id = await self._gateway.plant(address)
            except DomainError as error:
                if error.reason is not Reason.SUBJECT_ERASED:
                    raise
                return canary, violated("refused before it was erased")
            if not await self._gateway.is_on_file(address):
                return canary, violated("planted and not on file")
            canary = await self._note(canary, sealed=self._seal(canary.canary_id, address, account_id))
        if not canary.request_id:
            canary = await self._note(canary, request_id=await self._ask(canary, address, account_id))
        return canary, await self._look(canary, address)

    async def _ask(self, canary: Canary, address: str, account_id: str) -> str:
        who = (Identifier("ACCOUNT_ID", account_id), Identifier("EMAIL", address))
        new = NewRequest(Right.ERASURE, CANARY, "", who, canary.canary_id, identity_proof=rules.NAME)
        return (await self._requests.open(new)).request.request_id

    async def _look(self, canary: Canary, address: str) -> Verdict | None:
        shown = await self._requests.get(canary.request_id)
        if not rules.is_over(shown.request.state):
            return None
        holders = [one.name for one in await self._registry.holders() if one.registered_at <= canary.started_at]
        broken = rules.unfulfilled(shown.request.state) or rules.broken_promise(holders, words(shown.tasks))
        if broken:
            return violated(broken)
        if await self._gateway.is_on_file(address):
            return violated("still on file after the erasure")
        return PROVED if await self._is_refused(address) else violated("accepted again after the erasure")

    async def _is_refused(self, address: str) -> bool:
        """Whether the fence keeps the person out."""
        try:
            await self._gateway.plant(address)
        except DomainError as error:
            if error.reason is not Reason.SUBJECT_ERASED:
                raise
            return True
        return False

    async def _note(self, canary: Canary, *, sealed: bytes | None = None, request_id: str = "") -> Canary:
        noted = replace(canary, sealed=sealed or canary.sealed, request_id=request_id)
        async with self._database.transaction() as connection:
            await store.note(connection, noted)
        return noted

    async def _end(self, canary: Canary, verdict: Verdict) -> Canary:
        now = self._clock.now()
        payload = {
            "result": verdict.result,
            "reason": verdict.reason,
            "started": canary.started_at.isoformat(),
            "ended": now.isoformat(),
            "request_id": canary.request_id,
        }
        async with self._database.transaction() as connection:
            if await store.end(connection, canary.canary_id, verdict, now):
                await record(connection, "privacy", "probe.canary", payload, now=now, request_id=canary.request_id)
        if verdict.result is Result.VIOLATED:
            _log.error("canary violated", reason=verdict.reason, request_id=canary.request_id)
        return replace(canary, sealed=None, ended_at=now, result=verdict.result, reason=verdict.reason)

    def _seal(self, canary_id: str, address: str, account_id: str) -> bytes:
        return self._sealer.seal(json.dumps([address, account_id]).encode(), f"canaries.sealed:{canary_id}")

    def _open(self, canary: Canary) -> tuple[str, str]:
        if canary.sealed is None:
            raise LookupError("an ended canary has no names")
        address, account_id = json.loads(self._sealer.open(canary.sealed, f"canaries.sealed:{canary.canary_id}"))
        return address, account_id
