"""The public pages of one request, by its status code: where it stands, take it back, its evidence.

And the page behind the link of a letter, where the package of a request is fetched.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute

from igstats_gateway.doors import language, rendering, words
from igstats_gateway.doors.desk import Desk
from igstats_gateway.doors.front import Front
from igstats_gateway.doors.model import State
from igstats_gateway.doors.paths import PACKAGES_PATH, REQUESTS_PATH, status_path

_PROVED = frozenset({State.FULFILLED, State.FULFILLED_IN_PART})


class RequestPages:
    """What whoever holds a status code may see and do. The pages say nothing about the person."""

    def __init__(self, front: Front, desk: Desk) -> None:
        self._front = front
        self._desk = desk

    def routes(self) -> Sequence[BaseRoute]:
        """The paths."""
        own = f"{REQUESTS_PATH}/{{code}}"
        return [
            self._front.page(own, self.status),
            self._front.page(f"{own}/withdraw", self.withdraw, "GET", "POST"),
            self._front.page(f"{own}/evidence", self.evidence),
            self._front.page(f"{PACKAGES_PATH}/{{link}}", self.package, "GET", "POST"),
        ]

    async def status(self, request: Request) -> Response:
        """Where it stands."""
        code = request.path_params["code"]
        found, say = await self._desk.status(code), language.heard()
        return self._front.pages.page(
            "status",
            request=found.request,
            standing=found,
            state=words.state(found, say),
            steps=words.steps(found, say),
            reasons=words.reasoned(found, say),
            methods=words.ways(found),
            withdrawable=words.withdrawable(found),
            evidence=found.request.state in _PROVED,
            packaged=words.packaged(found),
            fresh=request.query_params.get("new") == "1",
            here=status_path(code),
        )

    async def withdraw(self, request: Request) -> Response:
        """Asks whether it is meant, and then takes the request back."""
        code = request.path_params["code"]
        if request.method == "POST":
            await self._desk.withdraw(code)
            return RedirectResponse(status_path(code), 303, rendering.SAFE)
        await self._desk.status(code)
        return self._front.pages.page("withdraw", here=status_path(code))

    async def evidence(self, request: Request) -> Response:
        """The evidence of a request that has closed. An error before the first piece is an ordinary answer."""
        code = request.path_params["code"]
        opened = (await self._desk.status(code)).request
        return await _archive(f"evidence-{opened.reference}.zip", self._desk.evidence(code))

    async def package(self, request: Request) -> Response:
        """The package of a letter's link. Looking asks nobody and uses nothing up: scanners of mails follow links."""
        link = request.path_params["link"]
        if request.method == "POST":
            return await _archive("your-data.zip", self._desk.package(link))
        return self._front.pages.page("package", here=f"{PACKAGES_PATH}/{quote(link, safe='')}")


async def _archive(name: str, pieces: AsyncGenerator[bytes, None]) -> Response:
    """A ZIP to be saved."""
    first = await anext(pieces, b"")
    headers = {**rendering.SAFE, "content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_whole(first, pieces), headers=headers, media_type="application/zip")


async def _whole(first: bytes, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(pieces):
        yield first
        async for one in pieces:
            yield one
