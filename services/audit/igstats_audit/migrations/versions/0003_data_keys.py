"""Data keys, each wrapped by the key of the day."""

import sqlalchemy as sa
from alembic import op

revision = "audit_0003"
down_revision = "audit_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "data_keys",
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("log", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("subject_token", sa.LargeBinary),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("kek_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.UniqueConstraint("log", "subject", name="data_keys_subject"),
    )
    op.create_index("ix_data_keys_subject_token", "data_keys", ["subject_token"])
    op.create_table(
        "key_of_day",
        sa.Column("kek_id", sa.Text, primary_key=True),
        sa.Column("day", sa.Date, nullable=False),
    )
