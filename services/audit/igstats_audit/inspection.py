"""What the security audit asks of the gateway."""

from collections.abc import Sequence
from datetime import UTC
from typing import TYPE_CHECKING, cast

import grpc
from igstats.gateway.v1.inspection_service_pb2 import KeyFacts, ListKeyFactsRequest
from igstats.gateway.v1.inspection_service_pb2_grpc import InspectionServiceStub

from igstats_audit.checks.api_keys import ApiKey

if TYPE_CHECKING:  # the generated types name it, the generated code does not
    from igstats.gateway.v1.inspection_service_pb2_grpc import InspectionServiceAsyncStub


class GatewayInspection:
    """Reads facts of API keys."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = cast("InspectionServiceAsyncStub", InspectionServiceStub(channel))

    async def keys(self) -> Sequence[ApiKey]:
        """Every key, dead ones too.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE.
        """
        found: list[ApiKey] = []
        token = ""
        while True:
            answer = await self._stub.ListKeyFacts(ListKeyFactsRequest(page_token=token))
            found += map(_key, answer.keys)
            token = answer.next_page_token
            if not token:
                return found


def _key(facts: KeyFacts) -> ApiKey:
    return ApiKey(
        key_id=facts.key_id,
        scopes=frozenset(facts.scopes),
        used_scopes=frozenset(facts.used_scopes),
        created_at=facts.created_time.ToDatetime(tzinfo=UTC),
        last_used_at=facts.last_used_time.ToDatetime(tzinfo=UTC) if facts.HasField("last_used_time") else None,
        expires_at=facts.expires_time.ToDatetime(tzinfo=UTC) if facts.HasField("expires_time") else None,
        revoked=facts.revoked,
    )
