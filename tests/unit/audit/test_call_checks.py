import pkgutil
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from importlib import import_module

import igstats.api.v1
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from igstats.api.v1 import access_pb2
from igstats_audit.checks import calls as module
from igstats_audit.checks.api_keys import ApiKey
from igstats_audit.checks.calls import AnsweredCall, Hour, spikes, unsigned
from igstats_audit.checks.report import Look, Outcome, Severity, concluded
from igstats_audit.checks.signed_methods import FILES, signed_methods
from igstats_kit.testing.clock import FakeClock

CLOCK = FakeClock()
NOW = CLOCK.now()
HOUR = timedelta(hours=1)
SIGNED = "/igstats.api.v1.RequestService/CreateRequest"
ASKING = {SIGNED: True}
GOOD = [
    AnsweredCall(SIGNED, 0, signed=True, called_at=NOW),
    AnsweredCall(SIGNED, 16, signed=False, called_at=NOW),
    AnsweredCall("/a.B/C", 0, signed=False, called_at=NOW),
]


class Facts:
    def __init__(self, calls: Sequence[AnsweredCall | None], hours: Sequence[Hour] = ()) -> None:
        self._calls, self._hours = calls, hours

    async def hours(self, since: datetime, status: int) -> Sequence[Hour]:
        assert (since, status) == (NOW - timedelta(days=8), 16)
        return self._hours

    async def answered(self, since: datetime) -> AsyncIterator[Sequence[AnsweredCall | None]]:
        assert since == NOW - timedelta(days=1)
        for one in self._calls:
            yield [one]


def looks(facts: Facts, methods: Mapping[str, bool], *used: datetime | None) -> dict[str, Look]:
    """The checks, where the gateway tells of keys that were used then."""

    async def keys() -> Sequence[ApiKey]:
        return [ApiKey("k", frozenset(), frozenset(), NOW - timedelta(days=99), day) for day in used]

    return module.looks(facts, methods, keys, CLOCK)


async def test_signed_refused_and_open_calls_pass() -> None:
    found = await looks(Facts(GOOD), ASKING)["calls.unsigned"]()
    assert (found.findings, found.blind, found.scope) == ([], [], "3 calls of 24 hours")


async def test_an_answered_call_without_its_signature_is_found() -> None:
    wrong = [AnsweredCall(SIGNED, 0, signed=False, called_at=NOW - HOUR), *GOOD]
    found = await looks(Facts(wrong), ASKING)["calls.unsigned"]()
    (finding,) = found.findings
    assert (finding.severity, finding.place, finding.evidence[0]) == (Severity.HIGH, SIGNED, "calls=1")
    assert list(unsigned(GOOD, ASKING)) == []


async def test_an_answered_call_of_a_scope_that_writes_is_found_where_nothing_asks_for_a_signature() -> None:
    wrong = [AnsweredCall(SIGNED, 0, signed=False, called_at=NOW - HOUR), *GOOD]
    found = await looks(Facts(wrong), {SIGNED: False})["calls.unsigned"]()
    (finding,) = found.findings
    assert (finding.severity, finding.place, finding.evidence[-1]) == (Severity.LOW, SIGNED, "asked=no")


async def test_a_call_that_does_not_open_may_be_the_unsigned_one() -> None:
    found = await looks(Facts([*GOOD, None, None]), ASKING)["calls.unsigned"]()
    assert found.blind == ["2 calls whose entries do not open: the findings of the monitor name them"]


NAMES = ("calls.unsigned", "calls.authentication")
DAY = timedelta(days=1)


async def outcomes(hours: Sequence[Hour], *used: datetime | None) -> set[Outcome]:
    checks = looks(Facts([], hours), ASKING, *used)
    return {concluded(name, await checks[name]()).outcome for name in NAMES}


