"""Who is to be written to about a request, and letters on their way."""

import sqlalchemy as sa
from alembic import op

revision = "privacy_0004"
down_revision = "privacy_0003"
branch_labels = None
depends_on = None


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "correspondents",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("written", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("seen", sa.Text, nullable=False),
        _time("created_at"),
    )
    op.create_table(
        "mails",
        sa.Column("mail_id", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("request_id", "letter", "language", "state")),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("attempts", sa.Integer, nullable=False),
        *map(_time, ("created_at", "next_at")),
        _time("sent_at", nullable=True),
    )
    op.create_index("mails_waiting", "mails", ["next_at"], postgresql_where="state = 'WAITING'")
    op.create_index("mails_request_id", "mails", ["request_id"])
