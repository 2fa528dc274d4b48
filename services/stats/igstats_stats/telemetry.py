"""Prometheus metrics of stats."""

from prometheus_client import Counter

SYNCS = Counter("igstats_syncs_total", "Synchronisations that ended", ["outcome"])
INSTAGRAM_CALLS = Counter("igstats_instagram_calls_total", "HTTP exchanges with Instagram", ["outcome"])
