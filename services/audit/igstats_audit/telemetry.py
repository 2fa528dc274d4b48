"""Prometheus metrics of the audit service."""

from prometheus_client import Counter

ENTRIES_APPENDED = Counter("igstats_entries_appended_total", "Entries appended to the evidence log", ["kind"])
CALLS_KEPT = Counter("igstats_api_calls_kept_total", "Calls written to the API log")
CALLS_DROPPED = Counter("igstats_api_calls_dropped_total", "Calls not written to the API log", ["reason"])
CALLS_UNREADABLE = Counter("igstats_api_calls_unreadable_total", "Calls that a search found and could not show")
