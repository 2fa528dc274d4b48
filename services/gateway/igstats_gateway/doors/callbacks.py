"""Tells partners what became of their requests: looks at those that are due, sends what is new, tries again."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.log import get_logger
from igstats_kit.worker import regularly

from igstats_gateway.doors.dealing import Callback, Due, News, Tell, Turn, delivered, failed, unchanged
from igstats_gateway.doors.dealings import Dealings, digest
from igstats_gateway.doors.store import PartnerStore

_CLAIMED = timedelta(minutes=2)
_IDLE_SECONDS = 1.0

Send = Callable[[Callback, News], Awaitable[bool]]
MayBeTold = Callable[[str, str, str], bool]
"""Whether a partner, given by door and id, may be told at an address today: the file may have changed since."""

_log = get_logger()


class Callbacks:
    """A worker. News may arrive twice when it dies between the partner and the database, never not at all."""

    def __init__(
        self,
        store: PartnerStore,
        dealings: Dealings,
        tells: Mapping[str, Tell],
        may_be_told: MayBeTold,
        send: Send,
        clock: Clock,
    ) -> None:
        self._store = store
        self._dealings = dealings
        self._tells = tells
        self._may_be_told = may_be_told
        self._send = send
        self._clock = clock

    async def run(self) -> None:
        """Works until cancelled."""
        await regularly(self._look, _IDLE_SECONDS, "callbacks wait")

    async def _look(self) -> None:
        while await self.look_once():
            pass

    async def look_once(self) -> bool:
        """Looks at the next request that is due; False when none is."""
        now = self._clock.now()
        due = await self._store.claim(now, now + _CLAIMED)
        if due is None:
            return False
        await self._store.turn(due, await self._turn(due))
        return True

    async def _turn(self, due: Due) -> Turn:
        dealing, now = due.dealing, self._clock.now()
        callback = self._dealings.callback(due)
        if dealing.door not in self._tells or not self._may_be_told(dealing.door, dealing.partner_id, callback.url):
            return Turn(due.told, due.attempts, due.failing_since, None)
        try:
            status = await self._dealings.status(dealing)
        except DomainError as error:
            if error.reason is not Reason.STATUS_CODE_UNKNOWN:
                raise
            return Turn(due.told, due.attempts, due.failing_since, None)  # the ledger has forgotten the request
        news = self._tells[dealing.door](dealing, status, callback)
        told = digest(news.body)
        if told == due.told:
            return delivered(told, now, final=True) if status.request.final else unchanged(due, now)
        if await self._send(callback, news):
            return delivered(told, now, final=status.request.final)
        turn = failed(due, now)
        if turn.next_at is None:
            _log.error("callback given up", request_id=dealing.request_id, caller=dealing.partner_id)
        return turn
