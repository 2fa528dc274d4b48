"""Repeating a POST is harmless: the first answer to an Idempotency-Key is kept a day and given again, byte for byte.

What passes is no such answer: after a failure of ours, or where the answer says to come back, the call is made anew.
"""

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason, Violation
from igstats_kit.seal import Sealer

from igstats_gateway.model import Caller, Slot
from igstats_gateway.store import Store

HEADER = "Idempotency-Key"
KEPT = timedelta(days=1)
_LONGEST = 200
_FIRST_FAULT = 500  # HTTP statuses from here on say that we failed: the call may be repeated with the same key
_BUSY_SECONDS = 1.0


@dataclass(frozen=True)
class Answer:
    """An HTTP answer with what the access log says about it."""

    status: int
    body: bytes
    code: int = 0
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    passing: bool = False  # the same call may succeed later


Run = Callable[[], Awaitable[Answer]]


class Idempotency:
    """Keeps answers. Keys and requests are stored as keyed digests, answers sealed: they may hold a new API key."""

    def __init__(self, store: Store, sealer: Sealer, pepper: bytes, clock: Clock, *, longest: timedelta) -> None:
        self._store = store
        self._sealer = sealer
        self._pepper = pepper
        self._clock = clock
        self._longest = longest

    async def once(self, caller: Caller, method: str, key: str, request: bytes, run: Run) -> tuple[Answer, bool]:
        """The answer to this key: from `run` the first time, from the store later; and whether it is a repetition.

        Raises:
            DomainError: IDEMPOTENCY_KEY_REUSED for another request; IDEMPOTENCY_KEY_IN_USE while the first one runs.
        """
        require_key(key)
        now = self._clock.now()
        digest = self._digest(request)
        slot = Slot(caller.account_id, method, self._digest(key.encode()), now - KEPT)
        if await self._store.claim(slot, digest, now, alive_since=now - self._longest):
            return await self._first(slot, run), False
        return await self._again(slot, digest), True

    async def _first(self, slot: Slot, run: Run) -> Answer:
        answer = await run()
        if answer.passing or answer.status >= _FIRST_FAULT:
            await self._store.release(slot)
        else:
            head = {"status": answer.status, "code": answer.code, "reason": answer.reason}
            plain = json.dumps(head).encode() + b"\n" + answer.body
            await self._store.keep_answer(slot, answer.status, self._sealer.seal(plain, _context(slot)))
        return answer

    async def _again(self, slot: Slot, digest: bytes) -> Answer:
        kept = await self._store.answer(slot)
        if kept is None:
            raise _in_use()
        if not hmac.compare_digest(kept.request_digest, digest):
            raise DomainError(Reason.IDEMPOTENCY_KEY_REUSED)
        if kept.status is None:
            raise _in_use()
        head, _, body = self._sealer.open(kept.sealed_body, _context(slot)).partition(b"\n")
        return Answer(body=body, **json.loads(head))

    def _digest(self, value: bytes) -> bytes:
        return hmac.digest(self._pepper, b"idempotency\n" + value, hashlib.sha256)


def require_key(key: str) -> None:
    """Checks the form of a key.

    Raises:
        DomainError: FIELD_INVALID.
    """
    if not (0 < len(key) <= _LONGEST and key.isascii() and key.isprintable()):
        violation = Violation(HEADER, f"must have 1 to {_LONGEST} printable ASCII characters")
        raise DomainError(Reason.FIELD_INVALID, violations=[violation])


def _in_use() -> DomainError:
    return DomainError(Reason.IDEMPOTENCY_KEY_IN_USE, retry_after=_BUSY_SECONDS)


def _context(slot: Slot) -> str:
    return f"idempotency:{slot.account_id}:{slot.method}:{slot.key_digest.hex()}"
