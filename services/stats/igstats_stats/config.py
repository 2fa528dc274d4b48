"""What can be set."""

from typing import ClassVar

from igstats_kit.config import ServiceConfig
from pydantic import Field, HttpUrl
from pydantic_settings import SettingsConfigDict


class StatsConfig(ServiceConfig):
    """Settings of stats."""

    model_config = SettingsConfigDict(env_prefix="IGSTATS_STATS_")
    service: ClassVar[str] = "stats"

    pool_size: int = Field(default=16, ge=2)
    instagram_url: HttpUrl = HttpUrl("https://graph.instagram.com")
    instagram_version: str = Field(default="v25.0", pattern=r"^v\d+\.\d+$")
    instagram_app_id: str = Field(default="", pattern=r"^[0-9]{0,32}$")
    instagram_seconds: float = Field(default=15.0, gt=0)
    departed_days: int = Field(default=90, ge=1)
    sync_seconds: float = Field(default=6 * 3600.0, ge=1)
