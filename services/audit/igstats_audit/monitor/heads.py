"""Rules for heads and checkpoints, pure: signatures, a head row against its checkpoint, a cut against the policy."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from igstats_audit.model import Log
from igstats_audit.monitor.memory import Memory, Stand
from igstats_audit.monitor.model import FindingKind, HeadRow, Observation
from igstats_audit.note import ED25519, Checkpoint, cosigned_message, key_id, read_checkpoint, verifier_key
from igstats_audit.tree import HASH_SIZE, Range

_ID_SIZE = 4
_TIME_SIZE = 8
_DASH = "— "


@dataclass(frozen=True, slots=True)
class Keys:
    """The public keys of a log. The Ed25519 key must have signed every checkpoint; others may have."""

    origin: str
    public: Sequence[bytes]

    @classmethod
    def of(cls, verifier_keys: Sequence[str]) -> "Keys":
        """Reads vkeys, that of Ed25519 first."""
        parts = [key.split("+", 2) for key in verifier_keys]
        return cls(parts[0][0], [base64.b64decode(encoded) for _, _, encoded in parts])

    @classmethod
    def among(cls, lines: str, name: str) -> "Keys":
        """The keys of this name among vkeys, one a line.

        Raises:
            ValueError: There is no Ed25519 key of this name, or one of its lines is no vkey.
        """
        found = cls.of([line for line in lines.splitlines() if line.startswith(f"{name}+")] or [f"{name}++"])
        if found.public[0][:1] != ED25519 or not set(found.verifier_keys) <= set(lines.splitlines()):
            raise ValueError(f"there is no Ed25519 key of {name} among the verifier keys, or a line is none")
        return found

    @property
    def verifier_keys(self) -> list[str]:
        """The vkeys, that of Ed25519 first."""
        return [verifier_key(self.origin, public) for public in self.public]

    def open(self, note: str) -> Checkpoint:
        """The checkpoint of a note that the log has signed.

        Raises:
            ValueError: It has not, or this is no checkpoint of it.
        """
        text, blank, block = note.rpartition("\n\n")
        if not blank or not block.endswith("\n"):
            raise ValueError("it is not a signed note")
        checkpoint = read_checkpoint(note)
        if checkpoint.origin != self.origin or checkpoint.text != f"{text}\n":
            raise ValueError("it is not a checkpoint of this log")
        signatures = dict(map(_signature, block[:-1].split("\n")))
        ours = {(self.origin, key_id(self.origin, public)) for public in self.public}
        if any(name == self.origin for name, _ in signatures.keys() - ours):
            raise ValueError("it has a signature of an unknown key under the name of the log")
        for public in self.public:
            signature = signatures.get((self.origin, key_id(self.origin, public)))
            if signature is not None:
                _verify(public, signature, checkpoint)
            elif public[:1] == ED25519:
                raise ValueError("the log has not signed it")
        return checkpoint


def _signature(line: str) -> tuple[tuple[str, bytes], bytes]:
    dash, name, encoded = line.split(" ")
    raw = base64.b64decode(encoded, validate=True)
    if f"{dash} " != _DASH or base64.b64encode(raw).decode() != encoded:
        raise ValueError("it has a line that is no signature")
    return (name, raw[:_ID_SIZE]), raw[_ID_SIZE:]


def _verify(public: bytes, signature: bytes, checkpoint: Checkpoint) -> None:
    try:
        if public[:1] == ED25519:
            Ed25519PublicKey.from_public_bytes(public[1:]).verify(signature, checkpoint.text.encode())
            return
        seconds = int.from_bytes(signature[:_TIME_SIZE], "big")
        message = cosigned_message(checkpoint.origin, seconds, checkpoint)
        MLDSA44PublicKey.from_public_bytes(public[1:]).verify(signature[_TIME_SIZE:], message)
    except InvalidSignature as error:
        raise ValueError("its signature is wrong") from error


def tree_of(row: HeadRow, checkpoint: Checkpoint) -> Range | None:
    """The tree of a head as its compact range has it, if that is the tree which the checkpoint signs."""
    raw = row.compact_range
    try:
        tree = Range(checkpoint.size, tuple(raw[at : at + HASH_SIZE] for at in range(0, len(raw), HASH_SIZE)))
    except ValueError:
        return None
    return tree if tree.root == checkpoint.root else None


def check_head(log: Log, row: HeadRow, checkpoint: Checkpoint) -> Iterator[Observation]:
    """Compares the columns of a head with the checkpoint in it."""
    wrong = []
    if row.size != checkpoint.size:
        wrong.append(f"size is {row.size}, signed is {checkpoint.size}")
    if row.root != checkpoint.root:
        wrong.append("root is not the signed one")
    if tree_of(row, checkpoint) is None:
        wrong.append("compact range does not make the signed root")
    if wrong:
        yield Observation(log, FindingKind.HEAD_CHANGED, "head", "; ".join(wrong))


def check_stand(log: Log, row: HeadRow, before: Stand | None, missing: int, today: date) -> Iterator[Observation]:
    """Compares the columns of a head that no checkpoint signs with its days, and with what they were.

    `missing` numbers of the log's producers have not come: what a stream loses brings no entries, but leaves a gap.
    """
    wrong = [*_wrong_day(row, today), *_wrong_stream(log, row)]
    if before is not None:
        wrong += _wrong_epoch(row, before)
        wrong += _wrong_position(row, before, missing)
    if wrong:
        yield Observation(log, FindingKind.HEAD_CHANGED, "head", "; ".join(wrong))


def _wrong_day(row: HeadRow, today: date) -> Iterator[str]:
    """A day that is not that of the newest entry would keep new entries for longer, or out of where they are read."""
    if row.newest_day is not None and row.day != row.newest_day:
        yield f"day is {row.day}, the newest of log_days is {row.newest_day}"
    if row.newest_day is None and row.size > row.minimum_index:
        yield "log_days knows no day of its entries"
    if row.oldest_index is not None and row.oldest_index != row.minimum_index:
        yield f"the first of log_days begins with entry {row.oldest_index}"
    if row.day > today + timedelta(days=1):
        yield f"day {row.day} is yet to come"


def _wrong_stream(log: Log, row: HeadRow) -> Iterator[str]:
    if log is Log.EVIDENCE and (row.stream_sequence or row.stream_made_at):
        yield "it has a place in a stream, and this log follows none"
    if row.stream_sequence < 0:
        yield f"position in the stream is {row.stream_sequence}"


def _wrong_epoch(row: HeadRow, before: Stand) -> Iterator[str]:
    """Whatever changes a head counts its epoch up; but the first stream is noted without."""
    if row.epoch < before.epoch:
        yield f"epoch went back from {before.epoch}"
    if row.epoch == before.epoch:
        same = {
            "size": row.size == before.size,
            "day": row.day == before.day,
            "stream_sequence": row.stream_sequence == before.stream_sequence,
            "stream_made_at": before.stream_made_at in {None, row.stream_made_at},
        }
        yield from (f"{name} is another one in the same epoch" for name, right in same.items() if not right)
    if row.stream_made_at is None and before.stream_made_at is not None:
        yield "it has forgotten its stream"


def _wrong_position(row: HeadRow, before: Stand, missing: int) -> Iterator[str]:
    """Whoever moves the position on lets events pass unlogged: each brings a call at least, but those that are parked.

    A stream that was made anew is followed from its beginning.
    """
    first = before.stream_made_at is None and row.stream_sequence >= before.stream_sequence
    base = before.stream_sequence if first or before.stream_made_at == row.stream_made_at else 0
    events, entries = row.stream_sequence - base, max(0, row.size - before.size)
    if events < 0:
        yield f"position in the stream went back from {base}"
    if events > entries + missing + row.parked:
        yield f"position in the stream went on by {events} events, and {entries} entries came"


def check_cut(
    log: Log, row: HeadRow, memory: Memory, today: date, days: int, *, announced: bool
) -> Iterator[Observation]:
    """Compares the minimum index with the retention: what came within its days must be there.

    The evidence log announces a cut before it happens, and what we saw ourselves says how young entries are. A day of
    grace is for clocks that do not agree about midnight.
    """
    minimum, before = row.minimum_index, memory.minimum_index
    wrong = []
    if minimum > max(0, row.size):
        wrong.append(f"size is {row.size}")
    if minimum < before:
        wrong.append(f"it went back from {before}")
    if not announced:
        wrong.append("no entry of the evidence log announces that cut")
    kept = today - timedelta(days=days - 2)
    young = min((size for day, size in memory.sizes.items() if day >= kept), default=minimum)
    if minimum > young:
        wrong.append(f"entries from {young} on are younger than {days} days")
    if wrong:
        yield Observation(log, FindingKind.HEAD_CHANGED, "head", f"minimum index is {minimum}; {'; '.join(wrong)}")
