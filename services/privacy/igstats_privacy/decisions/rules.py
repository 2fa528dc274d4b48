"""What a hold may keep, and which due times can be put off. Pure.

A hold keeps field groups, never a person: a ground of GDPR article 17(3) or 1798.105(d) CCPA covers what it needs.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from igstats_kit.errors import DomainError

from igstats_privacy.lifecycle import FINAL
from igstats_privacy.model import Request
from igstats_privacy.regimes import extended

Groups = Iterable[tuple[str, str]]
"""Stores that stay, as (holder, store)."""


def unknown_stores(groups: Groups, described: Mapping[str, frozenset[str]]) -> list[str]:
    """Stores that no holder of this name has, as "holder/store": a hold on them would protect nothing."""
    return sorted(f"{holder}/{store}" for holder, store in groups if store not in described.get(holder, frozenset()))


def is_too_wide(groups: Groups, described: Mapping[str, frozenset[str]]) -> bool:
    """Whether nothing personal would go at a holder that has more than one store, or nothing anywhere."""
    named: dict[str, set[str]] = {}
    for holder, store in groups:
        named.setdefault(holder, set()).add(store)
    whole = {holder for holder, stores in described.items() if stores and stores <= named.get(holder, set())}
    holding = {holder for holder, stores in described.items() if stores}
    return bool(holding) and (whole == holding or any(len(described[holder]) > 1 for holder in whole))


def extendable(request: Request, now: datetime) -> bool:
    """Whether the due time can still be put off: once, before it is over, while there is something to answer."""
    return request.state not in FINAL and request.extended_at is None and now <= request.due_at


def inherited_extension(duplicate: Request, due: datetime, now: datetime) -> datetime | None:
    """The due time of a duplicate when the request it repeats is extended to `due`; None where it stays as it is.

    A duplicate under a law that knows no extension, or whose time to be told is over, keeps its own clock.
    """
    if not extendable(duplicate, now):
        return None
    try:
        own = extended(duplicate.right, duplicate.regime, duplicate.received_at, now)
    except DomainError:
        return None
    return max(min(own, due), duplicate.due_at)
