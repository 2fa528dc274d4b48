"""The HTTP side: a page of all letters, the same as JSON, each as it came, and the control room of faults."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from html import escape

from aiohttp import web

from igstats_dev.faults import Faults
from igstats_dev.mail.letters import Letters


class Reader:
    """Shows letters."""

    def __init__(self, letters: Letters, faults: Faults) -> None:
        self._letters = letters
        self._faults = faults

    @asynccontextmanager
    async def listening(self, listen: str) -> AsyncIterator[int]:
        """Serves while the block runs; gives the port."""
        host, _, port = listen.rpartition(":")
        app = web.Application()
        app.add_routes([web.get("/", self._page), web.get("/letters", self._list), *self._faults.routes()])
        app.add_routes([web.get("/letters/{name}", self._show)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, host, int(port)).start()
        try:
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()

    async def _page(self, _: web.Request) -> web.Response:
        rows = "".join(
            f'<li><a href="/letters/{one.name}">{escape(one.subject)}</a> to {escape(one.to)}'
            f'<pre lang="{escape(one.language)}">{escape(one.text)}</pre></li>'
            for one in reversed(self._letters.all())
        )
        page = f"<!doctype html><title>Letters (development)</title><h1>Letters</h1><ul>{rows}</ul>"
        return web.Response(text=page, content_type="text/html")

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response({"letters": [asdict(one) for one in self._letters.all()]})

    async def _show(self, request: web.Request) -> web.Response:
        found = self._letters.raw(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        return web.Response(body=found, content_type="text/plain")
