"""The emulator's HTTP server: Graph API paths with or without version, and a control room under /_faults."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from igstats_kit.clock import Clock

from igstats_dev.instagram import insights, nodes, refusals
from igstats_dev.instagram.faults import Fault, Faults
from igstats_dev.instagram.oauth import App, Consent, ExchangeRefusedError
from igstats_dev.instagram.people import People, Person, Post

_Answer = dict[str, Any]
_BEARABLE = 25  # items of a page that a "shrink" fault still answers
_APP_LIMIT = 4
_VERSION = r"{version:v\d+\.\d+}"


class Emulator:
    """One Instagram. `faults` and `calls` are open to tests in the same process; `url` is set while it listens."""

    def __init__(self, people: People, clock: Clock, apps: Iterable[App] = ()) -> None:
        self.people = people
        self.consent = Consent(people, apps)
        self.faults = Faults()
        self.calls: Counter[str] = Counter()
        self.url = ""
        self._clock = clock

    def app(self) -> web.Application:
        """The web application."""
        app = web.Application()
        for prefix in ("", f"/{_VERSION}"):
            app.router.add_get(f"{prefix}/me", self._graph(self._me))
            app.router.add_get(f"{prefix}/{{node}}", self._graph(self._node))
            for edge in ("media", "stories"):
                app.router.add_get(f"{prefix}/{{node}}/{edge}", self._graph(self._media))
            app.router.add_get(f"{prefix}/{{node}}/insights", self._graph(self._insights))
        app.router.add_get("/oauth/authorize", self._ask_consent)
        app.router.add_post("/oauth/authorize", self._take_consent)
        app.router.add_post("/oauth/access_token", self._exchange)
        app.router.add_get("/_profiles", self._list_profiles)
        app.router.add_get("/_calls", self._count_calls)
        app.router.add_get("/_faults", self._list_faults)
        app.router.add_post("/_faults", self._add_fault)
        app.router.add_delete("/_faults", self._clear_faults)
        return app

    @asynccontextmanager
    async def listening(self, listen: str = "127.0.0.1:0") -> AsyncIterator[str]:
        """Serves while the block runs; gives the address."""
        host, _, port = listen.rpartition(":")
        runner = web.AppRunner(self.app(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, host, int(port)).start()
        try:
            self.url = f"http://{host}:{runner.addresses[0][1]}"
            yield self.url
        finally:
            self.faults.clear()
            await runner.cleanup()

    def _graph(
        self, answer: Callable[[web.Request, Person], _Answer]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Wraps a Graph API handler: token, faults, headers, error bodies."""

        async def handle(request: web.Request) -> web.StreamResponse:
            headers: dict[str, str] = {}
            try:
                person = self._person(request)
                await self._suffer(request, person, headers)
                return web.json_response(answer(request, person), headers=headers)
            except refusals.RefusalError as refusal:
                return web.json_response(refusal.body, status=refusal.status, headers=headers)

        return handle

    def _person(self, request: web.Request) -> Person:
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        token = request.query.get("access_token", bearer)
        person = self.people.of_token(token) or self.consent.of_token(token, self._clock.now())
        if person is None:
            raise refusals.dead_token(467)
        self.calls[f"{person.username} {request.path.rpartition('/')[2]}"] += 1
        return person

    async def _suffer(self, request: web.Request, person: Person, headers: dict[str, str]) -> None:
        for fault in self.faults.take(person.username, request.path):
            await self._delay(fault)
            self._refuse(fault, request, person, headers)

    async def _delay(self, fault: Fault) -> None:
        if fault.kind == "lag":
            await asyncio.sleep(fault.milliseconds / 1000)
        elif fault.kind == "hold":
            await self.faults.hold()

    @staticmethod
    def _refuse(fault: Fault, request: web.Request, person: Person, headers: dict[str, str]) -> None:
        match fault.kind:
            case "throttle" | "usage":
                headers.update(_usage_headers(fault, person))
                if fault.kind == "throttle":
                    raise refusals.throttled(fault.code)
            case "dead_token":
                raise refusals.dead_token(fault.subcode)
            case "unsupported_metric" if fault.metric in request.query.get("metric", "").split(","):
                raise refusals.unsupported_metric(fault.metric)
            case "transient":
                raise refusals.transient()
            case "server_error":
                raise web.HTTPInternalServerError(text="<html>Sorry, something went wrong.</html>")
            case "shrink" if int(request.query.get("limit", _BEARABLE)) > _BEARABLE:
                raise refusals.too_much()

    async def _ask_consent(self, request: web.Request) -> web.StreamResponse:
        try:
            return web.Response(text=self.consent.page(request.query), content_type="text/html")
        except ExchangeRefusedError as refusal:
            return web.json_response(refusal.body, status=400)

    async def _take_consent(self, request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        try:
            return web.Response(status=302, headers={"Location": self.consent.answer(form, self._clock.now())})
        except ExchangeRefusedError as refusal:
            return web.json_response(refusal.body, status=400)

    async def _exchange(self, request: web.Request) -> web.StreamResponse:
        """Hands out a token. A "wrapped" fault answers as documented, with `data` around it; most have seen it bare."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.calls["oauth access_token"] += 1
        faults = self.faults.take("", request.path)
        for fault in faults:
            await self._delay(fault)
        kinds = {fault.kind for fault in faults}
        if kinds & {"transient", "server_error"}:
            raise web.HTTPInternalServerError(text="<html>Sorry, something went wrong.</html>")
        if "bad_code" in kinds:
            form["code"] = "used"
        try:
            token = self.consent.exchange(form, self._clock.now())
        except ExchangeRefusedError as refusal:
            return web.json_response(refusal.body, status=400)
        return web.json_response({"data": [token]} if "wrapped" in kinds else token)

    def _me(self, request: web.Request, person: Person) -> _Answer:
        return nodes.user(person, request.query, self._clock.now())

    def _node(self, request: web.Request, person: Person) -> _Answer:
        name = request.match_info["node"]
        if name in (person.user_id, person.scoped_id):
            return nodes.user(person, request.query, self._clock.now())
        return nodes.media(person, self._post(person, name), request.query, self._clock.now())

    def _media(self, request: web.Request, person: Person) -> _Answer:
        self._require_own(request, person)
        now = self._clock.now()
        posts = person.stories(now) if request.path.endswith("/stories") else person.posts(now)
        return nodes.media_list(person, posts, request.query, now, str(request.url.with_query(None)))

    def _insights(self, request: web.Request, person: Person) -> _Answer:
        name, now = request.match_info["node"], self._clock.now()
        if name in ("me", person.user_id, person.scoped_id):
            return insights.of_user(person, request.query, now)
        return insights.of_media(person, self._post(person, name), request.query, now)

    def _post(self, person: Person, media_id: str) -> Post:
        now = self._clock.now()
        found = [post for post in (*person.posts(now), *person.stories(now)) if post.media_id == media_id]
        if not found:
            raise refusals.object_missing(media_id)
        return found[0]

    @staticmethod
    def _require_own(request: web.Request, person: Person) -> None:
        name = request.match_info["node"]
        if name not in ("me", person.user_id, person.scoped_id):
            raise refusals.object_missing(name)

    async def _list_profiles(self, _: web.Request) -> web.Response:
        known = [
            {"username": person.username, "instagram_user_id": person.user_id, "access_token": person.access_token}
            for person in self.people.all
        ]
        return web.json_response({"profiles": known})

    async def _count_calls(self, _: web.Request) -> web.Response:
        return web.json_response({"calls": dict(self.calls), "total": self.calls.total()})

    async def _list_faults(self, _: web.Request) -> web.Response:
        active = [fault.describe() for fault in self.faults.active]
        return web.json_response({"faults": active, "held": self.faults.held})

    async def _add_fault(self, request: web.Request) -> web.Response:
        try:
            fault = Fault(**await request.json())
        except (TypeError, ValueError) as error:
            return web.json_response({"problem": str(error)}, status=400)
        self.faults.add(fault)
        return web.json_response(fault.describe(), status=201)

    async def _clear_faults(self, _: web.Request) -> web.Response:
        self.faults.clear()
        return web.json_response({"faults": []})


def _usage_headers(fault: Fault, person: Person) -> dict[str, str]:
    shares = {"call_count": fault.percent, "total_cputime": fault.percent // 4, "total_time": fault.percent // 4}
    case = {"type": "instagram", **shares, "estimated_time_to_regain_access": fault.regain_minutes}
    app = shares if fault.code == _APP_LIMIT else {name: share // 4 for name, share in shares.items()}
    return {
        "X-App-Usage": json.dumps(app),
        "X-Business-Use-Case-Usage": json.dumps({person.user_id: [case]}),
    }
