"""Signed receipts: what a holder did, in bytes that anyone with its public key can check."""

import hashlib
from collections import OrderedDict
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.protobuf.message import DecodeError
from igstats.holder.v1.receipt_pb2 import Receipt, SignedReceipt
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from igstats_kit.errors import DomainError, Reason

_DOMAIN = b"igstats/receipt/v1\n"
_KEY_ID_BYTES = 8
_REMEMBERED = 1_024


@cache
def _verifier(public_key: bytes) -> VerifyKey:
    # Checking receipts is the dearest step of a deletion, and libsodium takes three fifths of OpenSSL's time for it.
    return VerifyKey(public_key)


@cache
def key_id(public_key: bytes) -> str:
    """Short name of a raw public key."""
    return hashlib.sha256(public_key).digest()[:_KEY_ID_BYTES].hex()


class Signer:
    """Signs receipts with a holder's Ed25519 key, given as PEM."""

    def __init__(self, pem: bytes) -> None:
        key = load_pem_private_key(pem, password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise TypeError("a receipt key is an Ed25519 key")
        self._key = SigningKey(key.private_bytes_raw())
        self.public_key = bytes(self._key.verify_key)
        self.key_id = key_id(self.public_key)
        self._made: OrderedDict[bytes, bytes] = OrderedDict()

    def sign(self, receipt: Receipt) -> SignedReceipt:
        """Signs the deterministic bytes of `receipt`."""
        payload = receipt.SerializeToString(deterministic=True)
        signature = self._key.sign(_DOMAIN + payload).signature
        self._made[signature] = payload
        if len(self._made) > _REMEMBERED:
            self._made.popitem(last=False)
        return SignedReceipt(receipt=payload, signature=signature, key_id=self.key_id)

    def has_made(self, signed: SignedReceipt) -> bool:
        """Whether this very object has signed it, byte for byte: then nobody need check it. False when forgotten."""
        return signed.key_id == self.key_id and self._made.get(signed.signature) == signed.receipt


def verify(signed: SignedReceipt, public_key: bytes) -> Receipt:
    """Checks a signature and returns the receipt it covers.

    Raises:
        DomainError: RECEIPT_INVALID; `check` in its metadata names what failed.
    """
    if signed.key_id != key_id(public_key):
        raise DomainError(Reason.RECEIPT_INVALID, check="key_id")
    try:
        _verifier(public_key).verify(_DOMAIN + signed.receipt, signed.signature)
        return Receipt.FromString(signed.receipt)
    except (BadSignatureError, ValueError) as error:
        raise DomainError(Reason.RECEIPT_INVALID, check="signature") from error
    except DecodeError as error:
        raise DomainError(Reason.RECEIPT_INVALID, check="content") from error
