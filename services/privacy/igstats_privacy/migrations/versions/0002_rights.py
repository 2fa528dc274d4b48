"""What every right needs to know of a request: law, class of person, kinship, what it waits for, its other clocks."""

import sqlalchemy as sa
from alembic import op

revision = "privacy_0002"
down_revision = "privacy_0001"
branch_labels = None
depends_on = None

_UNKNOWN = "UNSPECIFIED"
_DEFAULTS = {"regime": "GDPR", "subject_class": _UNKNOWN, "parent_id": "", "duplicate_of": "", "wait": _UNKNOWN}


def upgrade() -> None:
    for name, default in _DEFAULTS.items():
        op.add_column("requests", sa.Column(name, sa.Text, nullable=False, server_default=default))
    for name in ("wait_until", "confirm_due_at", "extended_at"):
        op.add_column("requests", sa.Column(name, sa.DateTime(timezone=True)))
