"""Links by which persons without an account fetch their packages, as digests."""

import sqlalchemy as sa
from alembic import op

revision = "privacy_0010"
down_revision = "privacy_0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "package_links",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("package_links_request_id", "package_links", ["request_id"])
