"""pytest fixtures: real servers, real certificates, a fresh database a test.

    async def test_profile_is_kept(database):
        db = await database("stats")                 # igstats_kit.sql.Database, migrated, empty, dropped after the test

    async def test_receipt_is_published(bus):
        privacy = await bus("privacy")               # igstats_kit.events.Bus with the NATS rights of privacy

    async def test_service_starts(config):
        settings = await config("stats")             # igstats_stats.config's class: all of the above, files, free ports

`postgres` is one server for all workers of a run. `nats_server` is one server a worker, emptied before each test that
uses it: streams have fixed names, so two tests must not share them.
"""

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic_settings import SettingsConfigDict

from igstats_kit.config import ServiceConfig
from igstats_kit.events import Bus
from igstats_kit.permissions import users
from igstats_kit.sql import Database
from igstats_kit.testing import environment
from igstats_kit.testing.certificates import Authority
from igstats_kit.testing.databases import Databases
from igstats_kit.testing.keeper import shared_postgres
from igstats_kit.testing.nats import Nats
from igstats_kit.testing.postgres import Postgres
from igstats_kit.testing.processes import free_port
from igstats_kit.testing.secrets import Secrets

OPERATOR = "operator"

Urls = Callable[[str], Awaitable[str]]
MakeDatabase = Callable[[str], Awaitable[Database]]
MakeBus = Callable[[str], Awaitable[Bus]]
MakeConfig = Callable[[str], Awaitable[ServiceConfig]]


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run share."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "igstats"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def postgres(run_folder: Path) -> Iterator[Postgres]:
    """The run's PostgreSQL."""
    with shared_postgres(run_folder) as server:
        yield server


@pytest.fixture(scope="session")
def databases(postgres: Postgres, run_folder: Path) -> Databases:
    """Makes and drops databases."""
    return Databases(postgres, run_folder)


@pytest_asyncio.fixture(loop_scope="session")
async def database_url(databases: Databases) -> AsyncIterator[Urls]:
    """Gives the address of this test's database of a service, the same at every call."""
    made: dict[str, str] = {}

    async def url(service: str) -> str:
        if service not in made:
            made[service] = await databases.fresh(service)
        return made[service]

    yield url
    for address in made.values():
        await databases.drop(address)


@pytest_asyncio.fixture(loop_scope="session")
async def database(database_url: Urls) -> AsyncIterator[MakeDatabase]:
    """Gives connections to this test's database of a service."""
    async with contextlib.AsyncExitStack() as opened:

        async def connect(service: str) -> Database:
            made = Database(await database_url(service))
            opened.push_async_callback(made.close)
            return made

        yield connect


@pytest.fixture(scope="session")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this worker's certificates and key files are."""
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="session")
def certificates(key_folder: Path) -> Authority:
    """The authority that this worker's servers and clients trust."""
    return Authority(key_folder)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def nats_server(tmp_path_factory: pytest.TempPathFactory, certificates: Authority) -> AsyncIterator[Nats]:
    """This worker's NATS server; take `nats` unless old streams do not matter."""
    server = Nats(
        tmp_path_factory.mktemp("nats"),
        port=free_port(),
        monitor_port=free_port(),
        authority=certificates.certificate,
        certificate=certificates.issue("nats"),
        users=users(operator=OPERATOR),
    )
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def nats(nats_server: Nats, certificates: Authority) -> Nats:
    """This worker's NATS server without any stream."""
    async with nats_server.operator(certificates.issue(OPERATOR)) as client:
        jetstream = client.jetstream()
        for stream in await jetstream.streams_info():
            await jetstream.delete_stream(str(stream.config.name))
    return nats_server


def _config_class(service: str) -> type[ServiceConfig]:
    """The settings class of the service; of a service that only a test knows, the shared settings."""
    if find_spec(f"igstats_{service}") and find_spec(f"igstats_{service}.config"):
        module = import_module(f"igstats_{service}.config")
        found: type[ServiceConfig] | None = getattr(module, f"{service.capitalize()}Config", None)
        if found is not None:
            return found
    prefix = SettingsConfigDict(env_prefix=f"IGSTATS_{service.upper()}_")
    return type("TestConfig", (ServiceConfig,), {"model_config": prefix, "service": service, "__module__": __name__})


@pytest_asyncio.fixture(loop_scope="session")
async def config(
    database_url: Urls,
    nats: Nats,
    certificates: Authority,
    key_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> MakeConfig:
    """Gives a service's settings, read from an environment that is set for this test."""
    secrets = Secrets(key_folder)
    # What audit keeps of its logs in folders goes with the database, and each test has a new one.
    folders = ("KEY_DIRECTORY", "MONITOR_DIRECTORY", "TILE_DIRECTORY")
    beside_database = {f"IGSTATS_AUDIT_{name}": str(tmp_path / f"audit-{name.lower()}") for name in folders}

    async def make(service: str) -> ServiceConfig:
        certificate = certificates.issue(service)
        variables = (
            environment.shared(nats, certificates.certificate, secrets, {})
            | environment.own(service, await database_url(service), environment.Listeners(), certificate, secrets)
            | environment.special(service, certificate, secrets)
            | beside_database
        )
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return _config_class(service).load()

    return make


@pytest_asyncio.fixture(loop_scope="session")
async def bus(nats: Nats, certificates: Authority) -> AsyncIterator[MakeBus]:
    """Gives connections to NATS as a service."""
    async with contextlib.AsyncExitStack() as opened:

        async def connect(service: str) -> Bus:
            made = await Bus.connect(nats.url, service, nats.context(certificates.issue(service)))
            opened.push_async_callback(made.close)
            return made

        yield connect
