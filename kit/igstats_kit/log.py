"""JSON logs without personal values: only fields on the list are printed, and only values of a harmless form.

Nothing that came from outside can reach a log by accident: an unlisted field, a value with an @ or a quote in it,
a formatted message and the text of an exception are all left out. Of exceptions the type and the places remain.
"""

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from igstats_kit.errors import DomainError

REDACTED = "[redacted]"

# Fields that may be printed. Ids of ours are not personal values; names, addresses and texts are.
FIELDS = frozenset(
    {
        *(
            "event",
            "level",
            "time",
            "service",
            "logger",
            "error",
            "cause",
            "stack",
            "signal",
            "version",
            "step",
            "attempt",
        ),
        *("method", "caller", "code", "reason", "milliseconds", "call_id", "peer_service", "listen", "port", "status"),
        *("account_id", "key_id", "contact_id", "connection_id", "profile_id", "request_id", "task_id", "event_id"),
        *("breach_id", "clock", "percent"),
        *("holder", "phase", "right", "outcome", "state", "record", "clause", "control", "probe", "processor"),
        *("stream", "topic", "consumer", "worker", "hook", "dependency", "table", "store", "partition", "revision"),
        *("count", "rows", "bytes", "seconds", "sequence", "tree_size", "day", "until", "dry_run", "deliveries"),
    }
)
_EVENT = re.compile(r"[A-Za-z][A-Za-z ,.;:'()/%_-]{0,119}")
_VALUE = re.compile(r"[\w.:/+\-\[\], ]{0,200}")
_TYPE = re.compile(r"[A-Za-z_][\w.]{0,99}")

_SUBJECT = re.compile(r"[\w.$*>+-]{0,200}")  # of NATS

_FORMS = {"event": _EVENT, "error": _TYPE, "cause": _TYPE, "topic": _SUBJECT}
_NUMBERS = (bool, int, float)
_MANY = (list, tuple, set, frozenset)

_PLACES = 12  # of a stack

_Fields = MutableMapping[str, Any]


def harmless(name: str, value: object) -> object:
    """The value as a listed field prints it."""
    if isinstance(value, str):
        return value if _FORMS.get(name, _VALUE).fullmatch(value) else REDACTED
    if value is None or isinstance(value, _NUMBERS):
        return value
    if isinstance(value, _MANY):
        return [harmless(name, part) for part in value]
    return REDACTED


def _redact(_logger: object, _method: str, fields: _Fields) -> _Fields:
    return {name: harmless(name, value) if name in FIELDS else REDACTED for name, value in fields.items()}


def _place(frame: traceback.FrameSummary) -> str:
    file = "/".join(frame.filename.rsplit("/", 2)[-2:])
    return f"{file}:{frame.lineno} {frame.name}".replace("<", "").replace(">", "")


def _exception(given: object) -> BaseException | None:
    if isinstance(given, BaseException):
        return given
    found = given if isinstance(given, tuple) else sys.exc_info() if given else (None, None)
    return found[1] if isinstance(found[1], BaseException) else None


def _describe_exception(_logger: object, _method: str, fields: _Fields) -> _Fields:
    """Replaces an exception by its type and the places it passed, the last first. Its text may quote anything."""
    error = _exception(fields.pop("exc_info", None))
    if error is not None:
        fields["error"] = type(error).__name__
        if isinstance(error, DomainError):
            fields["reason"] = error.reason
        if cause := error.__cause__ or error.__context__:
            fields["cause"] = type(cause).__name__
        frames = traceback.extract_tb(error.__traceback__)
        fields["stack"] = [_place(frame) for frame in reversed(frames)][:_PLACES]
    return fields


class _FromLibraries(logging.Handler):
    """Passes on what libraries log through `logging`: the unformatted message, never its arguments."""

    def emit(self, record: logging.LogRecord) -> None:
        get_logger().log(record.levelno, str(record.msg), logger=record.name, exc_info=record.exc_info)


def configure(service: str, *, level: int = logging.INFO, stream: TextIO = sys.stderr) -> None:
    """Sends all logs of this process, libraries included, to `stream` as one JSON object a line."""

    def name_service(_logger: object, _method: str, fields: _Fields) -> _Fields:
        fields["service"] = service
        return fields

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            name_service,
            _describe_exception,
            _redact,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[_FromLibraries()], force=True)


def get_logger() -> structlog.typing.FilteringBoundLogger:
    """A logger. The event is a constant of plain words; what varies goes into fields."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger


def bind(**ids: str) -> None:
    """Adds ids to every later line of the running task."""
    structlog.contextvars.bind_contextvars(**ids)
