"""Accounts, keys, usage, limits, idempotency records."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "gateway_0001"
down_revision = None
branch_labels = ("gateway",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("subject_token", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("company", sa.Text, nullable=False),
        sa.Column("contacts_made", sa.Integer, nullable=False),
        _time("created_at"),
    )
    _create_contacts()
    _create_money()
    _create_keys()
    _create_traces()


def _create_contacts() -> None:
    op.create_table(
        "contacts",
        sa.Column("contact_id", sa.Text, primary_key=True),
        _account_id(),
        sa.Column("id_token", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("email_token", sa.LargeBinary, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        _time("created_at"),
    )
    for column in ("account_id", "email_token", "email"):
        op.create_index(f"ix_contacts_{column}", "contacts", [column])


def _create_money() -> None:
    op.create_table(
        "billing_details",
        _account_id(primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("vat_number", sa.Text, nullable=False),
    )
    op.create_table(
        "invoices",
        sa.Column("invoice_id", sa.Text, primary_key=True),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("vat_number", sa.Text, nullable=False),
        sa.Column("amount_cents", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        _time("issued_at"),
    )
    op.create_index("ix_invoices_account_id", "invoices", ["account_id"])


def _create_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.Text, primary_key=True),
        _account_id(),
        sa.Column("key_hash", sa.LargeBinary, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("scopes", ARRAY(sa.Text), nullable=False),
        _time("created_at"),
        _time("expire_at", nullable=True),
        _time("revoked_at", nullable=True),
        sa.Column("last_used_day", sa.Date),
    )
    op.create_index("ix_api_keys_account_id", "api_keys", ["account_id"])


def _create_traces() -> None:
    op.create_table(
        "usage_days",
        _account_id(),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("errors", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "day", "method"),
    )
    op.create_index("ix_usage_days_day", "usage_days", ["day"])
    op.create_table(
        "idempotency_records",
        _account_id(),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("key_digest", sa.LargeBinary, nullable=False),
        sa.Column("request_digest", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("sealed_body", sa.LargeBinary),
        _time("created_at"),
        sa.PrimaryKeyConstraint("account_id", "method", "key_digest"),
    )
    op.create_index("ix_idempotency_records_created_at", "idempotency_records", ["created_at"])
    op.create_table(
        "limits",
        _account_id(),
        sa.Column("policy", sa.Text, nullable=False),
        _time("full_at"),
        sa.PrimaryKeyConstraint("account_id", "policy"),
    )


def _account_id(*, primary_key: bool = False) -> sa.Column[str]:
    parent = sa.ForeignKey("accounts.account_id")
    return sa.Column("account_id", sa.Text, parent, nullable=False, primary_key=primary_key)


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)
