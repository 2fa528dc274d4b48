"""Whose identifiers an account may speak for, by tier. Pure.

Tier "account": the API key proves the account itself and its own contacts. Tier "account connection": the account holds
a live connection to the profile, which only its owner can make. Anything else waits for a person's proof.
"""

import re
from collections.abc import Iterable, Sequence

from igstats_privacy.model import Identifier, Right

ACCOUNT_PROOF = "account"
CONNECTION_PROOF = "account connection"
KEY_PROOF = "account key"
"""An account's key, shown at a page: which account it was is not kept."""
UNNEEDED_PROOF = "none needed"

UNVERIFIED = frozenset({Right.OPT_OUT, Right.CATEGORIES})
"""Rights that ask for no proof: opting out (11 CCR 7026), and categories, which are the same for everybody."""

_PROFILE_KINDS = frozenset({"INSTAGRAM_USER_ID", "USERNAME", "APP_USER_ID"})
_ACCOUNT = re.compile(r"acc_(?P<ulid>[0-9a-z]{26})")
_CONTACT = re.compile(r"con_(?P<ulid>[0-9a-z]{26})_[0-9]{1,9}")


def names_profile(identifier: Identifier) -> bool:
    """Whether it names the owner of an Instagram profile, whom only stats can find."""
    return identifier.kind in _PROFILE_KINDS


def contact_belongs(contact_id: str, account_id: str) -> bool:
    """Whether the contact is one of the account's: both ids carry the same ulid."""
    contact, account = _CONTACT.fullmatch(contact_id), _ACCOUNT.fullmatch(account_id)
    return contact is not None and account is not None and contact["ulid"] == account["ulid"]


def owns(identifier: Identifier, account_id: str) -> bool:
    """Whether the account's own key is proof enough for this identifier."""
    if not account_id:
        return False
    if identifier.kind == "ACCOUNT_ID":
        return identifier.value == account_id
    return identifier.kind == "CONTACT_ID" and contact_belongs(identifier.value, account_id)


def proof(identifiers: Sequence[Identifier], account_id: str, *, connected: bool) -> str:
    """How the identity is proved, or "" when it is not: every single identifier must be.

    `connected` is what stats says of the profiles among them.
    """
    rest = [identifier for identifier in identifiers if not owns(identifier, account_id)]
    if not rest:
        return ACCOUNT_PROOF
    return CONNECTION_PROOF if connected and all(map(names_profile, rest)) else ""


def unneeded(right: Right) -> str:
    """What stands for the proof of a right that asks for none; "" for the others."""
    return UNNEEDED_PROOF if right in UNVERIFIED else ""


def asker(request_id: str, account_token: bytes, identity_proof: str) -> bytes:
    """Whose request it is, as far as one of theirs may tell of another: an account's, or b"" for persons themselves.

    Several accounts may speak for one profile, and its owner besides. Who showed an account's key at a page is like
    nobody else.
    """
    return request_id.encode() if not account_token and KEY_PROOF in identity_proof else account_token


def merged(given: Iterable[Identifier], found: Iterable[Identifier]) -> tuple[Identifier, ...]:
    """All identifiers once, in one order."""
    return tuple(sorted({*given, *found}))
