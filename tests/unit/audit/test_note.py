"""Checkpoints and notes as C2SP writes them, checked by openssl too."""

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from igstats_audit.note import Checkpoint, NoteSigner
from igstats_audit.tree import EMPTY_ROOT

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
SIGNER = NoteSigner("igstats.example/evidence", PEM)


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
