"""What can be set."""

from datetime import timedelta
from typing import ClassVar, Self

from igstats_kit.config import Address, ServiceConfig, shared
from pydantic import Field, FilePath, field_validator
from pydantic_settings import SettingsConfigDict

from igstats_privacy.model import Right
from igstats_privacy.policy import Policy

# Holders keep exports until they expire, and retention destroys what is older than this whatever happens.
LONGEST_EXPORT_DAYS = 14


class PrivacyConfig(ServiceConfig):
    """Settings of the privacy service."""

    model_config = SettingsConfigDict(env_prefix="IGSTATS_PRIVACY_")
    service: ClassVar[str] = "privacy"

    export_days: int = Field(default=7, ge=1, le=LONGEST_EXPORT_DAYS)
    """Days that the package of an access request can be read."""
    public_url: str = "https://localhost:8443"
    """Where persons find us: the public address of the gateway, without a slash at its end."""
    gateway_address: Address = shared("GATEWAY_ADDRESS", default="gateway-internal:7443")

    smtp_url: str = Field(default="", repr=False)
    """Mail relay, smtp://[user:password@]host:port or smtps://...; empty where no letters leave."""
    mail_from: str = "privacy@localhost"
    """Who letters come from."""

    instagram_app_id: str = ""
    """Our app for signing in with Instagram; empty where persons cannot prove a profile that way."""
    instagram_app_secret: FilePath | None = None
    instagram_authorize_url: str = "https://www.instagram.com/oauth/authorize"
    instagram_token_url: str = "https://api.instagram.com/oauth/access_token"  # noqa: S105 - an address
    instagram_graph_url: str = "https://graph.instagram.com"

    controller_name: str = "Example Corp"
    """Who is responsible (policy 11), as the register of processing names them."""
    controller_email: str = "privacy@example.com"
    controller_form: str = "https://example.com/privacy"
    controller_postal: str = "123 API Street, Tech City, TC 12345"
    dpo_email: str = "dpo@example.com"
    """The data protection officer (policy 11)."""
    dpo_phone: str = "+1-555-0123"
    approve: str = ""
    """Rights of which every request waits for an officer's approval, separated by commas: "ERASURE,ACCESS"."""
    second_person_rows: int = Field(default=0, ge=0)
    """An erasure that touches more rows needs two officers; 0 for no such threshold."""
    second_person_tenant: bool = False
    """Whether the erasure of a customer needs two officers."""
    window_hours: int = Field(default=0, ge=0, le=168)
    """Hours in which the owner can take an erasure back, the data being restricted; 0 for none."""
    restrict_contested: bool = True
    """Whether a correction that waits for an officer restricts the data until it is decided (GDPR 18(1)(a))."""
    lifting_notice_days: int = Field(default=7, ge=0, le=30)
    """Days before an officer's lifting of a restriction that the person is told."""
    canary_hours: int = Field(default=0, ge=0, le=168)
    """Hours between planted canaries, and their deadline; 0 for none."""

    holders: str = "gateway,stats,privacy,audit"
    """Services that may be holders, by the name in their certificates, separated by commas."""

    @field_validator("approve")
    @classmethod
    def _are_rights(cls, listed: str) -> str:
        _rights(listed)
        return listed

    @property
    def policy(self) -> Policy:
        """What requests wait for."""
        return Policy(
            approve=_rights(self.approve),
            second_rows=self.second_person_rows,
            second_tenant=self.second_person_tenant,
            window=timedelta(hours=self.window_hours),
            restrict_contested=self.restrict_contested,
            notice=timedelta(days=self.lifting_notice_days),
        )

    @property
    def holder_names(self) -> frozenset[str]:
        """Services that may call HolderTasksService."""
        return frozenset(name.strip() for name in self.holders.split(",") if name.strip())

    def as_holder(self) -> Self:
        """The settings of this service as a holder: it finds HolderTasksService at its own listener."""
        host, _, port = self.listen.rpartition(":")
        everywhere = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - read from the listener, not bound
        return self.model_copy(update={"privacy_address": f"{everywhere.get(host, host)}:{port}"})


def _rights(listed: str) -> frozenset[Right]:
    return frozenset(Right(name.strip()) for name in listed.split(",") if name.strip())
