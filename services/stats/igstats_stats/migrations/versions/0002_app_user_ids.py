"""What profile owners are called in our app at Instagram, and when they took its permission back."""

import sqlalchemy as sa
from alembic import op

revision = "stats_0002"
down_revision = "stats_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("profiles", sa.Column("app_user_id", sa.Text))
    op.add_column("profiles", sa.Column("app_user_token", sa.LargeBinary))
    op.add_column("profiles", sa.Column("departed_at", sa.DateTime(timezone=True)))
    op.create_index("ix_profiles_app_user_id", "profiles", ["app_user_id"])
    op.create_index("ix_profiles_app_user_token", "profiles", ["app_user_token"])
