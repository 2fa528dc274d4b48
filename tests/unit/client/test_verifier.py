"""Evidence that is true passes; each way to bend it is found and named."""

import base64
import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from igstats_audit.archive import pem
from igstats_audit.note import NoteSigner
from igstats_audit.tree import EMPTY_ROOT
from igstats_client.archive import FOR_PEOPLE
from igstats_client.verdict import Check, Witnessed
from igstats_client.verifier import verify

from tests.unit.audit.test_witness import NAME, VKEY, cosignature
from tests.unit.client.conftest import log_signer
from tests.unit.client.conftest import pem as pem_of

Case = Any
"""The builder of conftest.py."""

Files = dict[str, bytes]
FIRST = "entries/01-receipt.issued"
FOURTH = "entries/04-receipt.issued"


def checks(files: Files) -> set[Check]:
    return {finding.check for finding in verify(files).findings}


def key_file(case: Case, holder: str) -> str:
    raw = case.keys[holder].public_key().public_bytes_raw()
    return f"keys/holders/{holder}.{hashlib.sha256(raw).digest()[:8].hex()}.pem"


def test_true_evidence_has_no_findings_and_tells_who_did_what(case: Case) -> None:
    verdict = verify(case.archive())
    assert verdict.ok, verdict.findings
    assert (verdict.state, verdict.entry_count, verdict.tree_size) == ("FULFILLED", 17, 27)
    assert verdict.signed_with == ("Ed25519", "ML-DSA-44")
    assert [statement.holder for statement in verdict.statements] == ["audit", "gateway", "privacy", "stats"]
    assert verdict.statements[0].outcome == "ERASED"
    assert verdict.statements[0].counts == (("profiles", 1),)
    assert verdict.statements[0].phases == ("FENCE", "ERASE", "SWEEP", "ATTEST")
    assert not verdict.keys_pinned


def test_a_log_with_one_key_is_enough(case: Case, one_key: Any) -> None:
    case.log = one_key
    verdict = verify(case.archive())
    assert (verdict.ok, verdict.signed_with) == (True, ("Ed25519",))


def test_trusted_keys_that_agree_are_pinned(case: Case) -> None:
    trusted = {holder: [key.public_key().public_bytes_raw()] for holder, key in case.keys.items()}
    verdict = verify(case.archive(), log_keys=case.log.verifier_keys, holder_keys=trusted)
    assert verdict.ok
    assert verdict.keys_pinned
    assert verify(case.archive(), log_keys=case.log.verifier_keys[:1], holder_keys=trusted).ok


@pytest.mark.parametrize("which", [0, 1])
def test_a_log_under_another_key_is_not_trusted(case: Case, which: int) -> None:
    files, trusted = case.archive(), type(case)().log.verifier_keys[which]
    assert {finding.check for finding in verify(files, log_keys=[trusted]).findings} >= {Check.LOG_KEY_UNTRUSTED}


def test_a_second_key_that_is_trusted_may_not_be_left_out(case: Case, one_key: Any) -> None:
    trusted, case.log = case.log.verifier_keys, one_key
    pins = [one_key.verifier_key, trusted[1]]
    assert Check.LOG_KEY_UNTRUSTED in {finding.check for finding in verify(case.archive(), log_keys=pins).findings}


def test_a_holder_under_another_key_is_not_trusted(case: Case) -> None:
    trusted = {holder: [key.public_key().public_bytes_raw()] for holder, key in case.keys.items()}
    trusted["stats"] = [b"k" * 32]
    found = {finding.check for finding in verify(case.archive(), holder_keys=trusted).findings}
    assert Check.HOLDER_KEY_UNTRUSTED in found


WITNESSED_AT = datetime(2026, 11, 23, 12, 1, tzinfo=UTC)


