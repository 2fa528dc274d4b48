"""The list of security audits."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "audit_0004"
down_revision = "audit_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "security_audits",
        sa.Column("audit_id", sa.Text, primary_key=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finding_count", sa.Integer, nullable=False),
        sa.Column("worst", sa.SmallInteger, nullable=False),
        sa.Column("index", sa.BigInteger, nullable=False),
        sa.Column("logs", JSONB, nullable=False),
    )
    op.create_index("ix_security_audits_finished_at", "security_audits", ["finished_at"])
