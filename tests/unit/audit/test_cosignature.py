"""What a witness's answer is worth: lines of known keys that sign this checkpoint, and nothing else."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from igstats_audit.cosignature import CosignatureError, WitnessKey, cosignatures, key_ring
from igstats_audit.note import Checkpoint, cosigned_message, key_id, verifier_key

NAME = "witness.test/w1"
FIRST = Ed25519PrivateKey.from_private_bytes(bytes(32))
SECOND = MLDSA44PrivateKey.from_seed_bytes(bytes(32))
FIRST_PUBLIC = b"\x04" + FIRST.public_key().public_bytes_raw()
SECOND_PUBLIC = b"\x06" + SECOND.public_key().public_bytes_raw()
KEYS = key_ring(f"{verifier_key(NAME, FIRST_PUBLIC)}\n{verifier_key(NAME, SECOND_PUBLIC)}\n")
CHECKPOINT = Checkpoint("igstats.test/evidence", 7, b"r" * 32)
SECONDS = 1_795_392_000


def line(public: bytes, signature: bytes, seconds: int = SECONDS, name: str = NAME) -> str:
    raw = key_id(name, public) + seconds.to_bytes(8, "big") + signature
    return f"— {name} {base64.b64encode(raw).decode()}\n"


def first(checkpoint: Checkpoint = CHECKPOINT) -> str:
    return line(FIRST_PUBLIC, FIRST.sign(f"cosignature/v1\ntime {SECONDS}\n{checkpoint.text}".encode()))


def second(checkpoint: Checkpoint = CHECKPOINT, name: str = NAME) -> str:
    return line(SECOND_PUBLIC, SECOND.sign(cosigned_message(name, SECONDS, checkpoint)))


def test_lines_of_known_keys_are_kept_as_they_came() -> None:
    one, two = first(), second()
    assert cosignatures(one + two, CHECKPOINT, KEYS) == [one, two]


def test_lines_of_other_keys_are_left_out() -> None:
    one = first()
    stranger = line(b"\x04" + bytes(32), bytes(64), name="stranger.test")
    assert cosignatures(stranger + one + stranger, CHECKPOINT, KEYS) == [one]
    assert cosignatures(stranger, CHECKPOINT, KEYS) == []


def test_a_key_counts_once() -> None:
    one = first()
    assert cosignatures(one + one, CHECKPOINT, KEYS) == [one]


@pytest.mark.parametrize("size", [6, 8])
def test_a_cosignature_of_another_tree_is_wrong(size: int) -> None:
    other = Checkpoint(CHECKPOINT.origin, size, CHECKPOINT.root)
    with pytest.raises(CosignatureError, match="not signed"):
        cosignatures(first(other), CHECKPOINT, KEYS)
    with pytest.raises(CosignatureError, match="not signed"):
        cosignatures(second(other), CHECKPOINT, KEYS)


def test_the_name_of_the_witness_is_signed() -> None:
    with pytest.raises(CosignatureError, match="not signed"):
        cosignatures(second(name="witness.test/w2"), CHECKPOINT, KEYS)


def test_the_time_is_signed_and_within_its_range() -> None:
    signature = FIRST.sign(f"cosignature/v1\ntime {SECONDS}\n{CHECKPOINT.text}".encode())
    with pytest.raises(CosignatureError, match="not signed"):
        cosignatures(line(FIRST_PUBLIC, signature, SECONDS + 1), CHECKPOINT, KEYS)
    with pytest.raises(CosignatureError, match="time"):
        cosignatures(line(FIRST_PUBLIC, signature, 1 << 63), CHECKPOINT, KEYS)
    with pytest.raises(CosignatureError, match="time"):
        cosignatures(line(FIRST_PUBLIC, b""), CHECKPOINT, KEYS)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "\n",
        first().rstrip("\n"),
        first() + "\n",
        first().replace("— ", "- "),
        first().replace(" ", "  "),
        first().replace("=", ""),
        "— witness.test/w1 AAAA\n",
        "— wit+ness AAAAAAAA\n",
        "— witness.test/w1 \u0410AAA\n",
        "<html>busy</html>\n",
    ],
)
def test_answers_out_of_form_are_refused(answer: str) -> None:
    with pytest.raises(CosignatureError):
        cosignatures(answer, CHECKPOINT, KEYS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "witness",
        verifier_key(NAME, b"\x01" + FIRST_PUBLIC[1:]),
        verifier_key(NAME, FIRST_PUBLIC[:-1]),
        verifier_key(NAME, SECOND_PUBLIC + b"\0"),
        verifier_key(NAME, FIRST_PUBLIC).replace("w1", "w2"),
        verifier_key(NAME, FIRST_PUBLIC) + "=",
        "two words" + verifier_key(NAME, FIRST_PUBLIC),
    ],
)
def test_keys_out_of_form_are_refused(text: str) -> None:
    with pytest.raises(CosignatureError):
        key_ring(text)


def test_a_key_has_its_name_and_id() -> None:
    assert KEYS[0] == WitnessKey(NAME, key_id(NAME, FIRST_PUBLIC), FIRST_PUBLIC)
