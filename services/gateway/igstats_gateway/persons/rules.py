"""How many stated facts fit what is on file about one person. Pure.

Facts are compared as people write them: case, spacing and compatible letters do not count. A fact that is not on file
never fits, so nobody proves anything by an empty field.
"""

import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class OnFile:
    """A contact as the account shows it, with the tokens of all its names; an account without contacts is one too."""

    account_id: str
    contact_id: str
    email: str
    contact_name: str
    company: str
    billing_address: str
    vat_number: str
    key_ids: tuple[str, ...]
    created_at: datetime
    tokens: tuple[bytes, ...]


def matched(stated: Mapping[str, str], named: Collection[bytes], found: Iterable[OnFile]) -> int:
    """Facts that fit the same person, who bears all the names; the best of several such persons. 0 for a stranger."""
    wanted = set(named)
    return max((_fitting(stated, person) for person in found if wanted <= set(person.tokens)), default=0)


def _fitting(stated: Mapping[str, str], person: OnFile) -> int:
    known = _facts(person)
    return sum(1 for name, value in stated.items() if _plain(name, value) in known.get(name, ()))


def _facts(person: OnFile) -> Mapping[str, frozenset[str]]:
    """Every fact by its name in CountMatchesRequest, in the spelling that is compared."""
    facts: Mapping[str, Iterable[str]] = {
        "company": [person.company],
        "contact_name": [person.contact_name],
        "billing_address": [person.billing_address],
        "vat_number": [person.vat_number],
        "key_id": person.key_ids,
        "created_month": [f"{person.created_at:%Y-%m}"],
    }
    return {
        name: frozenset(plain for value in values if (plain := _plain(name, value))) for name, values in facts.items()
    }


def _plain(name: str, value: str) -> str:
    folded = unicodedata.normalize("NFKC", value).casefold()
    if name == "vat_number":  # written with blanks, dots and dashes, or without
        return "".join(filter(str.isalnum, folded))
    return " ".join(folded.replace(",", " ").split())
