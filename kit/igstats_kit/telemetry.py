"""Prometheus metrics of the kit, each defined once, and the port that serves them."""

from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import Counter, Gauge, Histogram, start_http_server

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

RPCS = Counter("igstats_rpcs_total", "RPCs answered", ["method", "caller", "code"])
RPC_SECONDS = Histogram("igstats_rpc_seconds", "Time to answer an RPC", ["method"], buckets=_SECONDS)
RPCS_RUNNING = Gauge("igstats_rpcs_running", "RPCs being answered", ["method"])
CALLS = Counter("igstats_calls_total", "RPCs made to other services", ["method", "code"])
CALL_RETRIES = Counter("igstats_call_retries_total", "RPCs to other services sent again", ["method"])
EVENTS_HANDLED = Counter("igstats_events_handled_total", "Events whose effect is committed", ["consumer"])
EVENTS_PARKED = Counter("igstats_events_parked_total", "Events put aside for a person to look at", ["consumer"])
DEEP_SWEEPS = Counter("igstats_deep_sweeps_total", "Erasures that were searched for deeply", ["outcome"])
DEEP_SWEEP_FINDINGS = Counter("igstats_deep_sweep_findings_total", "Places with data of an erased person", ["kind"])
OUTBOX_WAITING = Gauge("igstats_outbox_waiting", "Events committed and not yet published")


class MetricsPort:
    """The running HTTP port of the metrics."""

    def __init__(self, server: WSGIServer, thread: Thread) -> None:
        self._server, self._thread = server, thread
        self.port: int = server.server_port

    def close(self) -> None:
        """Stops serving and frees the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve_metrics(listen: str) -> MetricsPort:
    """Serves all metrics of this process over HTTP at `listen` (host:port)."""
    host, _, port = listen.rpartition(":")
    return MetricsPort(*start_http_server(int(port), host.strip("[]")))
