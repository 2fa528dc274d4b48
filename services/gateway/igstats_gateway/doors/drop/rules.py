"""Shapes and rules of DROP. Pure.

https://privacy.ca.gov/drop-for-data-brokers/technical-specifications/, version 1.2.0.
"""

import base64
import binascii
import csv
import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import IntEnum
from zoneinfo import ZoneInfo

from igstats_gateway.doors.model import FINAL, Right, State

LONGEST = timedelta(days=45)
"""Between two pulls (Civil Code 1798.99.86(c)(1))."""

EMAIL, REMOVED = "Email", "Removed"
_NAME = re.compile(r"(?P<stem>\d{8}_\d{1,10}_(?P<kind>NDZ|Email|Phone|MAID|NameVIN|CTVID|Removed))\.csv")
_ITEM = re.compile(r"[A-Za-z0-9]{12}")
_HEADERS = {kind: ["ID", "Hash"] for kind in ("NDZ", EMAIL, "Phone", "MAID", "NameVIN", "CTVID")}
_HEADERS[REMOVED] = ["ID", "Hash", "ListType"]
_MOST_BYTES = 512 * 1024 * 1024
_SUFFIX = 9
_DIGEST = 32
_IDLE_SECONDS = 600.0
_PACIFIC = ZoneInfo("America/Los_Angeles")


@dataclass(frozen=True)
class Rhythm:
    """How often the lists are pulled, how often requests under way are looked at, and when DROP is closed every day.

    `closed` is "HH:MM-HH:MM", Pacific Time, within one day, or "never".
    """

    every: timedelta
    look_seconds: float = 60.0
    closed: str = "01:00-03:00"

    @property
    def idle_seconds(self) -> float:
        """How often the calendar is looked at."""
        return min(_IDLE_SECONDS, self.every.total_seconds())

    def opens_in(self, now: datetime) -> timedelta:
        """How long DROP is closed from now on; zero while it is open."""
        if self.closed == "never":
            return timedelta()
        closes, _, opens = self.closed.partition("-")
        here = now.astimezone(_PACIFIC)
        if not time.fromisoformat(closes) <= here.time() < time.fromisoformat(opens):
            return timedelta()
        until = datetime.combine(here.date(), time.fromisoformat(opens), _PACIFIC)
        return until.astimezone(now.tzinfo) - now


class Outcome(IntEnum):
    """What is reported of one item."""

    EXEMPTED = 2
    DELETED = 3
    OPTED_OUT = 4
    NOT_FOUND = 5


class DropFormatError(ValueError):
    """What came is no archive of deletion lists. The text holds nothing of its content."""


@dataclass(frozen=True)
class Listing:
    """One list of an archive: items with the hash of an identifier each."""

    name: str
    kind: str
    rows: tuple[tuple[str, str], ...]
    malformed: int = 0
    """Rows without a proper id: they cannot be answered."""


def is_answered(listing: Listing) -> bool:
    """Whether DROP waits for answers to this list."""
    return listing.kind != REMOVED and bool(listing.rows)


def drop_hash(address: str) -> str:
    """How DROP names a mail address: no white space, lower case, SHA-256, Base64."""
    plain = "".join(address.split()).lower()
    return base64.b64encode(hashlib.sha256(plain.encode()).digest()).decode()


def hex_of(hashed: str) -> str | None:
    """The same digest as IDENTIFIER_KIND_EMAIL_SHA256 writes it; None for what is no digest."""
    try:
        digest = base64.b64decode(hashed, validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest.hex() if len(digest) == _DIGEST else None


def read_archive(content: bytes) -> list[Listing]:
    """The lists of a download.

    Raises:
        DropFormatError: It is none, or larger than any that can be.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MOST_BYTES:
                raise DropFormatError("the archive is too large")
            return [_listing(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, zlib.error) as error:
        raise DropFormatError("the download is no archive") from error


def _listing(name: str, content: bytes) -> Listing:
    found = _NAME.fullmatch(name)
    if found is None:
        raise DropFormatError("a file of the archive has no name of DROP's")
    try:
        rows = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
        if next(rows, None) != _HEADERS[found["kind"]]:
            raise DropFormatError("a list has another header")
        read = [row for row in rows if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DropFormatError("a list is no CSV") from error
    good = {row[0]: row[1] for row in read if len(row) > 1 and _ITEM.fullmatch(row[0])}
    malformed = sum(not (len(row) > 1 and _ITEM.fullmatch(row[0])) for row in read)
    return Listing(name, found["kind"], tuple(good.items()), malformed)


def report(answers: Iterable[tuple[str, int]]) -> bytes:
    """The file of answers."""
    lines = ["Id,Status", *(f"{item},{int(outcome)}" for item, outcome in answers)]
    return "".join(f"{line}\r\n" for line in lines).encode()


def amendment_name(name: str, content: bytes) -> str:
    """A name for amended answers to a list: the same content has the same name, so a repeat is seen as one."""
    digest = hashlib.sha256(content).hexdigest()[:_SUFFIX]
    return f"{name.removesuffix('.csv')}_a{digest}.csv"


def wish_for(names: Collection[str]) -> Right:
    """Several persons who share an identifier are opted out, one alone is deleted."""
    persons = {" ".join(name.casefold().split()) for name in names}
    return Right.ERASURE if len(persons) < 2 else Right.OPT_OUT  # noqa: PLR2004 - several


def outcome_of(right: Right, state: State) -> Outcome | None:
    """What a request that ended is reported as; None while it is under way.

    A deletion that leaves what the law exempts is a deletion; one that was refused or taken back left everything.
    """
    if state not in FINAL:
        return None
    if state not in (State.FULFILLED, State.FULFILLED_IN_PART):
        return Outcome.EXEMPTED
    return Outcome.DELETED if right is Right.ERASURE else Outcome.OPTED_OUT


def is_due(last: datetime | None, now: datetime, every: timedelta) -> bool:
    """Whether the lists are to be pulled."""
    return last is None or now - last >= every


def chunks(rows: tuple[tuple[str, str], ...], size: int) -> Iterator[tuple[tuple[str, str], ...]]:
    """The rows in pieces."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
