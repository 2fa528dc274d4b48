"""Answers of Instagram as networks deliver them: in pieces, or without end."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from igstats_kit.errors import DomainError
from igstats_privacy.proofs.instagram import InstagramLogin, LoginApp
from igstats_privacy.proofs.rules import Profile

TOKEN = b'{"data": [{"access_token": "IGAA", "user_id": 17841400000000001}]}'
PROFILE = b'{"id": "998877", "user_id": "17841400000000001", "username": "ada"}'
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def login_at(look: Handler) -> AsyncIterator[InstagramLogin]:
    """A login whose Instagram answers the look at the profile so, and hands out tokens."""

    async def exchange(_request: web.Request) -> web.Response:
        return web.Response(body=TOKEN, content_type="application/json")

    app = web.Application()
    app.add_routes([web.post("/token", exchange), web.get("/me", look)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with aiohttp.ClientSession() as session:
            yield InstagramLogin(session, LoginApp("1234", "s", "https://back", f"{url}/auth", f"{url}/token", url))
    finally:
        await runner.cleanup()


async def test_an_answer_that_comes_in_pieces_is_read_to_its_end() -> None:
    async def in_pieces(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for at in range(len(PROFILE)):
            await answer.write(PROFILE[at : at + 1])  # a chunk of its own, which nobody joins to the next
        return answer

    async with login_at(in_pieces) as login:
        assert await login.profile("code") == Profile("17841400000000001", "ada", "1234", "998877")


async def test_an_answer_without_end_is_none() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b" " * 4096)

    async with login_at(endless) as login:
        with pytest.raises(DomainError, match="INSTAGRAM_UNAVAILABLE"):
            await login.profile("code")
