"""The peer on this machine: fides with 2,000 persons of 50 rows in four databases, as its baseline was measured.

`python bench/fides.py --fides VENV/bin [--postgres /usr/lib/postgresql/15/bin] [--people 2000] [--out fides.json]`

Needs what fides needs and this repository does not: a virtual environment with `ethyca-fides` (2.78.2 is the newest for
Python 3.11), `redis-server`, and a PostgreSQL with the extension pgcrypto (Debian's has it). One API server and one
worker, default settings, no identity check, no approval, masking by null_rewrite: all of it favours fides. A request
counts as done when its row says `complete`. `bench/erasure.py --fides fides.json` compares with what this writes.
"""

import argparse
import asyncio
import json
import os
import pwd
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import asyncpg
from igstats_kit.testing.postgres import server_user
from igstats_kit.testing.processes import Child, Program, free_port, run_to_end

WAIT_SECONDS = 300.0
ROOT_ID, ROOT_SECRET, PASSWORD = "root", "rootsecret", "peer"
ERASURE, ACCESS = "bench_erasure", "bench_access"
# Database, table, rows a person, columns with fides' category of data; `id` and foreign keys belong to the system.
TABLES = (
    ("accounts", "account", 1, {"email": "user.contact.email", "company": "user.contact", "instagram": "user.social"}),
    ("accounts", "billing", 3, {"email": "user.contact.email", "card": "user.financial", "amount": "user.financial"}),
    ("api_logs", "call", 20, {"ip": "user.device.ip_address", "agent": "user.device", "path": "user.behavior"}),
    ("usage_metrics", "usage", 12, {"day": "user.behavior", "calls": "user.behavior", "note": "user.behavior"}),
    ("instagram", "profile", 1, {"full_name": "user.name", "biography": "user.social"}),
    ("instagram", "post", 8, {"caption": "user.social", "likes": "user.social"}),
    ("instagram", "snapshot", 5, {"reach": "user.behavior", "country": "user.demographic"}),
)
LINKS = {
    "billing": ("account_id", "accounts", "account.id"),
    "call": ("account_id", "accounts", "account.id"),
    "usage": ("account_id", "accounts", "account.id"),
    "profile": ("username", "accounts", "account.instagram"),
    "post": ("username", "instagram", "profile.username"),
    "snapshot": ("username", "instagram", "profile.username"),
}
DATABASES = tuple(dict.fromkeys(database for database, *_ in TABLES))


@dataclass
class Figures:
    """What was measured: milliseconds of single requests, and requests a minute when many come at once."""

    erasure_ms: list[float] = field(default_factory=list)
    access_ms: list[float] = field(default_factory=list)
    erasures_a_minute: float = 0.0
    accesses_a_minute: float = 0.0


class Place(NamedTuple):
    """Where the programs are, and where they listen."""

    fides: Path
    postgres: Path
    folder: Path
    database_port: int
    redis_port: int
    web_port: int


def _value(column: str, person: int, number: int) -> str:
    known = {"email": f"person{person}@bench.example", "instagram": f"person{person}", "username": f"person{person}"}
    return known.get(column, f"{column} {person} {number}")


def _columns(table: str, categories: Mapping[str, str]) -> list[str]:
    return [*([LINKS[table][0]] if table in LINKS else []), *categories]


def dataset(database: str) -> dict[str, Any]:
    """What fides calls a dataset: the tables of a database, what is in them, and how they hang together."""
    collections = [
        {"name": table, "fields": list(_fields(table, categories))}
        for place, table, _, categories in TABLES
        if place == database
    ]
    named = {"fides_key": database, "name": database, "organization_fides_key": "default_organization"}
    return {**named, "description": "benchmark", "collections": collections}


