"""Settings of a service: read from the environment once, checked at start, printable without secrets."""

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, FilePath, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

# Needles live for 120 days at most: time must be left to repair what was found.
MOST_SWEEP_DAYS = 100

_HOST_PORT = re.compile(r"(\[[0-9a-fA-F:]+\]|[^\s:/@]+):\d{1,5}")


def _host_port(value: str) -> str:
    if not _HOST_PORT.fullmatch(value):
        raise ValueError("an address has the form host:port")
    return value


def _postgresql(value: str) -> str:
    if not value.startswith("postgresql+asyncpg://"):
        raise ValueError("a database URL starts with postgresql+asyncpg://")
    return value


def _without_password(value: str) -> str:
    parts = urlsplit(value)
    if parts.password is None:
        return value
    return parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":[redacted]@")).geturl()


Address = Annotated[str, AfterValidator(_host_port)]
DatabaseUrl = Annotated[str, AfterValidator(_postgresql)]


def shared(name: str, **options: Any) -> Any:  # noqa: ANN401 - a pydantic field takes the type of its annotation
    """A field that every service reads from the same variable, IGSTATS_<name>."""
    return Field(validation_alias=f"IGSTATS_{name}", **options)


class ServiceConfig(BaseSettings):
    """What every service needs. A service subclasses it, names itself and sets its `env_prefix`."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, validate_by_name=True, hide_input_in_errors=True
    )

    service: ClassVar[str]

    nats_url: str = shared("NATS_URL", repr=False)
    nats_monitor_url: str | None = shared("NATS_MONITOR_URL", default=None)
    nats_replicas: int = shared("NATS_REPLICAS", default=1, ge=1, le=5)
    """On how many NATS servers each stream is kept: 3 on a cluster, 1 on a single server."""
    tls_ca: FilePath = shared("TLS_CA")
    suppression_key: FilePath = shared("SUPPRESSION_KEY")
    access_seal_key: FilePath | None = shared("ACCESS_SEAL_KEY", default=None)
    privacy_address: Address = shared("PRIVACY_ADDRESS", default="privacy:7443")
    stats_address: Address = shared("STATS_ADDRESS", default="stats:7443")
    audit_address: Address = shared("AUDIT_ADDRESS", default="audit:7443")

    deep_sweep_seconds: float = shared("DEEP_SWEEP_SECONDS", default=3600.0, ge=0)
    """How long after an erasure its data is searched for in streams, exports, logs and raw files."""
    deep_sweep_days: float = shared("DEEP_SWEEP_DAYS", default=8.0, ge=0, le=MOST_SWEEP_DAYS)
    """How long after an erasure it is searched for again: longer than the last backup lives."""

    backup_days: int = shared("BACKUP_DAYS", default=7, ge=0, le=MOST_SWEEP_DAYS)
    """Days until the last backup with erased data is gone; 0 where no backups are made."""

    database_url: DatabaseUrl = Field(repr=False)
    database_directory: Path | None = None
    """Data directory of the database server, to search its raw files; empty where they cannot be reached."""
    rewrite_megabytes: int = Field(default=0, ge=0)
    """Tables up to this size are rewritten when only their dead rows hold what was erased: this locks them."""
    log_file: Path | None = None
    """File that this service's log ends in; empty where it goes to standard error only."""
    listen: Address
    health_listen: Address | None = None
    metrics_listen: Address | None = None
    tls_cert: FilePath
    tls_key: FilePath
    receipt_key: FilePath
    seal_key: FilePath

    @model_validator(mode="after")
    def _search_when_backups_are_gone(self) -> Self:
        if self.deep_sweep_days < self.backup_days:
            raise ValueError("IGSTATS_DEEP_SWEEP_DAYS is below IGSTATS_BACKUP_DAYS: the last search comes too early")
        return self

    @classmethod
    def load(cls, **values: Any) -> Self:  # noqa: ANN401 - any field, checked by pydantic
        """Reads the environment; `values` win over it.

        Raises:
            pydantic.ValidationError: A setting is missing or wrong. The text names it and never shows its value.
        """
        return cls(**values)

    def describe(self) -> dict[str, str]:
        """The settings as text for people and logs, passwords redacted. Secrets are files, so only paths show."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: "" if value is None else _without_password(str(value)) for name, value in fields.items()}


def database_url(service: str) -> str:
    """The one setting that a command on a service's database needs: IGSTATS_<SERVICE>_DATABASE_URL.

    Raises:
        pydantic.ValidationError: It is missing or wrong. The text never shows its value.
    """

    class DatabaseConfig(BaseSettings):
        model_config = SettingsConfigDict(hide_input_in_errors=True, env_prefix=f"IGSTATS_{service.upper()}_")

        database_url: DatabaseUrl = Field(repr=False)

    return DatabaseConfig().database_url  # type: ignore[call-arg]  # it comes from the environment


def read_secret(path: Path) -> bytes:
    """Reads a key file exactly as it is.

    Raises:
        ValueError: The file is empty.
    """
    content = path.read_bytes()
    if not content:
        raise ValueError(f"{path} is empty")
    return content
