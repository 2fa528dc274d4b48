"""Reading profiles, their media and audiences, as one account may."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from igstats_stats.errors import profile_not_found, subject_opted_out, subject_restricted
from igstats_stats.model import AudienceSlice, Media, Owner, Profile
from igstats_stats.pages import PageTokens, size_of
from igstats_stats.store.reads import ReadStore

PROFILE_KINDS = ("INSTAGRAM_USER_ID", "USERNAME", "APP_USER_ID")

Named: TypeAlias = tuple[str, str]
"""An identifier: its kind, and its value."""


@dataclass(frozen=True)
class Resolved:
    """Identifiers (kind, value) of profile owners, completed, and whether the account is connected to all of them.

    `recipients` are all accounts that got the owners' data by a connection, ended ones included (GDPR 19).
    """

    identifiers: tuple[Named, ...]
    connected: bool
    recipients: frozenset[str] = frozenset()


class Profiles:
    """The profiles that accounts have connected."""

    def __init__(self, store: ReadStore, pages: PageTokens) -> None:
        self._store = store
        self._pages = pages

    async def get(self, account_id: str, name: str) -> Profile:
        """The profile that `name` means. An account is a third party to its owner: objections bind its reads.

        Raises:
            DomainError: PROFILE_NOT_FOUND, SUBJECT_RESTRICTED or SUBJECT_OPTED_OUT.
        """
        found = await self._store.profile(account_id, name)
        if found is None:
            raise profile_not_found()
        if found.restricted:
            raise subject_restricted()
        if found.objected:
            raise subject_opted_out()
        return found.profile

    async def page(self, account_id: str, page_size: int, page_token: str) -> tuple[list[Profile], str]:
        """A page of profiles and the token of the next one."""
        query = ("profiles", account_id)
        place = self._pages.read(query, page_token)
        limit = size_of(page_size)
        found = await self._store.profiles(account_id, place[0] if place else 0, limit + 1)
        rest = self._pages.make(query, [found[limit - 1].profile_id]) if len(found) > limit else ""
        return found[:limit], rest

    async def withheld(self, account_id: str) -> int:
        """How many connected profiles `page` never shows: restricted ones, and those of owners who objected."""
        return await self._store.withheld(account_id)

    async def media(self, account_id: str, name: str, page_size: int, page_token: str) -> tuple[list[Media], str]:
        """A page of media, newest first, and the token of the next one."""
        profile = await self.get(account_id, name)
        query = ("media", account_id, profile.profile_id)
        place = self._pages.read(query, page_token)
        before = (datetime.fromisoformat(place[0]), str(place[1])) if place else None
        limit = size_of(page_size)
        found = await self._store.media(profile.profile_id, before, limit + 1)
        if len(found) <= limit:
            return found, ""
        last = found[limit - 1].facts
        return found[:limit], self._pages.make(query, [last.posted_at.isoformat(), last.media_id])

    async def audience(self, account_id: str, name: str) -> list[AudienceSlice]:
        """The newest audience of a profile."""
        profile = await self.get(account_id, name)
        return await self._store.audience(profile.profile_id)

    async def resolve(self, queries: Sequence[tuple[Sequence[Named], str]]) -> list[Resolved]:
        """Completes what requests (identifiers, account id) know about profile owners, for all with one read.

        An unknown name stays as it is and is not connected.
        """
        asked = [[(kind, value) for kind, value in given if kind in PROFILE_KINDS] for given, _ in queries]
        owners = await self._store.owners([pair for names in asked for pair in names])
        by_name: dict[Named, list[Owner]] = defaultdict(list)
        for owner in owners:
            for name in _identifiers(owner):
                by_name[_spelled(*name)].append(owner)
        return [_resolved(names, account, by_name) for names, (_, account) in zip(asked, queries, strict=True)]


def _resolved(asked: Sequence[Named], account_id: str, by_name: Mapping[Named, Sequence[Owner]]) -> Resolved:
    """One request's share of what was found."""
    owners = dict.fromkeys(owner for name in asked for owner in by_name.get(_spelled(*name), ()))
    known = [pair for owner in owners for pair in _identifiers(owner)]
    completed = tuple(dict.fromkeys((*asked, *known)))
    named = {_spelled(kind, value) for kind, value in asked}
    all_known = bool(owners) and named <= {_spelled(kind, value) for kind, value in known}
    connected = all_known and all(account_id in owner.accounts for owner in owners)
    recipients = frozenset(account for owner in owners for account in owner.recipients)
    return Resolved(completed, connected, recipients)


def _identifiers(owner: Owner) -> list[tuple[str, str]]:
    others = (("USERNAME", owner.username), ("APP_USER_ID", owner.app_user_id))
    return [("INSTAGRAM_USER_ID", owner.instagram_user_id), *(pair for pair in others if pair[1])]


def _spelled(kind: str, value: str) -> tuple[str, str]:
    return kind, value.strip().removeprefix("@").lower()
