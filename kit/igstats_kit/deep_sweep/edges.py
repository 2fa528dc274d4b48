"""Whether a value stands for itself where it is found, or is a piece of a longer one: "ana" in "banana". Pure.

What may continue a value depends on what it is. Ids are digits and go on with digits. Names of Instagram and mail
addresses go on with letters, digits, underscores, and dots that hold two pieces together. Other values go on with
letters, digits and underscores. All else is an edge, and so is a sequence that escapes a character (JSON, URLs).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

CONTEXT = 8
"""How many bytes around a value can decide."""

BEFORE = 2048
"""How many bytes before it can, where it ends a longer text: PostgreSQL writes the length before that."""

_DIGITS = "0-9"
_WORD = "a-zA-Z0-9_"
_NAME = re.compile(r"[A-Za-z0-9._]+|\S+@\S+")
# A dot and one of these ends a name: a file was called after it.
_SUFFIXES = "bak|csv|gif|gz|heic|html?|jpe?g|jsonl?|log|mov|mp4|pdf|png|tmp|txt|webp|xml|zip"
_ESCAPED = rb"(?:\\[bfnrt]|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|%[0-9a-fA-F]{2})\Z"
_MOST_FRAMED = 126
# Bytes that no text holds where they stand: control characters, and pieces of what UTF-8 writes in several bytes.
_NO_TEXT = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<![\x80-\xff])[\x80-\xbf]|[\xc0-\xff](?![\x80-\xbf])")


@dataclass(frozen=True)
class _Side:
    """What goes on where a value begins or ends; "" where nothing can."""

    goes_on: str
    dotted: bool


def _sides(form: str) -> tuple[_Side, _Side]:
    goes_on = _DIGITS if form.isascii() and form.isdigit() else _WORD
    dotted = goes_on is _WORD and _NAME.fullmatch(form) is not None
    first, last = (_Side(goes_on if edge.isalnum() or edge == "_" else "", dotted) for edge in (form[0], form[-1]))
    return first, last


def _framed(length: int) -> tuple[int, ...]:
    """The byte before a whole value: its length in protobuf, its header in a row of PostgreSQL (both below 127)."""
    return (length, 2 * length + 3) if length <= _MOST_FRAMED else ()


def _ends_text(content: bytes, end: int) -> bool:
    """Whether a text of PostgreSQL ends there: the last byte before that no text holds belongs to its header.

    A header is a byte up to 126 bytes of text, and four from there on. One that is a character itself (15 to 61
    bytes) is not told from text.
    """
    at = max((found.start() for found in _NO_TEXT.finditer(content, max(0, end - BEFORE), end)), default=None)
    if at is None:
        return False
    length = end - at - 1
    if length <= _MOST_FRAMED:
        return content[at] == 2 * length + 3
    return content[max(0, at - 3) : at + 1] == (4 * (length + 4)).to_bytes(4, "little")


class Edges:
    """How one form of a value is told from a piece of another."""

    def __init__(self, form: str) -> None:
        first, last = _sides(form)
        self._bytes = form.encode()
        self._frames = frozenset(_framed(len(self._bytes)))
        self._before = re.compile(_ends(first).encode())
        self._escaped = re.compile(_ESCAPED)
        self._after = re.compile(_begins(last).encode())

    def alone(self, content: bytes, start: int = 0, end: int | None = None) -> bool:
        """Whether the form stands for itself somewhere in content[start:end]; what is around that counts as context."""
        last = len(content) if end is None else end
        at = content.find(self._bytes, start, last)
        while at >= 0:
            if self._stands(content, at):
                return True
            at = content.find(self._bytes, at + 1, last)
        return False

    def _stands(self, content: bytes, at: int) -> bool:
        if at and content[at - 1] in self._frames:
            return True
        before, end = content[max(0, at - CONTEXT) : at], at + len(self._bytes)
        goes_on = self._before.search(before) and not self._escaped.search(before)
        if goes_on:
            return False
        return self._after.match(content[end : end + CONTEXT]) is None or _ends_text(content, end)


def _ends(side: _Side) -> str:
    """What a text ends with that a value at this side continues."""
    if not side.goes_on:
        return r"(?!)"
    return rf"[{side.goes_on}]\.?\Z" if side.dotted else rf"[{side.goes_on}]\Z"


def _begins(side: _Side) -> str:
    """What a text begins with that continues a value at this side."""
    if not side.goes_on:
        return r"(?!)"
    suffix = rf"(?:{_SUFFIXES})(?![{_WORD}])"
    return rf"[{side.goes_on}]|\.(?!{suffix})[{side.goes_on}]" if side.dotted else rf"[{side.goes_on}]"


# The same as regular expressions of PostgreSQL, which searches text in lower case, and bytes as hexadecimal digits.

_LOWER = {_DIGITS: "[0-9]", _WORD: "[a-z0-9_]"}
_HEX = {_DIGITS: "3[0-9]", _WORD: "(?:3[0-9]|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9a])"}
_ESCAPES = r"\\[bfnrt]|\\u[0-9a-f]{4}|\\x[0-9a-f]{2}|%[0-9a-f]{2}"
_HEX_ESCAPES = "5c(?:62|66|6e|72|74)|5c75(?:[346][0-9a-f]){4}|(?:5c78|25)(?:[346][0-9a-f]){2}"


def in_text(form: str) -> str:
    """The form, alone, in lower-case text."""
    first, last = _sides(form)
    return _around(first, last, _LOWER, "[.]", _ESCAPES, _SUFFIXES).format(re.escape(form.lower()))


def in_hex(form: str) -> str:
    """The form, alone, in bytes as PostgreSQL shows them."""
    (first, last), value = _sides(form), form.encode().hex()
    suffixes = "|".join(sorted(one.encode().hex() for one in _spelt(_SUFFIXES)))
    alone = _around(first, last, _HEX, "2e", _HEX_ESCAPES, suffixes).format(value)
    framed = "|".join(f"{one:02x}" for one in _framed(len(form.encode())))
    return f"(?<={framed}){value}|{alone}" if framed else alone


def _around(first: _Side, last: _Side, alphabet: dict[str, str], dot: str, escapes: str, suffixes: str) -> str:
    before = after = ""
    if first.goes_on:
        one = alphabet[first.goes_on]
        dotted = f"(?<!{one}{dot})" if first.dotted else ""
        before = f"(?:(?<!{one}){dotted}|(?<={escapes}))"
    if last.goes_on:
        one = alphabet[last.goes_on]
        dotted = f"(?!{dot}(?!(?:{suffixes})(?!{alphabet[_WORD]})){one})" if last.dotted else ""
        after = f"(?!{one}){dotted}"
    return (before + "\0" + after).replace("{", "{{").replace("}", "}}").replace("\0", "{}")


def _spelt(suffixes: str) -> Iterable[str]:
    """The suffixes one by one, the optional letter with and without."""
    for one in suffixes.split("|"):
        letter, mark, rest = one.partition("?")
        yield letter + rest
        if mark:
            yield letter[:-1] + rest
