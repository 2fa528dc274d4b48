"""Holds: placed on field groups of a person, released by an officer or by their date; then the erasure goes on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from igstats_kit.record import record
from igstats_kit.sql import Database
from ulid import ULID

from igstats_privacy import hold_store, identity
from igstats_privacy import store as core
from igstats_privacy.children import Children
from igstats_privacy.decisions.rules import is_too_wide, unknown_stores
from igstats_privacy.errors import field_invalid, holder_unknown, request_not_found
from igstats_privacy.identifiers import Identifiers, normalised
from igstats_privacy.model import Hold, Holder, Identifier, Naming, NewRequest, Regime, Right
from igstats_privacy.officer_ids import OfficerIds
from igstats_privacy.registry import Registry
from igstats_privacy.store import Connection
from igstats_privacy.triage import Profiles

_BATCH = 100
BY_ITSELF = "its date"
"""Who releases a hold that nobody has released before its end."""

Describe = Callable[[Holder], frozenset[str]]
"""The stores with personal data that a holder has announced."""


@dataclass(frozen=True)
class NewHold:
    """What an officer wants to keep, of whom, why and until when."""

    identifiers: tuple[Identifier, ...]
    request_id: str
    groups: tuple[tuple[str, str], ...]
    ground: str
    reason: str
    until: datetime
    review_at: datetime


class Holds:
    """Every hold has a ground, an end and a date of review."""

    def __init__(
        self,
        database: Database,
        registry: Registry,
        profiles: Profiles,
        identifiers: Identifiers,
        children: Children,
        clock: Clock,
        wake_triage: Callable[[], None],
        describe: Describe,
        officer_ids: OfficerIds,
    ) -> None:
        self._database = database
        self._registry = registry
        self._profiles = profiles
        self._identifiers = identifiers
        self._children = children
        self._clock = clock
        self._wake_triage = wake_triage
        self._describe = describe
        self._officer_ids = officer_ids

    async def place(self, new: NewHold, officer: str) -> Hold:
        """Keeps field groups of a person from erasures that have not begun to destroy.

        Raises:
            DomainError: FIELD_INVALID, HOLDER_UNKNOWN, HOLD_TOO_WIDE, SUBJECT_UNIDENTIFIED, REQUEST_NOT_FOUND;
                TRANSITION_NOT_ALLOWED when it comes too late for an erasure of the person.
        """
        now = self._clock.now()
        await self._check(new, now)
        tokens = self._identifiers.tokens_of(await self._person(new))
        hold_id = f"hld_{str(ULID()).lower()}"
        hold = Hold(hold_id, new.groups, new.ground, new.reason, new.until, new.review_at, now, officer)
        async with self._database.transaction() as connection:
            for _, state in await hold_store.lock_erasures(connection, tokens):
                raise DomainError(Reason.TRANSITION_NOT_ALLOWED, state=state, step="HOLD")
            await hold_store.place(connection, hold, tokens)
            groups = [f"{holder}/{store}" for holder, store in new.groups]
            by = self._officer_ids.of(officer)
            payload = {"hold": hold_id, "officer": by, "ground": new.ground, "groups": groups}
            await record(connection, "privacy", "hold.placed", payload, now=now, request_id=new.request_id)
        return hold

    async def _check(self, new: NewHold, now: datetime) -> None:
        described = {one.name: self._describe(one) for one in await self._registry.holders()}
        for holder, _ in new.groups:
            if holder not in described:
                raise holder_unknown(holder)
        if unknown := unknown_stores(new.groups, described):
            raise field_invalid("groups", f"no holder has announced {', '.join(unknown)}")
        if is_too_wide(new.groups, described):
            raise DomainError(Reason.HOLD_TOO_WIDE)
        if new.until <= now:
            raise field_invalid("until_time", "must be in the future")
        if not now < new.review_at <= new.until:
            raise field_invalid("review_time", "must be in the future and not after until_time")

    async def _person(self, new: NewHold) -> Naming:
        """Everybody who is named, with all names that stats knows for their profiles."""
        naming = Naming("", normalised(new.identifiers))
        if new.request_id:
            naming = await self._named(new.request_id)
        if not (naming.identifiers or naming.tokens):
            raise DomainError(Reason.SUBJECT_UNIDENTIFIED)
        profiles = tuple(filter(identity.names_profile, naming.identifiers))
        if not profiles:
            return naming
        (found,) = await self._profiles.resolve([Naming(naming.account_id, profiles)])
        completed = normalised(identity.merged(naming.identifiers, found.identifiers))
        return Naming(naming.account_id, completed, tokens=naming.tokens)

    async def _named(self, request_id: str) -> Naming:
        async with self._database.read() as connection:
            sealed = await core.sealed(connection, request_id)
        if sealed is None:
            raise request_not_found()
        return self._identifiers.open(request_id, sealed)

    async def release(self, hold_id: str, officer: str) -> Hold:
        """Ends a hold and opens what goes on after it; releasing it again changes nothing.

        Raises:
            DomainError: HOLD_NOT_FOUND.
        """
        async with self._database.transaction() as connection:
            hold = await self._release(connection, hold_id, self._officer_ids.of(officer))
        self._wake_triage()
        return hold

    async def _release(self, connection: Connection, hold_id: str, by: str) -> Hold:
        hold = await hold_store.lock(connection, hold_id)
        if hold is None:
            raise DomainError(Reason.HOLD_NOT_FOUND)
        if hold.released_at is not None:
            return hold
        now = self._clock.now()
        await hold_store.release(connection, hold_id, now)
        resumed = await self._children.open(connection, await self._resuming(connection, hold))
        await hold_store.resumed(connection, hold_id, resumed)
        await hold_store.let_go(connection, hold.kept_back)
        payload = {"hold": hold_id, "officer": by, "resumed": resumed}
        await record(connection, "privacy", "hold.released", payload, now=now)
        return await hold_store.lock(connection, hold_id) or hold

    async def _resuming(self, connection: Connection, hold: Hold) -> list[NewRequest]:
        """One erasure for each that the hold has kept back; of those that continue one another the newest counts."""
        own = await hold_store.tokens(connection, hold.hold_id)
        found = await hold_store.resumable(connection, hold.kept_back)
        firsts = {row["parent_id"] or row["request_id"]: row for row in found}
        sealed = await hold_store.replies(connection, firsts)
        replies = {first: self._identifiers.open_reply(*one) for first, one in sealed.items()}
        return [_continuing(hold, first, row, own, replies.get(first, ("", ""))) for first, row in firsts.items()]

    async def end_due(self) -> list[str]:
        """Releases holds whose time is over."""
        async with self._database.transaction() as connection:
            over = await hold_store.ended(connection, self._clock.now(), _BATCH)
            for hold_id in over:
                await self._release(connection, hold_id, BY_ITSELF)
        if over:
            self._wake_triage()
        return over

    async def every(self, *, with_released: bool, review_due: bool) -> Sequence[Hold]:
        """Holds, the newest first."""
        moment = self._clock.now() if review_due else None
        async with self._database.read() as connection:
            return await hold_store.every(connection, with_released=with_released, review_due=moment)


def _continuing(
    hold: Hold, first: str, row: Mapping[str, object], own: tuple[bytes, ...], reply: tuple[str, str]
) -> NewRequest:
    """The erasure that goes on. Its tokens are those of the first; of one that the ledger has forgotten, the hold's."""
    tokens, (address, language) = row["tokens"], reply
    return NewRequest(
        right=Right.ERASURE,
        door=str(row["door"] or "officer"),
        account_id="",
        identifiers=(),
        idempotency_key=f"{first} after {hold.hold_id}",
        identity_proof=f"continues {first}",
        regime=Regime(str(row["regime"] or Regime.GDPR)),
        reply_address=address,
        language=language,
        parent_id=first,
        tokens=tuple(map(bytes, tokens)) if isinstance(tokens, list) else own,
        ledger_token=row["ledger_token"] if isinstance(row["ledger_token"], bytes) else b"",
    )
