"""What is erased is dead on the disk: searched for in the raw files of a server of its own, its WAL and a backup."""

import contextlib
import json
import os
import shutil
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from igstats_audit.errors import KeyDamagedError, KeyLostError
from igstats_audit.key_store import DataKeyTable
from igstats_audit.keyring import WrappedKey, unwrap
from igstats_audit.keys import DataKeys
from igstats_audit.keystore import FileKeyStore
from igstats_audit.model import Log, Subject
from igstats_audit.tables import DECLARATIONS
from igstats_kit.fence import admit
from igstats_kit.seal import Sealer, SealError
from igstats_kit.sql import Database
from igstats_kit.subjects import Case, Subjects
from igstats_kit.testing.clock import FakeClock
from igstats_kit.testing.databases import Databases
from igstats_kit.testing.postgres import Postgres
from igstats_kit.testing.processes import free_port
from sqlalchemy import text

ALICE, BOB = Subject("alice", b"a" * 32), Subject("bob", b"b" * 32)
NEEDLES = (b"203.0.113.77", b"needle-agent/4711")
CONTROL = b"a value that nobody has sealed"
CALLS = 25


@dataclass(frozen=True)
class Remains:
    """What somebody finds in a copy of the database: wrapped keys and sealed entries."""

    keys: Sequence[WrappedKey]
    sealed: Sequence[tuple[str, bytes]]

    def read_with(self, keks: Iterable[bytes]) -> list[bytes]:
        """Everything that opens, by any key of the day on any wrapped key on any entry."""
        opened = []
        for kek in keks:
            for row in self.keys:
                with contextlib.suppress(KeyDamagedError):
                    key = unwrap(row, Sealer(kek))
                    for context, sealed in self.sealed:
                        with contextlib.suppress(SealError):
                            opened.append(DataKeys.open(key, sealed, context)[1])
        return opened


class Machine:
    """A server with its files, and the service's view of it."""

    def __init__(self, server: Postgres, database: Database, keystore: FileKeyStore, clock: FakeClock) -> None:
        self.server = server
        self.database = database
        self.keys = DataKeys(keystore, DataKeyTable(database), clock)

    async def write(self, subject: Subject, ip_address: bytes, user_agent: bytes) -> None:
        """Calls of a subject, sealed and stored in one transaction."""
        async with self.database.transaction() as connection:
            await admit(connection, [subject.token or b""])
            key = (await self.keys.of(connection, Log.ACCESS, [subject]))[subject]
            call = {"ip_address": ip_address.decode(), "user_agent": user_agent.decode(), "method": "/a.B/C"}
            for _ in range(CALLS):
                payload = json.dumps(call, sort_keys=True).encode()
                sealed = self.keys.seal(key, os.urandom(32), payload, f"access:{key.key_id}")
                await connection.execute(ADD, {"key_id": key.key_id, "sealed": sealed})

    async def remains(self) -> Remains:
        """Every row that has to do with entries."""
        async with self.database.read() as connection:
            entries = await connection.execute(text("SELECT key_id, sealed FROM access_entries ORDER BY index"))
            sealed = [(f"access:{row.key_id}", row.sealed) for row in entries]
            keys = (await connection.execute(text("SELECT * FROM data_keys"))).all()
        rows = [
            WrappedKey(row.key_id, Log(row.log), Subject(row.subject, row.subject_token), row.kek_id, row.wrapped)
            for row in keys
        ]
        return Remains(rows, sealed)

    async def erase(self, subject: Subject) -> None:
        async with self.database.transaction() as connection:
            await Subjects(DECLARATIONS, Sealer(bytes(32))).erase(connection, [Case("req_1", (subject.token or b"",))])

    async def settle(self) -> None:
        """Brings everything to the disk."""
        async with self.server.admin() as connection:
            await connection.execute("CHECKPOINT")

    def found(self, value: bytes) -> list[str]:
        """Files of the server, WAL and log included, that hold the value."""
        return [path.name for path in self.server.directory.rglob("*") if path.is_file() and value in path.read_bytes()]


ADD = text(
    "INSERT INTO access_entries (index, day, sequence, leaf, key_id, sealed)"
    " SELECT count(*), '2026-03-02', 0, '', CAST(:key_id AS text), CAST(:sealed AS bytea) FROM access_entries"
)


