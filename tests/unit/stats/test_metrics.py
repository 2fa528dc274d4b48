from igstats_stats import metrics
from igstats_stats.metrics import Kind


def test_every_daily_metric_is_answered_by_exactly_one_call() -> None:
    assert sorted((*metrics.GAUGES, *metrics.SERIES, *metrics.TOTALS)) == sorted(metrics.DAILY)


def test_unique_people_are_never_declared_as_a_flow() -> None:
    assert metrics.DAILY["reach"].kind is Kind.UNIQUE
    assert metrics.DAILY["accounts_engaged"].kind is Kind.UNIQUE
    assert metrics.MEDIA["reach"].kind is Kind.UNIQUE


def test_withdrawn_metrics_are_not_in_the_catalogue() -> None:
    withdrawn = {"impressions", "plays", "video_views", "engagement", "taps_forward", "clips_replays_count"}
    assert not withdrawn & {*metrics.DAILY, *metrics.MEDIA}


def test_each_product_type_is_asked_only_for_what_it_documents() -> None:
    assert "navigation" in metrics.media_metrics("STORY")
    assert "likes" not in metrics.media_metrics("STORY")
    assert "ig_reels_avg_watch_time" not in metrics.media_metrics("FEED")


def test_an_unknown_product_type_is_asked_like_a_feed_post() -> None:
    assert metrics.media_metrics("AD") == metrics.media_metrics("FEED")
