"""Reads the files of a log from the running service, as everybody does."""

from typing import TYPE_CHECKING, cast

import grpc
from igstats.audit.v1 import audit_service_pb2 as pb
from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceStub
from igstats_kit.errors import DomainError, Reason

from igstats_audit.model import Log

if TYPE_CHECKING:  # the generated types name it, the generated code does not
    from igstats.audit.v1.audit_service_pb2_grpc import AuditServiceAsyncStub

_SECONDS = 5.0
_MISSING = frozenset({Reason.LOG_FILE_NOT_FOUND, Reason.ENTRY_CUT})
_LOGS = {Log.EVIDENCE: pb.LOG_EVIDENCE, Log.ACCESS: pb.LOG_ACCESS}


class ServedFiles:
    """Files of one log by GetLogFile."""

    def __init__(self, channel: grpc.aio.Channel, log: Log) -> None:
        self._stub = cast("AuditServiceAsyncStub", AuditServiceStub(channel))
        self._log = _LOGS[log]

    async def file(self, path: str) -> bytes | None:
        """Content of a file; None when there is no such file.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE, or whatever keeps the service from answering.
        """
        try:
            wanted = pb.GetLogFileRequest(log=self._log, path=path)
            return (await self._stub.GetLogFile(wanted, timeout=_SECONDS)).content
        except DomainError as error:
            if error.reason in _MISSING:
                return None
            raise
