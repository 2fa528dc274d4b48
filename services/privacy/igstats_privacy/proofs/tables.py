"""What the room keeps while a request waits for its proof. No name and no code is in here: keyed tokens and digests."""

from igstats_kit.declare import days, plain
from sqlalchemy import (
    ARRAY,
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

_LONGEST_DAYS = 120  # a request waits at most three months; forgetting ends its proofs with it, this is the bar behind

proofs = Table(
    "proofs",
    metadata,
    Column("request_id", Text, nullable=False, info=plain()),
    Column("method", Text, nullable=False, info=plain(exported=True)),
    Column("channel", LargeBinary, nullable=False, info=plain()),
    Column("tier", Text, nullable=False, info=plain(exported=True)),
    Column("state", Text, nullable=False, info=plain(exported=True)),
    Column("covers", ARRAY(LargeBinary), nullable=False, info=plain()),
    Column("secret", LargeBinary, info=plain()),
    Column("tries", Integer, nullable=False, info=plain()),
    Column("locked_until", DateTime(timezone=True), info=plain()),
    Column("sends", Integer, nullable=False, info=plain()),
    Column("sent_at", DateTime(timezone=True), info=plain()),
    Column("created_at", DateTime(timezone=True), nullable=False, info=plain(exported=True)),
    Column("expires_at", DateTime(timezone=True), nullable=False, info=plain()),
    PrimaryKeyConstraint("request_id", "method", "channel"),
    Index("proofs_secret", "secret", unique=True, postgresql_where=text("secret IS NOT NULL")),
    info=of_requester("request_id", days(_LONGEST_DAYS), erased=True),
)
