"""The form of policy section 11: what a person typed, what is wrong with it, and the wish that comes of it. Pure."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from igstats_kit.mail import mail_address

from igstats_gateway.doors.language import LANGUAGES, Say
from igstats_gateway.doors.model import Correction, Identifier, Kind, Regime, Right, Wish
from igstats_gateway.doors.words import RIGHTS

DOOR = "web"
PLACES = (1, 2, 3)
REGIMES = ("UNSPECIFIED", "GDPR", "CCPA", "VOLUNTARY")
CORRECTIONS = (
    *("contacts.name", "accounts.company", "billing_details.name", "billing_details.address"),
    *("billing_details.vat_number", "profiles.name", "profiles.biography", "profiles.website"),
)
"""Fields that a person can have corrected, as the holders' descriptions name them; a test compares."""

_USERNAME = re.compile(r"[A-Za-z0-9._]{1,30}")
_DIGITS = re.compile(r"[0-9]{1,32}")
_ACCOUNT = re.compile(r"acc_[0-9a-z]{26}")
_KEY = re.compile(r"[A-Za-z0-9_-]{16,64}")
_LONGEST_VALUE = 2000
_NAMES = ("email", "username", "instagram_user_id", "account_id")
_CHOICES = frozenset(RIGHTS)


@dataclass(frozen=True)
class Mistake:
    """What is wrong with a field, in words; `field` is the id that the error leads to."""

    field: str
    text: str


@dataclass(frozen=True)
class Entry:
    """The fields as typed."""

    values: Mapping[str, str]

    @property
    def right(self) -> Right:
        """The right that was chosen.

        Raises:
            ValueError: None of ours.
        """
        return Right(self._get("right"))

    def mistakes(self, say: Say) -> Sequence[Mistake]:
        """What must be mended before it can be sent."""
        return tuple(Mistake(field, say(f"mistake.{key}", most=_LONGEST_VALUE)) for field, key in self._mistakes())

    def identifiers(self) -> tuple[Identifier, ...]:
        """Whom it is about."""
        found = (
            (Kind.EMAIL, self._get("email")),
            (Kind.USERNAME, self._get("username").removeprefix("@")),
            (Kind.INSTAGRAM_USER_ID, self._get("instagram_user_id")),
            (Kind.ACCOUNT_ID, self._get("account_id")),
        )
        return tuple(Identifier(kind, value) for kind, value in found if value)

    def wish(self) -> Wish:
        """The request. Sent again unchanged it is the same request; changed, another one."""
        return Wish(
            door=DOOR,
            idempotency_key=self._once(),
            right=self.right,
            identifiers=self.identifiers(),
            regime=Regime(self._get("regime") or Regime.UNSPECIFIED),
            corrections=tuple(self._corrections()) if self.right is Right.CORRECTION else (),
            reply_address=self._get("reply") or self._get("email"),
            language=self._get("language"),
        )

    def opt_out(self) -> Wish:
        """What a Global Privacy Control signal adds to the form: an opt-out of those whom it names."""
        return Wish(
            door="gpc",
            idempotency_key=self._once(),
            right=Right.OPT_OUT,
            identifiers=self.identifiers(),
            regime=Regime(self._get("regime") or Regime.UNSPECIFIED),
        )

    def _mistakes(self) -> Iterator[tuple[str, str]]:
        """Fields that are wrong, and what the dictionaries call what is wrong with them."""
        if self._get("right") not in _CHOICES:
            yield "right", "right"
        yield from self._wrong_names()
        if self._get("reply") and mail_address(self._get("reply")) is None:
            yield "reply", "email"
        for name, options in (("language", dict(LANGUAGES)), ("regime", REGIMES)):
            if self._get(name) and self._get(name) not in options:
                yield name, "list"
        yield from self._wrong_corrections()
        if not _KEY.fullmatch(self._get("key")):
            yield "", "old"

    def _wrong_names(self) -> Iterator[tuple[str, str]]:
        if not any(map(self._get, _NAMES)):
            yield "email", "nobody"
        if self._get("email") and mail_address(self._get("email")) is None:
            yield "email", "email"
        if self._get("username") and not _USERNAME.fullmatch(self._get("username").removeprefix("@")):
            yield "username", "username"
        if self._get("instagram_user_id") and not _DIGITS.fullmatch(self._get("instagram_user_id")):
            yield "instagram_user_id", "instagram_user_id"
        if self._get("account_id") and not _ACCOUNT.fullmatch(self._get("account_id")):
            yield "account_id", "account_id"

    def _wrong_corrections(self) -> Iterator[tuple[str, str]]:
        for place in PLACES:
            chosen, value = self._get(f"field_{place}"), self._get(f"value_{place}")
            if chosen and chosen not in CORRECTIONS:
                yield f"field_{place}", "list"
            if len(value) > _LONGEST_VALUE:
                yield f"value_{place}", "long"
            if value and not chosen:
                yield f"field_{place}", "field"
        if self._get("right") == Right.CORRECTION and not any(self._corrections()):
            yield "field_1", "correction"

    def _corrections(self) -> Iterator[Correction]:
        for place in PLACES:
            if chosen := self._get(f"field_{place}"):
                yield Correction(chosen, self._get(f"value_{place}"))

    def _once(self) -> str:
        content = json.dumps(sorted(self.values.items()))
        return hashlib.sha256(content.encode()).hexdigest()

    def _get(self, name: str) -> str:
        return self.values.get(name, "")
