"""The request ledger, written by triggers on requests; the breach register; alerts of clocks."""

import sqlalchemy as sa
from alembic import op

revision = "privacy_0006"
down_revision = "privacy_0005"
branch_labels = None
depends_on = None

# Previews, an officer's excerpts, and restrictions that only keep another request safe are no wishes of a person.
_ASKED = """ "right" <> 'PREVIEW' AND door <> 'excerpt'
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
CREATE FUNCTION request_ledger_came() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
{_ENTERED.format(source="came")} ON CONFLICT DO NOTHING;
RETURN NULL; END $$
"""
_CHANGED = f"""
CREATE FUNCTION request_ledger_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
{_ENTERED.format(source="is_now")} AND EXISTS (SELECT FROM was WHERE was.request_id = is_now.request_id
  AND ({_SHOWN.format(one="was")}) IS DISTINCT FROM ({_SHOWN.format(one="is_now")}))
ON CONFLICT (request_id) DO UPDATE SET {_KEPT};
RETURN NULL; END $$
"""  # noqa: S608 - only our own constants are put in


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Text, nullable=False)


def upgrade() -> None:
    op.add_column("requests", _time("confirmed_at", nullable=True))
    token = sa.Column("ledger_token", sa.LargeBinary, nullable=False, server_default=sa.text("''::bytea"))
    op.add_column("requests", token)
    op.create_table(
        "request_ledger",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("subject_token", sa.LargeBinary, nullable=False),
        *map(_text, ("right", "door", "regime")),
        *map(_time, ("received_at", "due_at")),
        *(_time(name, nullable=True) for name in ("confirm_due_at", "confirmed_at", "answered_at")),
        *map(_text, ("answer", "ground")),
    )
    op.create_index("request_ledger_received", "request_ledger", ["received_at", "request_id"])
    op.create_index("request_ledger_open", "request_ledger", ["due_at"], postgresql_where="answered_at IS NULL")
    op.execute(_CAME)
    op.execute(_CHANGED)
    op.execute(
        "CREATE TRIGGER request_ledger_came AFTER INSERT ON requests REFERENCING NEW TABLE AS came"
        " FOR EACH STATEMENT EXECUTE FUNCTION request_ledger_came()"
    )
    op.execute(
        "CREATE TRIGGER request_ledger_changed AFTER UPDATE ON requests"
        " REFERENCING OLD TABLE AS was NEW TABLE AS is_now FOR EACH STATEMENT EXECUTE FUNCTION request_ledger_changed()"
    )
    op.execute(_ENTERED.format(source="requests"))
    _breaches()


def _breaches() -> None:
    op.create_table(
        "breaches",
        sa.Column("breach_id", sa.Text, primary_key=True),
        _time("discovered_at"),
        sa.Column("categories", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("person_count", sa.BigInteger, nullable=False),
        _text("consequences"),
        _time("created_at"),
    )
    op.create_table(
        "breach_events",
        _text("breach_id"),
        sa.Column("number", sa.Integer, nullable=False),
        *map(_text, ("officer", "kind", "text")),
        _time("created_at"),
        sa.PrimaryKeyConstraint("breach_id", "number"),
    )
    op.create_table(
        "clock_alerts",
        *map(_text, ("about", "clock")),
        _time("due_at"),
        sa.Column("percent", sa.Integer, nullable=False),
        _time("created_at"),
        sa.PrimaryKeyConstraint("about", "clock", "due_at", "percent"),
    )
