"""What a partner's word proves. Pure.

A partner whose contract has it verify mail addresses proves the address, as a mail code would: a "reasonable" degree of
certainty (11 CCR 7060 to 7063). That opens deletion, correction and the like; a copy of the data only under GDPR, which
knows reasonable doubt only (Art. 12(6)). It proves no profile and no account: whoever names one waits for a person's
own proof, as with every other door.
"""

from collections.abc import Iterable

from igstats_gateway.doors.model import Identifier, Kind, Regime, Right

_MAIL = frozenset({Kind.EMAIL, Kind.EMAIL_SHA256})
_SPECIFIC = frozenset({Right.ACCESS, Right.PORTABILITY})
_GDPR = frozenset({Regime.GDPR, Regime.GDPR_AND_CCPA})


def proof(words: str, right: Right, regime: Regime, identifiers: Iterable[Identifier], *, verified: bool) -> str:
    """How the identity is proved, in `words`; "" when the partner's word does not suffice."""
    only_mail = all(one.kind in _MAIL for one in identifiers)
    opens = right not in _SPECIFIC or regime in _GDPR
    return words if verified and only_mail and opens else ""
