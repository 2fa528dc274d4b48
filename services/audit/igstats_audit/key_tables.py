"""The tables of the data keys. What opens them, the key of the day, is not in any table (`keystore`)."""

from igstats_kit.declare import anchor, declared, delete, impersonal, lifetime, plain
from sqlalchemy import Column, Date, DateTime, LargeBinary, MetaData, Table, Text, UniqueConstraint, func

metadata = MetaData()

data_keys = Table(
    "data_keys",
    metadata,
    Column("key_id", Text, primary_key=True, info=plain()),
    Column("log", Text, nullable=False, info=plain()),
    Column("subject", Text, nullable=False, info=plain()),
    Column("subject_token", LargeBinary, index=True, info=plain()),
    Column("wrapped", LargeBinary, nullable=False, info=plain()),
    Column("kek_id", Text, nullable=False, info=plain()),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now(), info=plain()),
    UniqueConstraint("log", "subject", name="data_keys_subject"),
    info=declared(
        subjects=[anchor("account", key="key_id", tokens=["subject_token"])],
        purpose="security and troubleshooting",
        legal_basis="legitimate_interest",
        retention=lifetime(),
        on_erase=delete(),
    ),
)

key_of_day = Table(
    "key_of_day",
    metadata,
    Column("kek_id", Text, primary_key=True, info=plain()),
    Column("day", Date, nullable=False, info=plain()),
    info=impersonal("one row: the name of the key that wraps new data keys, and since which day"),
)
