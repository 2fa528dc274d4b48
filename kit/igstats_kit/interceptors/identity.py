"""Who calls: the service named by the peer's certificate and, behind the gateway, the account it speaks for."""

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from ulid import ULID

from igstats_kit.errors import DomainError, Reason
from igstats_kit.interceptors import gpc
from igstats_kit.interceptors.chain import Call, Interceptor

GATEWAY = "gateway"
CALL_ID = "x-igstats-call-id"
OPERATOR = "operator"
# An officer's certificate may name the officer behind the word: spiffe://igstats/operator/ada.
_IDENTITY = re.compile(
    rb"spiffe://igstats/(?:(?P<service>[a-z][a-z0-9-]{0,62})|operator/(?P<officer>[a-z][a-z0-9.-]{0,62}))"
)
_CALL_ID = re.compile(r"req_[0-9a-hjkmnp-tv-z]{26}")


@dataclass(frozen=True)
class Account:
    """The customer that the gateway has authenticated for this call."""

    account_id: str
    key_id: str
    scopes: frozenset[str]
    call_id: str


_caller: ContextVar[str] = ContextVar("igstats_caller")
_officer: ContextVar[str] = ContextVar("igstats_officer", default="")
_account: ContextVar[Account | None] = ContextVar("igstats_account", default=None)
_call_id: ContextVar[str] = ContextVar("igstats_call_id", default="")


def caller() -> str:
    """The service that makes the running RPC.

    Raises:
        LookupError: No RPC is running.
    """
    return _caller.get()


def officer() -> str:
    """The officer that makes the running RPC, as the certificate names them; "operator" when it names nobody.

    Raises:
        DomainError: CALLER_NOT_ALLOWED; the caller is no officer.
    """
    if _caller.get("") != OPERATOR:
        raise DomainError(Reason.CALLER_NOT_ALLOWED, caller=_caller.get(""))
    return _officer.get() or OPERATOR


def account() -> Account:
    """The account that the running RPC is for.

    Raises:
        DomainError: CALLER_NOT_ALLOWED; the call did not come from the gateway on behalf of an account.
    """
    found = _account.get()
    if found is None:
        raise DomainError(Reason.CALLER_NOT_ALLOWED, caller=_caller.get(""))
    return found


def call_id() -> str:
    """The id that follows a call through all services; empty outside of an RPC."""
    return _call_id.get()


def assume(service: str, on_behalf_of: Account | None = None, call: str = "", *, name: str = "") -> None:
    """Sets the identity of the running task. For the interceptor, and for tests of servicers without a server."""
    _caller.set(service)
    _officer.set(name)
    _account.set(on_behalf_of)
    _call_id.set(call)


def service_of(peer: Mapping[str, Iterable[bytes]]) -> str:
    """The service that a verified certificate names.

    Raises:
        DomainError: CALLER_NOT_ALLOWED; the certificate names none of ours, or more than one.
    """
    return _named(peer)[0]


def _named(peer: Mapping[str, Iterable[bytes]]) -> tuple[str, str]:
    """The service that a verified certificate names, and the officer if it names one."""
    identities = list(peer.get("peer_spiffe_id", ()))
    match = _IDENTITY.fullmatch(identities[0]) if len(identities) == 1 else None
    if match is None:
        raise DomainError(Reason.CALLER_NOT_ALLOWED, caller="")
    service, name = match["service"], match["officer"]
    return (service.decode(), "") if service else (OPERATOR, name.decode())


def _account_of(metadata: Mapping[str, str], call: str) -> Account | None:
    account_id = metadata.get("x-igstats-account-id", "")
    if not account_id:
        return None
    scopes = frozenset(metadata.get("x-igstats-scopes", "").split())
    return Account(account_id, metadata.get("x-igstats-key-id", ""), scopes, call)


class IdentityInterceptor(Interceptor):
    """Reads the certificate and the gateway's metadata. Account metadata of any other peer is ignored."""

    @asynccontextmanager
    async def around(self, call: Call) -> AsyncIterator[None]:
        """Makes `caller`, `account`, `call_id` and `gpc.heard` answer for the length of the call."""
        service, name = _named(call.context.auth_context())
        call.caller = service
        fields = call.context.invocation_metadata() or ()
        metadata = {key: str(value) for key, value in fields}
        sent = metadata.get(CALL_ID, "")
        call_id = sent if _CALL_ID.fullmatch(sent) else f"req_{str(ULID()).lower()}"
        assume(service, _account_of(metadata, call_id) if service == GATEWAY else None, call_id, name=name)
        gpc.hear(signal=gpc.is_signal(fields))
        yield