def test_a_witness_that_is_trusted_is_told_with_its_time(case: Case) -> None:
    case.cosign = partial(cosignature, seconds=int(WITNESSED_AT.timestamp()))
    verdict = verify(case.archive(), witness_keys=[VKEY])
    assert verdict.ok, verdict.findings
    assert (verdict.witnesses, verdict.unknown_signers) == ((Witnessed(NAME, WITNESSED_AT),), ())


def test_the_first_of_the_times_of_a_witness_counts(case: Case) -> None:
    other = log_signer()
    case.cosign = lambda checkpoint: cosignature(checkpoint, 2**62) + _last_line(other.cosign(checkpoint.text))
    case.log = NoteSigner("igstats.test/log", pem_of(Ed25519PrivateKey.generate()))
    verdict = verify(case.archive(), witness_keys=[VKEY, other.verifier_keys[1]])
    assert verdict.ok, verdict.findings
    assert [one.name for one in verdict.witnesses] == [NAME, other.name]
    assert verdict.witnesses[0].time.year == 9999, "a time beyond the calendar is its last"


def _last_line(note: str) -> str:
    return note.removesuffix("\n").rpartition("\n")[2] + "\n"


def test_lines_of_strangers_are_told_and_prove_nothing(case: Case) -> None:
    case.cosign = lambda checkpoint: cosignature(checkpoint)[:-9] + "AAAAAAA=\n"
    verdict = verify(case.archive())
    assert verdict.ok, verdict.findings
    assert (verdict.witnesses, verdict.unknown_signers) == ((), (NAME,))


def test_a_witness_that_is_trusted_must_have_signed_and_this_checkpoint(case: Case) -> None:
    missing = verify(case.archive(), witness_keys=[VKEY])
    assert {finding.check for finding in missing.findings} == {Check.WITNESS_MISSING}
    case.cosign = lambda checkpoint: cosignature(replace(checkpoint, size=3))
    wrong = verify(case.archive(), witness_keys=[VKEY])
    assert {finding.check for finding in wrong.findings} == {Check.WITNESS_SIGNATURE}


@pytest.mark.parametrize("which", ["no key", "a log's key", "the log's own"])
def test_what_is_no_key_of_a_witness_is_refused(case: Case, which: str) -> None:
    given = {
        "no key": "w+1+AA==",
        "a log's key": log_signer().verifier_keys[0],
        "the log's own": case.log.verifier_keys[1],
    }
    found = verify(case.archive(), witness_keys=[given[which]]).findings
    assert {finding.check for finding in found} == {Check.WITNESS_KEY_MALFORMED}


def test_facts_of_other_kinds_may_stand_beside_the_receipts(case: Case) -> None:
    assert verify(case.log_payloads([("retention.ran", "stats", b"{}"), *case.payloads()])).ok


@pytest.mark.parametrize("state", ["DENIED", "WITHDRAWN", "EXPIRED", "REQUEST_STATE_DENIED"])
def test_a_request_that_was_not_fulfilled_needs_no_receipts(case: Case, state: str) -> None:
    case.receipts.clear()
    case.closing.state = state
    case.list_holders()
    assert verify(case.archive()).ok


@pytest.mark.parametrize("state", ["", "DONE", "EXECUTING", "REQUEST_STATE_", "fulfilled", "FULFILLED "])
def test_a_request_that_ends_as_none_can_is_refused(case: Case, state: str) -> None:
    case.closing.state = state
    assert checks(case.archive()) == {Check.STATE_UNKNOWN}


def test_the_page_and_the_manual_are_not_relied_on(case: Case) -> None:
    files = case.archive()
    for name in FOR_PEOPLE:
        del files[name]
    assert verify(files).ok


def test_evidence_of_another_log_under_the_same_name_does_not_fit(case: Case) -> None:
    files, other = case.archive(), type(case)().fill().archive()
    for bent, check in (
        (files | {f"{FOURTH}.tlog-proof": other[f"{FOURTH}.tlog-proof"]}, Check.PROOF_CHECKPOINT),
        (files | {"checkpoint/note.txt": other["checkpoint/note.txt"]}, Check.CHECKPOINT_SIGNATURE),
        (files | {"keys/log.vkey": other["keys/log.vkey"]}, Check.CHECKPOINT_SIGNATURE),
    ):
        assert check in checks(bent)


