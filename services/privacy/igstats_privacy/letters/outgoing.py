"""Letters, sealed on their way out: the `Post` of this service."""

import json
from collections.abc import Callable, Mapping

from igstats_kit.clock import Clock
from igstats_kit.seal import Sealer
from ulid import ULID

from igstats_privacy.letters import store
from igstats_privacy.letters.rendering import Rendered, render
from igstats_privacy.letters.store import Mail
from igstats_privacy.store import Connection


class Outgoing:
    """Takes letters in the transaction of whoever has something to say; the sender finds them after its commit."""

    def __init__(self, sealer: Sealer, clock: Clock, *, is_open: bool, wake: Callable[[], None]) -> None:
        self._sealer = sealer
        self._clock = clock
        self._is_open = is_open
        self._wake = wake

    @property
    def is_open(self) -> bool:
        """Whether a relay is set up."""
        return self._is_open

    async def send(
        self,
        letter: str,
        to: str,
        language: str,
        values: Mapping[str, object],
        *,
        connection: Connection,
        request_id: str,
    ) -> None:
        """Renders a letter and keeps it, sealed, until it is sent."""
        rendered = render(letter, language, values)
        mail_id = f"mal_{str(ULID()).lower()}"
        content = json.dumps([to, rendered.subject, rendered.text, rendered.html]).encode()
        sealed = self._sealer.seal(content, place(mail_id))
        now = self._clock.now()
        await store.put(connection, Mail(mail_id, request_id, letter, rendered.language, sealed, 0, now))
        self._wake()

    def open(self, mail: Mail) -> tuple[str, Rendered]:
        """The address of a letter that waits, and what it says."""
        to, subject, text, html = json.loads(self._sealer.open(mail.sealed, place(mail.mail_id)))
        return to, Rendered(subject, text, html, mail.language)


def place(mail_id: str) -> str:
    """Where a sealed letter belongs."""
    return f"mails.sealed:{mail_id}"
