"""Streams what is held about the persons of a batch to privacy, for access and portability requests.

The shares of a batch go together: a statement reads all persons, a message takes what has come, whoever's it is. In
memory is one message, however much somebody has.
"""

import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from igstats.holder.v1.holder_tasks_service_pb2 import ExportPiece, UploadExportRequest, UploadExportResponse
from igstats.holder.v1.task_pb2 import Right, Task
from sqlalchemy.ext.asyncio import AsyncConnection

from igstats_kit.errors import DomainError, Reason
from igstats_kit.export_lines import Line
from igstats_kit.phases import case_of
from igstats_kit.subjects import Result, Subjects

if TYPE_CHECKING:  # the generated types name it, the generated code does not
    from igstats.holder.v1.holder_tasks_service_pb2_grpc import HolderTasksServiceAsyncStub

_MESSAGE_BYTES = 256 * 1024
_MESSAGE_STORES = 512


class _Share:
    """What goes out for one task."""

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        self.result = Result()
        self.digest = hashlib.sha256()

    def piece(self, store: str, lines: Sequence[bytes]) -> ExportPiece:
        whole = b"".join(lines)
        self.digest.update(whole)
        self.result.counts[store] += len(lines)
        return ExportPiece(task_id=self.task_id, store=store, lines=whole, row_count=len(lines))


class _Shares:
    """Gathers lines until they fill a message; counts and digests what goes out."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._shares = {task.request_id: _Share(task.task_id) for task in tasks}
        self._names = [ExportPiece(task_id=share.task_id) for share in self._shares.values()]
        self._waiting: dict[tuple[str, str], list[bytes]] = {}
        self._size = 0

    def add(self, line: Line) -> Iterator[UploadExportRequest]:
        """Takes a line, and yields a message when it is full."""
        for request_id in line.requests:
            if self._size + len(line.content) > _MESSAGE_BYTES or len(self._waiting) == _MESSAGE_STORES:
                yield self.message()
            self._waiting.setdefault((request_id, line.store), []).append(line.content)
            self._size += len(line.content)

    def message(self) -> UploadExportRequest:
        """What waits. The first message names all tasks.

        It has one outside the pieces, too: a privacy that does not know them then misses lines and is not believed.
        """
        pieces = [self._shares[name].piece(store, lines) for (name, store), lines in self._waiting.items()]
        names, self._names, self._waiting, self._size = self._names, [], {}, 0
        return UploadExportRequest(task_id=names[0].task_id if names else "", pieces=names + pieces)

    def results(self, answer: UploadExportResponse) -> Mapping[str, Result]:
        """What was sent for each request, if just that has come.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE when privacy did not receive what was sent.
        """
        arrived = {share.task_id: share.digest for share in answer.shares}
        if arrived != {share.task_id: share.digest.digest() for share in self._shares.values()}:
            raise DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="privacy")
        return {request_id: share.result for request_id, share in self._shares.items()}


async def export(
    connection: AsyncConnection, subjects: Subjects, stub: "HolderTasksServiceAsyncStub", tasks: Sequence[Task]
) -> Mapping[str, Result]:
    """Uploads what access exports include, or what persons can take along; returns the rows sent, by request and store.

    Raises:
        DomainError: DEPENDENCY_UNAVAILABLE when privacy did not receive what was sent.
    """
    shares = _Shares(tasks)

    async def messages() -> AsyncIterator[UploadExportRequest]:
        for portable in (False, True):
            cases = [case_of(task) for task in tasks if (task.right == Right.RIGHT_PORTABILITY) is portable]
            async for line in subjects.export(connection, cases, portable=portable):
                for message in shares.add(line):
                    yield message
        yield shares.message()

    return shares.results(await stub.UploadExport(messages()))
