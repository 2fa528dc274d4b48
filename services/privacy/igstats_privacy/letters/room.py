"""The wiring of this room."""

import asyncio

from igstats_kit.lifecycle import Lifecycle

from igstats_privacy.config import PrivacyConfig
from igstats_privacy.core import Core
from igstats_privacy.letters.correspondence import Correspondence, Links
from igstats_privacy.letters.outgoing import Outgoing
from igstats_privacy.letters.relay import Relay
from igstats_privacy.letters.sender import Sender


class LettersRoom:
    """Letters. Without a relay nothing is written and nobody waits for a letter."""

    def __init__(self, config: PrivacyConfig, core: Core, links: Links) -> None:
        self._config = config
        self._core = core
        self._links = links
        self._awake = asyncio.Event()
        is_open = bool(config.smtp_url)
        self.post = Outgoing(core.sealer, core.clock, is_open=is_open, wake=self._awake.set)

    def attach(self, lifecycle: Lifecycle) -> None:
        """Adds the workers."""
        if not self.post.is_open:
            return
        core, config = self._core, self._config
        relay = Relay(config.smtp_url, config.mail_from)
        sender = Sender(core.database, self.post, relay, core.clock, self._awake)
        written = Correspondence(
            core.database, self.post, core.identifiers, core.codes, self._links, core.clock, config.public_url
        )
        lifecycle.background("correspondence", written.run)
        lifecycle.background("letters", sender.run)
