"""Pulls of DROP, their lists, and every item until it is reported.

An item is somebody here only between its arrival and its report: then the address, which is sealed until privacy has
the request, and the token that finds it are gone. The outcome stays, to answer an audit (Civil Code 1798.99.86(e)).
"""

from igstats_kit.declare import anchor, days, declared, expire, impersonal, personal, plain
from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    text,
)

from igstats_gateway.tables import metadata

_AUDITED_DAYS = 6 * 365  # audits every three years, records of each kept for six

drop_pulls = Table(
    "drop_pulls",
    metadata,
    Column("pull_id", Text, primary_key=True, info=plain()),
    Column("state", Text, nullable=False, info=plain()),
    Column("created_at", DateTime(timezone=True), nullable=False, info=plain()),
    Column("reported_at", DateTime(timezone=True), info=plain()),
    Index("drop_pulls_open", "state", unique=True, postgresql_where=text("state = 'OPEN'")),
    info=impersonal("prove that California's deletion lists were pulled in time", retention=days(_AUDITED_DAYS)),
)

drop_lists = Table(
    "drop_lists",
    metadata,
    Column("pull_id", Text, ForeignKey("drop_pulls.pull_id", ondelete="CASCADE"), nullable=False, info=plain()),
    Column("name", Text, nullable=False, info=plain()),
    Column("state", Text, nullable=False, info=plain()),
    Column("created_at", DateTime(timezone=True), nullable=False, info=plain()),
    PrimaryKeyConstraint("pull_id", "name"),
    info=impersonal("report California's deletion lists file by file", retention=days(_AUDITED_DAYS)),
)

# No foreign key: an item of somebody who has restricted processing outlives its list.
drop_items = Table(
    "drop_items",
    metadata,
    Column("pull_id", Text, nullable=False, info=plain()),
    Column("item_id", Text, nullable=False, info=plain(exported=True)),
    Column("name", Text, nullable=False, info=plain()),
    Column("token", LargeBinary, index=True, info=plain()),
    Column("sealed", LargeBinary, info=personal("user.contact.email", exported=False)),
    Column("wish", Text, info=plain(exported=True)),
    Column("status_code", Text, info=plain()),
    Column("outcome", SmallInteger, info=plain(exported=True)),
    Column("amending", Boolean, nullable=False, server_default="false", info=plain()),
    Column("created_at", DateTime(timezone=True), nullable=False, info=plain(exported=True)),
    PrimaryKeyConstraint("pull_id", "item_id"),
    Index("drop_items_waiting", "pull_id", "item_id", postgresql_where=text("outcome IS NULL")),
    Index("drop_items_amending", "pull_id", "name", postgresql_where=text("amending")),
    Index("drop_items_name", "pull_id", "name", "item_id"),
    Index("drop_items_item_id", "item_id"),
    info=declared(
        subjects=[anchor("contact", key="item_id", tokens=["token"])],
        purpose="carry out and report deletions that California's platform asks for",
        legal_basis="legal_obligation",
        retention=days(_AUDITED_DAYS),
        on_erase=expire(),
    ),
)
