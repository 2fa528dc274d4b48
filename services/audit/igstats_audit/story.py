"""The evidence of one request, read and named: what every file of its archive is made from."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from igstats_audit.model import Entry
from igstats_audit.statements import Closing, Statement

_KEY_ID_BYTES = 8


@dataclass(frozen=True, slots=True)
class HolderKey:
    """A key of a holder."""

    holder: str
    public_key: bytes

    @property
    def key_id(self) -> str:
        """Short name of the key, as receipts carry it."""
        return hashlib.sha256(self.public_key).digest()[:_KEY_ID_BYTES].hex()

    @property
    def file(self) -> str:
        """Its file in the archive."""
        return key_file(self.holder, self.key_id)


def key_file(holder: str, key_id: str) -> str:
    """Where the archive has a key of a holder."""
    return f"keys/holders/{holder}.{key_id}.pem"


@dataclass(frozen=True, slots=True)
class Exhibit:
    """An entry under its name in the archive, with its proof, and what it says when it is a receipt."""

    name: str
    number: str
    entry: Entry
    path: tuple[bytes, ...]
    said: Statement | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """An entry that is a receipt: what it says, and which of the files are its."""

    exhibit: Exhibit
    said: Statement

    @property
    def name(self) -> str:
        """Name of the receipt's files, without their endings."""
        return f"receipts/{self.exhibit.number}-{self.said.holder}-{self.said.phase}"

    @property
    def key_file(self) -> str:
        """The file of the key that signed it."""
        return key_file(self.said.holder, self.said.key_id)


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that is told about a request."""

    request_id: str
    exhibits: tuple[Exhibit, ...]
    closing: Closing
    keys: tuple[HolderKey, ...]
    origin: str
    tree_size: int
    witnesses: tuple[str, ...] = ()
    """Who else has signed the checkpoint."""

    @property
    def receipts(self) -> Sequence[Receipt]:
        """What the holders said, in the order of the log."""
        return [Receipt(exhibit, exhibit.said) for exhibit in self.exhibits if exhibit.said is not None]

    @property
    def statements(self) -> Sequence[Statement]:
        """The same without their places."""
        return [receipt.said for receipt in self.receipts]