async def test_a_new_system_that_nobody_has_called_passes() -> None:
    assert await outcomes([]) == {Outcome.PASSED}
    assert await outcomes([], None, NOW, NOW - 9 * DAY) == {Outcome.PASSED}  # a day that is not over, or not looked at


async def test_a_log_without_calls_is_no_success_while_keys_are_used() -> None:
    assert await outcomes([], None, NOW - 2 * DAY) == {Outcome.NOT_POSSIBLE}


async def test_a_day_without_calls_after_days_with_some_is_no_success() -> None:
    assert await outcomes([Hour(NOW - DAY - HOUR, 1, 0)]) == {Outcome.NOT_POSSIBLE}
    assert await outcomes([Hour(NOW - DAY + HOUR, 1, 0)]) == {Outcome.PASSED}


async def test_where_calls_come_all_day_a_few_hours_without_any_are_no_success() -> None:
    assert await outcomes(quiet()[::-1]) == {Outcome.PASSED}
    assert await outcomes(quiet()[:4:-1]) == {Outcome.NOT_POSSIBLE}


async def test_a_pause_that_is_usual_passes() -> None:
    nights = [hour for hour in quiet()[:5:-1] if not NOW - 3 * DAY < hour.begins < NOW - 3 * DAY + 4 * HOUR]
    assert await outcomes(nights) == {Outcome.PASSED}


async def test_what_was_not_read_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CALLS", 2)
    assert (await looks(Facts(GOOD), ASKING)["calls.unsigned"]()).blind == ["calls older than the newest 2"]


def quiet() -> list[Hour]:
    """Calls in every hour, the newest first."""
    return [Hour(NOW - number * HOUR, 100, 2) for number in range(1, 8 * 24)]


async def test_an_even_number_of_refusals_passes() -> None:
    found = await looks(Facts([], quiet()[::-1]), ASKING)["calls.authentication"]()
    assert found.findings == []
    assert found.scope.startswith("2400 calls")


@pytest.mark.parametrize(("refused", "severity"), [(60, Severity.MEDIUM), (900, Severity.HIGH)])
def test_a_jump_of_refusals_is_found(refused: int, severity: Severity) -> None:
    (finding,) = spikes([*quiet(), Hour(NOW - HOUR / 2, 1000, refused)], NOW)
    assert finding.severity is severity
    assert f"refused={refused}" in finding.evidence


def test_a_jump_that_is_over_for_a_day_is_no_finding_any_more() -> None:
    assert list(spikes([Hour(NOW - 30 * HOUR, 1000, 900)], NOW)) == []


def test_methods_that_need_a_signature_come_from_the_descriptors() -> None:
    file = FileDescriptorProto(name="t.proto", package="t", dependency=["igstats/api/v1/access.proto"])
    file.message_type.add(name="M")
    service = file.service.add(name="S")
    for name, scope, needed in (("Open", "s:read", False), ("Signed", "s:read", True), ("Write", "s:write", False)):
        method = service.method.add(name=name, input_type=".t.M", output_type=".t.M")
        method.options.Extensions[access_pb2.access].MergeFrom(
            access_pb2.Access(scope=scope, signature_required=needed)
        )
    pool = DescriptorPool()
    for known in ("google/protobuf/descriptor.proto", "igstats/api/v1/access.proto"):
        found = FileDescriptorProto()
        access_pb2.DESCRIPTOR.pool.FindFileByName(known).CopyToProto(found)
        pool.Add(found)
    pool.Add(file)
    assert signed_methods([pool.FindFileByName("t.proto")]) == {"/t.S/Signed": True, "/t.S/Write": False}


def test_every_service_of_the_public_api_is_looked_at() -> None:
    names = [module.name for module in pkgutil.iter_modules(igstats.api.v1.__path__) if module.name.endswith("_pb2")]
    found = [import_module(f"igstats.api.v1.{name}").DESCRIPTOR for name in names]
    assert {file.name for file in found if file.services_by_name} == {file.name for file in FILES}
