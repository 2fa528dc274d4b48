"""What a hold may keep. Pure.

A hold keeps field groups, never a person: a ground of GDPR article 17(3) or 1798.105(d) CCPA covers what it needs.
"""

from collections.abc import Iterable, Mapping

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
