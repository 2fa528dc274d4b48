"""The list of what the monitor has found. Each is told in the evidence log, too, where nobody can take it back."""

from igstats_kit.declare import days, impersonal, plain
from sqlalchemy import Column, DateTime, Table, Text, UniqueConstraint

from igstats_audit import audit_tables

FINDING_DAYS = 730

metadata = audit_tables.security_audits.metadata

findings = Table(
    "findings",
    metadata,
    Column("finding_id", Text, primary_key=True, info=plain()),
    Column("log", Text, nullable=False, info=plain()),
    Column("kind", Text, nullable=False, info=plain()),
    Column("place", Text, nullable=False, info=plain()),
    Column("detail", Text, nullable=False, info=plain()),
    Column("found_at", DateTime(timezone=True), nullable=False, info=plain()),
    Column("seen_at", DateTime(timezone=True), nullable=False, index=True, info=plain()),
    UniqueConstraint("log", "kind", "place", name="findings_place"),
    info=impersonal(
        "what is wrong with a log: kinds, places and numbers", retention=days(FINDING_DAYS, column="seen_at")
    ),
)

monitor_looks = Table(
    "monitor_looks",
    metadata,
    Column("log", Text, primary_key=True, info=plain()),
    Column("looked_at", DateTime(timezone=True), nullable=False, info=plain()),
    info=impersonal("when the monitor last looked at all of each log"),
)
