"""Prometheus metrics of the records."""

from prometheus_client import Counter, Gauge

CLOCK_ALERTS = Counter("igstats_clock_alerts_total", "Shares of clocks that were reached", ["clock", "percent"])
CLOCKS_MISSED = Gauge("igstats_clocks_missed", "Clocks that ran out and whose duty is still open", ["clock"])
