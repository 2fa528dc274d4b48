"""What can be set."""

from typing import ClassVar

from igstats_kit.config import ServiceConfig, shared
from pydantic import FilePath
from pydantic_settings import SettingsConfigDict


class AuditConfig(ServiceConfig):
    """Settings of the audit service."""

    model_config = SettingsConfigDict(env_prefix="IGSTATS_AUDIT_")
    service: ClassVar[str] = "audit"

    access_seal_key: FilePath = shared("ACCESS_SEAL_KEY")
    log_key: FilePath
    log_origin: str
