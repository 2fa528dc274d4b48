"""Metrics of the public API."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

PUBLIC_CALLS = Counter("igstats_public_calls_total", "Calls from outside", ["method", "protocol", "reason"])
PUBLIC_SECONDS = Histogram("igstats_public_call_seconds", "Time to answer a call from outside", buckets=_SECONDS)
ACCESS_RECORDS_REDUCED = Counter(
    "igstats_access_records_reduced_total", "Access records that lost their person, or were lost", ["why"]
)
DROP_DAYS = Gauge("igstats_drop_days_since_pull", "Days since California's deletion lists were pulled")
DROP_OUTCOMES = Counter("igstats_drop_outcomes_total", "Items of California's deletion lists reported", ["outcome"])
