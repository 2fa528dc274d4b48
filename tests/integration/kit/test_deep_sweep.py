"""The deep sweep on a server of its own: planted copies are named by their place, and a clean person is said to be."""

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from igstats.event.v1.events_pb2 import RecordMade
from igstats.holder.v1.task_pb2 import Right
from igstats_kit.declare import impersonal_store
from igstats_kit.deep_sweep import store, streams
from igstats_kit.deep_sweep.model import Erased, Kind, Needles, Report, Sought, Stored
from igstats_kit.deep_sweep.search import Reach, Search
from igstats_kit.deep_sweep.store import Table
from igstats_kit.deep_sweep.worker import DeepSweep, Schedule
from igstats_kit.errors import Reason, TooMuchError
from igstats_kit.events import Bus, Event, Stream
from igstats_kit.permissions import RIGHTS
from igstats_kit.sql import Database
from igstats_kit.tables import needles, outbox
from igstats_kit.testing import toy
from igstats_kit.testing.clock import FakeClock
from igstats_kit.testing.coordinator import ERASURE
from igstats_kit.testing.databases import Databases
from igstats_kit.testing.postgres import SWEEPABLE, Postgres
from igstats_kit.testing.processes import free_port
from igstats_kit.testing.toy_holder import ToyHolder
from sqlalchemy import select, text

from tests.unit.kit.test_edges import FOUND, PIECES

SCHEDULE = Schedule(first=timedelta(hours=1), last=timedelta(days=8))
VALUE = "person-1@toy.example"
SYNC, TASKS = (
    Stream(name, (subject,), timedelta(days=1), impersonal_store("test"))
    for name, subject in (("SYNC", "igstats.stats.v1.sync.requested"), ("TASKS", "igstats.privacy.v1.task.*"))
)


class Swept:
    """A toy holder whose erasures are searched for."""

    def __init__(self, holder: ToyHolder, server: Postgres, folder: Path) -> None:
        self.holder = holder
        self.server = server
        self.log = folder / "toy.log"
        self.log.write_text('{"event": "serving"}\n')
        self.clock = FakeClock(datetime.now(UTC))
        self.exports: list[Stored] = []

    async def erase(self, number: int = 1) -> None:
        person = toy.somebody(number)
        plan = self.holder.coordinator.plan("toy", f"req_{number}", person, ERASURE, Right.RIGHT_ERASURE)
        for task in plan:
            await self.holder.offer(task)

    async def archive(self) -> AsyncIterator[Stored]:
        for one in self.exports:
            yield one

    async def sweep(self, *, rewrite: int = 64, reachable: bool = True) -> dict[str, Any]:
        """Runs what is due and answers the last record."""
        reach = Reach(
            archives=[self.archive],
            log_file=self.log if reachable else None,
            database_directory=self.server.data if reachable else None,
            rewrite_megabytes=rewrite,
        )
        search = Search(toy.DECLARATIONS, self.holder.database, reach)
        worker = DeepSweep("toy", self.holder.database, toy.SEALER, search, SCHEDULE, self.clock)
        await worker.run_once()
        return (await self.records())[-1]

    async def records(self) -> list[dict[str, Any]]:
        wanted = select(outbox.c.data).where(outbox.c.subject == "igstats.toy.v1.record.made")
        async with self.holder.database.read() as connection:
            found = (await connection.execute(wanted.order_by(outbox.c.position))).scalars().all()
        made = [record for data in found for record in RecordMade.FromString(bytes(data)).records]
        assert not [record for record in made if VALUE in record.payload_json]
        return [json.loads(record.payload_json) for record in made if record.kind == "sweep.deep"]

    async def tell(self, statement: str, **binds: object) -> None:
        async with self.holder.database.transaction() as connection:
            await connection.execute(text(statement), binds)

    async def needles(self) -> int:
        return await self.holder.count(needles)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:
    made = Postgres(tmp_path_factory.mktemp("swept"), port=free_port(), durable=False, settings=SWEEPABLE)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def swept(server: Postgres, tmp_path: Path) -> AsyncIterator[Swept]:
    databases = Databases(server, server.directory)
    url = await databases.fresh("kit")
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(databases.drop, url)
        database = Database(url)
        stack.push_async_callback(database.close)
        holder = ToyHolder(database)
        await holder.start()
        made = Swept(holder, server, tmp_path)
        await holder.seed(1)
        await holder.seed(2)
        await made.erase()
        yield made