def test_receipts_that_change_places_do_not_fit(case: Case) -> None:
    files = case.archive()
    for part in ("payload", "salt"):
        first, fourth = f"{FIRST}.{part}", f"{FOURTH}.{part}"
        files[first], files[fourth] = files[fourth], files[first]
    assert Check.COMMITMENT in checks(files)


def test_a_holders_receipt_of_another_request_does_not_count(case: Case) -> None:
    case.receipts[5].request_id = "req_02"
    assert Check.REQUEST in checks(case.archive())
    case.receipts[5].request_id, case.receipts[5].task_id = "req_01", "req_01/stats/ERASE"
    assert Check.TASK in checks(case.archive())


def _checkpoint(size: int, root: bytes) -> Callable[[Case, Files], object]:
    def change(case: Case, files: Files) -> None:
        text = f"{case.log.name}\n{size}\n{base64.b64encode(root).decode()}\n"
        files["checkpoint/note.txt"] = case.log.cosign(text).encode()

    return change


def _on(name: str, change: Callable[[bytes], bytes]) -> Callable[[Case, Files], object]:
    return lambda _, files: files.__setitem__(name, change(files[name]))


def _without(name: str) -> Callable[[Case, Files], object]:
    return lambda _, files: files.pop(name)


def _without_entry(number: int, files: Files) -> None:
    for name in [name for name in files if name.startswith(f"entries/{number:02}-")]:
        del files[name]


def _path(change: Callable[[list[bytes]], object]) -> Callable[[bytes], bytes]:
    """Changes the lines of a proof; the first names its form, the second the index."""

    def changed(proof: bytes) -> bytes:
        head, blank, note = proof.partition(b"\n\n")
        lines = head.split(b"\n")
        change(lines)
        return b"\n".join(lines) + blank + note

    return changed


def _other_origin(case: Case, files: Files) -> None:
    text = files["checkpoint/text"].decode().replace(case.log.name, "another.log")
    files["checkpoint/note.txt"] = case.log.cosign(text).encode()


def _renamed(old: str, new: str) -> Callable[[Case, Files], object]:
    return lambda _, files: files.__setitem__(new, files.pop(old))


def _index(change: Callable[[Any], object]) -> Callable[[bytes], bytes]:
    def changed(content: bytes) -> bytes:
        fields = json.loads(content)
        change(fields)
        return json.dumps(fields, indent=2).encode() + b"\n"

    return changed