def _fields(table: str, categories: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    number: dict[str, Any] = {"data_type": "integer"}
    yield {"name": "id", "data_categories": ["system.operations"], "fides_meta": {**number, "primary_key": True}}
    if table in LINKS:
        name, place, target = LINKS[table]
        reference = [{"dataset": place, "field": target, "direction": "from"}]
        meta: dict[str, Any] = {"data_type": "integer" if name == "account_id" else "string", "references": reference}
        yield {"name": name, "data_categories": ["system.operations"], "fides_meta": meta}
    for name, category in categories.items():
        meta = {"data_type": "string"} | ({"identity": "email"} if (table, name) == ("account", "email") else {})
        yield {"name": name, "data_categories": [category], "fides_meta": meta}


async def fill(connection: asyncpg.Connection, table: str, rows: int, columns: list[str], people: int) -> None:
    """Makes one table with the rows of everybody, and the index that its link needs."""
    kinds = {"account_id": "int"}
    made = ", ".join(f'"{name}" {kinds.get(name, "text")}' for name in columns)
    await connection.execute(f'CREATE TABLE "{table}" (id int PRIMARY KEY, {made})')
    records = [
        (
            person * rows + number,
            *(person if name == "account_id" else _value(name, person, number) for name in columns),
        )
        for person in range(people)
        for number in range(rows)
    ]
    await connection.copy_records_to_table(table, records=records, columns=["id", *columns])
    for name in {"account_id", "username", "email"} & set(columns):
        await connection.execute(f'CREATE INDEX ON "{table}" ("{name}")')


@asynccontextmanager
async def database_server(place: Place, people: int) -> AsyncIterator[None]:
    """PostgreSQL with the four databases and that of fides, durable as it comes."""
    data = place.folder / "postgres"
    data.mkdir(mode=0o700)
    if user := server_user():
        entry = pwd.getpwnam(user)
        os.chown(data, entry.pw_uid, entry.pw_gid)
    log, user = place.folder / "postgres.log", server_user()
    making = ("-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C")
    await run_to_end(Program("initdb", (str(place.postgres / "initdb"), *making), log, user=user))
    options = ("-c", f"port={place.database_port}", "-c", "unix_socket_directories=", "-c", "max_connections=300")
    server = await Child.start(
        Program("postgres", (str(place.postgres / "postgres"), "-D", str(data), *options), log, user=user)
    )
    try:
        await server.ready(lambda: "ready to accept connections" in log.read_text())
        await _make_databases(place, people)
        yield
    finally:
        await server.stop()


async def connect(place: Place, database: str) -> asyncpg.Connection:
    """A connection to one of the databases."""
    return await asyncpg.connect(host="127.0.0.1", port=place.database_port, user="postgres", database=database)


async def _make_databases(place: Place, people: int) -> None:
    first = await connect(place, "postgres")
    for database in ("fides", *DATABASES):
        await first.execute(f"CREATE DATABASE {database}")
    await first.close()
    for database, table, rows, categories in TABLES:
        connection = await connect(place, database)
        await fill(connection, table, rows, _columns(table, categories), people)
        await connection.close()


def _settings(place: Place) -> dict[str, str]:
    given = {
        "DATABASE__SERVER": "127.0.0.1",
        "DATABASE__PORT": str(place.database_port),
        "DATABASE__USER": "postgres",
        "DATABASE__PASSWORD": PASSWORD,
        "DATABASE__DB": "fides",
        "REDIS__HOST": "127.0.0.1",
        "REDIS__PORT": str(place.redis_port),
        "REDIS__PASSWORD": PASSWORD,
        "SECURITY__APP_ENCRYPTION_KEY": "benchmark".ljust(32, "0"),
        "SECURITY__OAUTH_ROOT_CLIENT_ID": ROOT_ID,
        "SECURITY__OAUTH_ROOT_CLIENT_SECRET": ROOT_SECRET,
        "SECURITY__DRP_JWT_SECRET": PASSWORD,
        "USER__ANALYTICS_OPT_OUT": "true",
        "EXECUTION__REQUIRE_MANUAL_REQUEST_APPROVAL": "false",
        "CELERY__TASK_ALWAYS_EAGER": "false",
        "LOGGING__LEVEL": "WARNING",
    }
    return {f"FIDES__{name}": value for name, value in given.items()}


@asynccontextmanager
async def program(place: Place, name: str, *argv: str) -> AsyncIterator[Child]:
    """A program of the peer, for as long as the block runs."""
    home = place.folder / "home"
    (home / "data" / "saas" / "config").mkdir(parents=True, exist_ok=True)  # fides aborts without it
    environment = _settings(place) | {"FIDES__CONFIG_PATH": str(home / "fides.toml")}
    command = ("env", "-C", str(home), *argv)
    child = await Child.start(Program(name, command, place.folder / f"{name}.log", environment=environment))
    try:
        yield child
    finally:
        await child.stop()


class Api:
    """The calls of fides' HTTP API that a benchmark needs."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._session = session
        self._url = f"http://127.0.0.1:{port}"
        self._headers: dict[str, str] = {}

    async def wait(self, child: Child) -> None:
        """Returns when it answers; logs in."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not await self._healthy():
                if not child.running:
                    raise RuntimeError(f"fides ended; see {child.program.log}")
                await asyncio.sleep(1)
        secret = {"client_id": ROOT_ID, "client_secret": ROOT_SECRET, "grant_type": "client_credentials"}
        async with self._session.post(f"{self._url}/api/v1/oauth/token", data=secret) as answer:
            self._headers = {"Authorization": f"Bearer {(await answer.json())['access_token']}"}

    async def _healthy(self) -> bool:
        try:
            async with self._session.get(f"{self._url}/health") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def call(self, method: str, path: str, body: object) -> Any:  # noqa: ANN401 - whatever JSON it answers
        """One call; what it could not do is an error, however it says so."""
        address = f"{self._url}/api/v1{path}"
        async with self._session.request(method, address, json=body, headers=self._headers) as answer:
            text = await answer.text()
        found = json.loads(text) if text else None
        if answer.status >= 400 or (isinstance(found, dict) and found.get("failed")):
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:500]}")
        return found


