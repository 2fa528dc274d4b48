"""Contacts can be found by the hash of their address. Old code leaves the column empty; the next start fills it."""

import sqlalchemy as sa
from alembic import op

revision = "gateway_0003"
down_revision = "gateway_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("contacts", sa.Column("hash_token", sa.LargeBinary))
    op.create_index(op.f("ix_contacts_hash_token"), "contacts", ["hash_token"])
