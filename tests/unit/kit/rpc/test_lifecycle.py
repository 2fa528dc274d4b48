"""A process from start to end: ready, serving, drained, closed; and dead when a worker dies."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from igstats_kit.lifecycle import Lifecycle, WorkerEndedError
from igstats_kit.server import RpcServer
from igstats_kit.testing.processes import free_port

Settings = Callable[..., Any]


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


@pytest.fixture
def lifecycle(settings: Settings) -> Lifecycle:
    return Lifecycle(RpcServer(settings("echo"), {}))


@asynccontextmanager
async def running(lifecycle: Lifecycle) -> AsyncIterator["asyncio.Task[None]"]:
    """Runs it until the block ends, and expects it to end well."""
    task = asyncio.create_task(lifecycle.run(grace=5))
    yield task
    lifecycle.stop()
    await task


def noting(events: list[str], name: str) -> Callable[[], Awaitable[None]]:
    async def step() -> None:
        events.append(name)

    return step


def worker(events: list[str], started: asyncio.Event) -> Callable[[], Awaitable[None]]:
    async def work() -> None:
        events.append("worker starts")
        started.set()
        try:
            await forever()
        finally:
            events.append("worker ends")

    return work


async def test_steps_run_in_order_and_close_in_reverse(lifecycle: Lifecycle) -> None:
    events: list[str] = []
    started = asyncio.Event()
    lifecycle.closing(noting(events, "close database"))
    lifecycle.closing(noting(events, "close bus"))
    lifecycle.on_ready(noting(events, "ready"))
    lifecycle.background("worker", worker(events, started))
    async with running(lifecycle):
        await started.wait()
    assert events == ["ready", "worker starts", "worker ends", "close bus", "close database"]


async def test_a_worker_whose_library_lost_the_cancellation_ends_nevertheless(
    lifecycle: Lifecycle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("igstats_kit.lifecycle._CLOSE_SECONDS", 0.01)
    started = asyncio.Event()

    async def deaf() -> None:
        started.set()
        with suppress(asyncio.CancelledError):
            await forever()
        await forever()

    lifecycle.background("deaf", deaf)
    async with running(lifecycle):
        await started.wait()


async def serving(lifecycle: Lifecycle) -> str:
    port = lifecycle._rpc.health_port
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        response = await HealthStub(channel).Check(HealthCheckRequest(), timeout=5)
    return str(HealthCheckResponse.ServingStatus.Name(response.status))


async def test_service_does_not_serve_before_every_ready_hook_is_done(lifecycle: Lifecycle) -> None:
    entered, release, started = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def hook() -> None:
        entered.set()
        await release.wait()

    lifecycle.on_ready(hook)
    lifecycle.background("worker", worker([], started))
    async with running(lifecycle):
        await entered.wait()
        assert await serving(lifecycle) == "NOT_SERVING"
        assert not started.is_set()
        release.set()
        await started.wait()
        assert await serving(lifecycle) == "SERVING"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_ends_the_process_in_order(lifecycle: Lifecycle, number: signal.Signals) -> None:
    events: list[str] = []
    started = asyncio.Event()
    lifecycle.background("worker", worker(events, started))
    lifecycle.closing(noting(events, "closed"))
    task = asyncio.create_task(lifecycle.run())
    await started.wait()
    os.kill(os.getpid(), number)
    await task
    assert events == ["worker starts", "worker ends", "closed"]


async def test_signal_during_a_ready_hook_ends_the_process(lifecycle: Lifecycle) -> None:
    entered = asyncio.Event()

    async def hook() -> None:
        entered.set()
        await forever()

    lifecycle.on_ready(hook)
    async with running(lifecycle):
        await entered.wait()


async def test_crash_of_a_worker_ends_the_process_after_everything_is_closed(lifecycle: Lifecycle) -> None:
    events: list[str] = []

    async def crash() -> None:
        raise ConnectionError("broker is gone")

    lifecycle.background("other", worker(events, asyncio.Event()))
    lifecycle.background("crash", crash)
    lifecycle.closing(noting(events, "closed"))
    with pytest.raises(ConnectionError):
        await lifecycle.run()
    assert events == ["worker starts", "worker ends", "closed"]


async def test_worker_that_returns_ends_the_process(lifecycle: Lifecycle) -> None:
    lifecycle.background("short", noting([], "done"))
    with pytest.raises(WorkerEndedError, match="short"):
        await lifecycle.run()


async def test_failing_ready_hook_ends_the_process_before_it_served(lifecycle: Lifecycle) -> None:
    events: list[str] = []

    async def fail() -> None:
        raise LookupError("no ledger")

    lifecycle.on_ready(fail)
    lifecycle.background("worker", worker(events, asyncio.Event()))
    lifecycle.closing(noting(events, "closed"))
    with pytest.raises(LookupError):
        await lifecycle.run()
    assert events == ["closed"]


async def test_closing_hook_that_fails_or_is_cancelled_does_not_stop_the_others(lifecycle: Lifecycle) -> None:
    events: list[str] = []

    async def fail() -> None:
        raise OSError

    async def cancelled() -> None:
        raise asyncio.CancelledError  # as the NATS client does when it is closed after a reset

    lifecycle.closing(noting(events, "closed"))
    lifecycle.closing(fail)
    lifecycle.closing(cancelled)
    async with running(lifecycle):
        pass
    assert events == ["closed"]


async def test_metrics_are_served_while_the_process_runs(settings: Settings) -> None:
    port, started = free_port(), asyncio.Event()
    lifecycle = Lifecycle(RpcServer(settings("echo", metrics_listen=f"127.0.0.1:{port}"), {}))
    lifecycle.background("worker", worker([], started))
    async with running(lifecycle):
        await started.wait()
        page = await asyncio.to_thread(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read())
    assert b"igstats_rpcs_total" in page
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


def end_of(body: str) -> "subprocess.CompletedProcess[str]":
    """Runs a process whose main coroutine has this body."""
    program = f"""
import asyncio
from igstats_kit import log
from igstats_kit.lifecycle import run
async def main():
    log.configure("stats")
    {body}
run(main())
"""
    return subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)


def test_process_runs_on_uvloop() -> None:
    assert end_of("print(type(asyncio.get_running_loop()).__module__)").stdout.startswith("uvloop")


def test_error_ends_the_process_without_its_text() -> None:
    done = end_of("raise RuntimeError('jane.doe@example.org')")
    [line] = done.stderr.splitlines()
    assert (json.loads(line)["error"], done.returncode) == ("RuntimeError", 1)
    assert "jane" not in line


@pytest.mark.parametrize(
    ("module", "error"),
    [
        ("lifecycle", "WorkerEndedError"),
        ("access", "AccessTableError"),
        ("declare", "DeclarationError"),
        ("events", "NotDurableError"),
        ("events", "TooFewServersError"),
    ],
)
def test_error_that_names_only_parts_of_the_program_is_told(module: str, error: str) -> None:
    done = end_of(f"from igstats_kit.{module} import {error}; raise {error}('outbox')")
    assert (done.stderr, done.returncode) == (f"{error}: outbox\n", 1)
