"""What is erased is dead on the disk: searched for in the raw files of a server of its own, its WAL and a backup."""

import contextlib
import json
import os
import shutil
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from igstats_audit.batch import seal_context
from igstats_audit.errors import KeyDamagedError, KeyLostError
from igstats_audit.keyring import WrappedKey, unwrap
from igstats_audit.keys import DataKeys
from igstats_audit.keystore import FileKeyStore
from igstats_audit.model import Log, Subject
from igstats_audit.tables import DECLARATIONS
from igstats_kit.seal import Sealer, SealError
from igstats_kit.sql import Database
from igstats_kit.subjects import Case, Subjects
from igstats_kit.testing.databases import Databases
from igstats_kit.testing.postgres import Postgres
from igstats_kit.testing.processes import free_port

from tests.integration.audit.conftest import TOKENS, WAY, World, call

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

    def __init__(self, server: Postgres, world: World) -> None:
        self.server = server
        self.world = world

    async def write(self, clients: Mapping[str, tuple[bytes, bytes]]) -> None:
        """Calls of accounts from addresses and programs, on the way that they come from the gateway."""
        async with self.world.writing():
            for account_id, (address, agent) in clients.items():
                client = json.dumps({"ip_address": address.decode(), "user_agent": agent.decode()}).encode()
                calls = [call(f"req_{account_id}_{number}", account_id) for number in range(CALLS)]
                await self.world.call(*(replace(one, sealed_client=WAY.seal(client, "access")) for one in calls))

    async def remains(self) -> Remains:
        """Every row that has to do with entries."""
        entries = await self.world.ask("SELECT key_id, sealed FROM access_entries ORDER BY index")
        rows = [
            WrappedKey(row.key_id, Log(row.log), Subject(row.subject, row.subject_token), row.kek_id, row.wrapped)
            for row in await self.world.ask("SELECT * FROM data_keys")
        ]
        return Remains(rows, [(seal_context(Log.ACCESS, row.key_id), row.sealed) for row in entries])

    async def read(self) -> list[bytes]:
        """Every payload that the service itself still reads."""
        head = await self.world.access.store.head()
        found = [await self.world.access.store.entry(index) for index in range(head.tree.size)]
        return [entry.payload for entry in found if entry is not None and entry.payload]

    async def secrets(self) -> list[bytes]:
        """All data keys, as nobody but the service can see them."""
        key_ids = [row.key_id for row in await self.world.ask("SELECT key_id FROM data_keys")]
        async with self.world.database.read() as connection:
            return [key.secret for key in (await self.world.keys.find(connection, key_ids)).values()]

    async def erase(self, account_id: str) -> None:
        """What the holder does in its erase phase."""
        case = Case("req_1", (TOKENS.of("ACCOUNT_ID", account_id),))
        async with self.world.database.transaction() as connection:
            await Subjects(DECLARATIONS, Sealer(bytes(32))).erase(connection, [case])

    async def settle(self) -> None:
        """Brings everything to the disk."""
        async with self.server.admin() as connection:
            await connection.execute("CHECKPOINT")

    def found(self, value: bytes) -> list[str]:
        """Files of the server, WAL and log included, and files of tiles that hold the value."""
        files = [*self.server.directory.rglob("*"), *(self.world.folder / "tiles").rglob("*")]
        return [path.name for path in files if path.is_file() and value in path.read_bytes()]


class Site:
    """One key directory, one database server, and backups of it."""

    def __init__(self, folder: Path, stack: contextlib.AsyncExitStack) -> None:
        self.folder = folder
        self.keystore = FileKeyStore(folder / "keys")
        self._stack = stack
        self._url = ""

    def keks(self) -> list[bytes]:
        """What the key directory gives away."""
        return [self.keystore.read(kek_id) for kek_id in self.keystore.ids()]

    async def start(self) -> Machine:
        """A new server with an empty database."""
        server = await self._run("live")
        self._url = await Databases(server, self.folder).fresh("audit")
        machine = self._machine(server)
        await machine.world.tell("CREATE TABLE plain AS SELECT 'a value that nobody has sealed' AS value")
        return machine

    async def back_up(self, machine: Machine) -> Machine:
        """A copy of all files of the server, and a server that runs on the copy."""
        await machine.world.database.close()
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
        address, name = self._url.rsplit("/", 1)
        database = Database(f"{address.rsplit(':', 1)[0]}:{server.port}/{name}")
        self._stack.push_async_callback(database.close)
        return Machine(server, World(database, self.folder))


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with contextlib.AsyncExitStack() as stack:
        yield Site(tmp_path, stack)


async def test_an_erased_person_is_in_no_file_and_in_no_backup_once_the_key_of_the_day_has_changed(site: Site) -> None:
    live = await site.start()
    await live.write({"acc_alice": NEEDLES, "acc_bob": (b"198.51.100.1", b"other-agent/1")})
    await live.settle()
    backup = await site.back_up(live)
    kept, old_keks, secrets = await backup.remains(), site.keks(), await live.secrets()

    await live.erase("acc_alice")
    await live.settle()
    assert len(with_needles(kept.read_with(site.keks()))) == CALLS, "before the rotation the backup still opens"
    assert live.found(wrapped_of(kept, "acc_alice")), "deleting a row leaves its bytes: else this test proves nothing"
    assert len(await live.read()) == CALLS
    assert not with_needles([*await live.read(), *(await live.remains()).read_with(old_keks)])

    live.world.clock.advance(timedelta(days=1))
    await live.world.keys.rotate()
    await live.settle()
    for remains in (kept, await backup.remains()):
        assert remains.read_with(site.keks()) == []
        assert len(with_needles(remains.read_with(old_keks))) == CALLS, "only the key that was destroyed opens it"
    assert kept.read_with([*site.keks(), *secrets]) == []
    with pytest.raises(KeyLostError, match="newest copy"):
        await backup.world.keys.ready()
    assert len(await live.read()) == len((await live.remains()).read_with(site.keks())) == CALLS

    for machine in (live, backup):
        assert machine.found(CONTROL), "the search finds what is there"
        for value in (*NEEDLES, *old_keks, *secrets):
            assert machine.found(value) == []
    assert not [path for path in (site.folder / "keys").iterdir() if path.read_bytes() in old_keks]


def with_needles(opened: Sequence[bytes]) -> list[bytes]:
    return [payload for payload in opened if all(needle in payload for needle in NEEDLES)]


def wrapped_of(remains: Remains, account_id: str) -> bytes:
    token = TOKENS.of("ACCOUNT_ID", account_id)
    return next(row.wrapped for row in remains.keys if row.subject.token == token)