HASH = base64.b64encode(b"x" * 32)
BENT: list[tuple[Check, Callable[[Case, Files], Any]]] = [
    (Check.LOG_KEY_MALFORMED, _on("keys/log.vkey", lambda _: b"key\n")),
    (Check.LOG_KEY_MALFORMED, _on("keys/log.vkey", lambda key: key[:-1])),
    (Check.LOG_KEY_MALFORMED, _on("keys/log.vkey", lambda key: key * 2)),
    (Check.LOG_KEY_MALFORMED, lambda _, f: f.__setitem__("keys/log.vkey", f["keys/log-mldsa44.vkey"])),
    (Check.FILE_MISSING, _without("keys/log.vkey")),
    (Check.FILE_MISSING, _without("keys/log.pem")),
    (Check.FILE_MISSING, _without("request.json")),
    (Check.FILE_MISSING, _without("checkpoint/note.txt")),
    (Check.FILE_MISSING, _without("checkpoint/text")),
    (Check.FILE_MISSING, _without("receipts/04-stats-FENCE.sig")),
    (Check.FILE_MISSING, _without(f"{FOURTH}.salt")),
    (Check.FILE_MISSING, lambda _, f: _without_entry(4, f)),
    (Check.FILE_MISSING, _renamed(f"{FIRST}.leaf", "entries/1-receipt.issued.leaf")),
    (Check.FILE_UNKNOWN, lambda _, f: f.__setitem__("notes.txt", b"")),
    (Check.FILE_UNKNOWN, lambda _, f: f.__setitem__("receipts/04-stats-ERASE.sig", f["receipts/04-stats-FENCE.sig"])),
    (Check.FILE_UNKNOWN, lambda _, f: f.__setitem__(f"{FIRST}.txt", b"")),
    (Check.FILE_DIFFERS, lambda c, f: f.__setitem__("keys/log.pem", f[key_file(c, "stats")])),
    (Check.FILE_DIFFERS, _on("checkpoint/ed25519.sig", lambda raw: raw[::-1])),
    (Check.FILE_DIFFERS, _on("receipts/04-stats-FENCE.signed", lambda raw: raw + b"x")),
    (Check.FILE_DIFFERS, _on("request.json", _index(lambda one: one.update(tree_size=28)))),
    (Check.FILE_DIFFERS, _on("request.json", _index(lambda one: one.update(more=1)))),
    (Check.FILE_DIFFERS, _on("request.json", _index(lambda one: one["holder_keys"].pop()))),
    (Check.FILE_DIFFERS, _on("request.json", lambda raw: raw + b" ")),
    (Check.CHECKPOINT_MALFORMED, _on("checkpoint/note.txt", lambda note: note[:-1])),
    (Check.CHECKPOINT_MALFORMED, _on("checkpoint/note.txt", lambda note: note + b"\xff")),
    (Check.CHECKPOINT_SIGNATURE, _on("checkpoint/note.txt", lambda note: note.replace(b"\n27\n", b"\n28\n"))),
    (Check.CHECKPOINT_SIGNATURE, _on("checkpoint/note.txt", lambda note: note[: note[:-1].rindex(b"\n") + 1])),
    (Check.CHECKPOINT_MALFORMED, _other_origin),
    (Check.TREE_EMPTY, _checkpoint(0, EMPTY_ROOT)),
    (Check.INCLUSION, _checkpoint(8, b"r" * 32)),
    (Check.INCLUSION, _checkpoint(27, b"r" * 32)),
    (Check.ENTRIES_MISSING, lambda _, f: [f.pop(name) for name in list(f) if name.startswith("entries/")]),
    (Check.ENTRY_ORDER, lambda _, f: f.__setitem__(f"{FOURTH}.tlog-proof", f[f"{FIRST}.tlog-proof"])),
    (Check.PROOF_MALFORMED, _on(f"{FOURTH}.tlog-proof", lambda _: b"")),
    (Check.PROOF_MALFORMED, _on(f"{FOURTH}.tlog-proof", lambda _: b"\xff")),
    (Check.PROOF_MALFORMED, _on(f"{FOURTH}.tlog-proof", _path(lambda lines: lines.__setitem__(1, b"index -1")))),
    (Check.PROOF_MALFORMED, _on(f"{FOURTH}.tlog-proof", _path(lambda lines: lines.__setitem__(2, HASH[4:])))),
    (Check.PROOF_CHECKPOINT, _on(f"{FOURTH}.tlog-proof", _path(lambda lines: lines.insert(1, b"extra " + HASH)))),
    (Check.PROOF_CHECKPOINT, _on(f"{FOURTH}.tlog-proof", lambda raw: raw.replace(b"\n27\n", b"\n28\n"))),
    (Check.INCLUSION, _on(f"{FOURTH}.tlog-proof", _path(lambda lines: lines.__setitem__(1, b"index 27")))),
    (Check.INCLUSION, _on(f"{FOURTH}.tlog-proof", _path(lambda lines: lines.append(HASH)))),
    (Check.INCLUSION, _on(f"{FOURTH}.tlog-proof", _path(lambda lines: lines.pop()))),
    (Check.INCLUSION, _on(f"{FOURTH}.tlog-proof", _path(lambda lines: lines.__setitem__(2, HASH)))),
    (Check.INCLUSION, _on(f"{FOURTH}.leaf", lambda leaf: leaf[:-1] + b"x")),
    (Check.LEAF_MALFORMED, _on(f"{FOURTH}.leaf", lambda leaf: leaf + b"\0")),
    (Check.LEAF_MALFORMED, _on(f"{FOURTH}.leaf", lambda leaf: b"\x02" + leaf[1:])),
    (Check.LEAF_MALFORMED, _on(f"{FOURTH}.leaf", lambda _: b"\x01" + b"\0" * 92)),
    (Check.LEAF_MALFORMED, _on(f"{FOURTH}.leaf", lambda leaf: leaf[:57] + b"\xff" * 4 + leaf[61:])),
    (
        Check.LEAF_KIND,
        lambda _, f: [_renamed(n, n.replace("receipt.issued", "a.b"))(_, f) for n in sorted(f) if FIRST in n],
    ),
    (Check.COMMITMENT, _on(f"{FOURTH}.salt", lambda _: b"s" * 32)),
    (Check.COMMITMENT, _on(f"{FOURTH}.payload", lambda _: b"")),
    (Check.HOLDER_KEY_MALFORMED, lambda c, f: f.__setitem__(key_file(c, "stats"), b"short")),
    (Check.HOLDER_KEY_MALFORMED, lambda c, f: f.__setitem__(key_file(c, "stats"), pem(b"k" * 32))),
    (Check.HOLDER_KEY_MALFORMED, lambda c, f: f.__setitem__(key_file(c, "stats"), f[key_file(c, "stats")] + b"\n")),
    (Check.HOLDER_KEY_MISSING, lambda c, f: f.pop(key_file(c, "stats"))),
    (Check.REQUEST, _on("request.json", lambda _: b"[]")),
    (Check.REQUEST, _on("request.json", lambda _: b"no json")),
    (Check.REQUEST, _on("request.json", _index(lambda one: one.update(request_id="")))),
    (Check.REQUEST, _on("request.json", _index(lambda one: one.update(request_id="req_02")))),
    (Check.CLOSING_MISSING, lambda _, f: _without_entry(17, f)),
    (Check.RECEIPT_CHAIN, lambda _, f: _without_entry(1, f)),
    (Check.PHASE_MISSING, lambda _, f: _without_entry(1, f)),
]


