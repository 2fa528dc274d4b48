"""The wiring of this room."""

from typing import Protocol

import aiohttp
from igstats_kit.client import Channels
from igstats_kit.config import read_secret

from igstats_privacy.config import PrivacyConfig
from igstats_privacy.core import Core
from igstats_privacy.post import Post
from igstats_privacy.proofs.accounts import Accounts
from igstats_privacy.proofs.codes import Codes
from igstats_privacy.proofs.fallback import ProofFallback
from igstats_privacy.proofs.fetching import Fetching, Links
from igstats_privacy.proofs.forgetting import Forgetting
from igstats_privacy.proofs.gateway_contacts import GatewayContacts
from igstats_privacy.proofs.instagram import InstagramLogin, LoginApp, NoLogin
from igstats_privacy.proofs.logins import Instagram, Logins
from igstats_privacy.proofs.mail_codes import MailCodes
from igstats_privacy.proofs.offers import Offers, Packages
from igstats_privacy.proofs.points import Points
from igstats_privacy.proofs.proving import Proving
from igstats_privacy.proofs.servicer import IdentityServicer

LOGIN_PATH = "/privacy/login"
"""Where Instagram sends persons back to, at the public address of the gateway."""

_SECONDS = aiohttp.ClientTimeout(total=10)


class PackageLinks(Links, Packages, Protocol):
    """The links of packages, as far as this room needs them."""


class ProofsRoom:
    """Ways of proving who one is, and what happens when nobody does."""

    def __init__(self, config: PrivacyConfig, core: Core, channels: Channels, post: Post, links: PackageLinks) -> None:
        self._session = aiohttp.ClientSession(timeout=_SECONDS)
        codes = Codes(read_secret(config.seal_key))
        proving = Proving(
            core.database,
            core.requests,
            core.fanout,
            core.identifiers,
            core.codes,
            core.changes,
            core.clock,
            core.triage.wake,
        )
        instagram = self._instagram(config)
        contacts = GatewayContacts(channels.to("gateway", config.gateway_address))
        self.servicer = IdentityServicer(
            proving,
            MailCodes(proving, codes, post),
            Points(proving, contacts),
            Logins(proving, codes, instagram, core.profiles),
            Fetching(core.database, proving, codes, instagram, links, core.clock),
            Accounts(proving, core.profiles),
        )
        self.forgetting = Forgetting(core.database, core.clock)
        self.fallback = ProofFallback(core.drafts, core.identifiers, core.clock)
        self.offers = Offers(links, letters=post.is_open, login=bool(config.instagram_app_id))

    async def close(self) -> None:
        """Closes connections to Instagram."""
        await self._session.close()

    def _instagram(self, config: PrivacyConfig) -> Instagram:
        if not config.instagram_app_id or config.instagram_app_secret is None:
            return NoLogin()
        app = LoginApp(
            app_id=config.instagram_app_id,
            secret=read_secret(config.instagram_app_secret).decode().strip(),
            redirect_uri=config.public_url + LOGIN_PATH,
            authorize_url=config.instagram_authorize_url,
            token_url=config.instagram_token_url,
            graph_url=config.instagram_graph_url,
        )
        return InstagramLogin(self._session, app)
