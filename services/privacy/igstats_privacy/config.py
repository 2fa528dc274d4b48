"""What can be set."""

from typing import ClassVar, Self

from igstats_kit.config import ServiceConfig
from pydantic import Field
from pydantic_settings import SettingsConfigDict

# Holders keep exports until they expire, and retention destroys what is older than this whatever happens.
LONGEST_EXPORT_DAYS = 14


class PrivacyConfig(ServiceConfig):
    """Settings of the privacy service."""

    model_config = SettingsConfigDict(env_prefix="IGSTATS_PRIVACY_")
    service: ClassVar[str] = "privacy"

    backup_days: int = Field(default=7, ge=0, le=365)
    """Days until the last backup with erased data is gone; 0 where no backups are made."""
    export_days: int = Field(default=7, ge=1, le=LONGEST_EXPORT_DAYS)
    """Days that the package of an access request can be read."""
    holders: str = "gateway,stats,privacy,audit"
    """Services that may be holders, by the name in their certificates, separated by commas."""

    @property
    def holder_names(self) -> frozenset[str]:
        """Services that may call HolderTasksService."""
        return frozenset(name.strip() for name in self.holders.split(",") if name.strip())

    def as_holder(self) -> Self:
        """The settings of this service as a holder: it finds HolderTasksService at its own listener."""
        host, _, port = self.listen.rpartition(":")
        everywhere = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - read from the listener, not bound
        return self.model_copy(update={"privacy_address": f"{everywhere.get(host, host)}:{port}"})
