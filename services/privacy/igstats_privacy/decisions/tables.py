"""What officers have decided about requests. It stays in the ledger as long as the request does."""

from igstats_kit.declare import days, personal, plain
from sqlalchemy import Column, DateTime, PrimaryKeyConstraint, Table, Text

from igstats_privacy.tables import metadata, of_requester

_LEDGER_DAYS = 730

decisions = Table(
    "decisions",
    metadata,
    Column("request_id", Text, nullable=False, info=plain(exported=True)),
    Column("kind", Text, nullable=False, info=plain(exported=True)),
    Column("officer", Text, nullable=False, info=personal("user.unique_id", exported=False)),
    Column("reason", Text, nullable=False, info=plain(exported=True)),
    Column("explanation", Text, nullable=False, info=personal("user", exported=True)),
    Column("decided_at", DateTime(timezone=True), nullable=False, info=plain(exported=True)),
    PrimaryKeyConstraint("request_id", "kind", "officer"),
    info=of_requester("request_id", days(_LEDGER_DAYS, column="decided_at")),
)