async def test_needles_wait_for_the_first_search_and_are_destroyed_by_the_last(swept: Swept) -> None:
    swept.clock.advance(timedelta(minutes=59))
    with pytest.raises(IndexError):
        await swept.sweep()
    swept.clock.advance(timedelta(minutes=2))
    assert (await swept.sweep())["run"] == "first"
    assert await swept.needles() == 1
    swept.clock.advance(timedelta(days=8))
    assert (await swept.sweep())["run"] == "last"
    assert await swept.needles() == 0


async def test_a_person_who_is_gone_is_said_to_be_in_no_file_and_no_segment(swept: Swept) -> None:
    swept.clock.advance(timedelta(days=9))
    said = await swept.sweep()
    assert said["outcome"] == "CLEAN"
    assert (said["found"], said["remains"], said["staying"], said["unreachable"]) == ([], [], [], {})
    assert min(said["searched"][kind] for kind in ("table", "log", "database_file", "wal")) > 0
    assert "people" in said["rewritten"]
    assert await swept.holder.count(toy.people) == 1


async def test_a_dead_row_is_named_where_tables_may_not_be_rewritten(swept: Swept) -> None:
    swept.clock.advance(timedelta(hours=2))
    early = await swept.sweep(rewrite=0)
    assert early["outcome"] == "REMAINS"
    assert {"database_file:people", "database_file:notes"} <= set(early["remains"])
    swept.clock.advance(timedelta(days=8))
    late = await swept.sweep(rewrite=0)
    assert late["outcome"] == "FOUND"
    assert "database_file:people" in late["found"]
    assert await swept.needles() == 1, "what was found is searched for again"
    swept.clock.advance(timedelta(days=2))
    assert (await swept.sweep())["outcome"] == "CLEAN"
    assert await swept.needles() == 0


async def test_a_copy_in_a_table_that_nobody_has_declared_is_named(swept: Swept) -> None:
    await swept.tell("CREATE TABLE forgotten (line text, raw bytea)")
    await swept.tell("INSERT INTO forgotten (line) VALUES (:line)", line=f"mail to {VALUE.upper()}, sent")
    swept.clock.advance(timedelta(hours=2))
    assert (await swept.sweep())["found"] == ["table:forgotten"]


async def test_a_copy_among_bytes_in_a_table_is_named(swept: Swept) -> None:
    await swept.tell("CREATE TABLE forgotten (raw bytea)")
    await swept.tell("INSERT INTO forgotten VALUES (:raw)", raw=b"\x0a\x14" + VALUE.encode())
    swept.clock.advance(timedelta(hours=2))
    assert (await swept.sweep())["found"] == ["table:forgotten"]


@pytest.mark.parametrize("column", ["text", "bytea"])
async def test_a_row_with_a_piece_of_a_value_is_not_taken_for_the_value(swept: Swept, column: str) -> None:
    for found, cases in ((True, FOUND), (False, PIECES)):
        for value, content in cases:
            await swept.tell("DROP TABLE IF EXISTS forgotten")
            await swept.tell(f"CREATE TABLE forgotten (line {column})")
            line: str | bytes = content if column == "bytea" else content.decode().replace("\0", " ")
            await swept.tell("INSERT INTO forgotten VALUES (:line)", line=line)
            sought = Needles([Erased("req_1", (value,), datetime.now(UTC), last=False)]).sought()
            table = Table("forgotten", "public.forgotten", readable=True)
            assert await store.within(swept.holder.database, table, sought) == ({"req_1"} if found else set()), (
                value,
                content,
            )


@pytest.mark.parametrize("length", [100, 1000])
@pytest.mark.parametrize(("more", "found"), [("", True), ("s", False), (".uk", False)])
async def test_the_end_of_a_longer_text_is_found_in_a_file_though_a_letter_comes_next(
    swept: Swept, length: int, more: str, *, found: bool
) -> None:
    line = f"{VALUE}{more}".rjust(length - 1, "x").replace("x" + VALUE, " " + VALUE)
    await swept.tell("CREATE TABLE forgotten (line text, next text)")
    await swept.tell("INSERT INTO forgotten VALUES (:line, :next)", line=line, next="y" * 47)  # its header is an "a"
    swept.clock.advance(timedelta(days=9))
    said = await swept.sweep(rewrite=0)
    assert ("database_file:forgotten" in said["found"]) is found
    assert ("table:forgotten" in said["found"]) is found


