"""Writes what is owed to those who gave an address: a worker that compares each request with what was written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from igstats_kit.clock import Clock
from igstats_kit.log import get_logger
from igstats_kit.record import record
from igstats_kit.sql import Database
from igstats_kit.worker import regularly

from igstats_privacy import store as core
from igstats_privacy.identifiers import Identifiers
from igstats_privacy.letters import rules, store
from igstats_privacy.letters.bounds import Bounds
from igstats_privacy.letters.outgoing import Outgoing
from igstats_privacy.letters.rendering import day, language_of
from igstats_privacy.letters.rules import EXPLAINED, Letter
from igstats_privacy.letters.store import Correspondent
from igstats_privacy.lifecycle import GROUNDS_APART
from igstats_privacy.model import Request, Right, State
from igstats_privacy.status_codes import StatusCodes
from igstats_privacy.store import Connection
from igstats_privacy.waits import continues

_PAUSE_SECONDS = 1.0
_BATCH = 100

_log = get_logger()


class Link(Protocol):
    """A link of a package."""

    @property
    def secret(self) -> str:
        """What opens it."""
        ...

    @property
    def until(self) -> datetime:
        """Until when."""
        ...


class Links(Protocol):
    """Makes links of packages."""

    async def make(self, connection: Connection, request_id: str, address: str) -> Link | None:
        """A link for a letter to this address; None when it must not or cannot have one."""
        ...


@dataclass(frozen=True)
class _Due:
    """What is to be written to somebody now. `channel` counts letters to an address that nobody has proved."""

    correspondent: Correspondent
    request: Request
    address: str
    language: str
    letters: Sequence[Letter]
    channel: bytes | None


class Correspondence:
    """Letters follow the state of requests: whatever was missed is written with the next look."""

    def __init__(
        self,
        database: Database,
        outgoing: Outgoing,
        identifiers: Identifiers,
        codes: StatusCodes,
        links: Links,
        clock: Clock,
        public_url: str,
    ) -> None:
        self._bounds = Bounds(identifiers, clock)
        self._database = database
        self._outgoing = outgoing
        self._identifiers = identifiers
        self._codes = codes
        self._links = links
        self._clock = clock
        self._public_url = public_url

    async def run(self) -> None:
        """Works until cancelled."""
        await regularly(self._look, _PAUSE_SECONDS, "correspondence waits")

    async def _look(self) -> None:
        while await self.run_once() == _BATCH:
            pass

    async def run_once(self) -> int:
        """Writes what is owed now; answers how many requests were looked at."""
        async with self._database.transaction() as connection:
            found = [await self._due(connection, one) for one in await self._changed(connection)]
            counted = (one.channel for one in found for _ in one.letters if one.channel is not None)
            left = await self._bounds.take(connection, counted)
            for one in found:
                await self._write(connection, one, left)
        return len(found)

    async def _changed(self, connection: Connection) -> list[Correspondent]:
        return await store.changed(connection, self._clock.now(), _BATCH)

    async def _due(self, connection: Connection, correspondent: Correspondent) -> _Due:
        request = await store.request(connection, correspondent.request_id)
        address, language = self._identifiers.open_reply(request.request_id, correspondent.sealed)
        owed = rules.owed(request, correspondent.written)
        channel = await self._bounds.channel(connection, request, address) if owed else None
        return _Due(correspondent, request, address, language, owed, channel)

    async def _write(self, connection: Connection, due: _Due, left: dict[bytes, int]) -> None:
        request, address, language = due.request, due.address, due.language
        going = [letter for letter in due.letters if due.channel is None or _taken(left, due.channel)]
        said = await core.explanations(connection, request.request_id) if going else {}
        until = await self._held_until(connection, request)
        more = {"kept": until is not None, **await self._kin(connection, request)}
        for letter in going:
            reason = said.get(EXPLAINED.get(letter, ""), "")
            values = {**self._values(request, language), **more, "reason": reason}
            if letter is Letter.PACKAGE:
                values |= await self._package(connection, request.request_id, address, language)
            await self._outgoing.send(
                letter, address, language, values, connection=connection, request_id=request.request_id
            )
            now = self._clock.now()
            payload = {"letter": letter, "language": language_of(language)}
            await record(connection, "privacy", "letter.written", payload, now=now, request_id=request.request_id)
        waiting = [letter for letter in due.letters if letter not in going]
        again_at = await self._withhold(connection, due, waiting) if waiting else None
        if rules.is_over(request, held=until is not None) and again_at is None:
            await store.done(connection, request.request_id)
            return
        seen = replace(due.correspondent, written=(*due.correspondent.written, *going), withheld=tuple(waiting))
        await store.note(connection, seen, until, again_at)

    async def _withhold(self, connection: Connection, due: _Due, waiting: Sequence[Letter]) -> datetime | None:
        """Too many letters went to an address that nobody has proved; what these would say is on the status page.

        Answers when they are tried again, None for never. Each is on record once.
        """
        now = self._clock.now()
        for letter in waiting:
            if letter not in due.correspondent.withheld:
                payload = {"letter": letter, "why": "too many letters to an unproved address"}
                request_id = due.request.request_id
                await record(connection, "privacy", "letter.withheld", payload, now=now, request_id=request_id)
        return rules.again_at(due.request, now)

    async def _held_until(self, connection: Connection, request: Request) -> datetime | None:
        """Until when at the latest a hold may keep back what the person is to hear the end of."""
        if request.state is not State.FULFILLED_IN_PART:
            return None
        return await store.held_until(connection, request.request_id)

    async def _kin(self, connection: Connection, request: Request) -> Mapping[str, object]:
        """Of what another request has brought about the person knows the reference of that one."""
        resumed = continues(request.right, is_child=bool(request.parent_id))
        first = await core.find(connection, request.parent_id) if request.parent_id else None
        checked = first is not None and first.right is Right.CORRECTION
        return {"resumed": resumed, "checked": checked, **({"reference": first.reference} if first is not None else {})}

    async def _package(
        self, connection: Connection, request_id: str, address: str, language: str
    ) -> Mapping[str, object]:
        """Where the package is fetched and until when; nothing when this letter cannot say it."""
        link = await self._links.make(connection, request_id, address)
        if link is None:
            return {"package": "", "until": ""}
        address = f"{self._public_url}/privacy/packages/{self._codes.of(request_id)}.{link.secret}"
        return {"package": address, "until": day(link.until, language_of(language))}

    def _values(self, request: Request, language: str) -> Mapping[str, object]:
        """What letters may say of a request; never who it is about."""
        chosen = language_of(language)
        return {
            "reference": request.reference,
            "right": request.right.value,
            "state": request.state.value,
            "regime": request.regime.value,
            "received": day(request.received_at, chosen),
            "due": day(request.due_at, chosen),
            "ground": request.reason,
            "grounds": request.reason.split(GROUNDS_APART) if request.state is State.FULFILLED_IN_PART else [],
            "proved": bool(request.identity_proof),
            "effective": day(request.effective_at, chosen),
            "link": f"{self._public_url}/privacy/requests/{self._codes.of(request.request_id)}",
            "wait_until": day(request.wait_until, chosen),
        }


def _taken(left: dict[bytes, int], channel: bytes) -> bool:
    """Takes one of the letters that may still go to an address."""
    if not left[channel]:
        return False
    left[channel] -= 1
    return True
