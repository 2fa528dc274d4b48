"""The metric catalogue: which metrics exist, what kind of number each is, and which call answers it.

The kind decides which sums are legal: GAUGE takes the last, FLOW adds up, CUMULATIVE takes the last or a difference,
UNIQUE never adds over days, DISTRIBUTION splits a whole, RATIO is computed anew from sums.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What kind of number a metric is."""

    GAUGE = "GAUGE"
    FLOW = "FLOW"
    CUMULATIVE = "CUMULATIVE"
    UNIQUE = "UNIQUE"
    DISTRIBUTION = "DISTRIBUTION"
    RATIO = "RATIO"


class Source(StrEnum):
    """Which call answers a daily metric."""

    SAMPLE = "SAMPLE"
    SERIES = "SERIES"
    TOTAL = "TOTAL"


@dataclass(frozen=True)
class DayMetric:
    """A metric with one value a day."""

    name: str
    kind: Kind
    source: Source


@dataclass(frozen=True)
class MediaMetric:
    """A metric of one media item, cumulative since it was posted; `products` are the product types that have it."""

    name: str
    kind: Kind
    products: frozenset[str]
    unit: str = "count"


@dataclass(frozen=True)
class AudienceMetric:
    """A distribution of people over the values of a dimension. `timeframe` is empty where Instagram takes none."""

    name: str
    dimensions: tuple[str, ...]
    timeframe: str = ""


def _series(name: str, kind: Kind) -> DayMetric:
    return DayMetric(name, kind, Source.SERIES)


def _total(name: str, kind: Kind = Kind.FLOW) -> DayMetric:
    return DayMetric(name, kind, Source.TOTAL)


def _gauge(name: str) -> DayMetric:
    return DayMetric(name, Kind.GAUGE, Source.SAMPLE)


_DAILY = (
    _gauge("followers_count"),
    _gauge("follows_count"),
    _gauge("media_count"),
    _series("reach", Kind.UNIQUE),
    _series("follower_count", Kind.FLOW),  # new followers of the day, not the total
    _total("views"),
    _total("accounts_engaged", Kind.UNIQUE),
    _total("total_interactions"),
    _total("likes"),
    _total("comments"),
    _total("saves"),
    _total("shares"),
    _total("replies"),
    _total("reposts"),
    _total("profile_links_taps"),
    _total("profile_views"),
    _total("website_clicks"),
)

FEED, REELS, STORY = "FEED", "REELS", "STORY"
_ALL = (FEED, REELS, STORY)


def _media(name: str, *products: str, kind: Kind = Kind.CUMULATIVE, unit: str = "count") -> MediaMetric:
    return MediaMetric(name, kind, frozenset(products), unit)


# Left out on purpose: metrics of Facebook Login only, and reels_skip_rate, which is no whole number.
_MEDIA = (
    _media("views", *_ALL),
    _media("reach", *_ALL, kind=Kind.UNIQUE),
    _media("likes", FEED, REELS),
    _media("comments", FEED, REELS),
    _media("saved", FEED, REELS),
    _media("shares", *_ALL),
    _media("reposts", *_ALL),
    _media("total_interactions", *_ALL),
    _media("follows", FEED, STORY),
    _media("profile_visits", FEED, STORY),
    _media("profile_activity", FEED, STORY),
    _media("replies", STORY),
    _media("navigation", STORY),
    _media("ig_reels_avg_watch_time", REELS, kind=Kind.RATIO, unit="milliseconds"),
    _media("ig_reels_video_view_total_time", REELS, unit="milliseconds"),
)

_DIMENSIONS = ("age", "city", "country", "gender")
AUDIENCE = (
    AudienceMetric("follower_demographics", _DIMENSIONS),
    AudienceMetric("engaged_audience_demographics", _DIMENSIONS, timeframe="this_month"),
)

DAILY = {metric.name: metric for metric in _DAILY}
MEDIA = {metric.name: metric for metric in _MEDIA}
GAUGES = tuple(metric.name for metric in _DAILY if metric.source is Source.SAMPLE)
SERIES = tuple(metric.name for metric in _DAILY if metric.source is Source.SERIES)
TOTALS = tuple(metric.name for metric in _DAILY if metric.source is Source.TOTAL)


def media_metrics(product_type: str) -> tuple[str, ...]:
    """Metrics that Instagram documents for a product type. An unknown type is asked like a feed post."""
    known = product_type if product_type in _ALL else FEED
    return tuple(metric.name for metric in _MEDIA if known in metric.products)
