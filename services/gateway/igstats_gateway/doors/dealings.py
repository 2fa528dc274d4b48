"""Requests that partners bring: opened once, found again by the partner's own name for them, told about."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from igstats_kit.clock import Clock
from igstats_kit.seal import Sealer

from igstats_gateway.doors.dealing import Callback, Dealing, Due, Tell
from igstats_gateway.doors.desk import Desk
from igstats_gateway.doors.model import Status, Wish
from igstats_gateway.doors.store import PartnerStore

_FIRST_LOOK = timedelta(seconds=1)


class Dealings:
    """The use cases of partners' requests."""

    def __init__(
        self, desk: Desk, store: PartnerStore, sealer: Sealer, clock: Clock, tells: Mapping[str, Tell]
    ) -> None:
        self._desk = desk
        self._store = store
        self._sealer = sealer
        self._clock = clock
        self._tells = tells

    async def open(
        self, partner_id: str, external_id: str, wish: Wish, callbacks: Sequence[Callback] = (), *, reference: str = ""
    ) -> tuple[Dealing, Status]:
        """Opens a request; durable when it returns. A partner that repeats itself gets the same one.

        Raises:
            DomainError: IDEMPOTENCY_KEY_REUSED: the partner has used this name for another wish; as `Desk.open`.
        """
        opened = await self._desk.open(replace(wish, idempotency_key=_key(partner_id, external_id)))
        dealing = Dealing(
            door=wish.door,
            partner_id=partner_id,
            external_id=external_id,
            reference=reference,
            request_id=opened.request_id,
            status_code=opened.status_code,
            created_at=self._clock.now(),
        )
        status = Status(opened)
        sealed = [self._sealed(dealing, status, number, one) for number, one in enumerate(callbacks)]
        if await self._store.add(dealing, sealed, dealing.created_at + _FIRST_LOOK):
            return dealing, status
        return dealing, await self._desk.status(dealing.status_code)

    async def find(self, door: str, partner_id: str, external_id: str) -> Dealing | None:
        """The partner's request; None when this partner has none of that name."""
        return await self._store.find(door, partner_id, external_id)

    async def status(self, dealing: Dealing) -> Status:
        """Where it stands."""
        return await self._desk.status(dealing.status_code)

    async def withdraw(self, dealing: Dealing) -> Status:
        """Takes it back.

        Raises:
            DomainError: TRANSITION_NOT_ALLOWED.
        """
        return Status(await self._desk.withdraw(dealing.status_code))

    def callback(self, due: Due) -> Callback:
        """Where to tell."""
        url, headers = json.loads(self._sealer.open(due.sealed, _place(due.dealing, due.number)))
        return Callback(url, headers)

    def _sealed(self, dealing: Dealing, status: Status, number: int, callback: Callback) -> tuple[bytes, bytes]:
        plain = json.dumps([callback.url, dict(callback.headers)]).encode()
        said = self._tells[dealing.door](dealing, status, callback)
        return self._sealer.seal(plain, _place(dealing, number)), digest(said.body)


def digest(body: bytes) -> bytes:
    """What stands for a body that was told."""
    return hashlib.sha256(body).digest()


def _key(partner_id: str, external_id: str) -> str:
    return hashlib.sha256(f"{partner_id}\n{external_id}".encode()).hexdigest()


def _place(dealing: Dealing, number: int) -> str:
    return f"partner_callbacks.sealed:{dealing.door}:{dealing.partner_id}:{dealing.external_id}:{number}"
