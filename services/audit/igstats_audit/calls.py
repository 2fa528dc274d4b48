"""The API log: who called what, from where, for 30 days."""

import asyncio
import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.log import get_logger
from igstats_kit.seal import Sealer, SealError
from igstats_kit.tokens import Tokens

from igstats_audit.model import (
    Bookmark,
    Call,
    CallPage,
    CallQuery,
    CallRecord,
    CallStore,
    Delivery,
    StoredCall,
)
from igstats_audit.telemetry import CALLS_DROPPED, CALLS_KEPT

DAYS_AHEAD = 3
PAGE_DEFAULT = 50
PAGE_LIMIT = 500
_WAY_CONTEXT = "access"
_HOUR_SECONDS = 3600.0
_RETRY_SECONDS = 5.0
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime.fromtimestamp(0, UTC)
_TOKEN = re.compile(r"([0-9]{1,16})\.([a-z0-9_]{1,64})")

_log = get_logger()


class CallLog:
    """Keeps calls for `days` days. `way` opens what the gateway sealed, `rest` seals what is stored."""

    def __init__(self, store: CallStore, tokens: Tokens, way: Sealer, rest: Sealer, clock: Clock, *, days: int) -> None:
        self._store = store
        self._tokens = tokens
        self._way = way
        self._rest = rest
        self._clock = clock
        self._days = days

    async def run(self) -> None:
        """Makes partitions ahead of time, every hour, until cancelled."""
        while True:
            try:
                await self.make_days()
            except DomainError as error:
                _log.warning("partitions wait", reason=error.reason)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                await asyncio.sleep(_HOUR_SECONDS)

    async def make_days(self) -> None:
        """Makes the partitions of yesterday, today and the next days."""
        today = self._clock.now().date()
        await self._store.ensure_days([today + timedelta(days=ahead) for ahead in range(-1, DAYS_AHEAD + 1)])

    async def keep(self, delivery: Delivery, records: Sequence[CallRecord]) -> None:
        """Keeps calls that came as events. Those of fenced accounts, and those out of time, are dropped and counted.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE.
        """
        last = self._clock.now().date() + timedelta(days=DAYS_AHEAD)
        timely = [record for record in records if self._since() <= record.day <= last]
        done = await self._store.add(delivery, [self._stored(record) for record in timely])
        CALLS_KEPT.inc(done.kept)
        CALLS_DROPPED.labels(reason="out_of_time").inc(len(records) - len(timely))
        CALLS_DROPPED.labels(reason="fenced").inc(done.refused)

    async def search(self, account_id: str, call_id: str, page_size: int, page_token: str) -> CallPage:
        """A page of an account's calls, newest first.

        Raises:
            DomainError: PAGE_TOKEN_INVALID, SUBJECT_ERASED, SUBJECT_RESTRICTED.
        """
        size = min(page_size or PAGE_DEFAULT, PAGE_LIMIT)
        query = CallQuery(
            account_id=account_id,
            subject_token=self._token(account_id),
            since=self._since(),
            limit=size + 1,
            call_id=call_id,
            after=_read_token(page_token) if page_token else None,
        )
        found = await self._store.find(query)
        more = _write_token(found[size - 1]) if len(found) > size else ""
        return CallPage([self._opened(record) for record in found[:size]], more)

    def _since(self) -> date:
        return self._clock.now().date() - timedelta(days=self._days - 1)

    def _token(self, account_id: str) -> bytes:
        return self._tokens.of("ACCOUNT_ID", account_id)

    def _stored(self, record: CallRecord) -> StoredCall:
        client = b""
        try:
            client = self._way.open(record.sealed_client, _WAY_CONTEXT) if record.sealed_client else b""
        except SealError:
            _log.warning("client of a call does not open", call_id=record.call_id)
        sealed = self._rest.seal(client, _context(record)) if client else b""
        token = self._token(record.account_id) if record.account_id else None
        return StoredCall(replace(record, sealed_client=sealed), token)

    def _opened(self, record: CallRecord) -> Call:
        client = json.loads(self._rest.open(record.sealed_client, _context(record))) if record.sealed_client else {}
        return Call(record, client.get("ip_address", ""), client.get("user_agent", ""))


def _context(record: CallRecord) -> str:
    return f"calls.sealed_client:{record.call_id}"


def _write_token(last: CallRecord) -> str:
    place = f"{(last.called_at - _EPOCH) // _MICROSECOND}.{last.call_id}"
    return base64.urlsafe_b64encode(place.encode()).decode()


def _read_token(token: str) -> Bookmark:
    try:
        match = _TOKEN.fullmatch(base64.b64decode(token, altchars=b"-_", validate=True).decode("ascii"))
        if match is not None:
            return Bookmark(_EPOCH + int(match[1]) * _MICROSECOND, match[2])
    except (binascii.Error, ValueError, OverflowError):
        pass
    raise DomainError(Reason.PAGE_TOKEN_INVALID)
