"""Tokens of persons, and the conditions that keep the data of erased and restricted persons out of answers."""

from typing import NamedTuple

from igstats_kit.tables import objections, restrictions, tombstones
from igstats_kit.tokens import Tokens
from sqlalchemy import ColumnElement, Table, or_, select

from igstats_stats.model import ProfileFacts
from igstats_stats.tables import profiles


class OwnerTokens(NamedTuple):
    """Tokens of a profile's owner: by id and, when there are such, by username and by the id in our app."""

    user: bytes
    username: bytes | None
    app_user: bytes | None

    @property
    def known(self) -> tuple[bytes, ...]:
        """Those that the fence is asked for."""
        return tuple(token for token in self if token is not None)


def profile_tokens(tokens: Tokens, facts: ProfileFacts) -> OwnerTokens:
    """Tokens of a profile's owner."""
    return OwnerTokens(
        tokens.of("INSTAGRAM_USER_ID", facts.instagram_user_id),
        tokens.of("USERNAME", facts.username) if facts.username else None,
        tokens.of("APP_USER_ID", facts.app_user_id) if facts.app_user_id else None,
    )


def _named_in(fence: Table) -> ColumnElement[bool]:
    names = (profiles.c.user_token, profiles.c.username_token, profiles.c.app_user_token)
    owner = or_(*(fence.c.token == name for name in names))
    return select(fence.c.token).where(owner).correlate(profiles).exists()


def restricted() -> ColumnElement[bool]:
    """Whether the profile's owner has restricted processing: stored, not used (GDPR 18)."""
    return _named_in(restrictions)


def objected() -> ColumnElement[bool]:
    """Whether the owner objects to disclosure (GDPR 21) or has opted out of sale and sharing (CCPA 1798.120)."""
    return _named_in(objections)


def erased() -> ColumnElement[bool]:
    """Whether the profile's owner has asked for erasure and only the rows are still there."""
    return _named_in(tombstones)
