"""InspectionService: what a security audit may know, proto in, proto out."""

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, time

from google.protobuf.timestamp_pb2 import Timestamp
from igstats.gateway.v1 import inspection_service_pb2 as pb
from igstats.gateway.v1.inspection_service_pb2_grpc import InspectionServiceServicer
from igstats_kit.errors import DomainError, Reason
from igstats_kit.interceptors.chain import Context
from typing_extensions import override

from igstats_gateway.model import KeyFacts

PAGE_LIMIT = 500
_TOKEN = re.compile(r"[0-9A-Za-z]{1,64}")

ReadFacts = Callable[[str, int], Awaitable[Sequence[KeyFacts]]]
"""Facts of at most so many keys after a key id, by id."""


class InspectionServicer(InspectionServiceServicer):
    """Serves the security audit."""

    def __init__(self, read: ReadFacts) -> None:
        self._read = read

    @override
    async def ListKeyFacts(self, request: pb.ListKeyFactsRequest, context: Context) -> pb.ListKeyFactsResponse:
        """A page of keys by id."""
        if request.page_token and not _TOKEN.fullmatch(request.page_token):
            raise DomainError(Reason.PAGE_TOKEN_INVALID)
        size = min(request.page_size or PAGE_LIMIT, PAGE_LIMIT)
        found = await self._read(request.page_token, size + 1)
        more = found[size - 1].key_id if len(found) > size else ""
        return pb.ListKeyFactsResponse(keys=map(_facts, found[:size]), next_page_token=more)


def _facts(key: KeyFacts) -> pb.KeyFacts:
    used = datetime.combine(key.last_used_day, time(), UTC) if key.last_used_day else None
    return pb.KeyFacts(
        key_id=key.key_id,
        scopes=key.scopes,
        used_scopes=key.used_scopes,
        created_time=_stamp(key.created_time),
        last_used_time=_stamp(used),
        expires_time=_stamp(key.expire_time),
        revoked=key.revoked,
    )


def _stamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    made = Timestamp()
    made.FromDatetime(moment)
    return made
