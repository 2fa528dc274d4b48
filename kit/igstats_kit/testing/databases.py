"""A fresh database for each test: migrated once a run into a template, then copied in milliseconds."""

import asyncio
import secrets as random
from importlib.util import find_spec
from pathlib import Path

from igstats_kit.migrate import upgrade
from igstats_kit.testing.keeper import locked
from igstats_kit.testing.postgres import Postgres
from igstats_kit.testing.secrets import Secrets


def versions(service: str) -> Path:
    """The service's migrations. A test of the kit alone names a service that does not exist: there are none then."""
    spec = None if service == "kit" else find_spec(f"igstats_{service}")
    home = Path(spec.origin).parent if spec and spec.origin else Path(__file__).parent
    return home / "migrations" / "versions"


class Databases:
    """Makes and drops the databases of one process of a test run."""

    def __init__(self, server: Postgres, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._secrets = Secrets(folder / "passwords")
        self._templates: set[str] = set()

    async def fresh(self, service: str) -> str:
        """Address of a new database with the tables of the service."""
        await self._ensure_template(service)
        name = f"{service}_{random.token_hex(6)}"
        await self._server.ensure_database(name, _role(service), template=_template(service))
        return self._url(service, name)

    async def drop(self, url: str) -> None:
        """Removes the database at the address."""
        await self._server.drop_database(url.rsplit("/", 1)[1])

    async def _ensure_template(self, service: str) -> None:
        if service in self._templates:
            return
        with await asyncio.to_thread(locked, self._folder / f"template-{service}.lock"):
            await self._server.ensure_role(_role(service), self._secrets.password(service))
            building = f"{_template(service)}_building"
            if not await self._server.has_database(_template(service)):
                await self._server.drop_database(building)
                await self._server.ensure_database(building, _role(service))
                await upgrade(self._url(service, building), versions(service))
                await self._server.rename_database(building, _template(service))
        self._templates.add(service)

    def _url(self, service: str, name: str) -> str:
        return self._server.url(_role(service), self._secrets.password(service), name)


def _role(service: str) -> str:
    return f"igstats_{service}"


def _template(service: str) -> str:
    return f"template_{service}"
