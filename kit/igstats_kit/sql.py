"""PostgreSQL: one engine per service, every timeout set, driver errors wrapped once."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cache
from typing import Any, TypeAlias, TypeVar

import asyncpg
from asyncpg.transaction import Transaction
from sqlalchemy import TextClause, event, text
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from igstats_kit.errors import DomainError, Reason, TooMuchError

T = TypeVar("T")
Driver: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
IntegrityError = asyncpg.IntegrityConstraintViolationError
"""What a statement on the driver itself raises when a row may not be there."""

_AFTER_COMMIT = "igstats_after_commit"
_LAST_USED = "igstats_last_used"
_RESTED_SECONDS = 2.0
_LOOK_SECONDS = 1.0
_CLOSE_SECONDS = 2.0
_STATEMENT_SECONDS = 35.0  # the server gives up after 30: this is for one that does not answer at all
_TRY_LOCK = text("SELECT pg_try_advisory_lock(hashtext('igstats-alone'), hashtext(:name))")
_UNLOCK = text("SELECT pg_advisory_unlock(hashtext('igstats-alone'), hashtext(:name))")
DIALECT = dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves its constructor untyped
"""How SQLAlchemy spells statements and types for the driver."""
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

# The size at which the driver would no longer keep a statement prepared: what declarations say makes long ones.
_TOO_MUCH = frozenset({"57014"})  # query_canceled: the statement timeout
# What is no fault of a statement and passes by itself. Errors of the classes 08, 57P and 25P mostly end the connection.
_PASSING = frozenset(
    {
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
        "55P03",  # lock_not_available: the lock timeout
        "53100",  # disk_full
        "53200",  # out_of_memory
        "53300",  # too_many_connections
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now
        "25P03",  # idle_in_transaction_session_timeout
    }
)
_CONNECTING: Mapping[str, Any] = {"timeout": 5, "server_settings": _SETTINGS, "max_cacheable_statement_size": 0}


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
    wrapped = _kind(error)(Reason.DEPENDENCY_UNAVAILABLE, dependency="postgresql")
    wrapped.__cause__ = error
    return wrapped


def _kind(error: BaseException) -> type[DomainError]:
    return TooMuchError if _sqlstate(error) in _TOO_MUCH else DomainError


def _sqlstate(error: object) -> str | None:
    """What the server said, whether the driver or SQLAlchemy tells it."""
    return getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", None)


def _is_away(error: DBAPIError) -> bool:
    return error.connection_invalidated or isinstance(error.orig, (OSError, asyncpg.PostgresConnectionError))


@asynccontextmanager
async def _wrapping() -> AsyncIterator[None]:
    """One shape for all: asyncpg raises some connection errors outside DBAPIError."""
    try:
        yield
    except DBAPIError as error:
        if _is_away(error) or _sqlstate(error) in _PASSING | _TOO_MUCH:
            raise _unavailable(error) from error
        raise
    except (asyncpg.DataError, IntegrityError):
        raise  # of a statement on the driver itself
    except (OSError, PoolTimeout, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise _unavailable(error) from error
    except asyncpg.PostgresError as error:  # start-up refusals: "the database system is starting up"
        raise _unavailable(error) from error


class Direct:
    """A connection of the driver itself, kept by one user for statements so frequent that the layers above cost more.

    A statement commits by itself, several in the connection's own `transaction()`. Errors are those of `fetch`.
    """

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._arguments = arguments
        self._alone = asyncio.Lock()
        self._connection: Driver | None = None

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Driver]:
        """The connection, opened when there is none alive; others wait until the block has ended.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE; a statement may or may not have run, so retries need a unique key.
        """
        async with self._alone, _wrapping():
            if self._connection is None or self._connection.is_closed():
                self._connection = await asyncpg.connect(**self._arguments)
            with _raising(self._connection):
                yield self._connection

    async def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            await self._connection.close(timeout=_CLOSE_SECONDS)


def driver(connection: AsyncConnection) -> Driver:
    """What a connection stands on; statements on it are part of the running transaction."""
    stands_on: Any = connection.sync_connection
    found: Driver = stands_on.connection.driver_connection
    return found


class Row(asyncpg.Record):  # type: ignore[misc]  # the driver has no types
    """What `fetch` answers: columns by name, by place, and in order."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the column holds
        return self[name]


async def fetch(connection: AsyncConnection, query: TextClause, binds: Mapping[str, Any]) -> list[Row]:
    """Runs a statement on the driver itself: for those so frequent that the layers above cost more than they do.

    Errors come out of `Database.transaction` as those of other statements do. Names that `query` lacks are left out.
    """
    statement, names = _numbered(query)
    stands_on = driver(connection)
    with _raising(stands_on):
        found: list[Row] = await stands_on.fetch(statement, *[binds[name] for name in names], record_class=Row)
    return found


