from dataclasses import replace

import pytest
from igstats_audit.checks.database import Catalogue, Entrance, Grant, Role, looks
from igstats_audit.checks.report import Severity

GOOD = Catalogue(
    "igstats_audit",
    "igstats_audit",
    "igstats_audit",
    [Role("igstats_audit", member_of=("pg_checkpoint",)), Role("igstats_stats")],
    [],
    [],
)

FAULTS = {
    "superuser": (replace(GOOD, roles=[Role("r", frozenset({"super"}))]), Severity.HIGH, "r"),
    "member": (replace(GOOD, roles=[Role("r", member_of=("pg_read_all_data",))]), Severity.HIGH, "r"),
    "neighbour": (replace(GOOD, entrances=[Entrance("d", "o", "r", service=True)]), Severity.HIGH, "d"),
    "maintenance": (replace(GOOD, entrances=[Entrance("postgres", "o", "r", service=False)]), Severity.LOW, "postgres"),
    "owner": (replace(GOOD, owner="postgres"), Severity.MEDIUM, "igstats_audit"),
    "grant": (replace(GOOD, grants=[Grant("table calls", "PUBLIC", "SELECT")]), Severity.HIGH, "table calls"),
    "extension": (replace(GOOD, extensions=["dblink", "plpgsql"]), Severity.MEDIUM, "dblink"),
    "clear text": (replace(GOOD, remote=True, encrypted=False), Severity.HIGH, "igstats_audit"),
}


async def findings(seen: Catalogue) -> list[tuple[Severity, str]]:
    async def read() -> Catalogue:
        return seen

    return [(one.severity, one.place) for one in (await looks(read)["database.permissions"]()).findings]


async def test_a_role_and_a_database_for_each_service_pass() -> None:
    assert await findings(GOOD) == []
    assert await findings(replace(GOOD, remote=True)) == []
    assert await findings(replace(GOOD, encrypted=False)) == []


@pytest.mark.parametrize("fault", FAULTS)
async def test_every_right_beyond_that_is_found(fault: str) -> None:
    seen, severity, place = FAULTS[fault]
    assert await findings(seen) == [(severity, place)]
