"""Planted canaries, and their requests stay out of the request ledger: nobody asked for them."""

import sqlalchemy as sa
from alembic import op

revision = "privacy_0011"
down_revision = "privacy_0010"
branch_labels = None
depends_on = None

# As in 0006, with one more door that no person comes by.
_ASKED = """ "right" <> 'PREVIEW' AND door NOT IN ('excerpt', 'canary')
  AND NOT (parent_id <> '' AND "right" IN ('RESTRICTION', 'LIFTING'))"""
_ENTERED = f"""
INSERT INTO request_ledger (request_id, subject_token, "right", door, regime, received_at, due_at, confirm_due_at,
  confirmed_at, answered_at, answer, ground)
SELECT request_id, ledger_token, "right", door, regime, received_at, due_at, confirm_due_at, confirmed_at, closed_at,
  CASE WHEN closed_at IS NULL THEN '' ELSE state END, CASE WHEN closed_at IS NULL THEN '' ELSE reason END
FROM {{source}} WHERE {_ASKED}
"""  # noqa: S608 - only our own constants are put in
_KEPT = ", ".join(
    f"{name} = excluded.{name}"
    for name in (
        *("subject_token", "door", "regime", "due_at", "confirm_due_at", "confirmed_at"),
        *("answered_at", "answer", "ground"),
    )
)
_SHOWN = """{one}.ledger_token, {one}.regime, {one}.due_at, {one}.confirm_due_at, {one}.confirmed_at, {one}.closed_at,
  {one}.reason"""
_CAME = f"""
CREATE OR REPLACE FUNCTION request_ledger_came() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
{_ENTERED.format(source="came")} ON CONFLICT DO NOTHING;
RETURN NULL; END $$
"""
_CHANGED = f"""
CREATE OR REPLACE FUNCTION request_ledger_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
{_ENTERED.format(source="is_now")} AND EXISTS (SELECT FROM was WHERE was.request_id = is_now.request_id
  AND ({_SHOWN.format(one="was")}) IS DISTINCT FROM ({_SHOWN.format(one="is_now")}))
ON CONFLICT (request_id) DO UPDATE SET {_KEPT};
RETURN NULL; END $$
"""  # noqa: S608 - only our own constants are put in


def upgrade() -> None:
    op.create_table(
        "canaries",
        sa.Column("canary_id", sa.Text, primary_key=True),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.execute(_CAME)
    op.execute(_CHANGED)
