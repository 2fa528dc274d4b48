"""Letters as text and HTML in the person's language. Pure but for reading our own templates.

One text serves both forms: its first line is the subject, blank lines part its paragraphs, and the HTML form sets the
same paragraphs with their addresses as links. So the two can never say different things.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from babel.dates import format_date
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

LANGUAGES = ("en", "de", "es")
_LINK = re.compile(r"https?://[^\s<>\"]+[^\s<>\".,;:!?)]")

_texts = Environment(
    loader=PackageLoader("igstats_privacy", "letters/texts"),
    autoescape=False,  # noqa: S701 - plain text; the HTML form is made from it by escaping
    undefined=StrictUndefined,
)


@dataclass(frozen=True)
class Rendered:
    """A letter that can be sent."""

    subject: str
    text: str
    html: str
    language: str


def language_of(wanted: str) -> str:
    """The language of ours that comes nearest; English when none does."""
    first = wanted.replace("_", "-").partition("-")[0].lower()
    return first if first in LANGUAGES else LANGUAGES[0]


def day(moment: datetime | None, language: str) -> str:
    """A date as people of the language write it; "" for none."""
    return "" if moment is None else format_date(moment, format="long", locale=language)


def render(letter: str, language: str, values: Mapping[str, object]) -> Rendered:
    """A letter with what it says filled in.

    Raises:
        jinja2.UndefinedError: The letter needs a value that is not there.
    """
    chosen = language_of(language)
    filled = _texts.get_template(f"{chosen}/{letter}.txt").render(values).strip()
    subject, _, body = filled.partition("\n")
    paragraphs = [" ".join(part.split()) for part in body.strip().split("\n\n") if part.strip()]
    return Rendered(subject.strip(), "\n\n".join(paragraphs) + "\n", _html(chosen, paragraphs), chosen)


def _html(language: str, paragraphs: list[str]) -> str:
    body = Markup("\n").join(Markup("<p>{}</p>").format(_linked(one)) for one in paragraphs)
    return Markup(
        '<!doctype html>\n<html lang="{}"><head><meta charset="utf-8"></head>'
        '<body style="font: 16px/1.5 sans-serif; max-width: 40em; margin: 2em auto">\n{}\n</body></html>\n'
    ).format(language, body)


def _linked(paragraph: str) -> Markup:
    """The paragraph, escaped, with every address in it a link."""
    pieces, end = [], 0
    for found in _LINK.finditer(paragraph):
        pieces += [escape(paragraph[end : found.start()]), Markup('<a href="{0}">{0}</a>').format(found.group())]
        end = found.end()
    return Markup("").join([*pieces, escape(paragraph[end:])])
