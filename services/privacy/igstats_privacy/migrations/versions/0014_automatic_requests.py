"""Whether a request was brought about by the wait of its parent, or opened by somebody.

Of those that are there already: only an officer opens a restriction beside another request by hand, and then under a
key of the officer's own. Where the key is forgotten (30 days) such a restriction stands until an officer lifts it.
"""

import sqlalchemy as sa
from alembic import op

revision = "privacy_0014"
down_revision = "privacy_0013"
branch_labels = None
depends_on = None

MARK = """
UPDATE requests r SET automatic = true
WHERE parent_id <> '' AND "right" IN ('RESTRICTION', 'LIFTING') AND (door <> 'officer' OR EXISTS (
  SELECT FROM idempotency i WHERE i.request_id = r.request_id AND i.key_digest = sha256(sha256('officer')
    || sha256('') || sha256(convert_to("right" || ' in the window of ' || parent_id, 'UTF8')))))
"""


def upgrade() -> None:
    op.add_column("requests", sa.Column("automatic", sa.Boolean, nullable=False, server_default=sa.text("false")))
    op.execute(MARK)
