"""Sends the letters that wait, one after the other, and tries again with patience."""

import asyncio
from datetime import timedelta

from igstats_kit.clock import Clock, woken
from igstats_kit.errors import DomainError
from igstats_kit.log import get_logger
from igstats_kit.record import record
from igstats_kit.sql import Database

from igstats_privacy.letters import store
from igstats_privacy.letters.outgoing import Outgoing
from igstats_privacy.letters.relay import LetterRefusedError, Relay, RelayUnavailableError
from igstats_privacy.letters.store import Mail

PATIENCE = timedelta(days=5)
"""RFC 5321 section 4.5.4.1: at least four to five days before a letter is given up."""
_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(hours=4)
_CLAIMED = timedelta(minutes=5)
_IDLE_SECONDS = 1.0

_log = get_logger()


class Sender:
    """A worker. A letter may go out twice when it dies between relay and database, never not at all."""

    def __init__(
        self, database: Database, outgoing: Outgoing, relay: Relay, clock: Clock, awake: asyncio.Event
    ) -> None:
        self._database = database
        self._outgoing = outgoing
        self._relay = relay
        self._clock = clock
        self._awake = awake

    async def run(self) -> None:
        """Works until cancelled."""
        while True:
            self._awake.clear()
            try:
                while await self.send_one():
                    pass
            except DomainError as error:
                _log.warning("letters wait", reason=error.reason)
            await woken(self._awake, _IDLE_SECONDS)

    async def send_one(self) -> bool:
        """Tries the next letter; False when none waits."""
        now = self._clock.now()
        async with self._database.statement() as connection:
            mail = await store.claim(connection, now, now + _CLAIMED)
        if mail is None:
            return False
        try:
            to, letter = self._outgoing.open(mail)
            await self._relay.send(mail.mail_id, to, letter, mail.created_at)
        except LetterRefusedError:
            await self._give_up(mail, "refused")
        except RelayUnavailableError:
            await self._try_later(mail)
        except Exception as error:  # noqa: BLE001 - a fault of one letter must not stop the others, nor the service
            _log.error("letter failed", request_id=mail.request_id, exc_info=error)
            await self._try_later(mail)
        else:
            async with self._database.statement() as connection:
                await store.sent(connection, mail.mail_id, self._clock.now())
        return True

    async def _try_later(self, mail: Mail) -> None:
        now = self._clock.now()
        if now - mail.created_at >= PATIENCE:
            await self._give_up(mail, "not delivered in five days")
            return
        async with self._database.statement() as connection:
            await store.send_later(connection, mail.mail_id, now + pause(mail.attempts))

    async def _give_up(self, mail: Mail, why: str) -> None:
        """A letter that cannot be delivered is a fact for an officer, never silence."""
        _log.error("letter not delivered", request_id=mail.request_id)
        async with self._database.transaction() as connection:
            await store.give_up(connection, mail.mail_id)
            payload = {"letter": mail.letter, "why": why}
            now = self._clock.now()
            await record(connection, "privacy", "letter.failed", payload, now=now, request_id=mail.request_id)


def pause(attempts: int) -> timedelta:
    """How long to wait after so many attempts: 1 minute, doubling, at most 4 hours."""
    return min(_FIRST_PAUSE * (1 << min(attempts - 1, 10)), _LONGEST_PAUSE)
