"""Pages that everybody sees alike: the form, what we hold, the style sheet, the word that GPC is honoured."""

import secrets
from collections.abc import Mapping, Sequence

from igstats_kit.errors import DomainError
from igstats_kit.interceptors import gpc
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute

from igstats_gateway import problem
from igstats_gateway.doors import entry, language, rendering, words
from igstats_gateway.doors.desk import Desk
from igstats_gateway.doors.entry import Entry, Mistake
from igstats_gateway.doors.front import Front, form
from igstats_gateway.doors.model import Right
from igstats_gateway.doors.paths import CATEGORIES_PATH, START_PATH, STYLE_PATH, status_path
from igstats_gateway.doors.words import RIGHTS

GPC_PATH = "/.well-known/gpc.json"
GPC_SINCE = "2026-11-28"
"""Since when the signal is honoured as it is now."""


class StartPages:
    """The form of policy section 11, and what everybody may know."""

    def __init__(self, front: Front, desk: Desk) -> None:
        self._front = front
        self._desk = desk

    def routes(self) -> Sequence[BaseRoute]:
        """The paths."""
        return [
            self._front.page(START_PATH, self.start, "GET", "POST"),
            self._front.page(CATEGORIES_PATH, self.categories),
            self._front.page(STYLE_PATH, self.style),
            self._front.page(GPC_PATH, self.support),
        ]

    async def start(self, request: Request) -> Response:
        """The form; sent, it opens a request and leads to its status page."""
        if request.method != "POST":
            chosen = request.query_params.get("right", "")
            return self._form({"right": chosen, "language": language.heard().language}, ())
        typed = Entry(await form(request))
        if mistakes := typed.mistakes(language.heard()):
            return self._form(typed.values, mistakes, 400)
        try:
            code = await self._open(typed)
        except DomainError as error:
            return self._form(typed.values, (_mistake(error),), problem.status(error))
        return RedirectResponse(f"{status_path(code)}?new=1", 303, rendering.SAFE)

    def _form(self, values: Mapping[str, str], mistakes: Sequence[Mistake], status: int = 200) -> Response:
        """The form with everything that was typed. A new one gets a new key; one that is mended keeps its own."""
        fresh = not values.get("key") or any(not one.field for one in mistakes)
        return self._front.pages.page(
            "form",
            status,
            rights=RIGHTS,
            regimes=entry.REGIMES,
            languages=language.LANGUAGES,
            corrections=entry.CORRECTIONS,
            places=entry.PLACES,
            values=values,
            errors=mistakes,
            key=secrets.token_urlsafe(24) if fresh else values["key"],
        )

    async def _open(self, typed: Entry) -> str:
        """Opens what the form asks; with a GPC signal also an opt-out of those whom it names (11 CCR 7025(c)(1))."""
        opened = await self._desk.open(typed.wish())
        if gpc.heard() and typed.right not in (Right.OPT_OUT, Right.OPT_IN):
            await self._desk.open(typed.opt_out())
        return opened.status_code

    async def categories(self, _request: Request) -> Response:
        """Categories, sources, purposes, recipients and retention, derived from the declarations (CCPA 1798.130)."""
        return self._front.pages.page("categories", disclosure=await self._desk.categories())

    async def style(self, _request: Request) -> Response:
        """The style sheet."""
        return rendering.style()

    async def support(self, _request: Request) -> Response:
        """The support resource of the GPC specification."""
        body = {"gpc": True, "lastUpdate": GPC_SINCE}
        return JSONResponse(
            body, headers={"cache-control": "public, max-age=86400", "x-content-type-options": "nosniff"}
        )


def _mistake(error: DomainError) -> Mistake:
    """What privacy said against it, at the top of the form: nothing that was typed is lost."""
    say = language.heard()
    wait = say("mistake.retry", seconds=f"{error.retry_after:.0f}") if error.retry_after else ""
    return Mistake("", " ".join(filter(None, (*words.failure(error, say), words.details(error, say), wait))))