async def configure(api: Api, place: Place) -> None:
    """Connections, datasets and the two policies."""
    reached = {"host": "127.0.0.1", "port": place.database_port, "username": "postgres", "password": PASSWORD}
    for name in DATABASES:
        made = {"name": name, "key": name, "connection_type": "postgres", "access": "write"}
        await api.call("PATCH", "/connection", [made])
        await api.call("PUT", f"/connection/{name}/secret?verify=false", reached | {"dbname": name})
        await api.call("POST", "/dataset", dataset(name))
    for name in DATABASES:
        joined = [{"fides_key": name, "ctl_dataset_fides_key": name}]
        await api.call("PATCH", f"/connection/{name}/datasetconfig", joined)
    storage = {"name": "local", "key": "local", "type": "local", "format": "json"}
    await api.call("PATCH", "/storage/config", [storage | {"details": {"naming": "request_id"}}])
    masking = {"masking_strategy": {"strategy": "null_rewrite", "configuration": {}}}
    await _policy(api, ERASURE, {"action_type": "erasure"} | masking)
    await _policy(api, ACCESS, {"action_type": "access", "storage_destination_key": "local"})


async def _policy(api: Api, key: str, rule: dict[str, Any]) -> None:
    await api.call("PATCH", "/dsr/policy", [{"name": key, "key": key}])
    await api.call("PATCH", f"/dsr/policy/{key}/rule", [{"name": key, "key": f"{key}_rule"} | rule])
    await api.call("PATCH", f"/dsr/policy/{key}/rule/{key}_rule/target", [{"data_category": "user"}])


class Driver:
    """Opens requests and waits for them, by SQL, to spare the API."""

    def __init__(self, api: Api, pool: asyncpg.Pool) -> None:
        self._api = api
        self._pool = pool

    async def singles(self, policy: str, people: Iterable[int]) -> list[float]:
        """Milliseconds of each request, one after the other."""
        found = []
        for person in people:
            start = time.perf_counter()
            await self._ended(await self._open(policy, person))
            found.append((time.perf_counter() - start) * 1000)
        return found

    async def burst(self, policy: str, people: Iterable[int]) -> float:
        """Requests a minute when these come at once."""
        start = time.perf_counter()
        opened = [await self._open(policy, person) for person in people]
        await asyncio.gather(*map(self._ended, opened))
        return len(opened) / (time.perf_counter() - start) * 60

    async def _open(self, policy: str, person: int) -> str:
        request = {"policy_key": policy, "identity": {"email": _value("email", person, 0)}}
        answer = await self._api.call("POST", "/privacy-request", [request])
        return str(answer["succeeded"][0]["id"])

    async def _ended(self, request_id: str) -> None:
        query = "SELECT CAST(status AS text) FROM privacyrequest WHERE id = $1"
        async with asyncio.timeout(WAIT_SECONDS):
            while (state := await self._pool.fetchval(query, request_id)) != "complete":
                if state == "error":
                    raise RuntimeError(f"fides ended {request_id} in error")
                await asyncio.sleep(0.02)


async def measure(place: Place, people: int, single: int, burst: int) -> Figures:
    """Starts everything and takes the times; the first request of each kind warms up."""
    async with AsyncExitStack() as opened:
        await opened.enter_async_context(database_server(place, people))
        listens = ("redis-server", "--port", str(place.redis_port), "--requirepass", PASSWORD)
        await opened.enter_async_context(program(place, "redis", *listens))
        web = ("webserver", "--port", str(place.web_port))
        server = await opened.enter_async_context(program(place, "web", str(place.fides / "fides"), *web))
        api = Api(await opened.enter_async_context(aiohttp.ClientSession()), place.web_port)
        await api.wait(server)
        await opened.enter_async_context(program(place, "worker", str(place.fides / "fides"), "worker"))
        await configure(api, place)
        pool = await opened.enter_async_context(
            asyncpg.create_pool(host="127.0.0.1", port=place.database_port, user="postgres", database="fides")
        )
        driver, found = Driver(api, pool), Figures()
        found.erasure_ms = (await driver.singles(ERASURE, range(single + 1)))[1:]
        found.access_ms = (await driver.singles(ACCESS, range(people - single - 1, people)))[1:]
        found.erasures_a_minute = await driver.burst(ERASURE, range(single + 1, single + 1 + burst))
        found.accesses_a_minute = await driver.burst(ACCESS, range(people - single - 1 - burst, people - single - 1))
        return found


async def main() -> None:
    """Runs the benchmark, prints the figures, and writes them when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fides", type=Path, required=True)
    parser.add_argument("--postgres", type=Path, default=Path("/usr/lib/postgresql/15/bin"))
    parser.add_argument("--people", type=int, default=2000)
    parser.add_argument("--single", type=int, default=10)
    parser.add_argument("--burst", type=int, default=50)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # noqa: PTH101, S103 - PostgreSQL may run as somebody else
        place = Place(given.fides, given.postgres, Path(folder), free_port(), free_port(), free_port())
        found = await measure(place, given.people, given.single, given.burst)
    print(f"erasure {statistics.median(found.erasure_ms):.0f} ms, {found.erasures_a_minute:.0f} a minute at once")
    print(f"access {statistics.median(found.access_ms):.0f} ms, {found.accesses_a_minute:.0f} a minute at once")
    if given.out:
        given.out.write_text(json.dumps(asdict(found), indent=2) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
