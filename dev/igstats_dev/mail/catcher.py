"""The SMTP side: takes every letter, unless a fault says otherwise."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from aiosmtpd.smtp import SMTP, Envelope, Session

from igstats_dev.faults import Faults
from igstats_dev.mail.letters import Letters

KINDS = frozenset({"refuse", "busy", "delay", "cut"})
"""5xx for good, 4xx for now, a late answer, and no answer at all: the connection breaks."""


class Catcher:
    """A handler of aiosmtpd. Faults are narrowed by recipient."""

    def __init__(self, letters: Letters, faults: Faults) -> None:
        self._letters = letters
        self._faults = faults

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Keeps a letter, or does what a fault says."""
        hit = await self._faults.take(" ".join(envelope.rcpt_tos))
        if "refuse" in hit:
            return "550 5.1.1 No such person here"
        if "busy" in hit:
            return "451 4.3.0 Try again later"
        if "cut" in hit:
            if isinstance(server.transport, asyncio.WriteTransport):
                server.transport.abort()
            raise ConnectionResetError
        self._letters.keep(_bytes(envelope))
        return "250 2.0.0 Kept"

    @asynccontextmanager
    async def listening(self, listen: str) -> AsyncIterator[int]:
        """Takes letters while the block runs; gives the port."""
        host, _, port = listen.rpartition(":")
        made = partial(SMTP, self, hostname="localhost", enable_SMTPUTF8=True, ident="igstats mail catcher")
        server = await asyncio.get_running_loop().create_server(made, host, int(port))
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()


def _bytes(envelope: Envelope) -> bytes:
    content = envelope.content or b""
    return content if isinstance(content, bytes) else content.encode()
