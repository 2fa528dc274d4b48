"""Who may bring persons' requests by machine: one file, checked at start. Without it these doors are shut.

Keys and tokens stand here as public keys and digests; private keys are files of their own.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FilePath, model_validator

_KEY_BYTES = 32
_HTTPS_PORT = 443
_HOST = r"^[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?(:[0-9]{1,5})?$"


def _verify_key(value: str) -> str:
    try:
        found = base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError("a verify key is base64") from error
    if len(found) != _KEY_BYTES:
        raise ValueError(f"an Ed25519 verify key has {_KEY_BYTES} bytes")
    return value


Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,80}$")]
Host = Annotated[str, Field(pattern=_HOST)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
VerifyKey = Annotated[str, AfterValidator(_verify_key)]


class _Checked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Partner(_Checked):
    """Whoever brings requests."""

    id: Id
    callback_hosts: tuple[Host, ...] = ()
    """Hosts, with the port unless it is 443, that it may be told at. Nothing is ever sent anywhere else."""
    verifies: bool = False
    """Whether our contract has it verify mail addresses before it sends a request about them."""

    def may_be_told_at(self, url: str) -> bool:
        """Whether an address is one of this partner's: https, a configured host and port, no name and password."""
        try:
            parts = urlsplit(url)
            port = parts.port or _HTTPS_PORT
        except ValueError:
            return False
        plain = parts.scheme == "https" and not parts.fragment and "@" not in parts.netloc and url.isprintable()
        host = parts.hostname or ""
        return plain and " " not in url and (host if port == _HTTPS_PORT else f"{host}:{port}") in self.callback_hosts


class Bearer(Partner):
    """A partner that shows a token; its SHA-256 stands in the file."""

    token_sha256: Digest

    def shows(self, token: str) -> bool:
        """Whether this is its token."""
        return hmac.compare_digest(hashlib.sha256(token.encode()).hexdigest(), self.token_sha256)


class Agent(Partner):
    """An authorised agent, as the directory of the Data Rights Protocol lists it (section 3.05.1)."""

    verify_key: VerifyKey
    verifies: bool = True


class DataRights(_Checked):
    """Data Rights Protocol."""

    business_id: Id
    agents: tuple[Agent, ...]


class Controller(Bearer):
    """A controller that we process for, by OpenDSR."""

    domain: Host


class Opendsr(_Checked):
    """OpenDSR, both versions: the domain and the certificate that our signatures are checked with."""

    domain: Host
    certificate: FilePath
    key: FilePath
    controllers: tuple[Controller, ...]


class Party(Partner):
    """A participant of the IAB's framework. Its id is the domain that signs; its keys stand here, none is fetched."""

    keys: Annotated[tuple[dict[str, Any], ...], Field(min_length=1)]


class DataDeletion(_Checked):
    """Data Deletion Request Framework of the IAB Tech Lab."""

    domain: Host
    key: FilePath
    key_id: Id
    parties: tuple[Party, ...]


class Ketch(_Checked):
    """Ketch's forwarder: each tenant shows a token of its own."""

    tenants: tuple[Bearer, ...]


class Partners(_Checked):
    """The file."""

    drp: DataRights | None = None
    opendsr: Opendsr | None = None
    iab: DataDeletion | None = None
    ketch: Ketch | None = None

    def groups(self) -> list[tuple[Partner, ...]]:
        """Those that may not share an id."""
        return [
            self.drp.agents if self.drp else (),
            self.opendsr.controllers if self.opendsr else (),
            self.iab.parties if self.iab else (),
            self.ketch.tenants if self.ketch else (),
        ]

    @model_validator(mode="after")
    def _distinct(self) -> "Partners":
        for group in self.groups():
            names = [one.id for one in group]
            if len(set(names)) != len(names):
                raise ValueError("two partners have the same id")
        return self


P = TypeVar("P", bound=Partner)
B = TypeVar("B", bound=Bearer)


def by_id(partners: Iterable[P], name: str) -> P | None:
    """The partner of that id."""
    return next((one for one in partners if one.id == name), None)


def by_token(partners: Iterable[B], authorization: str) -> B | None:
    """The partner whose bearer token this header shows. Every one is compared, so the time tells nothing."""
    scheme, _, token = authorization.partition(" ")
    found = [one for one in partners if one.shows(token.strip())]
    return found[0] if found and scheme.lower() == "bearer" else None


def read_partners(path: FilePath | Path | None) -> Partners:
    """The partners of a JSON file; nobody without one.

    Raises:
        pydantic.ValidationError: The file breaks a rule; the text names it and shows no value.
        ValueError: It is no JSON.
    """
    if path is None:
        return Partners()
    content: Any = json.loads(path.read_bytes())
    return Partners.model_validate(content)
