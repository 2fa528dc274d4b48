"""The SQL of security audits: their list, and what checks read from the catalogue and from the index of the API log."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from igstats_kit.sql import Database
from sqlalchemy import Row, RowMapping, func, insert, select, text

from igstats_audit.audit_tables import security_audits
from igstats_audit.checks.calls import Hour
from igstats_audit.checks.database import Catalogue, Entrance, Grant, Role
from igstats_audit.checks.history import Listing, Signed, StoredAudit
from igstats_audit.checks.logs import OpenFinding
from igstats_audit.checks.report import Severity
from igstats_audit.finding_tables import findings, monitor_looks
from igstats_audit.model import Log, Place
from igstats_audit.tables import calls

_LOCK = text("SELECT pg_try_advisory_lock(hashtext('igstats-security-audit'))")
_UNLOCK = text("SELECT pg_advisory_unlock(hashtext('igstats-security-audit'))")

_BOOTSTRAP = 10  # oid of the role that initdb makes
_OWN = text(
    "SELECT current_database() AS database, current_user AS role, pg_get_userbyid(d.datdba) AS owner,"
    " NOT (inet_server_addr() IS NULL OR inet_server_addr() <<= '127.0.0.0/8' OR inet_server_addr() = '::1') AS remote,"
    " coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS encrypted"
    " FROM pg_database d WHERE d.datname = current_database()"
)
_ROLES = text(
    "SELECT r.rolname, r.rolsuper, r.rolcreatedb, r.rolcreaterole, r.rolreplication, r.rolbypassrls,"
    " ARRAY(SELECT m.roleid::regrole::text FROM pg_auth_members m WHERE m.member = r.oid ORDER BY 1) AS member_of"
    " FROM pg_roles r WHERE r.rolcanlogin AND r.oid <> :bootstrap ORDER BY r.rolname"
)
_ATTRIBUTES = ("rolsuper", "rolcreatedb", "rolcreaterole", "rolreplication", "rolbypassrls")
_ENTRANCES = text(
    "SELECT d.datname, o.rolname AS owner, r.rolname AS role, d.datdba <> :bootstrap AS service"
    " FROM pg_database d JOIN pg_roles o ON o.oid = d.datdba CROSS JOIN pg_roles r"
    " WHERE d.datallowconn AND r.rolcanlogin AND NOT r.rolsuper AND r.oid <> d.datdba"
    " AND has_database_privilege(r.oid, d.oid, 'CONNECT') ORDER BY 1, 3"
)
# Whoever is not the owner of a thing and may use it; PUBLIC may use the schema public and nothing else. What initdb and
# extensions have given stands in pg_init_privs. A function of the system without grants of its own is as initdb left
# it, one of ours is for PUBLIC. The views of information_schema show nobody more than what is theirs.
_GRANTS = text(
    "WITH spaces AS (SELECT *, tableoid FROM pg_namespace WHERE nspname <> 'information_schema'),"
    " relations AS (SELECT c.*, c.tableoid FROM pg_class c JOIN spaces s ON s.oid = c.relnamespace),"
    " things AS (SELECT tableoid, oid, 0 AS part, 'schema ' || nspname AS what, nspowner AS owner, nspacl AS acl"
    " FROM spaces"
    " UNION ALL SELECT tableoid, oid, 0, 'table ' || relname, relowner, relacl FROM relations"
    " UNION ALL SELECT c.tableoid, c.oid, p.attnum, 'column ' || c.relname || '.' || p.attname, c.relowner, p.attacl"
    " FROM relations c JOIN pg_attribute p ON p.attrelid = c.oid WHERE p.attacl IS NOT NULL AND NOT p.attisdropped"
    " UNION ALL SELECT f.tableoid, f.oid, 0, 'function ' || f.oid::regprocedure, f.proowner,"
    " coalesce(f.proacl, CASE WHEN s.nspname !~ '^pg_' THEN acldefault('f', f.proowner) END)"
    " FROM pg_proc f JOIN spaces s ON s.oid = f.pronamespace"
    " UNION ALL SELECT tableoid, oid, 0, 'default of new things', defaclrole, defaclacl FROM pg_default_acl),"
    " given AS (SELECT t.what, t.owner, a.grantee, a.privilege_type AS privilege FROM things t, aclexplode(t.acl) a"
    " WHERE NOT EXISTS (SELECT FROM pg_init_privs i, aclexplode(i.initprivs) b"
    " WHERE (i.classoid, i.objoid, i.objsubid) = (t.tableoid, t.oid, t.part)"
    " AND (b.grantee, b.privilege_type) = (a.grantee, a.privilege_type)))"
    " SELECT what, coalesce(nullif(grantee, 0)::regrole::text, 'PUBLIC') AS grantee, privilege FROM given"
    " WHERE grantee <> owner AND grantee <> :bootstrap"
    " AND grantee <> (SELECT datdba FROM pg_database WHERE datname = current_database())"
    " AND grantee <> (SELECT oid FROM pg_roles WHERE rolname = 'pg_database_owner')"
    " AND NOT (what = 'schema public' AND grantee = 0 AND privilege = 'USAGE') ORDER BY 1, 2, 3"
)
_EXTENSIONS = text("SELECT extname FROM pg_extension ORDER BY 1")

_LISTING = text(
    "SELECT (SELECT count(*) FROM security_audits) AS audits,"
    " EXISTS (SELECT FROM security_audits WHERE audit_id = :audit_id) AS named,"
    " (SELECT count(*) FROM entry_ids e WHERE e.entry_id >= 'sec_' AND e.entry_id < 'sec`'"
    " AND NOT EXISTS (SELECT FROM security_audits a WHERE a.audit_id = e.entry_id)) AS unlisted"
)


class SecurityAuditStore:
    """Lists security audits."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[bool]:
        """Whether no other process audits while the block runs: a lock of the session, let go of when it dies."""
        async with self._database.read() as connection:
            held = bool(await connection.scalar(_LOCK))
            try:
                yield held
            finally:
                if held:
                    await connection.execute(_UNLOCK)

    async def add(self, audit: StoredAudit) -> None:
        """Keeps an audit."""
        row = {
            "audit_id": audit.audit_id,
            "started_at": audit.started_at,
            "finished_at": audit.finished_at,
            "finding_count": audit.finding_count,
            "worst": audit.worst or 0,
            "index": audit.index,
            "logs": {log: {"size": one.size, "root": one.root.hex()} for log, one in audit.logs.items()},
        }
        async with self._database.transaction() as connection:
            await connection.execute(insert(security_audits), row)

    async def find(self, audit_id: str) -> StoredAudit | None:
        """Reads an audit; an empty id means the newest."""
        wanted = select(security_audits).order_by(security_audits.c.audit_id.desc()).limit(1)
        if audit_id:
            wanted = wanted.where(security_audits.c.audit_id == audit_id)
        async with self._database.read() as connection:
            row = (await connection.execute(wanted)).mappings().one_or_none()
        return _audit(row) if row is not None else None

    async def page(self, before: str, limit: int) -> Sequence[StoredAudit]:
        """Audits, the newest first, older than the one with an id if one is given."""
        wanted = select(security_audits).order_by(security_audits.c.audit_id.desc()).limit(limit)
        if before:
            wanted = wanted.where(security_audits.c.audit_id < before)
        async with self._database.read() as connection:
            return [_audit(row) for row in (await connection.execute(wanted)).mappings()]

    async def logs(self) -> Mapping[str, Signed]:
        """The logs as the last audit left them that saw any."""
        newest = select(security_audits).where(security_audits.c.logs != {})
        async with self._database.read() as connection:
            rows = await connection.execute(newest.order_by(security_audits.c.audit_id.desc()).limit(1))
            row = rows.mappings().one_or_none()
        return _audit(row).logs if row is not None else {}

    async def listing(self, audit_id: str) -> Listing:
        """What the list says, and whether it names this audit."""
        async with self._database.read() as connection:
            row = (await connection.execute(_LISTING, {"audit_id": audit_id})).one()
        return Listing(await self.logs(), row.audits, row.named, row.unlisted)


