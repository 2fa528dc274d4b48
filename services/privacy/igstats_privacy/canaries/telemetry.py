"""Prometheus metrics of the canaries."""

from prometheus_client import Gauge

CANARY_PROVED = Gauge("igstats_canary_proved", "1 when the last planted canary was erased as promised, else 0")
CANARY_AGE = Gauge("igstats_canary_age_seconds", "Time since the last planted canary ended")
