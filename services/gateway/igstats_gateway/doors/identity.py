"""What the pages ask of privacy about a person's identity. Answers are the same whether the person is known or not."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import grpc
from igstats.privacy.v1.identity_service_pb2 import (
    FinishLoginRequest,
    MatchPointsRequest,
    Point,
    ProveAccountRequest,
    SendCodeRequest,
    StartLoginRequest,
    SubmitCodeRequest,
)
from igstats.privacy.v1.identity_service_pb2_grpc import IdentityServiceStub

from igstats_gateway.doors.messages import read_request
from igstats_gateway.doors.model import Opened
from igstats_gateway.model import Call
from igstats_gateway.relay import identity

if TYPE_CHECKING:  # the generated types name it, the generated code does not
    from igstats.privacy.v1.identity_service_pb2_grpc import IdentityServiceAsyncStub


class IdentityDesk:
    """Ways of proving who one is, by the status code of a request."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = cast("IdentityServiceAsyncStub", IdentityServiceStub(channel))

    async def send_code(self, status_code: str) -> None:
        """Sends a code to the mail address that the request names.

        Raises:
            DomainError: STATUS_CODE_UNKNOWN, PROOF_NOT_AVAILABLE, PROOF_TRIES_EXHAUSTED.
        """
        await self._stub.SendCode(SendCodeRequest(status_code=status_code))

    async def check_code(self, status_code: str, code: str) -> Opened:
        """Checks a code.

        Raises:
            DomainError: STATUS_CODE_UNKNOWN, PROOF_CODE_INVALID, PROOF_CODE_EXPIRED, PROOF_TRIES_EXHAUSTED,
                FIELD_INVALID.
        """
        answer = await self._stub.SubmitCode(SubmitCodeRequest(status_code=status_code, code=code))
        return read_request(answer.request)

    async def match(self, status_code: str, points: Mapping[str, str], *, declared: bool) -> Opened:
        """Compares facts with those on file.

        Raises:
            DomainError: STATUS_CODE_UNKNOWN, PROOF_NOT_AVAILABLE, PROOF_TRIES_EXHAUSTED, FIELD_INVALID.
        """
        stated = [Point(name=name, value=value) for name, value in points.items()]
        request = MatchPointsRequest(status_code=status_code, points=stated, declared=declared)
        return read_request((await self._stub.MatchPoints(request)).request)

    async def start_login(self, status_code: str) -> str:
        """Where the person signs in with Instagram.

        Raises:
            DomainError: STATUS_CODE_UNKNOWN, PROOF_NOT_AVAILABLE.
        """
        return (await self._stub.StartLogin(StartLoginRequest(status_code=status_code))).authorize_url

    async def finish_login(self, state: str, code: str) -> tuple[Opened, str]:
        """Ends the sign-in with what Instagram sent back; "" or the secret that opens the package, if it was for that.

        Raises:
            DomainError: LOGIN_STATE_INVALID, PROOF_NOT_AVAILABLE, INSTAGRAM_UNAVAILABLE.
        """
        answer = await self._stub.FinishLogin(FinishLoginRequest(state=state, code=code))
        return read_request(answer.request), answer.link_secret

    async def prove_account(self, status_code: str, call: Call) -> Opened:
        """Passes on the account whose key was shown.

        Raises:
            DomainError: STATUS_CODE_UNKNOWN, PROOF_NOT_AVAILABLE.
        """
        request = ProveAccountRequest(status_code=status_code)
        return read_request((await self._stub.ProveAccount(request, metadata=identity(call))).request)
