"""SQL of the room. Whoever changes a proof holds the lock of its request."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import select, text

from igstats_privacy.model import Regime, Right
from igstats_privacy.proofs.proof import Method, Proof, ProofState, Tier
from igstats_privacy.proofs.tables import proofs
from igstats_privacy.store import Connection

PACKAGE = b"package"
"""The channel of sign-ins that open a package."""
_NAMES = [field.name for field in fields(Proof)]
_PROOF = [proofs.columns[name] for name in _NAMES]
_KEY = ("request_id", "method", "channel")
_PUT = text(
    f"INSERT INTO proofs ({', '.join(_NAMES)}) VALUES ({', '.join(f':{name}' for name in _NAMES)})"  # noqa: S608 - names of our own columns
    f" ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _NAMES if name not in _KEY)
)
_RESEAL = text("UPDATE request_identifiers SET sealed = :sealed WHERE request_id = :request_id")
_UNPROVED = text(
    'SELECT r.request_id, r."right", r.regime, r.door, i.sealed FROM requests r'
    " JOIN request_identifiers i USING (request_id)"
    ' WHERE r.request_id = ANY(CAST(:ids AS text[])) AND r."right" = ANY(CAST(:rights AS text[]))'
    " ORDER BY r.request_id"
)
# Once a request is beyond proof its proofs serve nobody; those of a request that retention has removed go as well.
# A sign-in that opens the package of an ended request serves its quarter of an hour.
_FORGET = text(
    "DELETE FROM proofs WHERE ctid = ANY(ARRAY(SELECT p.ctid FROM proofs p LEFT JOIN requests r USING (request_id)"
    " WHERE r.request_id IS NULL OR r.closed_at IS NOT NULL AND (p.channel <> :package OR p.secret IS NULL"
    " OR p.expires_at <= CAST(:now AS timestamptz)) LIMIT :limit))"
)


async def of_request(connection: Connection, request_id: str) -> list[Proof]:
    """The proofs of a request, the oldest first."""
    wanted = select(*_PROOF).where(proofs.c.request_id == request_id)
    rows = await connection.execute(wanted.order_by(proofs.c.created_at, proofs.c.method, proofs.c.channel))
    return [_proof(row) for row in rows]


async def by_secret(connection: Connection, secret: bytes) -> Proof | None:
    """The proof whose secret is in force and has this digest."""
    row = (await connection.execute(select(*_PROOF).where(proofs.c.secret == secret))).first()
    return None if row is None else _proof(row)


async def put(connection: Connection, proof: Proof) -> None:
    """Writes a proof, new or changed."""
    await connection.execute(_PUT, asdict(proof) | {"covers": list(proof.covers)})


async def reseal(connection: Connection, request_id: str, sealed: bytes) -> None:
    """Writes the names in a request anew."""
    await connection.execute(_RESEAL, {"request_id": request_id, "sealed": sealed})


async def unproved(
    connection: Connection, request_ids: Sequence[str], rights: Collection[Right]
) -> list[tuple[str, Right, Regime, str, bytes]]:
    """Those of the requests that ask for one of the rights: id, right, law, door and sealed names."""
    rows = await connection.execute(_UNPROVED, {"ids": list(request_ids), "rights": list(rights)})
    return [(row.request_id, Right(row.right), Regime(row.regime), row.door, row.sealed) for row in rows]


async def forget(connection: Connection, limit: int, now: datetime) -> int:
    """Deletes proofs of ended requests; answers how many."""
    return (await connection.execute(_FORGET, {"limit": limit, "now": now, "package": PACKAGE})).rowcount


def _proof(row: Sequence[Any]) -> Proof:
    values = dict(zip(_NAMES, row, strict=True))
    enums = {"method": Method(values["method"]), "tier": Tier(values["tier"]), "state": ProofState(values["state"])}
    return Proof(**values | enums | {"covers": tuple(values["covers"])})
