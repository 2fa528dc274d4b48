"""Reads JSON that partners send: objects, texts, lists, and a refusal that never repeats a value."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from igstats_kit.errors import DomainError, Reason, Violation
from igstats_kit.mail import mail_address

T = TypeVar("T")

MOST_TEXT = 2000


def parsed(body: bytes) -> Mapping[str, Any]:
    """The JSON object of a body.

    Raises:
        DomainError: BODY_INVALID.
    """
    try:
        found = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise DomainError(Reason.BODY_INVALID) from error
    if not isinstance(found, dict):
        raise DomainError(Reason.BODY_INVALID)
    return found


def invalid(field: str, rule: str) -> DomainError:
    """A field that breaks a rule of the protocol."""
    return DomainError(Reason.FIELD_INVALID, violations=[Violation(field, rule)])


def text(given: Mapping[str, Any], name: str, *, most: int = MOST_TEXT, needed: bool = True) -> str:
    """A line of text; "" when it is missing and not needed.

    Raises:
        DomainError: FIELD_INVALID.
    """
    found = given.get(name)
    if found is None and not needed:
        return ""
    if not isinstance(found, str) or not found.strip() or len(found) > most or not found.isprintable():
        raise invalid(name, f"must be text of at most {most} characters")
    return found


def items(given: Mapping[str, Any], name: str, *, most: int) -> list[Any]:
    """A list; empty when it is missing.

    Raises:
        DomainError: FIELD_INVALID.
    """
    found = given.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or len(found) > most:
        raise invalid(name, f"must be a list of at most {most}")
    return found


def part(given: Mapping[str, Any], name: str, *, needed: bool = True) -> Mapping[str, Any]:
    """An object inside; empty when it is missing and not needed.

    Raises:
        DomainError: FIELD_INVALID.
    """
    found = given.get(name)
    if found is None and not needed:
        return {}
    return mapping(found, name)


def mapping(found: object, name: str) -> Mapping[str, Any]:
    """The value, if it is an object.

    Raises:
        DomainError: FIELD_INVALID.
    """
    if not isinstance(found, dict):
        raise invalid(name, "must be an object")
    return found


def chosen(given: Mapping[str, Any], name: str, among: Mapping[str, T]) -> T:
    """What a word of the protocol stands for.

    Raises:
        DomainError: FIELD_INVALID.
    """
    found = given.get(name)
    if not isinstance(found, str) or found not in among:
        raise invalid(name, "must be one of " + ", ".join(sorted(among)))
    return among[found]


def mail(value: str, name: str) -> str:
    """A mail address, as it was written.

    Raises:
        DomainError: FIELD_INVALID.
    """
    found = value.strip()
    if mail_address(found) is None:
        raise invalid(name, "must be a mail address")
    return found


def sha256(value: str, name: str) -> str:
    """A SHA-256 in hex, in lower case.

    Raises:
        DomainError: FIELD_INVALID.
    """
    found = value.strip().lower()
    if len(found) != _HEX_DIGITS or not set(found) <= _HEX:
        raise invalid(name, f"must be {_HEX_DIGITS} hexadecimal digits")
    return found


_HEX_DIGITS = 64
_HEX = frozenset("0123456789abcdef")


def _refuse(constant: str) -> None:
    raise ValueError(constant)
