"""Who got a person's data, to be told what happened to it."""

import sqlalchemy as sa
from alembic import op

revision = "privacy_0009"
down_revision = "privacy_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "recipients",
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("account_token", sa.LargeBinary, nullable=False),
        sa.Column("notice_id", sa.Text, nullable=False, unique=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("fields", sa.ARRAY(sa.Text), nullable=False, server_default="{}"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("request_id", "account_token"),
    )
    op.create_index("recipients_account_token", "recipients", ["account_token", "notice_id"])
