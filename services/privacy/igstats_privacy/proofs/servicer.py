"""IdentityService: proto in, proto out."""

from igstats.privacy.v1 import identity_service_pb2 as pb
from igstats.privacy.v1.identity_service_pb2_grpc import IdentityServiceServicer
from igstats_kit.interceptors.chain import Context
from igstats_kit.interceptors.identity import account

from igstats_privacy import messages as core
from igstats_privacy.proofs import messages
from igstats_privacy.proofs.accounts import Accounts
from igstats_privacy.proofs.fetching import Fetching
from igstats_privacy.proofs.logins import Logins
from igstats_privacy.proofs.mail_codes import MailCodes
from igstats_privacy.proofs.points import Points
from igstats_privacy.proofs.proving import Proving


class IdentityServicer(IdentityServiceServicer):
    """Ways of proving who one is."""

    def __init__(
        self,
        proving: Proving,
        mail: MailCodes,
        points: Points,
        logins: Logins,
        fetching: Fetching,
        accounts: Accounts,
    ) -> None:
        self._proving = proving
        self._mail = mail
        self._points = points
        self._logins = logins
        self._fetching = fetching
        self._accounts = accounts

    async def SendCode(  # noqa: N802 - gRPC name
        self, request: pb.SendCodeRequest, _context: Context
    ) -> pb.SendCodeResponse:
        """Sends a code."""
        return pb.SendCodeResponse(expires_time=core.stamp(await self._mail.send(request.status_code)))

    async def SubmitCode(  # noqa: N802 - gRPC name
        self, request: pb.SubmitCodeRequest, _context: Context
    ) -> pb.SubmitCodeResponse:
        """Checks a code."""
        shown = await self._mail.submit(request.status_code, request.code)
        return pb.SubmitCodeResponse(request=core.request(shown))

    async def MatchPoints(  # noqa: N802 - gRPC name
        self, request: pb.MatchPointsRequest, _context: Context
    ) -> pb.MatchPointsResponse:
        """Compares facts."""
        points = {point.name: point.value for point in request.points}
        shown = await self._points.match(request.status_code, points, declared=request.declared)
        return pb.MatchPointsResponse(request=core.request(shown))

    async def StartLogin(  # noqa: N802 - gRPC name
        self, request: pb.StartLoginRequest, _context: Context
    ) -> pb.StartLoginResponse:
        """Sends the person to Instagram."""
        url = await self._fetching.start(request.status_code) or await self._logins.start(request.status_code)
        return pb.StartLoginResponse(authorize_url=url)

    async def FinishLogin(  # noqa: N802 - gRPC name
        self, request: pb.FinishLoginRequest, _context: Context
    ) -> pb.FinishLoginResponse:
        """Takes the person back."""
        if (fetched := await self._fetching.finish(request.state, request.code)) is not None:
            return pb.FinishLoginResponse(request=core.request(fetched[0]), link_secret=fetched[1])
        shown = await self._logins.finish(request.state, request.code)
        return pb.FinishLoginResponse(request=core.request(shown))

    async def ProveAccount(  # noqa: N802 - gRPC name
        self, request: pb.ProveAccountRequest, _context: Context
    ) -> pb.ProveAccountResponse:
        """Takes the account's key, which the gateway has checked."""
        shower = account()
        shown = await self._accounts.prove(request.status_code, shower.account_id, shower.scopes)
        return pb.ProveAccountResponse(request=core.request(shown))

    async def ListProofs(  # noqa: N802 - gRPC name
        self, request: pb.ListProofsRequest, _context: Context
    ) -> pb.ListProofsResponse:
        """Lists the proofs of a request."""
        shown, found, now = await self._proving.proofs(request.request_id)
        return pb.ListProofsResponse(proofs=messages.proofs(shown, found, now))
