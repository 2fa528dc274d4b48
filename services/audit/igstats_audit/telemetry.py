"""Prometheus metrics of the audit service."""

from prometheus_client import Counter, Gauge

ENTRIES_APPENDED = Counter("igstats_entries_appended_total", "Entries appended to the logs", ["kind"])
CALLS_KEPT = Counter("igstats_api_calls_kept_total", "Calls written to the API log")
CALLS_DROPPED = Counter("igstats_api_calls_dropped_total", "Calls not written to the API log", ["reason"])
MINIMUM_INDEX = Gauge("igstats_log_minimum_index", "First entry of a log that is not cut", ["log"])
TILE_FILES_MISSED = Counter("igstats_tile_files_missed_total", "Files that the cache of tiles lacked", ["reason"])
CALLS_UNREADABLE = Counter("igstats_api_calls_unreadable_total", "Calls that a search found and could not show")
DATA_KEYS_REWRAPPED = Counter("igstats_data_keys_rewrapped_total", "Data keys wrapped under a new key of the day")
DAY_KEYS_DESTROYED = Counter("igstats_day_keys_destroyed_total", "Keys of the day destroyed")
SECURITY_FINDINGS = Gauge("igstats_security_findings", "Findings of the last security audit", ["severity"])
SECURITY_CHECKS = Counter("igstats_security_checks_total", "Checks of security audits that ended", ["check", "outcome"])
FINDINGS_RAISED = Counter("igstats_log_findings_total", "Things found wrong with a log", ["log", "kind"])
FINDINGS_LEFT = Gauge("igstats_log_findings_left", "Things found by the last look at a log that were too many", ["log"])
WITNESSED = Counter(
    "igstats_log_witness_answers_total", "Answers of the witness to checkpoints of a log", ["log", "answer"]
)
LOOKS = Counter("igstats_log_looks_total", "Looks of the monitor at a log", ["log", "outcome"])
