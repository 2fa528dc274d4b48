"""Reading the API log. Who read it, with which filters, and how many calls they got, goes into the evidence log.

An account reads its own calls, through the gateway; an officer, named by a certificate, may read those of all. What
belongs to an erased or restricted person is not shown to anybody.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Protocol

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.log import get_logger
from igstats_kit.sql import shielded
from igstats_kit.tokens import Tokens

from igstats_audit.call_query import (
    Bookmark,
    CallFilter,
    CallPage,
    Found,
    LoggedCall,
    PageTokens,
    Scan,
    pieces,
    read_call,
)
from igstats_audit.model import Entry, Place
from igstats_audit.telemetry import CALLS_UNREADABLE

SEARCHED = "calls.searched"
EXPORT_BEGUN = "calls.export_begun"
EXPORTED = "calls.exported"
OFFICER = "operator"
PAGE_DEFAULT = 50
PAGE_LIMIT = 500
EXPORT_ROWS = 500
_DAY = timedelta(days=1)  # between clocks that differ: a call may be appended on the day before it came

ReadEntries = Callable[[Sequence[Place]], Awaitable[Sequence[Entry]]]

_log = get_logger()


@dataclass(frozen=True, slots=True)
class Asker:
    """Who reads: the name of a certificate, and the id of the call by which it does."""

    caller: str
    call_id: str


class CallIndex(Protocol):
    """Where calls are found, and where it is written down that somebody looked."""

    async def find(self, scan: Scan) -> Sequence[Found]:
        """Finds calls, newest first, none of a fenced person; raises DomainError when a scan asks for a fenced one."""
        ...

    async def note(self, kind: str, payload: Mapping[str, Any]) -> None:
        """Writes an audit record, durable when it returns."""
        ...


class CallSearch:
    """Searches and exports calls of the last `days` days."""

    def __init__(
        self, index: CallIndex, read: ReadEntries, tokens: Tokens, pages: PageTokens, clock: Clock, *, days: int
    ) -> None:
        self._index = index
        self._read = read
        self._tokens = tokens
        self._pages = pages
        self._clock = clock
        self._days = days

    async def search(self, asker: Asker, wanted: CallFilter, page_size: int, page_token: str) -> CallPage:
        """A page of calls, newest first.

        Raises:
            DomainError: CALLER_NOT_ALLOWED, FIELD_INVALID, TIME_RANGE_INVALID, PAGE_TOKEN_INVALID, SUBJECT_ERASED,
                SUBJECT_RESTRICTED.
        """
        _require_allowed(asker, wanted)
        after = self._pages.read(wanted, page_token) if page_token else None
        size = min(page_size or PAGE_DEFAULT, PAGE_LIMIT)
        refused, calls = "", list[LoggedCall]()
        try:
            found = await self._index.find(self._scan(wanted, size + 1, after))
            calls = await self._open(found[:size])
        except DomainError as error:
            refused = str(error.reason)
            raise
        finally:
            if refused != Reason.DEPENDENCY_UNAVAILABLE:
                await self._note(SEARCHED, asker, wanted, rows=len(calls), **({"refused": refused} if refused else {}))
        more = self._pages.write(wanted, found[size - 1].bookmark) if len(found) > size else ""
        return CallPage(calls, more)

    async def export(self, asker: Asker, wanted: CallFilter) -> AsyncGenerator[bytes, None]:
        """All calls that fit, newest first, whole lines at a time. No more than a page is in memory.

        Raises:
            DomainError: As `search`.
        """
        _require_allowed(asker, wanted)
        await self._note(EXPORT_BEGUN, asker, wanted)  # one that is killed leaves this much
        rows, complete = 0, False
        try:
            async with aclosing(self._all(wanted)) as calls:
                async for page in calls:
                    for lines, count in pieces(page):
                        rows += count
                        yield lines
            complete = True
        finally:
            await shielded(self._note(EXPORTED, asker, wanted, rows=rows, complete=complete))

    async def _all(self, wanted: CallFilter) -> AsyncGenerator[Sequence[LoggedCall], None]:
        after: Bookmark | None = None
        while True:
            found = await self._index.find(self._scan(wanted, EXPORT_ROWS, after))
            yield await self._open(found)
            if len(found) < EXPORT_ROWS:
                return
            after = found[-1].bookmark

    def _scan(self, wanted: CallFilter, limit: int, after: Bookmark | None) -> Scan:
        return Scan(wanted, self._token(wanted.account_id), self._since(wanted), limit, after)

    def _since(self, wanted: CallFilter) -> date:
        """The first day whose partition may hold such calls."""
        oldest = self._clock.now().date() - (self._days - 1) * _DAY
        if wanted.start_time is None or wanted.start_time.date() <= oldest:
            return oldest
        return wanted.start_time.date() - _DAY

    async def _open(self, found: Sequence[Found]) -> list[LoggedCall]:
        entries = {entry.index: entry for entry in await self._read([one.place for one in found])} if found else {}
        return [call for one in found if (call := self._readable(one, entries.get(one.place.index))) is not None]

    def _readable(self, found: Found, entry: Entry | None) -> LoggedCall | None:
        """The call whose entry opens and is the one that the index means: nobody sees what a wrong row points to.

        Others were erased or cut a moment ago, or are damaged: the monitor names those.
        """
        call = _opened(found, entry)
        if call is not None and (call.call_id, self._token(call.account_id)) != (found.bookmark.call_id, found.token):
            _log.error("row of a call points to the entry of another", call_id=found.bookmark.call_id)
            call = None
        if call is None:
            CALLS_UNREADABLE.inc()
        return call

    def _token(self, account_id: str) -> bytes | None:
        return self._tokens.of("ACCOUNT_ID", account_id) if account_id else None

    async def _note(self, kind: str, asker: Asker, wanted: CallFilter, **told: Any) -> None:  # noqa: ANN401 - JSON values
        asked = {"caller": asker.caller, "call_id": asker.call_id, "filters": wanted.names}
        await self._index.note(kind, asked | told)


def _require_allowed(asker: Asker, wanted: CallFilter) -> None:
    """Only an officer may ask for the calls of all accounts."""
    if not wanted.account_id and asker.caller != OFFICER:
        raise DomainError(Reason.CALLER_NOT_ALLOWED, caller=asker.caller)
    wanted.require_sound()


def _opened(found: Found, entry: Entry | None) -> LoggedCall | None:
    if entry is None or not entry.payload:
        return None
    try:
        return read_call(entry.index, entry.payload)
    except ValueError:
        _log.exception("call in the access log is not readable", call_id=found.bookmark.call_id)
        return None
