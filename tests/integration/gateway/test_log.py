"""The files of both logs, for everybody."""

import json
from typing import Any, TypeAlias

import aiohttp
import pytest
from igstats.audit.v1.audit_service_pb2 import GetLogFileRequest, Log
from igstats_gateway.tables import usage_days
from sqlalchemy import func, select
from yarl import URL

Gateway: TypeAlias = Any

TILE = "/log/access/tile/0/x001/234"


async def _problem(answer: aiohttp.ClientResponse, status: int, reason: str) -> None:
    body = await answer.json(content_type="application/problem+json")
    assert (answer.status, body["reason"], body["status"]) == (status, reason, status)
    assert body["requestId"] == answer.headers["Request-Id"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert "inside" not in json.dumps(body)


async def test_a_full_tile_is_served_for_ever_and_asked_for_once(gateway: Gateway) -> None:
    for _ in range(2):
        async with gateway.http.get(TILE) as answer:
            assert (answer.status, await answer.read()) == (200, b"LOG_ACCESS tile/0/x001/234\n")
            assert answer.content_type == "application/octet-stream"
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert answer.headers["RateLimit-Policy"] == '"minute";q=3000;w=60'
    assert gateway.others.requests == [GetLogFileRequest(log=Log.LOG_ACCESS, path="tile/0/x001/234")]
    assert gateway.others.metadata[0]["x-igstats-call-id"].startswith("req_")
    assert "x-igstats-account-id" not in gateway.others.metadata[0]


@pytest.mark.parametrize("path", ["checkpoint", "keys"])
async def test_checkpoint_and_keys_are_text_and_always_the_newest(gateway: Gateway, path: str) -> None:
    for _ in range(2):
        async with gateway.http.get(f"/log/evidence/{path}") as answer:
            assert await answer.text() == f"LOG_EVIDENCE {path}\n"
            assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
            assert answer.headers["Cache-Control"] == "no-cache"
    assert len(gateway.others.requests) == 2


async def test_a_partial_tile_is_asked_for_again(gateway: Gateway) -> None:
    async with gateway.http.get("/log/evidence/tile/entries/000.p/17") as answer:
        assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-cache")
        assert answer.content_type == "application/octet-stream"


async def test_what_a_reader_has_already_is_not_sent_again(gateway: Gateway) -> None:
    async with gateway.http.get(TILE) as answer:
        tag = answer.headers["ETag"]
    for known in (tag, f'"other", W/{tag}', "*"):
        async with gateway.http.get(TILE, headers={"If-None-Match": known}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
            assert (answer.headers["ETag"], answer.headers["Cache-Control"].startswith("public")) == (tag, True)
    async with gateway.http.get(TILE, headers={"If-None-Match": '"other"'}) as answer:
        assert answer.status == 200


async def test_head_tells_size_and_tag(gateway: Gateway) -> None:
    async with gateway.http.head(TILE) as answer:
        assert (answer.status, await answer.read()) == (200, b"")
        assert answer.headers["Content-Length"] == "27"
        assert answer.headers["ETag"]


@pytest.mark.parametrize(
    "path", ["evidence/tile/0/001", "evidence/tile/0/1", "other/checkpoint", "evidence/", "evidence/tile%2F0%2F1"]
)
async def test_what_is_not_there_is_a_problem(gateway: Gateway, path: str) -> None:
    url = URL(f"https://{gateway.config.public_http_listen}/log/{path}", encoded=True)
    async with gateway.http.get(url) as answer:
        await _problem(answer, 404, "LOG_FILE_NOT_FOUND")


async def test_what_breaks_inside_stays_inside(gateway: Gateway) -> None:
    async with gateway.http.get("/log/evidence/tile/0/002") as answer:
        await _problem(answer, 500, "INTERNAL")


async def test_a_log_can_only_be_read(gateway: Gateway) -> None:
    async with gateway.http.post(TILE, data=b"x") as answer:
        await _problem(answer, 405, "METHOD_UNKNOWN")
        assert answer.headers["Allow"] == "GET, HEAD"
    assert gateway.others.requests == []


async def test_reading_a_log_leaves_no_record(gateway: Gateway) -> None:
    async with gateway.http.get(TILE):
        pass
    async with gateway.http.get("/v1/account", headers=gateway.key) as answer:
        assert answer.status == 200
    while True:
        async with gateway.database.read() as connection:
            if methods := list(await connection.scalars(select(usage_days.c.method))):
                break
    assert methods == ["/igstats.api.v1.AccountService/GetAccount"]
    async with gateway.database.read() as connection:
        assert await connection.scalar(select(func.sum(usage_days.c.calls))) == 1


class TestSmallAllowance:
    """An address that reads faster than it may."""

    @pytest.fixture(autouse=True)
    def _allowance(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("IGSTATS_GATEWAY_ADDRESS_UNITS", "2")

    async def test_it_is_told_to_wait(self, gateway: Gateway) -> None:
        for _ in range(2):
            async with gateway.http.get(TILE) as answer:
                assert answer.status == 200
        async with gateway.http.get(TILE) as answer:
            await _problem(answer, 429, "RATE_LIMITED")
            assert int(answer.headers["Retry-After"]) > 0
        async with gateway.http.get("/v1/account", headers=gateway.key) as answer:
            assert answer.status == 200
