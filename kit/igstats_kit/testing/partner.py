"""Another company's own server: where callbacks arrive, and how it answers."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from igstats_kit.testing.certificates import Authority
from igstats_kit.testing.processes import free_port


@dataclass
class Partner:
    """What it was told, and the statuses that it answers next; 200 when there are none."""

    host: str = ""
    told: asyncio.Queue[tuple[bytes, dict[str, str]]] = field(default_factory=asyncio.Queue)
    answers: list[int] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        """Notes body and headers, these in lower case."""
        self.told.put_nowait((await request.read(), {name.lower(): value for name, value in request.headers.items()}))
        return web.Response(status=self.answers.pop(0) if self.answers else 200, headers={"location": "/elsewhere"})


@asynccontextmanager
async def partner(certificates: Authority) -> AsyncIterator[Partner]:
    """A partner that takes callbacks at https://<host>/told."""
    issued = certificates.issue("gateway")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(issued.certificate, issued.key)
    port = free_port()
    found = Partner(f"127.0.0.1:{port}")
    app = web.Application()
    app.router.add_post("/told", found.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
    yield found
    await runner.cleanup()
