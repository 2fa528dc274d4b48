"""The caught letters, one file each, oldest first."""

from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from ulid import ULID


@dataclass(frozen=True)
class Letter:
    """A letter as its reader sees it."""

    name: str
    to: str
    subject: str
    language: str
    text: str


class Letters:
    """A folder of letters in RFC 5322 form, named so that they sort by arrival."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, content: bytes) -> str:
        """Stores a letter; answers its name. It is seen whole or not at all."""
        name = f"{ULID()}".lower()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self._folder / f".{name}"
        fresh.write_bytes(content)
        fresh.rename(self._folder / f"{name}.eml")
        return name

    def all(self) -> list[Letter]:
        """Every letter, oldest first."""
        return [_read(file) for file in sorted(self._folder.glob("*.eml"))]

    def raw(self, name: str) -> bytes | None:
        """A letter as it came; None when there is none of that name."""
        known = {file.stem: file for file in self._folder.glob("*.eml")}
        return known[name].read_bytes() if name in known else None


def _read(file: Path) -> Letter:
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    to, subject, language = (str(message[header] or "") for header in ("To", "Subject", "Content-Language"))
    return Letter(file.stem, to, subject, language, text_of(message))


def text_of(message: EmailMessage) -> str:
    """What the plain form of a letter says; "" when it has none."""
    body = message.get_body(("plain",))
    return str(body.get_content()).strip() if body is not None else ""
