"""Tokens of persons, and the conditions that keep the data of erased and restricted persons out of answers."""

from igstats_kit.tables import objections, restrictions, tombstones
from igstats_kit.tokens import Tokens
from sqlalchemy import ColumnElement, Table, or_, select

from igstats_stats.model import ProfileFacts
from igstats_stats.tables import profiles


def profile_tokens(tokens: Tokens, facts: ProfileFacts) -> tuple[bytes, ...]:
    """Tokens of a profile's owner: by id and, when there is one, by username."""
    by_name = (tokens.of("USERNAME", facts.username),) if facts.username else ()
    return (tokens.of("INSTAGRAM_USER_ID", facts.instagram_user_id), *by_name)


def _named_in(fence: Table) -> ColumnElement[bool]:
    owner = or_(fence.c.token == profiles.c.user_token, fence.c.token == profiles.c.username_token)
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
