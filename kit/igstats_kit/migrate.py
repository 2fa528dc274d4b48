"""Database migrations: one alembic history for the kit's tables and one for the service's, both forward only."""

from collections.abc import Sequence
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

_KIT = Path(__file__).parent / "migrations"


def _config(versions: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_KIT))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", f"{_KIT / 'versions'}\n{versions}")
    return config


def heads(versions: Path) -> Sequence[str]:
    """Newest revisions of the kit's and the service's history."""
    return ScriptDirectory.from_config(_config(versions)).get_heads()


def _upgrade(connection: Connection, versions: Path) -> None:
    # Only one migrator at a time; a migration that cannot get its lock fails instead of stopping the service.
    connection.execute(text("SELECT pg_advisory_lock(hashtext('igstats-migrate'))"))
    connection.execute(text("SET lock_timeout = '4s'"))
    config = _config(versions)
    config.attributes["connection"] = connection
    command.upgrade(config, "heads")
    connection.commit()


async def upgrade(url: str, versions: Path) -> None:
    """Brings the database at `url` to the newest revisions; `versions` is the service's migrations/versions folder."""
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_upgrade, versions)
    finally:
        await engine.dispose()
