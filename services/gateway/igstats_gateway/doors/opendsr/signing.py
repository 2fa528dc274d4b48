"""Our signature: RSA PKCS#1 v1.5 with SHA-256 over the raw body.

Section 4.2 names FIPS 186-4 and leaves the padding open; this is the one that clients are known to check.
"""

import base64

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

_LEAST_BITS = 2048


class Signer:
    """Signs bodies with the key of the certificate that discovery names."""

    def __init__(self, key: bytes, certificate: bytes) -> None:
        found = load_pem_private_key(key, password=None)
        if not isinstance(found, RSAPrivateKey) or found.key_size < _LEAST_BITS:
            raise ValueError(f"OpenDSR signs with an RSA key of at least {_LEAST_BITS} bits")
        if x509.load_pem_x509_certificate(certificate).public_key() != found.public_key():
            raise ValueError("the certificate of OpenDSR is not that of its key")
        self._key = found
        self.certificate = certificate

    def sign(self, body: bytes) -> str:
        """The signature in base64."""
        return base64.b64encode(self._key.sign(body, PKCS1v15(), SHA256())).decode()
