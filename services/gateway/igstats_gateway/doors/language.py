"""In which language a page speaks: one dictionary for each beside the templates, chosen by what the browser accepts.

The texts are ours and may hold marks of HTML; what is put into their places is escaped.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

LANGUAGES: Sequence[tuple[str, str]] = (("en", "English"), ("de", "Deutsch"), ("es", "Español"))
_ENGLISH = LANGUAGES[0][0]
_PAGES = Path(__file__).parent / "pages"


class Say:
    """Everything that the pages say, in one language."""

    def __init__(self, language: str, texts: Mapping[str, str]) -> None:
        self.language = language
        self.texts = texts

    def __call__(self, key: str, **values: object) -> Markup:
        """A text with its places filled.

        Raises:
            KeyError: No such text, or no value for one of its places.
        """
        return Markup(self.texts[key]).format(**values)  # noqa: S704 - a text of our own dictionaries; values are escaped

    def has(self, key: str) -> bool:
        """Whether there is such a text."""
        return key in self.texts

    def day(self, moment: datetime) -> str:
        """A date in words."""
        months = self.texts["months"].split("|")
        return str(self("date", day=moment.day, month=months[moment.month - 1], year=moment.year))


def wanted(accepted: str) -> str:
    """Which of our languages a browser wants most (RFC 9110 section 12.5.4); English when it wants none of them."""
    ours = [name for name, _ in LANGUAGES]
    found: list[tuple[float, int, str]] = []
    for place, one in enumerate(accepted.split(",")):
        name, _, parameter = one.partition(";")
        chosen = name.strip().partition("-")[0].lower()
        if chosen in ours and (weight := _weight(parameter)) > 0:
            found.append((-weight, place, chosen))
    return min(found)[2] if found else _ENGLISH


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0


def of(language: str) -> Say:
    """What the pages say in one of our languages."""
    return _SAYING[language]


def hear(accepted: str) -> None:
    """Sets the language of the running request."""
    _heard.set(wanted(accepted))


def heard() -> Say:
    """What the pages say in the language of the running request."""
    return of(_heard.get())


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        key = f"{before}{name}"
        if isinstance(value, dict):
            yield from _flat(value, f"{key}.")
        else:
            yield key, value


def _read(language: str) -> Say:
    text = (_PAGES / f"{language}.toml").read_text(encoding="utf-8")
    return Say(language, dict(_flat(tomllib.loads(text))))


_SAYING = {name: _read(name) for name, _ in LANGUAGES}
_heard: ContextVar[str] = ContextVar("igstats_language", default=_ENGLISH)
