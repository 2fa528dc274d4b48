"""Letters on their way. What a letter says is sealed, and destroyed as soon as it was sent or given up."""

from igstats_kit.declare import days, personal, plain
from sqlalchemy import Column, DateTime, Index, Integer, LargeBinary, Table, Text, text

from igstats_privacy.tables import metadata, of_requester

_LEDGER_DAYS = 730

mails = Table(
    "mails",
    metadata,
    Column("mail_id", Text, primary_key=True, info=plain()),
    Column("request_id", Text, nullable=False, info=plain(exported=True)),
    Column("letter", Text, nullable=False, info=plain(exported=True)),
    Column("language", Text, nullable=False, info=plain()),
    Column("state", Text, nullable=False, info=plain(exported=True)),
    Column("sealed", LargeBinary, info=personal("user.contact.email", exported=False)),
    Column("attempts", Integer, nullable=False, info=plain()),
    Column("created_at", DateTime(timezone=True), nullable=False, info=plain(exported=True)),
    Column("next_at", DateTime(timezone=True), nullable=False, info=plain()),
    Column("sent_at", DateTime(timezone=True), info=plain(exported=True)),
    Index("mails_waiting", "next_at", postgresql_where=text("state = 'WAITING'")),
    Index("mails_request_id", "request_id"),
    info=of_requester("request_id", days(_LEDGER_DAYS)),
)
