"""No request names another asker's any more: that there is one, and since when, is told."""

from alembic import op

revision = "privacy_0016"
down_revision = "privacy_0015"
branch_labels = None
depends_on = None

FORGET = (
    "UPDATE requests d SET duplicate_of = '' WHERE duplicate_of <> '' AND ("
    "account_token = '' AND strpos(identity_proof, 'account key') > 0 OR NOT EXISTS (SELECT FROM requests f"
    " WHERE f.request_id = d.duplicate_of AND f.account_token = d.account_token"
    " AND NOT (f.account_token = '' AND strpos(f.identity_proof, 'account key') > 0)))"
)


def upgrade() -> None:
    op.execute(FORGET)
