"""Reads a configuration file of nats-server, strictly: what it does not understand it refuses instead of guessing.

The format is a superset of JSON: comments (# and //), keys with or without quotes, `:` or `=` or nothing between key
and value, commas or line ends between entries. Includes, variables and block texts are refused: they would hide from
the audit what the server does.
"""

import json
import re
from typing import Any

_SPACE = re.compile(r"(?:[ \t\r\n]+|#[^\n]*|//[^\n]*)*")
_ENDS = re.compile(r"(?:[ \t\r\n;,]+|#[^\n]*|//[^\n]*)*")
_KEY = re.compile(r"[A-Za-z_][\w.-]*")
_QUOTED = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_PLAIN = re.compile(r"'[^'\n]*'")
_WORD = re.compile(r"[^\s{}\[\],;\"'#=()$]+")
_WHOLE = re.compile(r"-?\d{1,18}")
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_DEPTH = 32


class NatsFileError(ValueError):
    """The text is not a configuration that can be compared; the message names the line."""


def parse(text: str) -> dict[str, Any]:
    """The configuration as maps, lists, texts, whole numbers and truth values.

    Raises:
        NatsFileError: Something is not understood.
    """
    reader = _Reader(text)
    reader.skip(_ENDS)
    if reader.takes("{"):
        found = reader.entries("}", 1)
        reader.skip(_ENDS)
        reader.require_end()
        return found
    return reader.entries("", 1)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0

    def skip(self, pattern: re.Pattern[str]) -> None:
        """Goes on behind what may stand here."""
        if match := pattern.match(self._text, self._place):
            self._place = match.end()

    def takes(self, sign: str) -> bool:
        """Whether the sign stands here; goes on behind it."""
        found = self._text.startswith(sign, self._place)
        self._place += len(sign) if found else 0
        return found

    def require_end(self) -> None:
        """Refuses anything more."""
        if self._place < len(self._text):
            raise self._error("something stands behind the end")

    def entries(self, end: str, depth: int) -> dict[str, Any]:
        """The entries of a map up to its end; an empty `end` is that of the file."""
        found: dict[str, Any] = {}
        while True:
            self.skip(_ENDS)
            if self._place == len(self._text) if not end else self.takes(end):
                return found
            key = self._key()
            if key in found:
                raise self._error(f"{key} stands twice in one map")
            self.skip(_SPACE)
            if not self.takes(":"):
                self.takes("=")
            self.skip(_SPACE)
            found[key] = self._value(depth)

    def _list(self, depth: int) -> list[Any]:
        found: list[Any] = []
        while True:
            self.skip(_ENDS)
            if self.takes("]"):
                return found
            found.append(self._value(depth))

    def _key(self) -> str:
        if self._text.startswith(('"', "'"), self._place):
            return self._quoted().lower()  # the server does not tell large letters from small ones
        key = self._match(_KEY, "a key").lower()
        if key == "include":
            raise self._error("includes are not followed: give one file")
        return key

    def _value(self, depth: int) -> Any:  # noqa: ANN401 - whatever the file says
        if depth > _DEPTH:
            raise self._error("maps and lists are nested too deeply")
        if self.takes("{"):
            return self.entries("}", depth + 1)
        if self.takes("["):
            return self._list(depth + 1)
        if self._text.startswith(('"', "'"), self._place):
            return self._quoted()
        word = self._match(_WORD, "a value")
        if word.lower() in _WORDS:
            return _WORDS[word.lower()]
        return int(word) if _WHOLE.fullmatch(word) else word

    def _quoted(self) -> str:
        if self._text[self._place] == "'":
            return self._match(_PLAIN, "a text")[1:-1]
        try:
            return str(json.loads(self._match(_QUOTED, "a text")))
        except ValueError as error:
            raise self._error("a text is malformed") from error

    def _match(self, pattern: re.Pattern[str], wanted: str) -> str:
        match = pattern.match(self._text, self._place)
        if match is None:
            raise self._error(f"expected {wanted}")
        self._place = match.end()
        return match[0]

    def _error(self, what: str) -> NatsFileError:
        return NatsFileError(f"line {self._text.count(chr(10), 0, self._place) + 1}: {what}")
