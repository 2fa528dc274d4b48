"""Canaries: which is under way, and how each one ended. The person behind them does not exist."""

from igstats_kit.declare import days, impersonal, plain
from sqlalchemy import Column, DateTime, LargeBinary, Table, Text

from igstats_privacy.tables import metadata

_DAYS = 731  # as long as the request ledger: what it says of real erasures is proved by these

canaries = Table(
    "canaries",
    metadata,
    Column("canary_id", Text, primary_key=True, info=plain()),
    Column("sealed", LargeBinary, info=plain()),
    Column("request_id", Text, nullable=False, info=plain()),
    Column("started_at", DateTime(timezone=True), nullable=False, info=plain()),
    Column("deadline_at", DateTime(timezone=True), nullable=False, info=plain()),
    Column("ended_at", DateTime(timezone=True), info=plain()),
    Column("result", Text, nullable=False, info=plain()),
    Column("reason", Text, nullable=False, info=plain()),
    info=impersonal(
        "prove every day that erasure works, by a person who was made up", retention=days(_DAYS, column="started_at")
    ),
)
