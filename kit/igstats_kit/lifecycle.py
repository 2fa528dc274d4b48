"""From start to end of a service's process: ready first, serving next, drained last, and dead when a worker dies."""

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import uvloop
from pydantic import ValidationError

from igstats_kit.errors import SpeakingError
from igstats_kit.log import get_logger
from igstats_kit.server import RpcServer
from igstats_kit.telemetry import serve_metrics

_log = get_logger()
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_CLOSE_SECONDS = 5.0
_GARBAGE = 20_000  # new objects between two collections: one batch makes more than the 700 that Python looks after

Step = Callable[[], Awaitable[object]]


class WorkerEndedError(SpeakingError):
    """A worker that should run as long as the process has returned."""


# Of every other error the log tells type and place.
_SPEAKING = (ValidationError, SpeakingError)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Runs a service's main coroutine on uvloop; an error ends the process with code 1."""
    try:
        uvloop.run(main)
    except _SPEAKING as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except Exception:  # noqa: BLE001 - the last line of the process
        _log.exception("process failed")
        sys.exit(1)


class Lifecycle:
    """Runs an `RpcServer` with its workers. `port` is the bound port once `run` has started the server."""

    def __init__(self, rpc: RpcServer) -> None:
        self.port: int | None = None
        self._rpc = rpc
        self._workers: list[tuple[str, Step]] = []
        self._ready: list[Step] = []
        self._closing: list[Step] = []
        self._stop = asyncio.Event()

    def background(self, name: str, worker: Step) -> None:
        """Adds a worker. It starts after the ready hooks and runs to the end; if it ends before, the process ends."""
        self._workers.append((name, worker))

    def on_ready(self, hook: Step) -> None:
        """Adds a step that must be done before the service may serve; in the order added."""
        self._ready.append(hook)

    def closing(self, hook: Step) -> None:
        """Adds a step for the end, after the last RPC and the last worker; the last added runs first."""
        self._closing.append(hook)

    def stop(self) -> None:
        """Asks `run` to end, like SIGTERM."""
        self._stop.set()

    async def run(self, *, grace: float = 10.0) -> None:
        """Serves until SIGTERM, SIGINT, `stop` or a crash. RPCs that run then have `grace` seconds to end.

        Raises:
            Exception: What a ready hook or a worker raised, once everything is closed.
        """
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._stop.set)
        try:
            await self._until_stopped(grace)
        finally:
            await self._close()
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    async def _until_stopped(self, grace: float) -> None:
        metrics = serve_metrics(self._rpc.config.metrics_listen) if self._rpc.config.metrics_listen else None
        stopping = asyncio.create_task(self._stop.wait())
        tasks: list[asyncio.Task[None]] = []
        try:
            self.port = await self._rpc.start()
            tasks = [asyncio.create_task(self._get_ready())]
            await _first([*tasks, stopping])
            if not self._stop.is_set():
                tasks = [asyncio.create_task(self._work(name, worker), name=name) for name, worker in self._workers]
                gc.collect()
                gc.freeze()  # what was built to serve stays: no collection need look at it again
                gc.set_threshold(_GARBAGE)
                await self._rpc.set_serving(True)
                _log.info("serving", port=self.port)
                await _first([*tasks, stopping])
            _log.info("stopping")
        finally:
            await self._rpc.stop(grace if self._stop.is_set() else 0)
            await _cancel([stopping, *tasks])
            if metrics is not None:
                metrics.close()

    async def _get_ready(self) -> None:
        for hook in self._ready:
            await hook()

    async def _work(self, name: str, worker: Step) -> None:
        try:
            await worker()
        except Exception:
            _log.exception("worker crashed", worker=name)
            raise
        raise WorkerEndedError(name)

    async def _close(self) -> None:
        """Runs the closing hooks; one that fails or hangs does not keep the others from running."""
        while self._closing:
            hook = asyncio.ensure_future(self._closing.pop()())
            await asyncio.wait([hook], timeout=_CLOSE_SECONDS)
            [outcome] = await _cancel([hook])
            if isinstance(outcome, BaseException):
                _log.warning("closing failed", exc_info=outcome)


async def _first(tasks: "list[asyncio.Task[Any]]") -> None:
    """Waits for the first task to end and raises what it raised."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def _cancel(tasks: "list[asyncio.Future[Any]]") -> list[Any]:
    """Cancels what still runs and returns how each ended. Libraries may lose a cancellation, so it is repeated."""
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=_CLOSE_SECONDS)
    return await asyncio.gather(*tasks, return_exceptions=True)
