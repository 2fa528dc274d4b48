"""What the platform knows: consumers who asked, the download under way, and what brokers answered.

Shapes of https://privacy.ca.gov/drop-for-data-brokers/technical-specifications/ (1.2.0). The hash rule is written
apart from the gateway's on purpose: the emulator would not show an error that both share.
"""

import base64
import csv
import hashlib
import io
import secrets
import string
import zipfile
from dataclasses import dataclass, field
from datetime import datetime

_ALPHABET = string.ascii_letters + string.digits
_STATUSES = frozenset("2345")
BROKER = "4821"


class NotCompleteError(Exception):
    """Answers to the last download are missing."""


class NothingWaitsError(Exception):
    """No download waits for answers."""


@dataclass
class Consumer:
    """Somebody who asked every broker to delete."""

    item_id: str
    address: str
    delivered: bool = False


@dataclass
class Lists:
    """One broker's side of the platform. `answers` are the statuses by item, `uploads` the files by name."""

    consumers: dict[str, Consumer] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, str] = field(default_factory=dict)
    outstanding: set[str] = field(default_factory=set)
    removed: list[str] = field(default_factory=list)
    _name: str = ""

    def ask(self, address: str) -> str:
        """A consumer asks; answers the id of the item."""
        item_id = "".join(secrets.choice(_ALPHABET) for _ in range(12))
        self.consumers[item_id] = Consumer(item_id, address)
        return item_id

    def take_back(self, item_id: str) -> None:
        """A consumer changes their mind."""
        self.removed.append(item_id)

    def download(self, now: datetime) -> bytes | None:
        """The archive; None when there is nothing new.

        Raises:
            NotCompleteError: Some items of the last one are not answered.
        """
        if self.outstanding:
            raise NotCompleteError
        new = [one for one in self.consumers.values() if not one.delivered and one.item_id not in self.removed]
        gone, self.removed = [self.consumers[one] for one in self.removed], []
        if not new and not gone:
            return None
        self._name = f"{now:%Y%m%d}_{BROKER}"
        self.uploads = {}
        self.outstanding = {one.item_id for one in new}
        for one in new:
            one.delivered = True
        return self._archive(new, gone)

    def reissue(self) -> None:
        """What DROP's support does when a download was lost: the next one brings its items again."""
        for item_id in self.outstanding:
            self.consumers[item_id].delivered = False
        self.outstanding.clear()

    def upload(self, name: str, content: str) -> str:
        """Takes answers; "" or why the file is refused.

        Raises:
            NothingWaitsError: All items are answered.
        """
        if not self.outstanding:
            raise NothingWaitsError
        return self._take(name, content, known=self.outstanding)

    def amend(self, name: str, content: str) -> str:
        """Takes corrected answers; "" or why the file is refused."""
        return self._take(name, content, known=set(self.answers))

    def _take(self, name: str, content: str, *, known: set[str]) -> str:
        rows = list(csv.reader(io.StringIO(content, newline="")))
        if rows[:1] != [["Id", "Status"]]:
            return "Invalid CSV header. Expected: Id,Status."
        if name in self.uploads:
            return (
                "A file with this name was already uploaded for the current download. Use a unique suffix and try again"
            )
        if any(len(row) != 2 or row[0] not in known or row[1] not in _STATUSES for row in rows[1:]):  # noqa: PLR2004 - Id and Status
            return "A row has an unknown Id or Status."
        self.uploads[name] = content
        self.answers |= dict(row for row in rows[1:])
        self.outstanding -= {row[0] for row in rows[1:]}
        return ""

    def _archive(self, new: list[Consumer], gone: list[Consumer]) -> bytes:
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(
                f"{self._name}_Email.csv", _csv(["ID", "Hash"], [[one.item_id, hashed(one)] for one in new])
            )
            archive.writestr(f"{self._name}_Phone.csv", _csv(["ID", "Hash"], []))
            if gone:
                rows = [[one.item_id, hashed(one), "Email"] for one in gone]
                archive.writestr(f"{self._name}_Removed.csv", _csv(["ID", "Hash", "ListType"], rows))
        return made.getvalue()


def hashed(consumer: Consumer) -> str:
    """The consumer's address as the lists have it."""
    plain = consumer.address.translate({ord(one): None for one in string.whitespace}).lower()
    return base64.standard_b64encode(hashlib.sha256(plain.encode("utf-8")).digest()).decode("ascii")


def _csv(header: list[str], rows: list[list[str]]) -> str:
    made = io.StringIO(newline="")
    csv.writer(made).writerows([header, *rows])
    return made.getvalue()
