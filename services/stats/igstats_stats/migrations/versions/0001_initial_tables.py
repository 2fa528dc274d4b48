"""Connections, profiles, days, media, audiences."""

from collections.abc import Iterable

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "stats_0001"
down_revision = None
branch_labels = ("stats",)
depends_on = None

DAY_METRICS = (
    *("reach", "follower_count", "views", "accounts_engaged", "total_interactions", "likes", "comments", "saves"),
    *("shares", "replies", "reposts", "profile_links_taps", "profile_views", "website_clicks"),
)
MEDIA_METRICS = (
    *("views", "reach", "likes", "comments", "saved", "shares", "reposts", "total_interactions", "follows"),
    *("profile_visits", "profile_activity", "replies", "navigation", "ig_reels_avg_watch_time"),
    "ig_reels_video_view_total_time",
)


def _profile_id() -> sa.Column[int]:
    return sa.Column("profile_id", sa.BigInteger, sa.ForeignKey("profiles.profile_id"), nullable=False)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _day(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Date, nullable=False)


def _revision() -> sa.Column[int]:
    return sa.Column("revision", sa.Integer, nullable=False)


def _numbers(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger) for name in names]


def _wide(metrics: Iterable[str]) -> list[sa.Column[int]]:
    pairs = ((sa.Column(name, sa.BigInteger), sa.Column(f"{name}_missing", sa.SmallInteger)) for name in metrics)
    return [column for pair in pairs for column in pair]


def upgrade() -> None:
    _create_profiles()
    _create_connections()
    _create_days()
    _create_media()
    _create_audience()


def _create_profiles() -> None:
    op.create_table(
        "profiles",
        sa.Column("profile_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("user_token", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("username_token", sa.LargeBinary),
        sa.Column("instagram_user_id", sa.Text, nullable=False, unique=True),
        _text("username", nullable=True),
        _text("name"),
        _text("biography"),
        _text("website"),
        *_numbers("followers", "follows", "media"),
        _revision(),
        _time("observed_at"),
        _time("media_walked_at", nullable=True),
        _time("audience_due_at", nullable=True),
    )
    op.create_index("ix_profiles_username_token", "profiles", ["username_token"])
    op.create_index("ix_profiles_username", "profiles", ["username"])


def _create_connections() -> None:
    op.create_table(
        "connections",
        sa.Column("connection_id", sa.Text, primary_key=True),
        _text("account_id"),
        sa.Column("account_token", sa.LargeBinary, nullable=False),
        _profile_id(),
        sa.Column("sealed_token", sa.LargeBinary),
        _text("state"),
        _text("problem"),
        _time("created_at"),
        *(_time(name, nullable=True) for name in ("synced_at", "blocked_until", "due_at")),
        _text("lease_id", nullable=True),
        _time("leased_until", nullable=True),
        sa.UniqueConstraint("account_id", "profile_id"),
    )
    op.create_index("ix_connections_account_token", "connections", ["account_token"])
    op.create_index("connections_account_id_connection_id", "connections", ["account_id", "connection_id"])
    op.create_index("connections_profile_id", "connections", ["profile_id"])
    due = sa.text("due_at IS NOT NULL")
    op.create_index("connections_due_at", "connections", ["due_at"], postgresql_where=due)


def _create_days() -> None:
    op.create_table(
        "profile_samples",
        _profile_id(),
        _time("observed_at"),
        _day("day"),
        *_numbers("followers_count", "follows_count", "media_count"),
        sa.PrimaryKeyConstraint("profile_id", "day", "observed_at"),
    )
    op.create_table(
        "profile_days",
        _profile_id(),
        _day("day"),
        *_wide(DAY_METRICS),
        _revision(),
        sa.Column("settled", sa.Boolean, nullable=False),
        _time("observed_at"),
        sa.PrimaryKeyConstraint("profile_id", "day"),
    )


def _create_media() -> None:
    op.create_table(
        "media",
        _profile_id(),
        *(_text(name) for name in ("media_id", "media_type", "product_type", "caption", "permalink")),
        _time("posted_at"),
        *_wide(("likes", "comments")),
        _revision(),
        _time("observed_at"),
        _time("insights_due_at", nullable=True),
        sa.PrimaryKeyConstraint("profile_id", "media_id"),
    )
    op.create_index("media_profile_id_posted_at", "media", ["profile_id", "posted_at", "media_id"])
    due = sa.text("insights_due_at IS NOT NULL")
    op.create_index("media_insights_due", "media", ["profile_id", "insights_due_at"], postgresql_where=due)
    op.create_table(
        "media_insights",
        _profile_id(),
        _text("media_id"),
        *_wide(MEDIA_METRICS),
        _revision(),
        _time("observed_at"),
        sa.PrimaryKeyConstraint("profile_id", "media_id"),
    )


def _create_audience() -> None:
    op.create_table(
        "audience_slices",
        _profile_id(),
        _text("metric"),
        _text("dimension"),
        _day("observed_day"),
        sa.Column("slices", JSONB, nullable=False),
        sa.Column("missing", sa.SmallInteger),
        _revision(),
        _time("observed_at"),
        sa.PrimaryKeyConstraint("profile_id", "metric", "dimension", "observed_day"),
    )
    op.create_table(
        "capabilities",
        _profile_id(),
        _text("product_type"),
        _text("metric"),
        _time("marked_at"),
        sa.PrimaryKeyConstraint("profile_id", "product_type", "metric"),
    )
