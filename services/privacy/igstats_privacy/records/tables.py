"""The request ledger, the breach register, and which clocks somebody was told about."""

from igstats_kit.declare import days, impersonal, plain
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from igstats_privacy.tables import metadata, of_requester

# 24 months are 731 days when one of the years is a leap year, and 11 CCR 7101(a) says "at least".
_LEDGER_DAYS = 731
# GDPR article 33(5) sets no end; five years cover the time in which an authority acts.
_BREACH_DAYS = 1826


def _time(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable, info=plain())


def _text(name: str) -> Column[object]:
    return Column(name, Text, nullable=False, info=plain())


# Two triggers on `requests` write it, so that no statement can change a request without it. An open entry stays.
request_ledger = Table(
    "request_ledger",
    metadata,
    Column("request_id", Text, primary_key=True, info=plain()),
    Column("subject_token", LargeBinary, nullable=False, info=plain()),
    *map(_text, ("right", "door", "regime")),
    *map(_time, ("received_at", "due_at")),
    *(_time(name, nullable=True) for name in ("confirm_due_at", "confirmed_at", "answered_at")),
    *map(_text, ("answer", "ground")),
    Index("request_ledger_received", "received_at", "request_id"),
    Index("request_ledger_open", "due_at", postgresql_where=text("answered_at IS NULL")),
    info=of_requester("request_id", days(_LEDGER_DAYS, column="answered_at")),
)

breaches = Table(
    "breaches",
    metadata,
    Column("breach_id", Text, primary_key=True, info=plain()),
    _time("discovered_at"),
    Column("categories", ARRAY(Text), nullable=False, info=plain()),
    Column("person_count", BigInteger, nullable=False, info=plain()),
    _text("consequences"),
    _time("created_at"),
    info=impersonal("document breaches of personal data (GDPR 33(5))", retention=days(_BREACH_DAYS)),
)

breach_events = Table(
    "breach_events",
    metadata,
    _text("breach_id"),
    Column("number", Integer, nullable=False, info=plain()),
    *map(_text, ("officer", "kind", "text")),
    _time("created_at"),
    PrimaryKeyConstraint("breach_id", "number"),
    info=impersonal(
        "what became known and was done about breaches, and by which officer", retention=days(_BREACH_DAYS)
    ),
)

clock_alerts = Table(
    "clock_alerts",
    metadata,
    _text("about"),
    _text("clock"),
    _time("due_at"),
    Column("percent", Integer, nullable=False, info=plain()),
    _time("created_at"),
    PrimaryKeyConstraint("about", "clock", "due_at", "percent"),
    info=impersonal("which ends of clocks somebody was told about", retention=days(_LEDGER_DAYS)),
)
