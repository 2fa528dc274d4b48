"""Checkpoints and notes as C2SP writes them, checked by openssl too."""

import base64
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from igstats_audit.note import Checkpoint, NoteSigner, cosigned_message, read_checkpoint
from igstats_audit.tree import EMPTY_ROOT
from igstats_kit.testing.clock import FakeClock

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
SECOND = MLDSA44PrivateKey.from_seed_bytes(bytes(range(32)))
SECOND_PEM = SECOND.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
MOMENT = datetime(2026, 11, 23, 12, tzinfo=UTC)
SIGNER = NoteSigner("igstats.example/evidence", PEM)
BOTH = NoteSigner("igstats.example/evidence", PEM, SECOND_PEM, FakeClock(MOMENT))
CHECKPOINT = Checkpoint(BOTH.name, 1, b"\x11" * 32)


def test_a_checkpoint_is_origin_size_and_root() -> None:
    checkpoint = Checkpoint("igstats.example/evidence", 0, EMPTY_ROOT)
    assert checkpoint.text == "igstats.example/evidence\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"


def test_a_note_is_the_text_an_empty_line_and_the_signature() -> None:
    note = SIGNER.sign("words\n")
    text, _, line = note.partition("\n\n")
    dash, name, signature = line.rstrip("\n").split(" ")
    raw = base64.b64decode(signature)
    assert (text, dash, name) == ("words", "—", "igstats.example/evidence")
    assert raw[:4].hex() == SIGNER.verifier_key.split("+")[1]
    KEY.public_key().verify(raw[4:], b"words\n")


def test_signing_twice_gives_the_same_note() -> None:
    assert SIGNER.sign("words\n") == SIGNER.sign("words\n")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
def test_openssl_accepts_a_checkpoint_and_refuses_a_changed_one(tmp_path: Path) -> None:
    note = SIGNER.sign(Checkpoint(SIGNER.name, 1, b"\x11" * 32).text)
    text, _, line = note.partition("\n\n")
    (tmp_path / "key.pem").write_bytes(
        KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    )
    (tmp_path / "signature").write_bytes(base64.b64decode(line.rsplit(" ", 1)[1])[4:])
    (tmp_path / "good").write_bytes(f"{text}\n".encode())
    (tmp_path / "bad").write_bytes(f"{text}\n".replace("\n1\n", "\n2\n").encode())
    command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "key.pem", "-sigfile", "signature", "-in"]
    assert subprocess.run([*command, "good"], cwd=tmp_path, capture_output=True, check=False).returncode == 0
    assert subprocess.run([*command, "bad"], cwd=tmp_path, capture_output=True, check=False).returncode != 0


@pytest.mark.parametrize("name", ["", "two words", "a+b", "line\n", "wide\u2003space"])
def test_names_that_a_note_cannot_carry_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        NoteSigner(name, PEM)
    with pytest.raises(ValueError, match="name"):
        Checkpoint(name, 0, EMPTY_ROOT)


@pytest.mark.parametrize(("size", "root"), [(-1, EMPTY_ROOT), (1, b"short")])
def test_checkpoints_that_cannot_be_are_refused(size: int, root: bytes) -> None:
    with pytest.raises(ValueError, match="checkpoint"):
        Checkpoint("log", size, root)


def test_a_text_without_final_newline_is_not_signed() -> None:
    with pytest.raises(ValueError, match="newline"):
        SIGNER.sign("words")


def test_only_ed25519_keys_sign() -> None:
    other = X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(TypeError, match="Ed25519"):
        NoteSigner("log", other)


def test_a_cosigned_checkpoint_carries_both_signatures_under_one_name() -> None:
    text, _, block = BOTH.cosign(CHECKPOINT.text).partition("\n\n")
    lines = [line.split(" ") for line in block.rstrip("\n").split("\n")]
    first, second = (base64.b64decode(line[2]) for line in lines)
    assert [line[1] for line in lines] == [BOTH.name, BOTH.name]
    assert [first[:4].hex(), second[:4].hex()] == [key.split("+", 2)[1] for key in BOTH.verifier_keys]
    assert f"{text}\n" == CHECKPOINT.text
    KEY.public_key().verify(first[4:], CHECKPOINT.text.encode())
    assert int.from_bytes(second[4:12], "big") == int(MOMENT.timestamp())
    message = cosigned_message(BOTH.name, int(MOMENT.timestamp()), CHECKPOINT)
    SECOND.public_key().verify(second[12:], message)


def test_the_cosigned_message_is_laid_out_as_published() -> None:
    name = b"\x18igstats.example/evidence"
    fields = (b"subtree/v1\n\0", name, bytes(7), b"\x07", name, bytes(8), bytes(7), b"\x01", b"\x11" * 32)
    assert cosigned_message(BOTH.name, 7, CHECKPOINT) == b"".join(fields)


def test_the_second_key_has_a_verifier_key_of_its_own_type() -> None:
    name, _, encoded = BOTH.verifier_keys[1].split("+", 2)
    raw = base64.b64decode(encoded)
    assert (name, raw[:1], raw[1:]) == (BOTH.name, b"\x06", SECOND.public_key().public_bytes_raw())
    assert BOTH.verifier_keys[0] == BOTH.verifier_key


def test_a_note_is_completed_only_if_this_key_has_signed_it() -> None:
    note = BOTH.sign(CHECKPOINT.text)
    completed = BOTH.complete(note)
    assert (completed.startswith(note), completed.count("\n")) == (True, note.count("\n") + 1)
    for other in (note.replace("\n\n", "\nmore\n\n"), CHECKPOINT.text, "", completed):
        with pytest.raises(ValueError, match="not signed by this key"):
            BOTH.complete(other)


def test_without_a_second_key_cosigning_is_signing() -> None:
    assert SIGNER.cosign(CHECKPOINT.text) == SIGNER.sign(CHECKPOINT.text)
    assert SIGNER.verifier_keys == [SIGNER.verifier_key]


@pytest.mark.parametrize("text", ["words\n", "log\n01\n" + "A" * 44 + "\n", CHECKPOINT.text + "more\n"])
def test_only_checkpoints_are_cosigned(text: str) -> None:
    with pytest.raises(ValueError, match=r"checkpoint|base64|form"):
        BOTH.cosign(text)


def test_a_checkpoint_reads_back_from_text_and_from_note() -> None:
    assert read_checkpoint(CHECKPOINT.text) == CHECKPOINT
    assert read_checkpoint(BOTH.cosign(CHECKPOINT.text)) == CHECKPOINT


def test_only_ml_dsa_44_keys_cosign() -> None:
    with pytest.raises(TypeError, match="ML-DSA"):
        NoteSigner("log", PEM, PEM)