async def each(
    connection: AsyncConnection, query: TextClause, binds: Mapping[str, Any], page: int
) -> AsyncIterator[Row]:
    """Yields what `fetch` answers, with at most `page` rows in memory; fewer than that cost one round trip, too."""
    statement, names = _numbered(query)
    stands_on = driver(connection)
    values = [binds[name] for name in names]
    with _raising(stands_on):
        async for row in stands_on.cursor(statement, *values, prefetch=page, record_class=Row):
            yield row


@contextmanager
def _raising(stands_on: Driver) -> Iterator[None]:
    try:
        yield
    except (asyncpg.DataError, IntegrityError):
        raise
    except asyncpg.PostgresError as error:  # bare, it would look like a server that is not there
        raise DBAPIError(None, None, error, connection_invalidated=stands_on.is_closed()) from error


@cache
def _numbered(query: TextClause) -> tuple[str, tuple[str, ...]]:
    """A statement as the driver wants it, and the names of its values in order."""
    compiled: Any = query.compile(dialect=DIALECT)
    return str(compiled), tuple(compiled.positiontup or ())


async def _let_go(connection: AsyncConnection, name: str) -> None:
    with suppress(Exception):  # a connection that died has let go of its locks
        await shielded(connection.execute(_UNLOCK, {"name": name}))


def _is_spoiled(stands_on: Driver) -> bool:
    return bool(stands_on.is_closed() or stands_on.is_in_transaction())


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
            isolation_level="AUTOCOMMIT",  # transactions are the driver's: those of SQLAlchemy cost twice as much
            connect_args=_CONNECTING,
        )
        self._direct: list[Direct] = []
        event.listen(self._engine.sync_engine, "checkout", _ping_when_rested)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that commits when the block ends well. The commit survives a cancelled caller.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE; the commit may or may not have happened, so retries need a unique key.
        """
        async with self._connected() as connection:
            running = driver(connection).transaction()
            try:
                await running.start()
                yield connection
            except BaseException:
                with suppress(Exception):  # what ended the block must come out, a cancellation above all
                    if not connection.invalidated:
                        connection.info.pop(_AFTER_COMMIT, None)
                    await shielded(running.rollback())
                raise
            await shielded(self._commit(running, connection.info.pop(_AFTER_COMMIT, [])))

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        """A connection of the pool. One that has died, or whose transaction could not be ended, does not go back."""
        async with _wrapping(), self._engine.connect() as connection:
            try:
                yield connection
            finally:
                if not connection.invalidated and _is_spoiled(driver(connection)):
                    await connection.invalidate()

    async def _commit(self, running: Transaction, news: Sequence[Any]) -> None:
        """Whoever is cancelled meanwhile has committed all the same: what is committed is told."""
        await running.commit()
        self._tell(news)

    def _tell(self, news: Sequence[Any]) -> None:
        if news:
            for callback in self.after_commit:
                callback(news)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading. Each statement stands alone: BEGIN and ROLLBACK would cost two round trips."""
        async with self._connected() as connection:
            yield connection

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[AsyncConnection]:
        """A connection for a write that is one statement; each commits by itself.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE; the statement may or may not have run, so retries need a unique key.
        """
        async with self._connected() as connection:
            try:
                yield connection
            finally:  # of a connection that died, what ended the block must come out
                if not connection.invalidated:
                    self._tell(connection.info.pop(_AFTER_COMMIT, []))

    @asynccontextmanager
    async def first(self, name: str) -> AsyncIterator[bool]:
        """Whether no other process does what is called `name`; none begins it as long as the block runs.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE.
        """
        async with self._connected() as connection:
            mine = bool(await connection.scalar(_TRY_LOCK, {"name": name}))
            try:
                yield mine
            finally:
                if mine:
                    await _let_go(connection, name)

    @asynccontextmanager
    async def alone(self, name: str) -> AsyncIterator[None]:
        """Waits until no other process does what is called `name`, and keeps it so, as long as its connection lives.

        Raises:
            DomainError: DEPENDENCY_UNAVAILABLE.
        """
        async with self._connected() as connection:
            while not await connection.scalar(_TRY_LOCK, {"name": name}):  # noqa: ASYNC110 - the lock is another's
                await asyncio.sleep(_LOOK_SECONDS)
            try:
                yield
            finally:
                await _let_go(connection, name)

    def direct(self) -> Direct:
        """A connection of its own for one user, beside those of the pool."""
        url = self._engine.url
        where = {"host": url.host, "port": url.port, "user": url.username, "password": url.password}
        kept = Direct({**where, "database": url.database, **_CONNECTING, "command_timeout": _STATEMENT_SECONDS})
        self._direct.append(kept)
        return kept

    async def close(self) -> None:
        """Closes all connections."""
        for kept in self._direct:
            await kept.close()
        await self._engine.dispose()