class CatalogueReader:
    """Reads what PostgreSQL says about permissions; any role may."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self) -> Catalogue:
        """The catalogue as it is now."""
        async with self._database.read() as connection:
            own = (await connection.execute(_OWN)).one()
            roles = await connection.execute(_ROLES, {"bootstrap": _BOOTSTRAP})
            entrances = await connection.execute(_ENTRANCES, {"bootstrap": _BOOTSTRAP})
            grants = await connection.execute(_GRANTS, {"bootstrap": _BOOTSTRAP})
            extensions = (await connection.execute(_EXTENSIONS)).scalars()
            return Catalogue(
                database=own.database,
                role=own.role,
                owner=own.owner,
                roles=[_role(row) for row in roles],
                entrances=[Entrance(row.datname, row.owner, row.role, row.service) for row in entrances],
                grants=[Grant(row.what, row.grantee, row.privilege) for row in grants],
                extensions=list(extensions),
                encrypted=own.encrypted,
                remote=own.remote,
            )


class CallIndexReader:
    """Reads the search index of the API log: times and outcomes, nobody's content."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def hours(self, since: datetime, status: int) -> Sequence[Hour]:
        """Calls by hour since a time; refused are those that ended with the status."""
        hour = func.date_trunc("hour", calls.c.called_at, "UTC").label("hour")
        refused = func.count().filter(calls.c.status == status).label("refused")
        wanted = select(hour, func.count().label("calls"), refused).where(*_since(since)).group_by(hour).order_by(hour)
        async with self._database.read() as connection:
            return [Hour(row.hour, row.calls, row.refused) for row in await connection.execute(wanted)]

    async def places(self, since: datetime, below: int | None, limit: int) -> Sequence[Place]:
        """Places of calls since a time, the newest first, below an index."""
        wanted = select(calls.c.index, calls.c.day).where(*_since(since))
        if below is not None:
            wanted = wanted.where(calls.c.index < below)
        async with self._database.read() as connection:
            rows = await connection.execute(wanted.order_by(calls.c.index.desc()).limit(limit))
            return [Place(index, day) for index, day in rows]