@pytest.mark.parametrize(("check", "bend"), BENT)
def test_bent_evidence_is_found_out(case: Case, check: Check, bend: Callable[[Case, Files], object]) -> None:
    files = case.archive()
    bend(case, files)
    assert check in checks(files)


def test_a_salt_takes_no_bytes_from_its_payload(case: Case) -> None:
    files = case.archive()
    files[f"{FIRST}.salt"] += files[f"{FIRST}.payload"][:1]
    files[f"{FIRST}.payload"] = files[f"{FIRST}.payload"][1:]
    assert Check.COMMITMENT in checks(files)


def test_every_changed_byte_of_every_file_that_is_relied_on_is_noticed(case: Case) -> None:
    files = case.archive()
    chance = random.Random(7)  # noqa: S311 - a repeatable choice of places, no secret
    for name in sorted(files.keys() - FOR_PEOPLE):
        content = files[name]
        for place in chance.sample(range(len(content)), min(12, len(content))):
            bent = bytearray(content)
            bent[place] ^= 1 << chance.randrange(8)
            assert not verify(files | {name: bytes(bent)}).ok, f"bit flipped at {place} of {name}"
        assert not verify({one: files[one] for one in files if one != name}).ok, f"without {name}"
        assert not verify(files | {name: content + b"\n"}).ok, f"{name} grown"
