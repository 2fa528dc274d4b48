"""Searches every column of every table of every service for a person, with the eyes of the database's superuser."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from igstats_kit.testing.environment import SERVICES
from igstats_kit.testing.postgres import Postgres

from igstats_dev.layout import role

_TABLES = """
    SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
    WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
"""
_LISTINGS = 20


async def tables_with(postgres: Postgres, needles: Iterable[str]) -> tuple[Mapping[str, int], int]:
    """Rows that hold a needle, by service and table, and how many tables were read."""
    pattern = "|".join(form for needle in needles for form in (re.escape(needle), needle.encode().hex()))
    found: dict[str, int] = {}
    read = 0
    for service in SERVICES:
        async with postgres.admin(role(service)) as connection:
            for table in await _tables(connection):
                read += 1
                counting = f"SELECT count(*) FROM {table} t WHERE t::text ~* $1"  # noqa: S608 - a quoted catalogue name
                rows = await connection.fetchval(counting, pattern)
                found |= {f"{service} {table}": rows} if rows else {}
    return found, read


async def _tables(connection: Any) -> list[str]:  # noqa: ANN401 - asyncpg has no types
    return [row[0] for row in await connection.fetch(_TABLES)]


def files_with(folders: Sequence[Path], needles: Iterable[str]) -> tuple[list[str], int]:
    """Files that hold a needle, and how many were read."""
    wanted = [needle.encode() for needle in needles]
    for _ in range(_LISTINGS):
        files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        with suppress(FileNotFoundError):  # a server renamed one meanwhile: list again, or its new name is missed
            return [str(path) for path in files if any(needle in path.read_bytes() for needle in wanted)], len(files)
    raise RuntimeError("files keep changing their names; nothing can be said about their content")
