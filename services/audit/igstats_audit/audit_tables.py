"""The list of security audits. Their reports are entries of the evidence log."""

from igstats_kit.declare import days, impersonal, plain
from sqlalchemy import BigInteger, Column, DateTime, Integer, SmallInteger, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from igstats_audit.key_tables import metadata

AUDIT_DAYS = 730

security_audits = Table(
    "security_audits",
    metadata,
    Column("audit_id", Text, primary_key=True, info=plain()),
    Column("started_at", DateTime(timezone=True), nullable=False, info=plain()),
    Column("finished_at", DateTime(timezone=True), nullable=False, index=True, info=plain()),
    Column("finding_count", Integer, nullable=False, info=plain()),
    Column("worst", SmallInteger, nullable=False, info=plain()),
    Column("index", BigInteger, nullable=False, info=plain()),
    Column("logs", JSONB, nullable=False, info=plain()),
    info=impersonal(
        "security audits: how each ended, where its report is, and the size and root of each log that it saw",
        retention=days(AUDIT_DAYS, column="finished_at"),
    ),
)
