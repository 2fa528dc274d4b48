"""The runbook's way to take a holder away: the SQL as it is written there, on the real database."""

import re

from codebase import text
from igstats_privacy.model import State
from sqlalchemy import text as sql

from tests.integration.privacy.conftest import Office

_SECTION = text("docs/runbooks/operator.md").partition("## Removing a holder\n")[2]


async def take_away(office: Office, name: str) -> None:
    (block,) = re.findall(r"```sql\n(.*?)```", _SECTION.partition("\n## ")[0], re.DOTALL)
    first, *statements, last = block.replace("'NAME'", f"'{name}'").split(";\n")[:-1]
    assert (first, last) == ("BEGIN", "COMMIT")
    async with office.database.transaction() as connection:
        for statement in statements:
            await connection.execute(sql(statement))


async def names(office: Office) -> list[str]:
    return [holder.name for holder in await office.registry.holders()]


async def test_a_holder_that_has_something_left_to_do_stays(office: Office) -> None:
    await office.register("gateway", "stats")
    await office.accepted()
    await take_away(office, "stats")
    assert await names(office) == ["gateway", "stats"]


async def test_a_holder_that_has_done_everything_goes_and_what_comes_later_ends_without_it(office: Office) -> None:
    await office.register("gateway", "stats")
    earlier = await office.accepted()
    await office.work()
    await take_away(office, "stats")
    assert await names(office) == ["gateway"]
    later = await office.accepted()
    await office.work()
    assert {task.holder for task in (await office.show(later)).tasks} == {"gateway"}
    assert [await office.state(one) for one in (earlier, later)] == [State.SETTLING, State.SETTLING]
    kept = await office.registry.keys(await office.show(earlier))
    assert {holder for holder, _ in kept} == {"gateway", "stats"}
