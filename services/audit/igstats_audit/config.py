"""What can be set."""

from pathlib import Path
from typing import ClassVar

from igstats_kit.config import Address, ServiceConfig, shared
from pydantic import Field, FilePath
from pydantic_settings import SettingsConfigDict

_HOST = r"(\[[0-9a-fA-F:]+\]|[^\s:/,@\[\]]+)"


class MonitorConfig(ServiceConfig):
    """Settings that the monitor reads, which is given no private key of the logs."""

    model_config = SettingsConfigDict(env_prefix="IGSTATS_AUDIT_")
    service: ClassVar[str] = "audit"

    log_origin: str
    key_directory: Path
    log_verifier_keys: FilePath | None = None
    monitor_directory: Path | None = None
    monitor_seconds: float = Field(default=10.0, gt=0)
    monitor_grace_seconds: float = Field(default=900.0, gt=0)


class AuditConfig(MonitorConfig):
    """Settings of the audit service."""

    access_seal_key: FilePath = shared("ACCESS_SEAL_KEY")
    evidence_log_key: FilePath
    evidence_log_mldsa_key: FilePath
    access_log_key: FilePath
    access_log_mldsa_key: FilePath
    tile_directory: Path
    tile_megabytes: int = Field(default=768, ge=0)
    witness_url: str = ""
    witness_keys: FilePath | None = None
    gateway_address: Address = shared("GATEWAY_ADDRESS", default="gateway-internal:7443")
    public_url: str = Field(default="", pattern=rf"^(https://{_HOST}(:\d{{1,5}})?/?)?$")
    public_addresses: str = Field(default="", pattern=rf"^({_HOST}:\d{{1,5}}(,{_HOST}:\d{{1,5}})*)?$")
    nats_config: Path | None = None
    nats_operator: str = ""
    advisories: Path | None = None
    security_audit_hours: float = Field(default=24.0, gt=0)