async def test_another_whose_name_begins_alike_is_no_finding_in_any_file(swept: Swept) -> None:
    other = f"{VALUE}.uk"
    await swept.tell("CREATE TABLE others (line text)")
    await swept.tell("INSERT INTO others VALUES (:line)", line=other)
    swept.log.write_text(f"sent to {other}\n")
    swept.clock.advance(timedelta(days=9))
    said = await swept.sweep()
    assert (said["outcome"], said["found"], said["remains"]) == ("CLEAN", [], [])


async def test_a_line_of_a_log_is_named_also_after_rotation(swept: Swept) -> None:
    swept.log.with_name("toy.log.1").write_text(f"failed for {VALUE}\n")
    swept.clock.advance(timedelta(hours=2))
    assert (await swept.sweep())["found"] == ["log:toy.log.1"]


async def test_a_stored_export_from_before_the_erasure_is_named_and_a_later_one_is_the_persons_own(
    swept: Swept,
) -> None:
    now = swept.clock.now()
    swept.exports.append(Stored("req_0/toy/people", now - timedelta(hours=1), f'{{"email": "{VALUE}"}}'.encode()))
    swept.exports.append(Stored("req_9/toy/people", now + timedelta(hours=1), f'{{"email": "{VALUE}"}}'.encode()))
    swept.clock.advance(timedelta(hours=2))
    assert (await swept.sweep())["found"] == ["export:req_0/toy/people"]


async def test_statistics_of_the_planner_forget_the_value(swept: Swept) -> None:
    await swept.holder.seed(3)
    await swept.holder.seed(4)
    await swept.tell("ANALYZE people")
    await swept.erase(3)
    swept.clock.advance(timedelta(hours=2))
    await swept.sweep()
    async with swept.holder.database.read() as connection:
        sampled = await connection.scalar(text("SELECT string_agg(CAST(pg_stats AS text), ' ') FROM pg_stats"))
    assert "person-4@toy.example" in sampled
    assert "person-3@toy.example" not in sampled


async def test_what_cannot_be_reached_is_said(swept: Swept) -> None:
    swept.clock.advance(timedelta(hours=2))
    said = await swept.sweep(reachable=False)
    assert said["unreachable"] == dict.fromkeys(("database_file", "log", "wal"), "NOT_REACHABLE")


async def test_a_table_that_takes_too_long_is_said_and_holds_up_nothing_else(
    swept: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    within = store.within

    async def slow(database: Database, table: Table, sought: Sequence[Sought]) -> set[str]:
        if table.name == "notes":
            raise TooMuchError(Reason.DEPENDENCY_UNAVAILABLE, dependency="postgresql")
        return await within(database, table, sought)

    monkeypatch.setattr(store, "within", slow)
    swept.clock.advance(timedelta(hours=2))
    said = await swept.sweep()
    assert said["unreachable"] == {"table:notes": "TOO_LARGE"}
    assert said["outcome"] == "CLEAN"


async def test_messages_of_streams_that_are_owned_or_read_are_named_by_their_number(
    bus: Callable[[str], Awaitable[Bus]],
) -> None:
    stats, privacy = await bus("stats"), await bus("privacy")
    await stats.ensure(SYNC)
    await privacy.ensure(TASKS)
    for number, body in enumerate((b"ids only", f"sync of {VALUE}".encode(), b"ids only")):
        await stats.publish(Event(f"e{number}", "igstats.stats.v1.sync.requested", "t", datetime.now(UTC), body))
    for number, holder in enumerate(("stats", "audit")):
        body = f"task of {VALUE}".encode()
        await privacy.publish(Event(f"t{number}", f"igstats.privacy.v1.task.{holder}", "t", datetime.now(UTC), body))
    erased = Erased("req_1", (VALUE,), datetime.now(UTC), last=False)
    report = Report()
    await streams.search(stats, RIGHTS["stats"], Needles([erased]), report)
    assert sorted(map(str, report.found["req_1"])) == ["stream:SYNC/2", "stream:TASKS/1"]
    assert report.searched[Kind.STREAM] == 4, "tasks of others are not ours to read"


async def test_each_person_gets_only_what_is_theirs(swept: Swept) -> None:
    await swept.erase(2)
    swept.log.write_text("person-2@toy.example\n")
    swept.clock.advance(timedelta(hours=2))
    await swept.sweep()
    first, second = await swept.records()
    assert (first["found"], second["found"]) == ([], ["log:toy.log"])
