"""Who beside the log has signed the checkpoint of an archive: witnesses that the reader trusts, and strangers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from igstats_client.checkpoint import Trust
from igstats_client.note import Note, NoteError, VerifierKey, cosigned_at, parse_verifier_key, signers
from igstats_client.verdict import Check, Findings, Witnessed

_WHERE = "checkpoint"
_EPOCH = datetime.fromtimestamp(0, UTC)
_LAST_SECOND = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Cosigners:
    """Trusted witnesses whose signature holds, and the names in all other lines, behind which may be anybody."""

    witnesses: tuple[Witnessed, ...] = ()
    strangers: tuple[str, ...] = ()


def check_witnesses(note: Note, own: Sequence[VerifierKey], given: Sequence[str], findings: Findings) -> Cosigners:
    """Checks that each witness named by a key has signed with one of its keys, and that all their signatures hold.

    `own` are the keys of the log, none of which is a witness's.
    """
    try:
        named = tuple(map(parse_verifier_key, given))
        Trust(own[0].name, tuple(own), witnesses=named)
    except NoteError as error:
        findings.note(Check.WITNESS_KEY_MALFORMED, _WHERE, error)
        return Cosigners()
    try:
        signed = signers(note, named)
    except NoteError as error:
        findings.note(Check.WITNESS_SIGNATURE, _WHERE, error)
        return Cosigners()
    for name in sorted({key.name for key in named} - {key.name for key in signed}):
        findings.note(Check.WITNESS_MISSING, _WHERE, f"{name} has not signed it")
    known = {key.name for key in (*own, *named)}
    strangers = dict.fromkeys(name for name, _, _ in note.signatures if name not in known)
    return Cosigners(_witnessed(note, signed), tuple(strangers))


def _witnessed(note: Note, signed: Sequence[VerifierKey]) -> tuple[Witnessed, ...]:
    """Each witness with the first time that it names; one beyond the calendar is its last second."""
    times: dict[str, int] = {}
    for key in signed:
        seconds = min(cosigned_at(key, note) or 0, _LAST_SECOND)
        times[key.name] = min(seconds, times.get(key.name, seconds))
    return tuple(Witnessed(name, _EPOCH + timedelta(seconds=seconds)) for name, seconds in times.items())