class Site:
    """One key directory, one database server, and backups of it."""

    def __init__(self, folder: Path, stack: contextlib.AsyncExitStack) -> None:
        self.folder = folder
        self.keystore = FileKeyStore(folder / "keys")
        self.clock = FakeClock()
        self._stack = stack
        self._url = ""

    async def start(self) -> Machine:
        """A new server with an empty database."""
        server = await self._run("live")
        self._url = await Databases(server, self.folder).fresh("audit")
        machine = self._machine(server)
        await machine.keys.ready()
        async with machine.database.transaction() as connection:
            bounds = "FROM ('2026-03-02') TO ('2026-03-03')"
            await connection.execute(text(f"CREATE TABLE today PARTITION OF access_entries FOR VALUES {bounds}"))
            await connection.execute(text("CREATE TABLE plain (value bytea)"))
            await connection.execute(text("INSERT INTO plain VALUES (:value)"), {"value": CONTROL})
        return machine

    async def back_up(self, machine: Machine) -> Machine:
        """A copy of all files of the server, and a server that runs on the copy."""
        await machine.database.close()
        await machine.server.stop()
        shutil.copytree(machine.server.directory, self.folder / "backup")
        owner = machine.server.data.stat()
        for path in (self.folder / "backup").rglob("*"):
            os.chown(path, owner.st_uid, owner.st_gid)
        await machine.server.start()
        return self._machine(await self._run("backup"))

    async def _run(self, name: str) -> Postgres:
        server = Postgres(self.folder / name, port=free_port())
        self._stack.push_async_callback(server.stop)
        await server.start()
        return server

    def _machine(self, server: Postgres) -> Machine:
        first, name = self._url.rsplit("/", 1)
        database = Database(f"{first.rsplit(':', 1)[0]}:{server.port}/{name}")
        self._stack.push_async_callback(database.close)
        return Machine(server, database, self.keystore, self.clock)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with contextlib.AsyncExitStack() as stack:
        yield Site(tmp_path, stack)


async def test_an_erased_person_is_in_no_file_and_in_no_backup_once_the_key_of_the_day_has_changed(site: Site) -> None:
    live = await site.start()
    await live.write(ALICE, *NEEDLES)
    await live.write(BOB, b"198.51.100.1", b"other-agent/1")
    await live.settle()
    backup = await site.back_up(live)
    kept, old_keks = await backup.remains(), [site.keystore.read(kek_id) for kek_id in site.keystore.ids()]
    secret = await _secret_of(live, ALICE)
    wrapped = next(row.wrapped for row in kept.keys if row.subject == ALICE)

    await live.erase(ALICE)
    await live.settle()
    assert len(_with_needles(kept.read_with(map(site.keystore.read, site.keystore.ids())))) == CALLS
    assert live.found(wrapped), "deleting a row leaves its bytes in the WAL: else this test proves nothing"
    assert not _with_needles((await live.remains()).read_with(old_keks)), "but no row of the living database opens"

    site.clock.advance(timedelta(days=1))
    await live.keys.rotate()
    await live.settle()
    for later in (kept, await backup.remains()):
        assert later.read_with(map(site.keystore.read, site.keystore.ids())) == []
        assert len(_with_needles(later.read_with(old_keks))) == CALLS, "only the key that was destroyed opens it"
    with pytest.raises(KeyLostError, match="newest copy"):
        await site._machine(backup.server).keys.ready()
    living = (await live.remains()).read_with(map(site.keystore.read, site.keystore.ids()))
    assert len(living) == CALLS
    assert not _with_needles(living)

    for machine in (live, backup):
        assert machine.found(CONTROL), "the search finds what is there"
        assert [machine.found(value) for value in (*NEEDLES, secret, *old_keks)] == [[]] * (len(NEEDLES) + 2)
    assert not [path for path in site.keystore._directory.iterdir() if path.read_bytes() in old_keks]


def _with_needles(opened: Sequence[bytes]) -> list[bytes]:
    return [payload for payload in opened if all(needle in payload for needle in NEEDLES)]


async def _secret_of(machine: Machine, subject: Subject) -> bytes:
    async with machine.database.transaction() as connection:
        return (await machine.keys.of(connection, Log.ACCESS, [subject]))[subject].secret