class FindingReader:
    """Reads what the monitor has found."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def looked_at(self) -> datetime | None:
        """When it last looked at all of every log, as it has written down; None when one is missing."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(monitor_looks.c.log, monitor_looks.c.looked_at))
            times = {Log(row.log): row.looked_at for row in rows}
        return min(times.values()) if set(times) == set(Log) else None

    async def since(self, looked_at: datetime | None) -> Sequence[OpenFinding]:
        """What it saw when it last looked at everything, or later; everything that it ever saw if it has not."""
        wanted = select(findings.c.kind, findings.c.place, findings.c.log).order_by(findings.c.finding_id)
        if looked_at is not None:
            wanted = wanted.where(findings.c.seen_at >= looked_at)
        async with self._database.read() as connection:
            return [OpenFinding(*row) for row in await connection.execute(wanted)]


def _since(since: datetime) -> tuple[Any, Any]:
    """The second condition is for the planner: a call is appended on its day or later."""
    return calls.c.called_at >= since, calls.c.day >= (since - timedelta(days=1)).date()


def _role(row: Row[Any]) -> Role:
    held = frozenset(name.removeprefix("rol") for name in _ATTRIBUTES if getattr(row, name))
    return Role(row.rolname, held, tuple(row.member_of))


def _audit(row: RowMapping) -> StoredAudit:
    logs = {log: Signed(one["size"], bytes.fromhex(one["root"])) for log, one in row["logs"].items()}
    worst = Severity(row["worst"]) if row["worst"] else None
    return StoredAudit(**{**row, "logs": logs, "worst": worst})
