"""Streams a person's data to privacy for an access or portability request."""

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from igstats.holder.v1.holder_tasks_service_pb2 import UploadExportRequest
from igstats.holder.v1.task_pb2 import Right, Task
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_kit.errors import DomainError, Reason
from igstats_kit.phases import case_of
from igstats_kit.subjects import Result, Subjects

if TYPE_CHECKING:  # the generated types name it, the generated code does not
    from igstats.holder.v1.holder_tasks_service_pb2_grpc import HolderTasksServiceAsyncStub

_CHUNK_BYTES = 200 * 1024


def _plain(value: object) -> str | float:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"a {type(value).__name__} cannot be exported: declare its column exported=False")


def json_line(row: dict[str, Any]) -> bytes:
    """One row as a line of JSON Lines."""
    return json.dumps(row, default=_plain, ensure_ascii=False).encode() + b"\n"


class _Pieces:
    """Cuts rows into upload messages of whole lines, and counts and digests what goes out."""

    def __init__(self, task_id: str) -> None:
        self.result = Result()
        self._task_id = task_id
        self._digest = hashlib.sha256()
        self._store = ""
        self._lines: list[bytes] = []
        self._size = 0

    @property
    def digest(self) -> bytes:
        return self._digest.digest()

    def add(self, store: str, line: bytes) -> Iterator[UploadExportRequest]:
        if self._lines and (store != self._store or self._size + len(line) > _CHUNK_BYTES):
            yield self.flush()
        self._store = store
        self._lines.append(line)
        self._size += len(line)
        self.result.counts[store] += 1
        self._digest.update(line)

    def flush(self) -> UploadExportRequest:
        piece = UploadExportRequest(
            task_id=self._task_id, store=self._store, lines=b"".join(self._lines), row_count=len(self._lines)
        )
        self._task_id, self._lines, self._size = "", [], 0
        return piece


async def export(
    connection: AsyncConnection, subjects: Subjects, stub: "HolderTasksServiceAsyncStub", task: Task
) -> Result:
    """Uploads what an access export includes, or what a person can take along; returns the rows sent per store.

    Raises:
        DomainError: DEPENDENCY_UNAVAILABLE when privacy did not receive what was sent.
    """
    pieces = _Pieces(task.task_id)

    async def messages() -> AsyncIterator[UploadExportRequest]:
        portable = task.right == Right.RIGHT_PORTABILITY
        async for store, row in subjects.export(connection, case_of(task), portable=portable):
            for piece in pieces.add(store, json_line(row)):
                yield piece
        yield pieces.flush()

    answer = await stub.UploadExport(messages())
    if answer.digest != pieces.digest:
        raise DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="privacy")
    return pieces.result
