"""Requests, tasks, receipts, holders, erasure ledger, exports."""

import sqlalchemy as sa
from alembic import op

revision = "privacy_0001"
down_revision = None
branch_labels = ("privacy",)
depends_on = None


def upgrade() -> None:
    _create_requests()
    _create_tasks()
    _create_holders()
    _create_ledger()
    _create_exports()


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _create_requests() -> None:
    op.create_table(
        "requests",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("reference", sa.Text, nullable=False, unique=True),
        *map(_text, ("right", "state", "door", "identity_proof")),
        _bytes("account_token"),
        *map(_time, ("received_at", "due_at")),
        _time("closed_at", nullable=True),
        _time("effective_at", nullable=True),
        sa.Column("blocked", sa.Boolean, nullable=False),
        _text("reason"),
        _time("overdue_at", nullable=True),
    )
    op.create_index("requests_account_token", "requests", ["account_token", "request_id"])
    waiting = sa.text("state IN ('RECEIVED', 'TRIAGE')")
    op.create_index("requests_waiting", "requests", ["request_id"], postgresql_where=waiting)
    op.create_index("requests_open", "requests", ["request_id"], postgresql_where=sa.text("closed_at IS NULL"))
    settling = sa.text("state = 'SETTLING'")
    op.create_index("requests_settling", "requests", ["effective_at"], postgresql_where=settling)
    op.create_table(
        "request_identifiers",
        sa.Column("request_id", sa.Text, primary_key=True),
        _bytes("sealed"),
        _time("created_at"),
    )
    op.create_table(
        "request_tokens",
        _bytes("token"),
        _text("request_id"),
        _time("created_at"),
        sa.PrimaryKeyConstraint("token", "request_id"),
    )
    op.create_index("request_tokens_request_id", "request_tokens", ["request_id"])
    op.create_table(
        "idempotency",
        sa.Column("key_digest", sa.LargeBinary, primary_key=True),
        _bytes("content_digest"),
        _text("request_id"),
        _time("created_at"),
    )


def _create_tasks() -> None:
    op.create_table(
        "tasks",
        *map(_text, ("request_id", "holder", "phase")),
        sa.Column("step", sa.SmallInteger, nullable=False),
        _text("state"),
        sa.Column("outcome", sa.Text),
        sa.Column("cause", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("offers", sa.Integer, nullable=False, server_default="0"),
        _time("created_at"),
        *(
            _time(name, nullable=True)
            for name in ("first_offered_at", "offered_at", "offer_again_at", "settled_at", "effective_at")
        ),
        sa.Column("receipt_digest", sa.LargeBinary),
        sa.PrimaryKeyConstraint("request_id", "holder", "phase"),
        # Each task changes its state three times: room in the page keeps those updates out of the index.
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "receipts",
        *map(_text, ("request_id", "holder", "phase")),
        *map(_bytes, ("digest", "receipt", "signature")),
        _text("key_id"),
        _time("received_at"),
        sa.PrimaryKeyConstraint("request_id", "holder", "phase", "digest"),
    )


def _create_holders() -> None:
    op.create_table(
        "holders",
        sa.Column("holder", sa.Text, primary_key=True),
        *map(_bytes, ("description", "description_digest")),
        sa.Column("store_count", sa.Integer, nullable=False),
        _bytes("public_key"),
        sa.Column("enabled", sa.Boolean, nullable=False),
        *map(_time, ("registered_at", "seen_at")),
        _time("leased_through", nullable=True),
    )
    op.create_table(
        "holder_keys",
        *map(_text, ("holder", "key_id")),
        _bytes("public_key"),
        _time("created_at"),
        sa.PrimaryKeyConstraint("holder", "key_id"),
    )


def _create_ledger() -> None:
    op.create_table(
        "erasure_ledger",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("request_id", sa.Text, nullable=False, unique=True),
        sa.Column("tokens", sa.ARRAY(sa.LargeBinary), nullable=False),
        _time("accepted_at"),
    )
    head = op.create_table(
        "ledger_head",
        sa.Column("ledger", sa.Text, primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(head, [{"ledger": "erasure", "sequence": 0}])


def _create_exports() -> None:
    op.create_table(
        "exports",
        sa.Column("request_id", sa.Text, primary_key=True),
        _bytes("sealed_key"),
        *map(_time, ("created_at", "expires_at")),
    )
    op.create_index("exports_expires_at", "exports", ["expires_at"])
    op.create_table(
        "export_shares",
        *map(_text, ("request_id", "holder")),
        _bytes("digest"),
        sa.Column("row_count", sa.BigInteger, nullable=False),
        _time("created_at"),
        sa.PrimaryKeyConstraint("request_id", "holder"),
    )
    op.create_table(
        "export_parts",
        *map(_text, ("request_id", "holder")),
        sa.Column("number", sa.Integer, nullable=False),
        _text("store"),
        sa.Column("row_count", sa.Integer, nullable=False),
        _bytes("sealed"),
        _time("created_at"),
        sa.PrimaryKeyConstraint("request_id", "holder", "number"),
    )
