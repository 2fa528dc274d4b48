"""dsrdelete.json and the endpoint that it names."""

from collections.abc import Sequence

from igstats_kit.clock import Clock
from igstats_kit.errors import DomainError, Reason
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from igstats_gateway import problem
from igstats_gateway.doors import reading
from igstats_gateway.doors.attesting import proof
from igstats_gateway.doors.dealings import Dealings
from igstats_gateway.doors.face import Face
from igstats_gateway.doors.iab import tokens
from igstats_gateway.doors.iab.acknowledging import Acknowledger
from igstats_gateway.doors.iab.tokens import Deletion, RefusedError, Result
from igstats_gateway.doors.model import Regime, Right, Wish
from igstats_gateway.doors.partners import DataDeletion
from igstats_gateway.limits import AddressLimits

DOOR = "iab"
ENDPOINT = "/iab/deletions"
_JSON = "application/json"


class DeletionFace:
    """Serves requesters. A request is one bare rqJWT, or JSON with it; the acknowledgement comes in the same form."""

    def __init__(
        self,
        settings: DataDeletion,
        acknowledger: Acknowledger,
        dealings: Dealings,
        public_url: str,
        limits: AddressLimits,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._acknowledger = acknowledger
        self._dealings = dealings
        self._endpoint = public_url.rstrip("/") + ENDPOINT
        self._clock = clock
        self._face = Face(DOOR, limits, refusal)

    def routes(self) -> Sequence[BaseRoute]:
        """The paths."""
        return [
            self._face.route("GET", "/dsrdelete.json", self.describe),
            self._face.route("POST", ENDPOINT, self.delete),
        ]

    async def describe(self, _request: Request, _body: bytes) -> Response:
        """What is supported, where to send it, and the key of our acknowledgements."""
        supported = [
            {"id": number, "type": kind, "format": format_}
            for number, (kind, format_) in enumerate(tokens.IDENTIFIERS, 1)
        ]
        said = {
            "endpoint": self._endpoint,
            "identifiers": supported,
            "publicKey": [self._acknowledger.public_key()],
            "vendorScriptRequirement": False,
        }
        return JSONResponse(said)

    async def delete(self, request: Request, body: bytes) -> Response:
        """Opens a deletion and acknowledges it; what is wrong is acknowledged with its code."""
        as_json = request.headers.get("content-type", "").partition(";")[0].strip().lower() == _JSON
        rq_jwt = _token(body, as_json=as_json)
        try:
            deletion = tokens.read(rq_jwt, self._settings.parties, self._clock.now())
            await self._open(deletion)
        except RefusedError as error:
            return self._acknowledged(rq_jwt, error.result, error.text, as_json=as_json)
        return self._acknowledged(rq_jwt, Result.SUCCESSFUL, "", as_json=as_json)

    async def _open(self, deletion: Deletion) -> None:
        identifiers = (deletion.identifier,)
        verified = deletion.origin.verifies and deletion.same_identifier
        words = f"IAB first party {deletion.origin.id}: mail address verified"
        wish = Wish(
            door=DOOR,
            idempotency_key="",
            right=Right.ERASURE,
            identifiers=identifiers,
            identity_proof=proof(words, Right.ERASURE, Regime.UNSPECIFIED, identifiers, verified=verified),
        )
        try:
            await self._dealings.open(deletion.requester.id, deletion.jti, wish)
        except DomainError as error:
            if error.reason is not Reason.IDEMPOTENCY_KEY_REUSED:
                raise
            raise RefusedError(Result.MALFORMED, "jti was used for another request") from error

    def _acknowledged(self, rq_jwt: str, result: Result, text: str, *, as_json: bool) -> Response:
        ac_jwt = self._acknowledger.sign(rq_jwt, result, text)
        status = 202 if result is Result.SUCCESSFUL else 400
        if as_json:
            return JSONResponse({"acJWT": ac_jwt}, status)
        return Response(ac_jwt, status, media_type="application/jwt")


def _token(body: bytes, *, as_json: bool) -> str:
    """The rqJWT of a body; what is none is refused by whoever reads it."""
    if as_json:
        try:
            found = reading.parsed(body).get("rqJWT")
        except DomainError:
            return ""
        return found if isinstance(found, str) else ""
    return body.strip().decode("ascii", errors="replace")


def refusal(error: DomainError, _path: str) -> Response:
    """What the framework has no code for: our own troubles and limits."""
    said = {"error": error.public.text, "reason": str(error.reason)}
    return JSONResponse(said, problem.status(error), dict(problem.headers(error)))
