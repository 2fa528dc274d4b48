"""Nothing personal reaches a log line, whichever way it tries."""

import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog
from igstats_kit import log
from igstats_kit.errors import DomainError, Reason

CANARIES = ("jane.doe@example.org", "jane_doe_insta", "17841400000000001", "Jane Doe", "203.0.113.77")


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, object]]]]:
    """Configures the log of a service; gives what was printed."""
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    log.configure("stats", stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:], root.level = before
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


Lines = Callable[[], list[dict[str, object]]]


@pytest.mark.parametrize("canary", CANARIES)
def test_field_that_is_not_listed_is_redacted(lines: Lines, canary: str) -> None:
    log.get_logger().info("profile stored", username=canary, email=canary, caption=[canary], nested={"a": canary})
    [line] = lines()
    assert canary not in json.dumps(line)
    assert line["username"] == log.REDACTED


@pytest.mark.parametrize("canary", ["jane.doe@example.org", "<b>Jane</b>", "Jane 'x'", "x" * 300])
def test_listed_field_prints_only_values_of_a_harmless_form(lines: Lines, canary: str) -> None:
    log.get_logger().info("call ended", method=canary, rows=[canary], error=canary, count={"a": canary})
    [line] = lines()
    assert canary not in json.dumps(line)


@pytest.mark.parametrize("subject", ["$js.api.consumer.create.records.audit-records.igstats.*.v1.record.made", "a.>"])
def test_subject_of_nats_is_told_and_nothing_else_in_its_place(lines: Lines, subject: str) -> None:
    log.get_logger().error("nats denied", topic=subject)
    log.get_logger().error("nats denied", topic="jane.doe@example.org")
    assert [line["topic"] for line in lines()] == [subject, log.REDACTED]


@pytest.mark.parametrize("canary", CANARIES)
def test_error_field_holds_a_type_and_no_text(lines: Lines, canary: str) -> None:
    log.get_logger().error("it failed", error=f"cannot store {canary}")
    assert lines()[0]["error"] == log.REDACTED


@pytest.mark.parametrize("canary", CANARIES)
def test_text_of_an_exception_and_of_its_cause_is_left_out(lines: Lines, canary: str) -> None:
    def fail() -> None:
        raise KeyError(canary)

    try:
        try:
            fail()
        except KeyError as error:
            raise ValueError(canary) from error
    except ValueError:
        log.get_logger().exception("it failed")
    [line] = lines()
    assert canary not in json.dumps(line)
    assert (line["error"], line["cause"]) == ("ValueError", "KeyError")
    assert "kit/test_log.py" in str(line["stack"])


def test_domain_error_shows_its_reason(lines: Lines) -> None:
    log.get_logger().warning("it failed", exc_info=DomainError(Reason.SUBJECT_ERASED, name="Jane"))
    [line] = lines()
    assert (line["error"], line["reason"]) == ("DomainError", "SUBJECT_ERASED")
    assert "Jane" not in json.dumps(line)


@pytest.mark.parametrize("canary", ["jane.doe@example.org", "17841400000000001", "203.0.113.77"])
def test_event_that_was_put_together_is_redacted(lines: Lines, canary: str) -> None:
    log.get_logger().info(f"stored {canary}")
    assert lines()[0]["event"] == log.REDACTED


@pytest.mark.parametrize("canary", CANARIES)
def test_arguments_of_a_library_message_are_left_out(lines: Lines, canary: str) -> None:
    logging.getLogger("asyncio").warning("slow callback of %s", canary)
    [line] = lines()
    assert canary not in json.dumps(line)
    assert (line["event"], line["logger"], line["level"]) == ("slow callback of %s", "asyncio", "warning")


def test_exception_logged_by_a_library_keeps_its_place_and_loses_its_text(lines: Lines) -> None:
    try:
        int("jane.doe@example.org")
    except ValueError:
        logging.getLogger("asyncio").exception("Task exception was never retrieved\nfuture: <jane.doe@example.org>")
    [line] = lines()
    assert "jane" not in json.dumps(line)
    assert line["error"] == "ValueError"


def test_listed_fields_and_bound_ids_are_printed(lines: Lines) -> None:
    log.bind(call_id="req_01", task_id="req_01/stats/FENCE")
    log.get_logger().info("rpc", method="/a.B/C", milliseconds=1.25, code="OK", dry_run=True)
    [line] = lines()
    assert line["service"] == "stats"
    assert (line["call_id"], line["task_id"]) == ("req_01", "req_01/stats/FENCE")
    assert (line["method"], line["milliseconds"], line["dry_run"]) == ("/a.B/C", 1.25, True)


def test_debug_lines_are_left_out_by_default(lines: Lines) -> None:
    log.get_logger().debug("probe")
    assert lines() == []
