"""Both logs on a real database as the monitor sees them, with whatever a test wants to change."""

import contextlib
import copy
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from igstats_audit.logs import Logs
from igstats_audit.model import Log, NewEntry
from igstats_audit.monitor.heads import Keys
from igstats_audit.monitor.look import Looker
from igstats_audit.monitor.memory import Memory
from igstats_audit.monitor.store import SqlRows
from igstats_audit.store import PARTITIONED
from igstats_audit.tables import CALL_DAYS, DECLARATIONS, EVIDENCE_DAYS
from igstats_audit.tiles import TileReader
from igstats_kit.errors import DomainError, Reason
from igstats_kit.seal import Sealer
from igstats_kit.subjects import Case, Subjects
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tests.integration.audit.conftest import TOKENS, World, call, entry, signer

DAYS = {Log.EVIDENCE: EVIDENCE_DAYS, Log.ACCESS: CALL_DAYS}
ERASED = "acc_2"
HASH = 32
DIVIDED = {name for tables in PARTITIONED.values() for name in tables}

MISSING = {Reason.LOG_FILE_NOT_FOUND, Reason.ENTRY_CUT}


class ReaderFiles:
    """The files as a service serves them that has nothing in memory; what is no error of ours is INTERNAL, as there."""

    def __init__(self, reader: TileReader) -> None:
        self._reader = reader

    async def file(self, path: str) -> bytes | None:
        try:
            return (await self._reader.file(path))[0]
        except DomainError as error:
            if error.reason in MISSING:
                return None
            raise
        except Exception:  # noqa: BLE001 - what the server's chain of interceptors does with it
            raise DomainError(Reason.INTERNAL) from None


class Site:
    """Both logs with a few hundred entries, a cut, an erased person, and what the monitor has seen of them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.database = world.database
        self.memories = {log: Memory.new(log) for log in Log}
        self.numbers = {"stats": 0, "privacy": 0, "gateway": 0}

    async def append(self, count: int) -> None:
        """Appends evidence of two producers, and calls of three accounts."""
        async with self.world.writing(self.world.open()) as logs:
            await logs.cut.make_days()
            await self.evidence(count, logs)
            await self.world.call(*[self.call(f"acc_{at % 3}") for at in range(count)], logs=logs)
            for one in (logs.evidence, logs.access):
                await one.files.publish()

    async def evidence(self, count: int, logs: Logs) -> None:
        await logs.evidence.sequencer.append([self.entry(("stats", "privacy")[at % 2]) for at in range(count)])

    def entry(self, producer: str, sequence: int = 0) -> NewEntry:
        self.numbers[producer] = number = sequence or self.numbers[producer] + 1
        request_id = f"req_{number % 7}" if number % 7 else ""
        named = entry(f"{producer}/{number}/{sequence}", request_id, payload=f"{producer} {number}".encode())
        return replace(named, producer=producer, sequence=number)

    def call(self, account_id: str) -> Any:
        self.numbers["gateway"] = number = self.numbers["gateway"] + 1
        return call(f"req_call{number:06d}", account_id, self.world.clock.now(), sequence=number)

    async def erase(self, account_id: str) -> None:
        async with self.database.transaction() as connection:
            case = Case("req_1", (TOKENS.of("ACCOUNT_ID", account_id),))
            await Subjects(DECLARATIONS, Sealer(bytes(32))).erase(connection, [case])

    def looker(self, log: Log, memory: Memory) -> Looker:
        files = ReaderFiles(self.world.open()[log].files)
        keys = Keys.of(signer(log).verifier_keys)
        return Looker(SqlRows(self.database, log, self.world.keys), files, keys, memory, DAYS[log])

    async def found(self, *, whole: bool = True, remember: bool = False) -> list[str]:
        """What a look finds; what it learns is remembered only when a test says so."""
        places = []
        for log, memory in self.memories.items():
            looker = self.looker(log, copy.deepcopy(memory))
            found = await looker.look(self.world.clock.now(), whole=whole)
            places += [f"{log} {one.kind} {one.place}" for one in found]
            if remember:
                self.memories[log] = looker.memory
        return places

    async def tell(self, command: str, **binds: object) -> None:
        async with self.database.transaction() as connection:
            for part in command.split(";"):
                await connection.execute(text(part), binds)

    async def changed(self, command: str) -> bool:
        """Whether the database let somebody change a row."""
        try:
            async with self.database.transaction() as connection:
                return bool((await connection.execute(text(command))).rowcount)
        except IntegrityError:
            return False

    @contextlib.asynccontextmanager
    async def restored(self, *tables: str) -> AsyncIterator[None]:
        """Puts tables back when the block ends; meanwhile days that nobody has made have room, too."""
        divided = [table for table in tables if table in DIVIDED]
        for table in divided:
            await self.tell(f"CREATE TABLE other_{table} PARTITION OF {table} DEFAULT")
        for table in tables:
            await self.tell(f"CREATE TABLE saved_{table} AS SELECT * FROM {table}")  # noqa: S608 - own names
        try:
            yield
        finally:
            for table in divided:
                await self.tell(f"DELETE FROM {table}; DROP TABLE other_{table}")  # noqa: S608 - own names
            for table in tables:
                await self.tell(f"DELETE FROM {table}")  # noqa: S608 - own names
                await self.tell(f"INSERT INTO {table} SELECT * FROM saved_{table}")  # noqa: S608 - own names
                await self.tell(f"DROP TABLE saved_{table}")


async def built(made: Site) -> Site:
    await made.append(300)
    assert await made.found(remember=True) == []
    made.world.clock.advance(timedelta(days=20))
    await made.append(300)
    made.world.clock.advance(timedelta(days=11))
    async with made.world.writing(made.world.open()) as logs:
        await logs.cut.run(made.world.clock.now().date())
    await made.append(30)
    await made.erase(ERASED)
    assert await made.found(whole=False, remember=True) == []
    return made
