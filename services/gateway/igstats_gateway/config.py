"""What can be set."""

from typing import ClassVar

from igstats_kit.config import Address, ServiceConfig, shared
from pydantic import Field, FilePath
from pydantic_settings import SettingsConfigDict

DEAREST_METHOD = 10  # units; a smaller allowance would make some methods uncallable
_OF_DAY = r"([01]\d|2[0-3]):[0-5]\d"


class GatewayConfig(ServiceConfig):
    """Settings of the gateway."""

    model_config = SettingsConfigDict(env_prefix="IGSTATS_GATEWAY_")
    service: ClassVar[str] = "gateway"

    access_seal_key: FilePath = shared("ACCESS_SEAL_KEY")
    public_grpc_listen: Address
    public_http_listen: Address
    public_tls_cert: FilePath
    public_tls_key: FilePath
    key_pepper: FilePath
    pool_size: int = Field(default=8, ge=2)
    minute_units: int = Field(default=600, ge=DEAREST_METHOD)
    address_units: int = Field(default=3000, ge=1)
    stranger_units: int = Field(default=120, ge=1)
    unary_seconds: float = Field(default=30.0, gt=0)
    stream_seconds: float = Field(default=600.0, gt=0)
    drain_seconds: float = Field(default=4.0, ge=0, lt=5.0)
    security_contact: str = "mailto:privacy@example.com"
    public_url: str = "https://localhost:8443"
    controller_name: str = "Example Corp"
    """Who is responsible (policy 11), as the pages of persons name them; the same as in privacy's settings."""
    controller_email: str = "privacy@example.com"
    controller_postal: str = "123 API Street, Tech City, TC 12345"
    dpo_email: str = "dpo@example.com"
    dpo_phone: str = "+1-555-0123"
    form_units: int = Field(default=60, ge=1)
    meta_apps: FilePath | None = None
    drop_api_key: FilePath | None = None
    drop_url: str = "https://api.drop.privacy.ca.gov"
    drop_pull_days: float = Field(default=30, gt=0, le=45)
    drop_look_seconds: float = Field(default=60.0, gt=0)
    drop_closed: str = Field(default="01:00-03:00", pattern=rf"^({_OF_DAY}-{_OF_DAY}|never)$")
    partners: FilePath | None = None
