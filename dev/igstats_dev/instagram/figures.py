"""The numbers of a synthetic profile: per day, media item and audience. Those of the last two days still rise."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from igstats_dev.instagram.la_days import midnight, next_day
from igstats_dev.instagram.noise import log_normal, uniform
from igstats_dev.instagram.people import Person, Post

AUDIENCE_THRESHOLD = 100
_SATURDAY = 5
_DAY_SHARES: Mapping[str, float] = {
    "reach": 0.18,
    "views": 0.31,
    "accounts_engaged": 0.012,
    "likes": 0.011,
    "comments": 0.0012,
    "saves": 0.0016,
    "shares": 0.0011,
    "replies": 0.0003,
    "reposts": 0.0004,
    "profile_links_taps": 0.0006,
    "profile_views": 0.014,
    "website_clicks": 0.0005,
}
_MEDIA_SHARES: Mapping[str, float] = {
    "views": 1.45,
    "reach": 1.0,
    "likes": 0.07,
    "comments": 0.005,
    "saved": 0.009,
    "shares": 0.006,
    "reposts": 0.002,
    "total_interactions": 0.094,
    "follows": 0.001,
    "profile_visits": 0.01,
    "profile_activity": 0.002,
    "replies": 0.004,
    "navigation": 0.9,
    "ig_reels_video_view_total_time": 7300.0,
}
_DIMENSIONS: Mapping[str, Mapping[str, float]] = {
    "country": {"US": 0.31, "BR": 0.17, "DE": 0.12, "IN": 0.1, "JP": 0.08, "GB": 0.06, "FR": 0.05, "AR": 0.03},
    "city": {"São Paulo, São Paulo (state)": 0.09, "Berlin, Berlin": 0.06, "Los Angeles, California": 0.05},
    "age": {"13-17": 0.03, "18-24": 0.27, "25-34": 0.38, "35-44": 0.18, "45-54": 0.08, "55-64": 0.04, "65+": 0.02},
    "gender": {"F": 0.52, "M": 0.41, "U": 0.07},
}


def day_value(person: Person, metric: str, day: date, now: datetime) -> int:
    """A daily number; follower_count is the day's new followers."""
    if metric == "follower_count":
        return int(person.followers(day) * 0.0016 * _lively(person, metric, day) * _arrived(day, now))
    if metric == "total_interactions":
        parts = ("likes", "comments", "saves", "shares")
        return sum(day_value(person, part, day, now) for part in parts) + int(day.day % 7 == 0)  # no sum of parts
    share = _DAY_SHARES[metric]
    return int(person.followers(day) * share * _lively(person, metric, day) * _arrived(day, now))


def _lively(person: Person, metric: str, day: date) -> float:
    weekend = 1.15 if day.weekday() >= _SATURDAY else 1.0
    return weekend * log_normal(1.0, 0.35, person.seed, person.username, metric, day)


def _arrived(day: date, now: datetime) -> float:
    """How much of a day's numbers Instagram has counted: data may be 48 hours late."""
    age = now - midnight(next_day(day))
    if age < timedelta(0):
        return 0.4
    return 0.9 if age < timedelta(hours=24) else 0.98 if age < timedelta(hours=48) else 1.0


def media_value(post: Post, metric: str, now: datetime) -> int:
    """A number of one media item since it was posted."""
    if metric == "ig_reels_avg_watch_time":
        return 3000 + int(12000 * uniform(post.media_id, metric))
    spread = 0.7 + 0.6 * uniform(post.media_id, metric)
    return post.grown(_MEDIA_SHARES[metric] * (1.0 if metric == "reach" else spread), now)


def audience(person: Person, metric: str, dimension: str, day: date) -> dict[str, int]:
    """Accounts by value of a dimension; empty below the threshold. The sum stays below the followers."""
    followers = person.followers(day)
    if followers < AUDIENCE_THRESHOLD:
        return {}
    whole = followers * (0.94 if metric == "follower_demographics" else 0.05)
    tilts = {value: 0.7 + 0.3 * uniform(person.seed, person.username, value) for value in _DIMENSIONS[dimension]}
    counts = {value: int(whole * share * tilts[value]) for value, share in _DIMENSIONS[dimension].items()}
    return {value: count for value, count in counts.items() if count}
