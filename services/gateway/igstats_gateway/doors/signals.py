"""The Global Privacy Control signal of a customer's calls: an opt-out of sale and sharing for the account, once.

11 CCR 7025(c): the signal is a valid request to opt out, of the device and of the known account behind it. It comes
with every call, so it is handed in once: a small memory spares privacy the repetition, and one key for each account
makes every repetition the same request, as long as that is on record (24 months). An opt-in of the account afterwards
stands: privacy asks for the last choice first, and the signal undoes none that is on record.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from igstats_kit.errors import DomainError
from igstats_kit.log import get_logger

from igstats_gateway.doors.model import Identifier, Kind, Right, Wish

DOOR = "gpc"
_CAPACITY = 10_000
_AT_ONCE = 100

OpenRequest = Callable[[Wish], Awaitable[object]]
"""Hands a wish in; raises DomainError."""

_log = get_logger()


class Signals:
    """Opens the opt-out of an account beside its call. Nobody waits for it; what fails is done with the next call."""

    def __init__(self, open_request: OpenRequest) -> None:
        self._open_request = open_request
        self._known: OrderedDict[str, None] = OrderedDict()
        self._opening: dict[str, asyncio.Task[None]] = {}

    def hear(self, account_id: str) -> None:
        """Takes note of a signal that came with a call of the account."""
        if account_id in self._known or account_id in self._opening or len(self._opening) >= _AT_ONCE:
            return
        opening = asyncio.create_task(self._open(account_id))
        self._opening[account_id] = opening
        opening.add_done_callback(lambda _done: self._opening.pop(account_id, None))

    async def settle(self) -> None:
        """Returns when every opt-out that is on its way has arrived or failed."""
        await asyncio.gather(*self._opening.values())

    async def _open(self, account_id: str) -> None:
        try:
            await self._open_request(wish(account_id))
        except DomainError as error:
            _log.warning("opt-out waits for the next call", account_id=account_id, reason=error.reason)
            return
        self._known[account_id] = None
        if len(self._known) > _CAPACITY:
            self._known.popitem(last=False)


def wish(account_id: str) -> Wish:
    """The opt-out of an account."""
    return Wish(
        door=DOOR,
        idempotency_key=f"gpc:{account_id}",
        right=Right.OPT_OUT,
        identifiers=(Identifier(Kind.ACCOUNT_ID, account_id),),
        account_id=account_id,
    )
