"""Reading profiles, their media and audiences, as one account may."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from igstats_stats.errors import profile_not_found, subject_restricted
from igstats_stats.model import AudienceSlice, Media, Owner, Profile
from igstats_stats.pages import PageTokens, size_of
from igstats_stats.store.reads import ReadStore

PROFILE_KINDS = ("INSTAGRAM_USER_ID", "USERNAME")


@dataclass(frozen=True)
class Resolved:
    """Identifiers (kind, value) of profile owners, completed; and whether the account is connected to all of them."""

    identifiers: tuple[tuple[str, str], ...]
    connected: bool


class Profiles:
    """The profiles that accounts have connected."""

    def __init__(self, store: ReadStore, pages: PageTokens) -> None:
        self._store = store
        self._pages = pages

    async def get(self, account_id: str, name: str) -> Profile:
        """The profile that `name` means.

        Raises:
            DomainError: PROFILE_NOT_FOUND or SUBJECT_RESTRICTED.
        """
        found = await self._store.profile(account_id, name)
        if found is None:
            raise profile_not_found()
        if found.restricted:
            raise subject_restricted()
        return found.profile

    async def page(self, account_id: str, page_size: int, page_token: str) -> tuple[list[Profile], str]:
        """A page of profiles and the token of the next one."""
        query = ("profiles", account_id)
        place = self._pages.read(query, page_token)
        limit = size_of(page_size)
        found = await self._store.profiles(account_id, place[0] if place else 0, limit + 1)
        rest = self._pages.make(query, [found[limit - 1].profile_id]) if len(found) > limit else ""
        return found[:limit], rest

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

    async def resolve(self, identifiers: Sequence[tuple[str, str]], account_id: str) -> Resolved:
        """Completes what a request knows about profile owners. An unknown name stays as it is and is not connected."""
        asked = [(kind, value) for kind, value in identifiers if kind in PROFILE_KINDS]
        owners = await self._store.owners(asked, account_id) if asked else []
        known = [pair for owner in owners for pair in _identifiers(owner)]
        completed = tuple(dict.fromkeys((*asked, *known)))
        named = {_spelled(kind, value) for kind, value in asked}
        all_known = bool(owners) and named <= {_spelled(kind, value) for kind, value in known}
        return Resolved(completed, connected=all_known and all(owner.connected for owner in owners))


def _identifiers(owner: Owner) -> list[tuple[str, str]]:
    by_name = [("USERNAME", owner.username)] if owner.username else []
    return [("INSTAGRAM_USER_ID", owner.instagram_user_id), *by_name]


def _spelled(kind: str, value: str) -> tuple[str, str]:
    return kind, value.strip().removeprefix("@").lower()
