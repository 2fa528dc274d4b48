"""Which proof covers which identifier, and how much proof a right needs. Pure.

The tiers are those of the regulations of the CCPA (11 CCR 7060 to 7063): a "reasonable" degree of certainty for
categories, deletion and correction, a "reasonably high" one for specific pieces of information, none for opting out
(7026). GDPR Art. 12(6) knows reasonable doubt only, so a reasonable proof opens access there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from igstats_kit.tokens import email_sha256, normalise

from igstats_privacy.identity import UNVERIFIED
from igstats_privacy.model import Identifier, Regime, Request, Right, State
from igstats_privacy.proofs.proof import Method, Proof, ProofState, Tier

POINTS_REASONABLE = 2
POINTS_HIGH = 3

_SPECIFIC = frozenset({Right.ACCESS, Right.PORTABILITY})
_GDPR = frozenset({Regime.GDPR, Regime.GDPR_AND_CCPA})
_ALWAYS_ENOUGH = frozenset({Tier.ACCOUNT, Tier.HIGH, Tier.PLATFORM})
_ON_FILE = frozenset({"ACCOUNT_ID", "CONTACT_ID", "EMAIL", "EMAIL_SHA256"})
_OF_PROFILES = frozenset({"INSTAGRAM_USER_ID", "USERNAME", "APP_USER_ID"})

FALLBACKS = {Right.ACCESS: Right.CATEGORIES, Right.PORTABILITY: Right.CATEGORIES, Right.ERASURE: Right.OPT_OUT}
"""What is done instead when nobody has proved to be the person (11 CCR 7060 and following; 7022, 7024)."""


@dataclass(frozen=True)
class Profile:
    """Who signed in, as Instagram says."""

    user_id: str
    username: str
    app_id: str
    app_user_id: str

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        """All names that the platform vouches for."""
        return (
            Identifier("INSTAGRAM_USER_ID", self.user_id),
            Identifier("USERNAME", normalise("USERNAME", self.username)),
            Identifier("APP_USER_ID", f"{self.app_id}:{self.app_user_id}"),
        )


BY_LOGIN = "Instagram Login"
"""How a proof by signing in is named on the request."""
_PACKAGED = frozenset({Right.ACCESS, Right.PORTABILITY})
_DONE = frozenset({State.FULFILLED, State.FULFILLED_IN_PART})


def opened_by_login(request: Request) -> bool:
    """Whether signing in once more opens the package of a request: nothing else has proved it, so it names no address.

    Where an address was proved, too, the link of the letter opens it.
    """
    return request.right in _PACKAGED and request.state in _DONE and request.identity_proof == BY_LOGIN


def needed(right: Right, regime: Regime) -> Tier:
    """The least proof that a right asks for."""
    if right in UNVERIFIED:
        return Tier.UNSPECIFIED
    return Tier.HIGH if right in _SPECIFIC and regime not in _GDPR else Tier.REASONABLE


def suffices(tier: Tier, right: Right, regime: Regime) -> bool:
    """Whether a proof of this tier opens this right."""
    least = needed(right, regime)
    return tier in _ALWAYS_ENOUGH or least is Tier.UNSPECIFIED or tier is least


def is_stronger(tier: Tier, than: Tier) -> bool:
    """Whether matched points with one tier are worth more than those with another."""
    order = (Tier.UNSPECIFIED, Tier.REASONABLE, Tier.HIGH)
    return order.index(tier) > order.index(than)


def by_mail(identifiers: Iterable[Identifier], address: str) -> tuple[Identifier, ...]:
    """What a code sent to this address covers: the address itself and its hash, never a profile or an account."""
    mail = normalise("EMAIL", address)
    same = {"EMAIL": mail, "EMAIL_SHA256": email_sha256(mail)}
    return tuple(one for one in identifiers if same.get(one.kind) == one.value)


def by_points(identifier: Identifier) -> bool:
    """Whether facts on file can prove this identifier: customers and their contacts are on file, profiles are not."""
    return identifier.kind in _ON_FILE


def tier_of_points(matched: int, *, mailed: bool, declared: bool) -> Tier:
    """What so many matched facts about one person are worth; an address proved by a code counts as one more."""
    count = matched + mailed if matched else 0
    if count >= POINTS_HIGH and declared:
        return Tier.HIGH
    return Tier.REASONABLE if count >= POINTS_REASONABLE else Tier.UNSPECIFIED


def names_profile(identifier: Identifier) -> bool:
    """Whether a sign-in with Instagram can prove this identifier."""
    return identifier.kind in _OF_PROFILES


def by_login(identifiers: Sequence[Identifier], profile: Profile) -> tuple[Identifier, ...]:
    """What a sign-in covers: every name of the profile, or nothing when one of them is somebody else's."""
    named = tuple(filter(names_profile, identifiers))
    # An id of another app of the platform neither proves nor contradicts; this sign-in says nothing about it.
    told = tuple(one for one in named if not _of_another_app(one, profile))
    return told if set(told) <= set(profile.identifiers) else ()


def _of_another_app(identifier: Identifier, profile: Profile) -> bool:
    return identifier.kind == "APP_USER_ID" and not identifier.value.startswith(f"{profile.app_id}:")


def is_proved(tokens: Iterable[bytes], proofs: Iterable[Proof], right: Right, regime: Regime) -> bool:
    """Whether every single identifier, given by its token, is covered by a proof that the right accepts."""
    good = [one for one in proofs if one.state is ProofState.PROVED and suffices(one.tier, right, regime)]
    covered = {token for one in good for token in one.covers}
    return set(tokens) <= covered


def mailed(token: bytes, proofs: Iterable[Proof]) -> bool:
    """Whether a mail code has proved the identifier with this token."""
    codes = (one for one in proofs if one.method is Method.MAIL_CODE and one.state is ProofState.PROVED)
    return any(token in one.covers for one in codes)
