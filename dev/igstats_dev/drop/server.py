"""The emulator's HTTP server: the platform's paths, consumers under /_consumers, the control room under /_faults."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from igstats_kit.clock import Clock

from igstats_dev.drop.lists import Lists, NotCompleteError, NothingWaitsError
from igstats_dev.faults import Faults

KINDS = frozenset({"preparing", "throttle", "server_error", "delay", "cut", "late_cut"})
"""202, 429, 500, a late answer; the connection breaks before, or after the platform did what it was asked."""


class Emulator:
    """One DROP, of one broker. `lists` and `faults` are open to tests in the same process."""

    def __init__(self, clock: Clock, key: str) -> None:
        self.lists = Lists()
        self.faults = Faults(KINDS)
        self._clock = clock
        self._key = key

    @asynccontextmanager
    async def listening(self, listen: str = "127.0.0.1:0") -> AsyncIterator[str]:
        """Serves while the block runs; gives the address."""
        host, _, port = listen.rpartition(":")
        app = web.Application(client_max_size=256 * 1024 * 1024)
        app.add_routes(
            [
                web.get("/data/download", self._download),
                web.post("/data/upload", self._upload),
                web.post("/data/amend", self._amend),
                web.post("/_consumers", self._ask),
                web.get("/_answers", self._answers),
                web.post("/_reissue", self._reissue),
                *self.faults.routes(),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, host, int(port)).start()
        try:
            yield f"http://{host}:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def _download(self, request: web.Request) -> web.Response:
        hit = await self._suffer(request)
        if "preparing" in hit:
            return _said(202, "No download package is available yet.", {"Retry-After": "60"})
        try:
            content = self.lists.download(self._clock.now())
        except NotCompleteError:
            return _said(409, "Complete the current batch or contact DROP support if a re-download is needed.")
        _break(request, hit, "late_cut")
        if content is None:
            return _said(200, "No new consumer request data or removed identifiers are available.")
        return web.Response(body=content, content_type="application/zip")

    async def _upload(self, request: web.Request) -> web.Response:
        try:
            return await self._take(request, self.lists.upload)
        except NothingWaitsError:
            return _said(409, "No active download is waiting for responses.")

    async def _amend(self, request: web.Request) -> web.Response:
        return await self._take(request, self.lists.amend)

    async def _take(self, request: web.Request, take: Callable[[str, str], str]) -> web.Response:
        hit = await self._suffer(request)
        form = await request.post()
        accepted: list[dict[str, object]] = []
        rejected: list[dict[str, object]] = []
        for part in form.getall("files"):
            if not isinstance(part, web.FileField):
                continue
            content = part.file.read()
            why = take(part.filename, content.decode())
            (rejected if why else accepted).append(
                {"fileName": part.filename, **({"message": why} if why else {"fileSizeBytes": len(content)})}
            )
        _break(request, hit, "late_cut")
        body = {"acceptedCount": len(accepted), "rejectedCount": len(rejected)}
        lists = {"message": "Upload received.", "accepted": accepted, "rejected": rejected}
        return web.json_response(body | lists, status=202 if accepted else 400)

    async def _suffer(self, request: web.Request) -> frozenset[str]:
        if request.headers.get("X-API-KEY") != self._key:
            raise web.HTTPUnauthorized(text='{"message": "API key is missing or invalid."}')
        hit = await self.faults.take(request.path)
        if "throttle" in hit:
            raise web.HTTPTooManyRequests(headers={"Retry-After": "30"})
        if "server_error" in hit:
            raise web.HTTPInternalServerError
        _break(request, hit, "cut")
        return hit

    async def _ask(self, request: web.Request) -> web.Response:
        """Many who ask at once are in one list."""
        items = [self.lists.ask(address) for address in (await request.json())["addresses"]]
        return web.json_response({"item_ids": items}, status=201)

    async def _answers(self, _: web.Request) -> web.Response:
        lists = self.lists
        said = {"answers": lists.answers, "outstanding": sorted(lists.outstanding), "uploads": sorted(lists.uploads)}
        return web.json_response(said)

    async def _reissue(self, request: web.Request) -> web.Response:
        self.lists.reissue()
        return await self._answers(request)


def _break(request: web.Request, hit: frozenset[str], kind: str) -> None:
    if kind in hit:
        if request.transport is not None:
            request.transport.close()
        raise ConnectionResetError


def _said(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"message": message}, status=status, headers=headers)
