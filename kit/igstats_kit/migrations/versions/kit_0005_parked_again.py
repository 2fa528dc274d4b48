"""Parked events keep what their handler needs, and can be asked for again."""

import sqlalchemy as sa
from alembic import op

revision = "kit_0005"
down_revision = "kit_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    when = sa.DateTime(timezone=True)
    op.add_column("parked", sa.Column("time", when))
    op.add_column("parked", sa.Column("sequence", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("parked", sa.Column("repeatable", sa.Boolean, nullable=False, server_default="true"))
    op.add_column("parked", sa.Column("asked_at", when))
