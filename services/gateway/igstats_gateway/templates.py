"""Path templates of google.api.http: literals, {field} variables of one segment, and a :verb at the end."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

_FIELD = r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*"
_PART = re.compile(rf"\{{({_FIELD})\}}|([A-Za-z0-9._~/:-]+)")
_WHOLE = re.compile(rf"(/([A-Za-z0-9._~-]+|\{{{_FIELD}\}}))+(:[a-z][A-Za-z0-9_]*)?")
# A colon starts the verb; inside a value it must be percent-encoded.
_VALUE = "([^/:]+)"


@dataclass(frozen=True)
class Template:
    """A compiled path."""

    text: str
    pattern: re.Pattern[str]
    fields: tuple[str, ...]

    def match(self, path: str) -> Mapping[str, str] | None:
        """Values of the variables in an undecoded path, decoded one by one; None when the path is another.

        Raises:
            UnicodeDecodeError: A value is not UTF-8.
        """
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        values = (unquote_to_bytes(value).decode() for value in found.groups())
        return dict(zip(self.fields, values, strict=True))


def parse(text: str) -> Template:
    """Compiles a template.

    Raises:
        ValueError: It uses wildcards or forms that none of our paths needs.
    """
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"unsupported path template {text!r}")
    parts = list(_PART.finditer(text))
    pattern = "".join(_VALUE if part[1] else re.escape(part[2]) for part in parts)
    return Template(text, re.compile(pattern), tuple(part[1] for part in parts if part[1]))
