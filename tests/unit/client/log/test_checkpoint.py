"""Whose signatures a reader accepts under a checkpoint."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from igstats_audit.note import key_id, verifier_key
from igstats_client.checkpoint import Trust, open_checkpoint, trust
from igstats_client.forms import Edge, Refusal
from igstats_client.note import cosigned_at, parse_verifier_key, split_note

Written = Any
"""What conftest.py writes."""

WITNESS = Ed25519PrivateKey.generate()
WITNESS_RAW = b"\x04" + WITNESS.public_key().public_bytes_raw()
WITNESS_KEY = verifier_key("witness.test/w1", WITNESS_RAW)


def refused(edge: Edge) -> pytest.RaisesExc[Refusal]:
    return pytest.RaisesExc(Refusal, check=lambda error: error.edge == edge)


def line(name: str, public: bytes, signature: bytes) -> str:
    return f"— {name} {base64.b64encode(key_id(name, public) + signature).decode()}\n"


def witnessed(note: str, seconds: int = 1_795_000_000) -> str:
    text = note.partition("\n\n")[0] + "\n"
    signature = WITNESS.sign(f"cosignature/v1\ntime {seconds}\n{text}".encode())
    return note + line("witness.test/w1", WITNESS_RAW, seconds.to_bytes(8, "big") + signature)


def test_both_keys_of_the_log_sign_its_checkpoint(small_log: Written) -> None:
    found = open_checkpoint(small_log.checkpoint, trust(small_log.signer.verifier_keys, needed=2))
    assert (found.origin, found.size, found.root) == (small_log.signer.name, 600, small_log.growth.after.root)


def test_one_key_is_enough_unless_more_are_needed(small_log: Written) -> None:
    checkpoint = small_log.signer.sign(small_log.checkpoint.partition("\n\n")[0] + "\n")
    assert open_checkpoint(checkpoint, trust(small_log.signer.verifier_keys)).size == 600
    with refused(Edge.SIGNERS_TOO_FEW):
        open_checkpoint(checkpoint, trust(small_log.signer.verifier_keys, needed=2))


def test_the_second_key_alone_is_enough_for_who_trusts_only_it(small_log: Written) -> None:
    assert open_checkpoint(small_log.checkpoint, trust(small_log.signer.verifier_keys[1:])).size == 600


def test_a_wrong_signature_of_a_trusted_key_spoils_the_note(small_log: Written) -> None:
    first, second = small_log.checkpoint.rstrip("\n").split("\n")[-2:]
    raw = bytearray(base64.b64decode(second.rsplit(" ", 1)[1]))
    raw[-1] ^= 1
    spoiled = small_log.checkpoint.replace(second.rsplit(" ", 1)[1], base64.b64encode(raw).decode())
    with refused(Edge.SIGNATURE_WRONG):
        open_checkpoint(spoiled, trust(small_log.signer.verifier_keys))
    assert open_checkpoint(spoiled, trust(small_log.signer.verifier_keys[:1]))
    assert first in spoiled


def test_the_time_of_a_cosignature_is_signed(small_log: Written) -> None:
    key = parse_verifier_key(small_log.signer.verifier_keys[1])
    note = split_note(small_log.checkpoint)
    seconds = cosigned_at(key, note)
    assert seconds == 1795392000
    encoded = small_log.checkpoint.rstrip("\n").rsplit(" ", 1)[1]
    raw = bytearray(base64.b64decode(encoded))
    raw[11] ^= 1
    later = small_log.checkpoint.replace(encoded, base64.b64encode(raw).decode())
    with refused(Edge.SIGNATURE_WRONG):
        open_checkpoint(later, trust(small_log.signer.verifier_keys[1:]))
    raw[4] ^= 0x80
    beyond = small_log.checkpoint.replace(encoded, base64.b64encode(raw).decode())
    with refused(Edge.NUMBER_RANGE):
        open_checkpoint(beyond, trust(small_log.signer.verifier_keys[1:]))


def test_only_cosignatures_have_a_time(small_log: Written) -> None:
    note = split_note(small_log.signer.sign("text\n"))
    assert [cosigned_at(parse_verifier_key(key), note) for key in small_log.signer.verifier_keys] == [None, None]


def test_a_quorum_of_witnesses_can_be_asked_for(small_log: Written) -> None:
    trusted = trust(small_log.signer.verifier_keys, witnesses=[WITNESS_KEY], quorum=1)
    assert open_checkpoint(witnessed(small_log.checkpoint), trusted).size == 600
    with refused(Edge.WITNESSES_TOO_FEW):
        open_checkpoint(small_log.checkpoint, trusted)


def test_a_witness_signs_one_text(small_log: Written, write_log: Callable[[list[bytes]], Written]) -> None:
    moved = witnessed(write_log([b"other"]).checkpoint).rstrip("\n").rsplit("\n", 1)[1]
    trusted = trust(small_log.signer.verifier_keys, witnesses=[WITNESS_KEY])
    with refused(Edge.SIGNATURE_WRONG):
        open_checkpoint(f"{small_log.checkpoint}{moved}\n", trusted)


def test_signatures_of_strangers_say_nothing(small_log: Written) -> None:
    assert open_checkpoint(witnessed(small_log.checkpoint), trust(small_log.signer.verifier_keys, needed=2))


def test_a_key_signs_once(small_log: Written) -> None:
    last = small_log.checkpoint.rstrip("\n").rsplit("\n", 1)[1]
    with refused(Edge.SIGNATURE_REPEATED):
        open_checkpoint(f"{small_log.checkpoint}{last}\n", trust(small_log.signer.verifier_keys))


def test_a_checkpoint_of_another_log_is_refused(small_log: Written) -> None:
    with refused(Edge.ORIGIN):
        open_checkpoint(small_log.checkpoint, trust(small_log.signer.verifier_keys, origin="igstats.test/access"))


def test_a_checkpoint_that_only_strangers_signed_is_refused(small_log: Written) -> None:
    stranger = verifier_key(small_log.signer.name, b"\x01" + WITNESS.public_key().public_bytes_raw())
    with refused(Edge.SIGNER_UNKNOWN):
        open_checkpoint(small_log.checkpoint, trust([stranger]))


def test_trust_is_in_keys_that_are_there_once(small_log: Written) -> None:
    keys = small_log.signer.verifier_keys
    own = parse_verifier_key(keys[0])
    with refused(Edge.KEY_REPEATED):
        trust([keys[0], keys[0]])
    with refused(Edge.KEY_REPEATED):
        trust(keys, witnesses=[verifier_key("w", b"\x04" + own.public_key)])
    with refused(Edge.SIGNERS_TOO_FEW):
        trust([])
    with refused(Edge.SIGNERS_TOO_FEW):
        trust(keys, needed=3)
    with refused(Edge.SIGNERS_TOO_FEW):
        trust(keys, needed=0)
    with refused(Edge.WITNESSES_TOO_FEW):
        trust(keys, quorum=1)
    with refused(Edge.KEY_TYPE):
        Trust("log", (own,), witnesses=(parse_verifier_key(verifier_key("w", b"\x01" + WITNESS_RAW[1:])),))


@pytest.mark.parametrize(
    ("public", "edge"),
    [
        (b"", Edge.KEY_TYPE),
        (b"\x02" + bytes(32), Edge.KEY_TYPE),
        (b"\x05" + bytes(32), Edge.KEY_TYPE),
        (b"\x01" + bytes(31), Edge.KEY_LENGTH),
        (b"\x04" + bytes(33), Edge.KEY_LENGTH),
        (b"\x06" + bytes(32), Edge.KEY_LENGTH),
    ],
)
def test_keys_of_other_types_and_lengths_are_refused(public: bytes, edge: Edge) -> None:
    with refused(edge):
        parse_verifier_key(verifier_key("log", public))
