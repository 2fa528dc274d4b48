"""Pages on which a person proves who they are: mail code, facts on file, Instagram Login, an account's key.

What a page answers is the same for somebody we know and for a stranger; a wrong code says how many tries are left.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute
from ulid import ULID

from igstats_gateway import problem
from igstats_gateway.authentication import Authentication
from igstats_gateway.doors import language, rendering, words
from igstats_gateway.doors.desk import Desk
from igstats_gateway.doors.entry import Mistake
from igstats_gateway.doors.front import Front, form
from igstats_gateway.doors.identity import IdentityDesk
from igstats_gateway.doors.paths import LOGIN_PATH, PACKAGES_PATH, REQUESTS_PATH, status_path
from igstats_gateway.doors.sign_in import SignIns
from igstats_gateway.model import Call, Client

_LONGEST_POINT = 500


SCOPE = "privacy:write"
"""What a key must be allowed to prove its account with: as much as opening a request over the API asks for."""
POINTS = ("company", "contact_name", "billing_address", "vat_number", "key_id", "created_month")
"""Facts that can be compared, as igstats.privacy.v1.Point names them."""


class ProofPages:
    """Shows and takes proofs."""

    def __init__(
        self,
        front: Front,
        desk: Desk,
        identity: IdentityDesk,
        authentication: Authentication,
        sign_ins: SignIns,
        clock: Clock,
    ) -> None:
        self._front = front
        self._desk = desk
        self._identity = identity
        self._authentication = authentication
        self._sign_ins = sign_ins
        self._clock = clock

    def routes(self) -> Sequence[BaseRoute]:
        """The paths."""
        own = f"{REQUESTS_PATH}/{{code}}"
        return [
            self._front.page(f"{own}/mail-code", self.mail_code, "GET", "POST"),
            self._front.page(f"{own}/mail-code/check", self.check_code, "POST"),
            self._front.page(f"{own}/points", self.points, "GET", "POST"),
            self._front.page(f"{own}/account", self.account, "GET", "POST"),
            self._front.page(f"{own}/login", self.start_login, "POST"),
            self._front.page(LOGIN_PATH, self.finish_login),
        ]

    async def mail_code(self, request: Request) -> Response:
        """Sends a code, and then shows where to type it."""
        code = request.path_params["code"]
        if request.method == "POST":
            await self._identity.send_code(code)
            return RedirectResponse(f"{status_path(code)}/mail-code", 303, rendering.SAFE)
        await self._desk.status(code)
        return self._front.pages.page("mail_code", here=status_path(code))

    async def check_code(self, request: Request) -> Response:
        """Checks a code."""
        code, typed = request.path_params["code"], await form(request)
        return await self._tried(
            "mail_code", code, typed, "code", lambda: self._identity.check_code(code, typed.get("code", ""))
        )

    async def points(self, request: Request) -> Response:
        """Shows the facts that can be compared, and compares them."""
        code = request.path_params["code"]
        if request.method != "POST":
            await self._desk.status(code)
            return self._front.pages.page("points", here=status_path(code), points=POINTS)
        typed = await form(request)
        stated = {one: typed[one][:_LONGEST_POINT] for one in POINTS if typed.get(one)}
        if not stated:
            return self._again("points", code, typed, Mistake(POINTS[0], language.heard()("mistake.point")))
        declared = typed.get("declared") == "yes"
        return await self._tried(
            "points", code, typed, "", lambda: self._identity.match(code, stated, declared=declared)
        )

    async def account(self, request: Request) -> Response:
        """Asks for a key, and checks it as the API does for who opens a request."""
        code = request.path_params["code"]
        if request.method != "POST":
            await self._desk.status(code)
            return self._front.pages.page("account", here=status_path(code))
        typed = await form(request)
        call = Call(f"req_{ULID()}".lower(), "http", Client(), self._clock.now())

        async def prove() -> object:
            call.caller = await self._authentication.caller(f"Bearer {typed.get('api_key', '')}")
            if SCOPE not in call.caller.scopes:
                raise DomainError(Reason.SCOPE_MISSING, scope=SCOPE)
            return await self._identity.prove_account(code, call)

        return await self._tried("account", code, {}, "api_key", prove)

    async def start_login(self, request: Request) -> Response:
        """Leads to Instagram by a link: a content policy would stop a form that is redirected to another site."""
        code = request.path_params["code"]
        url = await self._identity.start_login(code)
        page = self._front.pages.page("login", here=status_path(code), url=url)
        self._sign_ins.begin(page, url)
        return page

    async def finish_login(self, request: Request) -> Response:
        """Takes a person back from Instagram, in the browser in which they left.

        Neither a look ahead (HEAD) nor another browser uses up the sign-in.
        """
        state, code = (request.query_params.get(name, "") for name in ("state", "code"))
        if request.method != "GET" or not (state and code):
            raise DomainError(Reason.LOGIN_STATE_INVALID)
        if not self._sign_ins.is_own(request.cookies, state):
            return self._front.pages.page("elsewhere", problem.status(DomainError(Reason.LOGIN_STATE_INVALID)))
        opened, secret = await self._identity.finish_login(state, code)
        package = f"{PACKAGES_PATH}/{opened.status_code}.{secret}"
        back = RedirectResponse(package if secret else status_path(opened.status_code), 303, rendering.SAFE)
        self._sign_ins.end(back)
        return back

    async def _tried(
        self, name: str, code: str, typed: Mapping[str, str], field: str, prove: Callable[[], Awaitable[object]]
    ) -> Response:
        """Back to the status page; or the same page again with what was wrong, and with what was typed."""
        try:
            await prove()
        except DomainError as error:
            if error.reason in (Reason.STATUS_CODE_UNKNOWN, Reason.INTERNAL):
                raise
            return self._again(name, code, typed, Mistake(field, _told(error)), problem.status(error))
        return RedirectResponse(status_path(code), 303, rendering.SAFE)

    def _again(self, name: str, code: str, typed: Mapping[str, str], mistake: Mistake, status: int = 400) -> Response:
        return self._front.pages.page(
            name, status, here=status_path(code), points=POINTS, values=typed, errors=(mistake,)
        )


def _told(error: DomainError) -> str:
    say, left = language.heard(), error.metadata.get("tries_left")
    text, fix = words.failure(error, say)
    if error.reason is Reason.PROOF_CODE_INVALID:
        more = say("mistake.tries", count=left) if left else ""
    elif error.reason is Reason.FIELD_INVALID:
        more = say("mistake.typed")
    else:
        more = say("mistake.retry", seconds=f"{error.retry_after:.0f}") if error.retry_after else fix
    return f"{text} {more}".strip()
