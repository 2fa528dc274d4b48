"""Tokens, sealed values and signed receipts."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from igstats.holder.v1.receipt_pb2 import OUTCOME_ERASED, Receipt, SignedReceipt, StoreCount
from igstats_kit.errors import DomainError, Reason
from igstats_kit.receipt import Signer, key_id, verify
from igstats_kit.seal import Sealer, SealError
from igstats_kit.tokens import KINDS, Tokens, normalise

KEY = b"k" * 32


@pytest.mark.parametrize(
    ("kind", "written", "meant"),
    [
        ("USERNAME", " @Jane.Doe ", "jane.doe"),
        ("USERNAME", "\uff2aane", "jane"),
        ("EMAIL", "Jane.Doe@Example.ORG ", "jane.doe@example.org"),
        ("EMAIL", "jane@m\u00fcller.example", "jane@xn--mller-kva.example"),
        ("EMAIL", "jane@xn--mller-kva.example", "jane@xn--mller-kva.example"),
        ("INSTAGRAM_USER_ID", " 17841400000000001\n", "17841400000000001"),
        ("ACCOUNT_ID", "ACC_01J", "acc_01j"),
    ],
)
def test_spellings_of_one_identifier_are_one(kind: str, written: str, meant: str) -> None:
    assert normalise(kind, written) == meant
    assert Tokens(KEY).of(kind, written) == Tokens(KEY).of(kind, meant)


@given(st.sampled_from(sorted(KINDS)), st.text(min_size=1, max_size=40))
def test_normalising_twice_changes_nothing(kind: str, value: str) -> None:
    try:
        once = normalise(kind, value)
    except DomainError:
        return
    assert normalise(kind, once) == once


@pytest.mark.parametrize("value", ["", "  ", "@", " @ "])
def test_empty_identifier_is_nobody_and_not_everybody(value: str) -> None:
    with pytest.raises(DomainError) as caught:
        Tokens(KEY).of("USERNAME", value)
    assert caught.value.reason is Reason.SUBJECT_UNIDENTIFIED


def test_token_depends_on_kind_value_and_key() -> None:
    made = {
        Tokens(KEY).of("USERNAME", "a"),
        Tokens(KEY).of("ACCOUNT_ID", "a"),
        Tokens(KEY).of("USERNAME", "b"),
        Tokens(b"j" * 32).of("USERNAME", "a"),
    }
    assert len(made) == 4
    assert {len(token) for token in made} == {32}


def test_unknown_kind_and_short_key_are_faults_of_the_program() -> None:
    with pytest.raises(ValueError, match="no identifier kind"):
        normalise("PHONE", "1")
    with pytest.raises(ValueError, match="32 bytes"):
        Tokens(b"short")


@given(st.binary(max_size=200), st.text(max_size=40))
def test_sealed_value_opens_in_its_place(plain: bytes, context: str) -> None:
    sealer = Sealer(KEY)
    assert sealer.open(sealer.seal(plain, context), context) == plain


def test_same_value_never_looks_the_same_twice() -> None:
    sealer = Sealer(KEY)
    assert sealer.seal(b"token", "a") != sealer.seal(b"token", "a")


@pytest.mark.parametrize("broken", [b"", b"short", b"x" * 40])
def test_bytes_of_others_do_not_open(broken: bytes) -> None:
    with pytest.raises(SealError):
        Sealer(KEY).open(broken, "a")


def test_sealed_value_does_not_open_elsewhere_changed_or_with_another_key() -> None:
    sealed = Sealer(KEY).seal(b"token", "connections.token:1")
    with pytest.raises(SealError):
        Sealer(KEY).open(sealed, "connections.token:2")
    with pytest.raises(SealError):
        Sealer(KEY).open(sealed[:-1] + bytes([sealed[-1] ^ 1]), "connections.token:1")
    with pytest.raises(SealError):
        Sealer(b"j" * 32).open(sealed, "connections.token:1")


def test_seal_key_has_thirty_two_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(b"k" * 33)


def pem() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture
def signer() -> Signer:
    return Signer(pem())


RECEIPT = Receipt(
    task_id="req_1/stats/ERASE", holder="stats", outcome=OUTCOME_ERASED, counts=[StoreCount(store="media", count=3)]
)


def test_signed_receipt_verifies_and_gives_what_was_signed(signer: Signer) -> None:
    signed = signer.sign(RECEIPT)
    assert verify(signed, signer.public_key) == RECEIPT
    assert signed.key_id == key_id(signer.public_key)
    assert len(signer.public_key) == 32


def test_same_receipt_gives_the_same_bytes(signer: Signer) -> None:
    assert signer.sign(RECEIPT) == signer.sign(RECEIPT)


@pytest.mark.parametrize("field", ["receipt", "signature", "key_id"])
def test_changed_receipt_does_not_verify(signer: Signer, field: str) -> None:
    signed = signer.sign(RECEIPT)
    setattr(signed, field, getattr(signed, field)[:-1])
    with pytest.raises(DomainError) as caught:
        verify(signed, signer.public_key)
    assert caught.value.reason is Reason.RECEIPT_INVALID


def test_receipt_of_another_holder_does_not_verify(signer: Signer) -> None:
    forged = signer.sign(RECEIPT)
    other = Signer(pem())
    forged.key_id = other.key_id
    with pytest.raises(DomainError):
        verify(forged, other.public_key)


def test_key_of_the_wrong_length_is_an_invalid_receipt() -> None:
    with pytest.raises(DomainError):
        verify(SignedReceipt(key_id=key_id(b"short")), b"short")


def test_a_signer_knows_what_it_has_made_byte_for_byte_and_nothing_else(signer: Signer) -> None:
    signed = signer.sign(RECEIPT)
    assert signer.has_made(signed)
    for field in ("receipt", "signature", "key_id"):
        changed = SignedReceipt()
        changed.CopyFrom(signed)
        setattr(changed, field, getattr(signed, field)[:-1])
        assert not signer.has_made(changed)
    assert not Signer(pem()).has_made(signed)


def test_a_signer_forgets_in_the_end_and_then_signatures_are_checked_again(signer: Signer) -> None:
    first = signer.sign(RECEIPT)
    for number in range(1_024):
        signer.sign(Receipt(task_id=f"req_{number}/stats/ERASE"))
    assert not signer.has_made(first)
    assert verify(first, signer.public_key) == RECEIPT


def test_signature_covers_the_domain_and_not_the_bare_bytes() -> None:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    bare = RECEIPT.SerializeToString()
    with pytest.raises(DomainError):
        verify(SignedReceipt(receipt=bare, signature=private.sign(bare), key_id=key_id(public)), public)


def test_only_an_ed25519_key_signs_receipts() -> None:
    key = generate_private_key(SECP256R1())
    with pytest.raises(TypeError, match="Ed25519"):
        Signer(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
