"""A planted canary on the running stack: put on file by the gateway, erased by every holder, and kept out."""

import json

import pytest
from igstats_dev import canaries
from igstats_privacy.canaries.tables import canaries as planted
from sqlalchemy import select, text

from tests.e2e.conftest import HOLDERS, World, eventually

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.timeout(300)]

_KNOWN = text("SELECT count(*) FROM contacts WHERE email LIKE '%@canary.invalid'")
_LOGGED = text("SELECT count(*) FROM evidence_entries WHERE request_id = :id AND kind = 'probe.canary'")


async def test_a_canary_proves_the_erasure_and_the_log_says_so(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    assert await canaries.run(world.stack) == 0
    told = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert (told["result"], told["reason"]) == ("PROVED", "")
    request = await world.request(told["request_id"])
    assert request.door == "canary"
    assert {task.holder for task in request.tasks if task.phase == 4 and task.state == 4} == set(HOLDERS)
    async with world.database("privacy").read() as connection:
        rows = (await connection.execute(select(planted).where(planted.c.request_id == told["request_id"]))).all()
    assert [(row.result, row.sealed) for row in rows] == [("PROVED", None)]
    async with world.database("gateway").read() as connection:
        assert await connection.scalar(_KNOWN) == 0

    async def logged() -> bool:
        async with world.database("audit").read() as connection:
            return bool(await connection.scalar(_LOGGED, {"id": told["request_id"]}) == 1)

    await eventually(logged, "the evidence log has the result")
