"""The run of DROP, step by step: pull, ask privacy, wait for the ends, report, amend. Every step can be done again."""

import asyncio
from datetime import timedelta
from typing import Protocol

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError
from igstats_kit.log import get_logger
from igstats_kit.mail import mail_address
from igstats_kit.tokens import email_sha256

from igstats_gateway import telemetry
from igstats_gateway.doors.drop import rules
from igstats_gateway.doors.drop.platform import DropWaitsError, File, OutOfStepError, Platform
from igstats_gateway.doors.drop.rules import DropFormatError, Rhythm
from igstats_gateway.doors.drop.store import DropStore
from igstats_gateway.doors.model import Identifier, Kind, Opened, Regime, Status, Wish

PROOF = "California DROP"
DOOR = "drop"
_BATCH = 200
_STUCK_SECONDS = 3600.0

_log = get_logger()


class Privacy(Protocol):
    """The desk, as this room needs it."""

    async def open(self, wish: Wish) -> Opened:
        """Opens a request."""
        ...

    async def status(self, status_code: str) -> Status:
        """Where it stands."""
        ...


class Broker:
    """A data broker's duties to the platform. One process at a time does them."""

    def __init__(self, store: DropStore, platform: Platform, privacy: Privacy, clock: Clock, rhythm: Rhythm) -> None:
        self._store = store
        self._platform = platform
        self._privacy = privacy
        self._clock = clock
        self._rhythm = rhythm
        self._since = clock.now()

    async def run(self) -> None:
        """Works until cancelled."""
        while True:
            seconds = await self.step()
            await asyncio.sleep(seconds)

    async def step(self) -> float:
        """Does what can be done now; answers after how many seconds to look again."""
        try:
            await self._watch_the_calendar()
            return await self._next()
        except DropWaitsError as error:
            _log.warning("DROP waits", outcome=error.why, seconds=error.seconds)
            return error.seconds
        except OutOfStepError:
            # Only DROP's support can issue a download again that got lost on its way to us.
            _log.error("DROP and we are out of step: docs/runbooks/drop.md")
            return _STUCK_SECONDS
        except DropFormatError:
            _log.error("DROP sent what is no list: docs/runbooks/drop.md")
            return _STUCK_SECONDS
        except DomainError as error:
            _log.warning("DROP waits for us", reason=error.reason)
            return self._rhythm.look_seconds

    async def _next(self) -> float:
        now = self._clock.now()
        closed = self._rhythm.opens_in(now).total_seconds()
        pull = await self._store.open_pull()
        if pull is None:
            if not closed:
                await self._amend()
            if not rules.is_due(await self._store.last_pull(), now, self._rhythm.every):
                return self._rhythm.idle_seconds
            return closed or await self._pull()
        await self._ask(pull)
        if await self._still_under_way(pull):
            return self._rhythm.look_seconds
        return closed or await self._report(pull)

    async def _watch_the_calendar(self) -> None:
        last = await self._store.last_pull() or self._since
        late = self._clock.now() - last
        telemetry.DROP_DAYS.set(late / timedelta(days=1))
        if late > rules.LONGEST:
            _log.error("DROP was not pulled in time", seconds=late.total_seconds())

    async def _pull(self) -> float:
        content = await self._platform.download()
        listings = [] if content is None else await asyncio.to_thread(rules.read_archive, content)
        await self._store.take_in(listings, self._clock.now())
        return 0.0

    async def _ask(self, pull: str) -> None:
        """Opens a request for each person who is here; asked again with the same key, privacy answers the same."""
        while matches := await self._store.matches(pull, _BATCH):
            for match in matches:
                wish = Wish(
                    door=DOOR,
                    idempotency_key=f"{pull}/{match.item_id}",
                    right=match.wish,
                    identifiers=(_identifier(match.address),),
                    identity_proof=PROOF,
                    regime=Regime.CCPA,
                )
                await self._store.opened(pull, match.item_id, (await self._privacy.open(wish)).status_code)

    async def _still_under_way(self, pull: str) -> bool:
        waits, after = False, ""
        while found := await self._store.under_way(pull, after, _BATCH):
            for one in found:
                request = (await self._privacy.status(one.status_code)).request
                outcome = rules.outcome_of(one.wish, request.state)
                if outcome is None:
                    waits = True
                else:
                    await self._store.settled(pull, one.item_id, outcome)
            after = found[-1].item_id
        return waits

    async def _report(self, pull: str) -> float:
        for name, tried in await self._store.lists(pull):
            content = rules.report(await self._store.answers(pull, name))
            await self._store.mark(pull, name, "SENDING")
            if not await self._taken(File(name, content), tried=tried):
                return _STUCK_SECONDS
            await self._store.mark(pull, name, "SENT")
        for outcome, count in (await self._store.finish(pull, self._clock.now())).items():
            telemetry.DROP_OUTCOMES.labels(outcome).inc(count)
        return 0.0

    async def _taken(self, file: File, *, tried: bool) -> bool:
        """Whether DROP has the file. When its answer got lost it knows the file, or is done with the whole download."""
        try:
            taken = await self._platform.upload(file)
        except OutOfStepError:
            if tried:
                return True
            raise
        if file.name in taken.refused:
            _log.error("DROP refuses a file of answers: docs/runbooks/drop.md")
        return file.name in taken.accepted | taken.known

    async def _amend(self) -> None:
        for one in await self._store.amendments():
            content = rules.report(one.answers)
            file = File(rules.amendment_name(one.name, content), content)
            try:
                taken = await self._platform.amend(file)
            except OutOfStepError:
                _log.warning("DROP takes no amendments now")
                return
            if file.name in taken.accepted | taken.known:
                await self._store.amended(one)
            else:
                _log.error("DROP refuses a file of answers: docs/runbooks/drop.md")


def _identifier(address: str) -> Identifier:
    """How privacy is told of an address on file: by its hash if it is from before addresses were checked."""
    if mail_address(address) is None:
        return Identifier(Kind.EMAIL_SHA256, email_sha256(address))
    return Identifier(Kind.EMAIL, address)
