"""Findings on the wire: every kind has its name there, and no other."""

from datetime import UTC, datetime

from igstats.audit.v1 import audit_service_pb2 as pb
from igstats_audit.finding_servicer import finding_message
from igstats_audit.model import Log
from igstats_audit.monitor.model import Finding, FindingKind, Observation

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def test_every_kind_of_the_proto_is_one_of_ours() -> None:
    named = {name.removeprefix("FINDING_KIND_") for name in pb.FindingKind.keys()}  # noqa: SIM118 - an enum's wrapper
    assert named - {"UNSPECIFIED"} == set(FindingKind)


def test_a_finding_arrives_whole() -> None:
    seen = Observation(Log.ACCESS, FindingKind.LEAF_CHANGED, "entry 17", "its row is missing")
    made = finding_message(Finding("fnd_1", seen, NOW, NOW))
    assert (made.finding_id, made.log, made.place, made.detail) == (
        "fnd_1",
        pb.LOG_ACCESS,
        "entry 17",
        "its row is missing",
    )
    assert made.kind == pb.FINDING_KIND_LEAF_CHANGED
    assert made.found_time.ToDatetime(tzinfo=UTC) == NOW == made.seen_time.ToDatetime(tzinfo=UTC)
