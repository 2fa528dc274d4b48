"""Where igstats is and who calls: from the environment, or from what `igstats-dev up` left in `.igstats/env`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from igstats_client.errors import SettingsError

_FILE = Path(".igstats") / "env"


@dataclass(frozen=True)
class Settings:
    """How to connect: host:port of the gateway's gRPC door, API key, file of its authority unless that is public."""

    address: str
    key: str
    ca: Path | None = None


@dataclass(frozen=True)
class Office:
    """How an officer reaches a service itself: its address, our authority, and the officer's certificate and key."""

    address: str
    ca: Path
    certificate: Path
    key: Path


def office(address: str, ca: str, certificate: str, key: str, folder: Path, *, service: str = "audit") -> Office:
    """What was given; what was not comes from `.igstats/env` in the folder or above it.

    Raises:
        SettingsError: Something is missing in both.
    """
    found = _development(folder)
    wanted = {service: address, "ca": ca, "officer_cert": certificate, "officer_key": key}
    known = {name: given or found.get(name, "") for name, given in wanted.items()}
    if not all(known.values()):
        names = f"IGSTATS_{service.upper()}_ADDRESS, IGSTATS_CA, IGSTATS_OFFICER_CERT and IGSTATS_OFFICER_KEY"
        raise SettingsError(f"set {names}, or run where {_FILE} is (igstats-dev up writes it)")
    return Office(known[service], Path(known["ca"]), Path(known["officer_cert"]), Path(known["officer_key"]))


def load(environment: Mapping[str, str], folder: Path) -> Settings:
    """IGSTATS_URL, IGSTATS_KEY and IGSTATS_CA; what is not set comes from `.igstats/env` in the folder or above it.

    Raises:
        SettingsError: Neither names the gateway and a key.
    """
    found = _development(folder)
    url = environment.get("IGSTATS_URL") or found.get("gateway_grpc", "")
    key = environment.get("IGSTATS_KEY") or found.get("key", "")
    ca = environment.get("IGSTATS_CA") or ("" if environment.get("IGSTATS_URL") else found.get("ca", ""))
    if not url or not key:
        raise SettingsError(f"set IGSTATS_URL and IGSTATS_KEY, or run where {_FILE} is (igstats-dev up writes it)")
    return Settings(url.removeprefix("https://").rstrip("/"), key, Path(ca) if ca else None)


def log_place(url: str, ca: str, folder: Path) -> tuple[str, Path | None]:
    """Where the logs are read, and the file of their authority unless that is public, as `load` finds them.

    Raises:
        SettingsError: Nothing names the place.
    """
    found = _development(folder)
    place = url or found.get("gateway_http", "")
    if not place.startswith("https://"):
        raise SettingsError(f"set IGSTATS_HTTP_URL to https://..., or run where {_FILE} is (igstats-dev up writes it)")
    authority = ca or ("" if url else found.get("ca", ""))
    return place.rstrip("/"), Path(authority) if authority else None


def _development(folder: Path) -> Mapping[str, str]:
    for place in (folder, *folder.parents):
        file = place / _FILE
        if file.is_file():
            try:
                found: dict[str, str] = json.loads(file.read_text())
            except ValueError as error:
                raise SettingsError(f"{file} is not JSON") from error
            return found
    return {}
