"""Idempotency keys stay as long as their requests, and are found by them."""

from alembic import op

revision = "privacy_0015"
down_revision = "privacy_0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_idempotency_request_id", "idempotency", ["request_id"])
