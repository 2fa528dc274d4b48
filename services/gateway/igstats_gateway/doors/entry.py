"""The form of policy section 11: what a person typed, what is wrong with it, and the wish that comes of it. Pure."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from igstats_gateway.doors.model import Correction, Identifier, Kind, Regime, Right, Wish
from igstats_gateway.doors.words import RIGHTS

DOOR = "web"
PLACES = (1, 2, 3)
LANGUAGES: Sequence[tuple[str, str]] = (("en", "English"), ("de", "Deutsch"), ("es", "Español"))
REGIMES: Sequence[tuple[str, str]] = (
    ("UNSPECIFIED", "I do not want to say"),
    ("GDPR", "European Union, EEA, United Kingdom or Switzerland"),
    ("CCPA", "California"),
    ("VOLUNTARY", "Elsewhere"),
)
CORRECTIONS: Sequence[tuple[str, str]] = (
    ("", "Nothing"),
    ("contacts.name", "My name as a contact"),
    ("accounts.company", "Company"),
    ("billing_details.name", "Name on invoices"),
    ("billing_details.address", "Address on invoices"),
    ("billing_details.vat_number", "VAT number"),
    ("profiles.name", "Name on Instagram"),
    ("profiles.biography", "Biography on Instagram"),
    ("profiles.website", "Website on Instagram"),
)
"""Fields that a person can have corrected, as the holders' descriptions name them; a test compares."""

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_USERNAME = re.compile(r"[A-Za-z0-9._]{1,30}")
_DIGITS = re.compile(r"[0-9]{1,32}")
_ACCOUNT = re.compile(r"acc_[0-9a-z]{26}")
_KEY = re.compile(r"[A-Za-z0-9_-]{16,64}")
_LONGEST_EMAIL = 254
_LONGEST_VALUE = 2000
_NAMES = ("email", "username", "instagram_user_id", "account_id")
_CHOICES = frozenset(words.name for words in RIGHTS)


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

    def mistakes(self) -> Sequence[Mistake]:
        """What must be mended before it can be sent."""
        return tuple(self._mistakes())

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

    def _mistakes(self) -> Iterator[Mistake]:
        if self._get("right") not in _CHOICES:
            yield Mistake("right", "Choose what you want")
        yield from self._wrong_names()
        if self._get("reply") and not _is_email(self._get("reply")):
            yield Mistake("reply", "Enter an e-mail address like name@example.com")
        for name, options in (("language", LANGUAGES), ("regime", REGIMES)):
            if self._get(name) and self._get(name) not in dict(options):
                yield Mistake(name, "Choose one of the list")
        yield from self._wrong_corrections()
        if not _KEY.fullmatch(self._get("key")):
            yield Mistake("", "This page was too old or not complete. It has been renewed: send it again")

    def _wrong_names(self) -> Iterator[Mistake]:
        if not any(map(self._get, _NAMES)):
            yield Mistake("email", "Tell us whom it is about: an address, a username, an id or a customer number")
        if self._get("email") and not _is_email(self._get("email")):
            yield Mistake("email", "Enter an e-mail address like name@example.com")
        if self._get("username") and not _USERNAME.fullmatch(self._get("username").removeprefix("@")):
            yield Mistake("username", "A username has letters, digits, dots and underscores, at most 30")
        if self._get("instagram_user_id") and not _DIGITS.fullmatch(self._get("instagram_user_id")):
            yield Mistake("instagram_user_id", "An Instagram user id has digits only")
        if self._get("account_id") and not _ACCOUNT.fullmatch(self._get("account_id")):
            yield Mistake("account_id", "A customer number is acc_ with 26 letters and digits")

    def _wrong_corrections(self) -> Iterator[Mistake]:
        for place in PLACES:
            chosen, value = self._get(f"field_{place}"), self._get(f"value_{place}")
            if chosen not in dict(CORRECTIONS):
                yield Mistake(f"field_{place}", "Choose one of the list")
            if len(value) > _LONGEST_VALUE:
                yield Mistake(f"value_{place}", f"At most {_LONGEST_VALUE} characters")
            if value and not chosen:
                yield Mistake(f"field_{place}", "Choose what is wrong")
        if self._get("right") == Right.CORRECTION and not any(self._corrections()):
            yield Mistake("field_1", "Say what is wrong, and what is right")

    def _corrections(self) -> Iterator[Correction]:
        for place in PLACES:
            if chosen := self._get(f"field_{place}"):
                yield Correction(chosen, self._get(f"value_{place}"))

    def _once(self) -> str:
        content = json.dumps(sorted(self.values.items()))
        return hashlib.sha256(content.encode()).hexdigest()

    def _get(self, name: str) -> str:
        return self.values.get(name, "")


def _is_email(text: str) -> bool:
    return len(text) <= _LONGEST_EMAIL and _EMAIL.fullmatch(text) is not None
