"""Insights calls: which metric takes which parameters, what is refused, and the shape of each answer."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from igstats_dev.instagram import figures, refusals
from igstats_dev.instagram.la_days import days_in, la_date, midnight, next_day, wire
from igstats_dev.instagram.people import Person, Post

Parameters = Mapping[str, str]

SERIES = ("reach", "follower_count")
TOTALS = (
    *("reach", "views", "accounts_engaged", "total_interactions", "likes", "comments", "saves", "shares"),
    *("replies", "reposts", "profile_links_taps", "profile_views", "website_clicks"),
)
AUDIENCE = ("follower_demographics", "engaged_audience_demographics")
USER_METRICS = tuple(dict.fromkeys((*SERIES, *TOTALS, *AUDIENCE)))
_SHARED = ("views", "reach", "shares", "reposts", "total_interactions")
_POST = ("likes", "comments", "saved")
_CONVERTING = ("follows", "profile_visits", "profile_activity")
MEDIA_METRICS: Mapping[str, tuple[str, ...]] = {
    "FEED": (*_SHARED, *_POST, *_CONVERTING),
    "REELS": (*_SHARED, *_POST, "ig_reels_avg_watch_time", "ig_reels_video_view_total_time"),
    "STORY": (*_SHARED, *_CONVERTING, "replies", "navigation"),
}
_EVERY_MEDIA_METRIC = {metric for metrics in MEDIA_METRICS.values() for metric in metrics}
_WINDOW = timedelta(days=30)
_VIEWERS = 5
_TIMEFRAMES = ("this_week", "this_month")


def metrics_of(parameters: Parameters, known: Sequence[str] | set[str]) -> list[str]:
    """The metrics asked for."""
    asked = [metric for metric in parameters.get("metric", "").split(",") if metric]
    if not asked:
        raise refusals.bad_parameter("The parameter metric is required")
    for place, metric in enumerate(asked):
        if metric not in known:
            names = ", ".join(sorted(known))
            raise refusals.bad_parameter(f"metric[{place}] must be one of the following values: {names}")
    return asked


def of_user(person: Person, parameters: Parameters, now: datetime) -> dict[str, Any]:
    """Answers /<user>/insights."""
    asked = metrics_of(parameters, USER_METRICS)
    if set(asked) & set(AUDIENCE):
        return {"data": [_demographics(person, metric, parameters, now) for metric in asked if metric in AUDIENCE]}
    if parameters.get("period", "day") != "day":
        raise refusals.bad_parameter(f"({', '.join(asked)}) metric does not support the period asked for")
    days = _days(parameters, now)
    if parameters.get("metric_type") == "total_value":
        return {"data": [_total(person, metric, days, now) for metric in asked if metric in TOTALS]}
    return _series(person, asked, parameters, days, now)


def _days(parameters: Parameters, now: datetime) -> list[date]:
    until = int(parameters.get("until", str(int(now.timestamp()))))
    since = int(parameters.get("since", str(until - 86400)))
    if until - since > _WINDOW.total_seconds():
        raise refusals.bad_parameter("There cannot be more than 30 days (2592000 s) between since and until")
    return [day for day in days_in(since, until) if midnight(day) <= now]


def _series(
    person: Person, asked: Sequence[str], parameters: Parameters, days: Sequence[date], now: datetime
) -> dict[str, Any]:
    only_total = [metric for metric in asked if metric not in SERIES]
    if only_total and "metric_type" not in parameters:
        names = ", ".join(only_total)
        message = f"The following metrics ({names}) should be specified with parameter metric_type=total_value"
        raise refusals.bad_parameter(message)
    if "follower_count" in asked and days and days[0] < la_date(now) - _WINDOW:
        message = "(follower_count) metric only supports querying data for the last 30 days excluding the current day"
        raise refusals.bad_parameter(message)
    enough = person.followers(la_date(now)) >= figures.AUDIENCE_THRESHOLD
    answered = [metric for metric in asked if metric in SERIES and (enough or metric != "follower_count")]
    return {"data": [_named(person, metric, "day", values=_values(person, metric, days, now)) for metric in answered]}


def _values(person: Person, metric: str, days: Sequence[date], now: datetime) -> list[dict[str, Any]]:
    return [
        {"value": figures.day_value(person, metric, day, now), "end_time": wire(midnight(next_day(day)))}
        for day in days
        if next_day(day) <= la_date(now)
    ]


def _total(person: Person, metric: str, days: Sequence[date], now: datetime) -> dict[str, Any]:
    value = sum(figures.day_value(person, metric, day, now) for day in days)
    return _named(person, metric, "day", total_value={"value": value})


def _demographics(person: Person, metric: str, parameters: Parameters, now: datetime) -> dict[str, Any]:
    dimension = parameters.get("breakdown", "")
    if parameters.get("metric_type") != "total_value" or parameters.get("period") != "lifetime":
        raise refusals.bad_parameter(f"({metric}) needs period=lifetime and metric_type=total_value")
    if dimension not in ("age", "city", "country", "gender"):
        raise refusals.RefusalError(400, 1, "An unknown error has occurred")
    keys, frame = [dimension], []
    if metric != "follower_demographics":
        if parameters.get("timeframe") not in _TIMEFRAMES:
            raise refusals.bad_parameter(f"timeframe must be one of the following values: {', '.join(_TIMEFRAMES)}")
        keys, frame = ["timeframe", dimension], [parameters["timeframe"].upper()]
    counts = figures.audience(person, metric, dimension, la_date(now))
    results = [{"dimension_values": [*frame, value], "value": count} for value, count in counts.items()]
    breakdowns = [{"dimension_keys": keys, "results": results}] if results else [{"dimension_keys": keys}]
    return _named(person, metric, "lifetime", total_value={"breakdowns": breakdowns})


def of_media(person: Person, post: Post, parameters: Parameters, now: datetime) -> dict[str, Any]:
    """Answers /<media>/insights. One metric that the product type lacks fails the call."""
    asked = metrics_of(parameters, _EVERY_MEDIA_METRIC)
    for metric in asked:
        if metric not in MEDIA_METRICS[post.product]:
            raise refusals.unsupported_metric(metric)
    if post.product == "STORY" and figures.media_value(post, "reach", now) < _VIEWERS:
        raise refusals.too_few_viewers()
    return {"data": [_of_media(person, post, metric, parameters, now) for metric in asked]}


def _of_media(person: Person, post: Post, metric: str, parameters: Parameters, now: datetime) -> dict[str, Any]:
    value = figures.media_value(post, metric, now)
    answer = _named(person, metric, "lifetime", owner=post.media_id, values=[{"value": value}])
    breakdown = parameters.get("breakdown", "")
    if metric == "navigation" and breakdown == "story_navigation_action_type":
        shares = {"tap_forward": value - value // 4, "tap_back": value // 4}
        results = [{"dimension_values": [name], "value": count} for name, count in shares.items()]
        answer["total_value"] = {"value": value, "breakdowns": [{"dimension_keys": [breakdown], "results": results}]}
    return answer


def _named(person: Person, metric: str, period: str, *, owner: str = "", **answer: object) -> dict[str, Any]:
    """The frame of every metric. Titles come in the language of the account, as they do live."""
    localised = "Métrica" if person.user_id[-1] in "02468" else "Metric"
    title = f"{localised}: {metric.replace('_', ' ')}"
    identity = {"title": title, "description": title, "id": f"{owner or person.user_id}/insights/{metric}/{period}"}
    return {"name": metric, "period": period, **answer, **identity}
