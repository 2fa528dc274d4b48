"""What holders said about themselves, once per digest instead of with every share of a package."""

import sqlalchemy as sa
from alembic import op

revision = "privacy_0013"
down_revision = "privacy_0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "descriptions",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("description", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.add_column("export_shares", sa.Column("description_digest", sa.LargeBinary))
