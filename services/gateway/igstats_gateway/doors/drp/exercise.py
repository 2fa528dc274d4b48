"""What an agent asks for (sections 2.01, 3.01, 3.04), read from checked claims. Pure but for the errors."""

from igstats_kit.mail import mail_address

from igstats_gateway.doors.attesting import proof
from igstats_gateway.doors.drp.message import Claims, invalid, text
from igstats_gateway.doors.model import Identifier, Kind, Regime, Right, Wish

DOOR = "drp"
MOST_REFERENCE = 200
_MOST_MAIL = 320
_MOST_URL = 2000

# The specification spells the sale rights with a hyphen in its example and with an underscore in its table.
_RIGHTS = {
    "access": Right.ACCESS,
    "access:categories": Right.CATEGORIES,
    "access:specific": Right.ACCESS,
    "deletion": Right.ERASURE,
    "sale:opt-in": Right.OPT_IN,
    "sale:opt-out": Right.OPT_OUT,
    "sale:opt_in": Right.OPT_IN,
    "sale:opt_out": Right.OPT_OUT,
}


def wish(claims: Claims, agent_id: str, *, verifies: bool) -> Wish:
    """The request. Names, telephone numbers and addresses are read by nobody: no data here is found by them.

    Raises:
        DomainError: FIELD_INVALID.
    """
    right, regime = _right(claims), _regime(claims)
    identifiers = (Identifier(Kind.EMAIL, _mail(claims)),)
    verified = verifies and claims.get("email_verified") is True
    return Wish(
        door=DOOR,
        idempotency_key="",
        right=right,
        identifiers=identifiers,
        identity_proof=proof(
            f"DRP agent {agent_id}: mail address verified", right, regime, identifiers, verified=verified
        ),
        regime=regime,
    )


def reference(claims: Claims) -> str:
    """What the agent calls the request."""
    return text(claims, "agent-request-id", MOST_REFERENCE)


def callback(claims: Claims) -> str:
    """Where the agent wants to be told; "" when it does not."""
    return text(claims, "status_callback", _MOST_URL)


def _right(claims: Claims) -> Right:
    found = claims.get("exercise")
    if not isinstance(found, str) or found not in _RIGHTS:
        raise invalid("exercise", "must be one of " + ", ".join(sorted(_RIGHTS)))
    return _RIGHTS[found]


def _regime(claims: Claims) -> Regime:
    found = claims.get("regime")
    if found in (None, "voluntary"):  # section 3.01 leaves it out, agents also spell it
        return Regime.VOLUNTARY
    if found != "ccpa":
        raise invalid("regime", "must be ccpa or voluntary, or absent")
    return Regime.CCPA


def _mail(claims: Claims) -> str:
    found = text(claims, "email", _MOST_MAIL).strip()
    if mail_address(found) is None:
        raise invalid("email", "must be a mail address: it is what persons are found by here")
    return found
