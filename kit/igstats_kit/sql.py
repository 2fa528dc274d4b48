"""PostgreSQL: one engine per service, every timeout set, driver errors wrapped once."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from igstats_kit.errors import DomainError, Reason

T = TypeVar("T")

_AFTER_COMMIT = "igstats_after_commit"
_LAST_USED = "igstats_last_used"
_RESTED_SECONDS = 2.0
_LOOK_SECONDS = 1.0
_TRY_LOCK = text("SELECT pg_try_advisory_lock(hashtext('igstats-alone'), hashtext(:name))")
_UNLOCK = text("SELECT pg_advisory_unlock(hashtext('igstats-alone'), hashtext(:name))")
# A frozen server must not freeze its callers. Statements are many, small and by key: neither jit nor a plan for every
# set of values pays. A plan made while a table was empty would read it from end to end for ever: indexes first.
_SETTINGS = {
    "statement_timeout": "30000",
    "lock_timeout": "10000",
    "idle_in_transaction_session_timeout": "30000",
    "tcp_user_timeout": "10000",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
}


async def shielded(coroutine: Coroutine[Any, Any, T]) -> T:
    """Awaits `coroutine` to its end even when the caller is cancelled meanwhile; raises the cancellation afterwards."""
    task = asyncio.ensure_future(coroutine)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.cancelled():
            await asyncio.wait([task])
        raise


def notify_after_commit(connection: AsyncConnection, news: Sequence[Any]) -> None:
    """Hands `news` to the `Database.after_commit` callbacks once the running transaction is committed."""
    connection.info.setdefault(_AFTER_COMMIT, []).extend(news)


def _ping_when_rested(driver: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Finds sockets that died while they rested. SQLAlchemy's own ping costs three round trips at every checkout."""
    now = time.monotonic()
    if now - record.info.get(_LAST_USED, now) > _RESTED_SECONDS:
        try:
            driver.ping()
        except Exception as error:
            raise DisconnectionError from error
    record.info[_LAST_USED] = now


def _unavailable(error: BaseException) -> DomainError:
    wrapped = DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="postgresql")
    wrapped.__cause__ = error
    return wrapped


@asynccontextmanager
async def _wrapping() -> AsyncIterator[None]:
    """One shape for all: asyncpg raises some connection errors outside DBAPIError."""
    try:
        yield
    except DBAPIError as error:
        if error.connection_invalidated or isinstance(error.orig, (OSError, asyncpg.PostgresConnectionError)):
            raise _unavailable(error) from error
        raise
    except (OSError, PoolTimeout, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise _unavailable(error) from error
    except asyncpg.PostgresError as error:  # start-up refusals: "the database system is starting up"
        raise _unavailable(error) from error


class Database:
    """One service's database. `url` has the form postgresql+asyncpg://user@host:port/name."""

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        self.after_commit: list[Callable[[Sequence[Any]], None]] = []
        self._engine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=10,
            pool_use_lifo=True,  # the connection used last has its statements prepared and its catalogue cache warm
            connect_args={"timeout": 5, "server_settings": _SETTINGS},
        )
        self._alone = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        event.listen(self._engine.sync_engine, "checkout", _ping_when_rested)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that commits when the block ends well. The commit survives a cancelled caller.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE; the commit may or may not have happened, so retries need a unique key.
        """
        async with _wrapping(), self._engine.connect() as connection:
            await connection.begin()
            try:
                yield connection
            except BaseException:
                with suppress(Exception):  # what ended the block must come out, a cancellation above all
                    if not connection.invalidated:
                        connection.info.pop(_AFTER_COMMIT, None)
                    await shielded(connection.rollback())
                raise
            news = connection.info.pop(_AFTER_COMMIT, [])
            await shielded(connection.commit())
        self._tell(news)

    def _tell(self, news: Sequence[Any]) -> None:
        if news:
            for callback in self.after_commit:
                callback(news)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading. Each statement stands alone: BEGIN and ROLLBACK would cost two round trips."""
        async with _wrapping(), self._alone.connect() as connection:
            yield connection

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[AsyncConnection]:
        """A connection for a write that is one statement; each commits by itself.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE; the statement may or may not have run, so retries need a unique key.
        """
        async with _wrapping(), self._alone.connect() as connection:
            try:
                yield connection
            finally:
                news = connection.info.pop(_AFTER_COMMIT, [])
        self._tell(news)

    @asynccontextmanager
    async def alone(self, name: str) -> AsyncIterator[None]:
        """Waits until no other process does what is called `name`, and keeps it so, as long as its connection lives.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE.
        """
        async with _wrapping(), self._alone.connect() as connection:
            while not await connection.scalar(_TRY_LOCK, {"name": name}):  # noqa: ASYNC110 - the lock is another's
                await asyncio.sleep(_LOOK_SECONDS)
            try:
                yield
            finally:
                with suppress(Exception):  # a connection that died has let go of its locks
                    await shielded(connection.execute(_UNLOCK, {"name": name}))

    async def close(self) -> None:
        """Closes all connections."""
        await self._engine.dispose()
