"""What the doors for other machines remember: agents' tokens, which request a partner's request became, whom to tell.

Nothing here names a person: who is meant stands sealed in privacy, and the wish itself is not kept.
"""

from igstats_kit.declare import days, impersonal, plain
from sqlalchemy import Column, DateTime, ForeignKeyConstraint, Index, Integer, LargeBinary, Table, Text, text

from igstats_gateway.tables import metadata

_LEDGER_DAYS = 730
_TOKEN_DAYS = 365

agent_tokens = Table(
    "agent_tokens",
    metadata,
    Column("agent_id", Text, primary_key=True, info=plain()),
    Column("token_digest", LargeBinary, nullable=False, info=plain()),
    Column("created_at", DateTime(timezone=True), nullable=False, info=plain()),
    info=impersonal("recognise the agents of the Data Rights Protocol", retention=days(_TOKEN_DAYS)),
)

partner_requests = Table(
    "partner_requests",
    metadata,
    Column("door", Text, primary_key=True, info=plain()),
    Column("partner_id", Text, primary_key=True, info=plain()),
    Column("external_id", Text, primary_key=True, info=plain()),
    Column("reference", Text, nullable=False, info=plain()),
    Column("request_id", Text, nullable=False, info=plain()),
    Column("status_code", Text, nullable=False, info=plain()),
    Column("created_at", DateTime(timezone=True), nullable=False, info=plain()),
    info=impersonal("answer partners about the requests that they brought", retention=days(_LEDGER_DAYS)),
)

partner_callbacks = Table(
    "partner_callbacks",
    metadata,
    Column("door", Text, primary_key=True, info=plain()),
    Column("partner_id", Text, primary_key=True, info=plain()),
    Column("external_id", Text, primary_key=True, info=plain()),
    Column("number", Integer, primary_key=True, autoincrement=False, info=plain()),
    Column("sealed", LargeBinary, nullable=False, info=plain()),
    Column("told", LargeBinary, nullable=False, info=plain()),
    Column("attempts", Integer, nullable=False, info=plain()),
    Column("failing_since", DateTime(timezone=True), info=plain()),
    Column("next_at", DateTime(timezone=True), info=plain()),
    Column("created_at", DateTime(timezone=True), nullable=False, info=plain()),
    ForeignKeyConstraint(
        ["door", "partner_id", "external_id"],
        ["partner_requests.door", "partner_requests.partner_id", "partner_requests.external_id"],
        ondelete="CASCADE",
    ),
    Index("partner_callbacks_next_at", "next_at", postgresql_where=text("next_at IS NOT NULL")),
    info=impersonal("tell partners what became of the requests that they brought", retention=days(_LEDGER_DAYS)),
)
