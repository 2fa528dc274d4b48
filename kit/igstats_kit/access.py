"""Who may call what: one row per RPC, and everything without a row is refused."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from igstats_kit.errors import SpeakingError

# Answered to every peer with a certificate of ours: probes and tools need no row.
OPEN_SERVICES = ("grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection")


def spiffe_id(service: str) -> str:
    """The identity that a service's certificate carries."""
    return f"spiffe://igstats/{service}"


@dataclass(frozen=True)
class Access:
    """The services that may call a method, and whether each call is written to the audit log."""

    callers: frozenset[str]
    audited: bool = False


AccessTable = Mapping[str, Access]
"""Rows by full method name, "/package.Service/Method"."""


class AccessTableError(SpeakingError):
    """The table and the server's methods differ: a fault of the program, found before it serves."""


def is_open(method: str) -> bool:
    """Whether `method` belongs to a service that needs no row."""
    return method.removeprefix("/").rpartition("/")[0] in OPEN_SERVICES


def require_complete(table: AccessTable, methods: Iterable[str]) -> None:
    """Checks that every method has a row and every row a method.

    Raises:
        AccessTableError: They differ; the text names the methods.
    """
    served = {method for method in methods if not is_open(method)}
    without_row, without_method = sorted(served - set(table)), sorted(set(table) - served)
    if without_row:
        raise AccessTableError(f"no access row for {', '.join(without_row)}")
    if without_method:
        raise AccessTableError(f"access row without a method: {', '.join(without_method)}")
