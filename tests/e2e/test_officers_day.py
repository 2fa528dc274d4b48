"""A day of two privacy officers with the real command on a real stack: the queue, decisions, holds and records."""

import asyncio
import io
import json
import os
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.timestamp_pb2 import Timestamp
from igstats.holder.v1.task_pb2 import Right
from igstats_dev.crowd import Somebody
from igstats_dev.report import ConsoleReport
from igstats_dev.stack import running
from igstats_kit.testing.certificates import Certificate
from rich.console import Console
from sqlalchemy import text

from tests.e2e.conftest import World, eventually, privacy_channels

pytestmark = [pytest.mark.xdist_group("doors"), pytest.mark.timeout(300)]

Said = dict[str, Any]
COMMAND = Path(sys.executable).with_name("igstats")
ENDED, MISSED = 0, 5


class Officer:
    """An officer at a terminal."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        certificate: Certificate = world.stack.layout.authority.issue(f"operator/{name}")
        self._environment = {
            **os.environ,
            "IGSTATS_PRIVACY_ADDRESS": world.stack.layout.address("privacy-rpc"),
            "IGSTATS_CA": str(world.stack.layout.authority.certificate),
            "IGSTATS_OFFICER_CERT": str(certificate.certificate),
            "IGSTATS_OFFICER_KEY": str(certificate.key),
        }

    async def types(self, *words: str) -> tuple[int, str, str]:
        """Runs `igstats officer`: how it ended, what it printed, what it complained about."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            str(COMMAND), "officer", *words, env=self._environment, stdout=pipe, stderr=pipe
        )
        printed, complaint = await process.communicate()
        return process.returncode or 0, printed.decode(), complaint.decode()

    async def does(self, *words: str, code: int = ENDED) -> str:
        """What the command prints, when it ends as it should."""
        ended, printed, complaint = await self.types(*words)
        assert ended == code, (words, complaint)
        return printed

    async def lists(self, *words: str, code: int = ENDED) -> list[Said]:
        """Things that a command prints as JSON, one a line."""
        return [json.loads(line) for line in (await self.does(*words, "--json", code=code)).splitlines()]

    async def asks(self, *words: str, code: int = ENDED) -> Said:
        """One thing that a command prints as JSON."""
        found: Said = json.loads(await self.does(*words, "--json", code=code))
        return found

    async def opens(self, right: str, person: Somebody, *more: str) -> str:
        """Opens a request for somebody who wrote a letter."""
        who = ("--who", f"account_id={person.account_id}", "--who", f"instagram_user_id={person.instagram_user_id}")
        letter = ("--key", f"letter-{right}-{person.offset + person.number}")
        return str((await self.asks("request", "open", "--right", right, *letter, *who, *more))["request_id"])

    async def sees(self, request_id: str, state: str, wait: str = "UNSPECIFIED") -> Said:
        """The request, once it is there."""
        seen: list[Said] = []

        async def there() -> bool:
            seen.append(await self.asks("request", "show", request_id))
            return bool((seen[-1]["state"], seen[-1]["wait"]) == (f"REQUEST_STATE_{state}", f"WAIT_{wait}"))

        await eventually(there, f"{request_id} is {state}, {wait}", 60.0)
        return seen[-1]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def office(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A stack where an erasure of more than ten rows needs two officers."""
    report = ConsoleReport(Console(file=io.StringIO()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IGSTATS_PRIVACY_SECOND_PERSON_ROWS", "10")
        async with running(tmp_path_factory.mktemp("office"), report) as stack, privacy_channels(stack) as channels:
            world = World(stack, *channels)
            yield world
            await world.crowd.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ada(office: World) -> Officer:
    return Officer(office, "ada")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def grace(office: World) -> Officer:
    return Officer(office, "grace")


async def _rows(office: World, table: str, person: Somebody) -> int:
    async with office.database("gateway").read() as connection:
        held = text(f"SELECT count(*) FROM {table} WHERE account_id = :id")  # noqa: S608 - a table's name
        return int(await connection.scalar(held, {"id": person.account_id}) or 0)


async def _recorded(office: World, *kinds: str) -> None:
    """Waits until records of these kinds stand in the evidence log."""

    async def stand() -> bool:
        async with office.database("audit").read() as connection:
            return set(kinds) <= set((await connection.scalars(text("SELECT kind FROM evidence_entries"))).all())

    await eventually(stand, f"{kinds} stand in the evidence log", 60.0)


async def test_an_erasure_is_previewed_approved_by_two_held_back_in_part_and_goes_on_when_the_hold_ends(
    office: World, ada: Officer, grace: Officer
) -> None:
    (person,) = await office.crowd.make(1)
    request_id = await ada.opens("erasure", person)
    await ada.sees(request_id, "IDENTITY_PENDING")
    assert "identity" in await ada.does("request", "list", "--state", "identity_pending")
    await ada.asks("request", "prove", request_id, "--how", "passport seen at the desk")
    await ada.sees(request_id, "TRIAGE", "APPROVAL")
    await ada.types("request", "preview", request_id, "--ask")

    async def previewed() -> bool:
        return (await ada.types("request", "preview", request_id))[0] == ENDED

    await eventually(previewed, "every holder has answered")
    preview = await ada.asks("request", "preview", request_id)
    goes = {one["holder"]: {count["store"] for count in one.get("goes", [])} for one in preview["holders"]}
    assert {"contacts", "billing_details"} <= goes["gateway"]
    assert {"media", "profiles"} <= goes["stats"]
    assert int(preview["row_count"]) > 10

    soon, later = (str((datetime.now(UTC) + timedelta(days=days)).date()) for days in (10, 30))
    keep = ("--keep", "gateway:billing_details", "--ground", "legal_claims", "--reason", "case 12 before the court")
    held = await ada.lists("hold", "place", "--request", request_id, *keep, "--until", later, "--review", soon)
    (hold,) = held
    assert (hold["ground"], hold["placed_by"], hold["review_time"][:10]) == ("legal_claims", "ada", soon)
    assert await ada.lists("hold", "list", "--due") == []

    await ada.asks("request", "approve", request_id)
    ended, _, complaint = await ada.types("request", "approve", request_id)
    assert ended != ENDED, "one officer is not two"
    assert "second" in complaint.lower()
    await ada.sees(request_id, "TRIAGE", "SECOND_APPROVAL")
    await grace.asks("request", "approve", request_id)
    ended_in_part = await grace.sees(request_id, "FULFILLED_IN_PART")
    assert any(task.get("outcome") == "OUTCOME_RETAINED" for task in ended_in_part["tasks"])
    assert (await _rows(office, "contacts", person), await _rows(office, "billing_details", person)) == (0, 1)

    (released,) = await grace.lists("hold", "release", hold["hold_id"])
    (resumed,) = released["resumed_request_ids"]
    again = await grace.sees(resumed, "FULFILLED")
    assert again["parent_id"] == request_id
    assert await _rows(office, "billing_details", person) == 0
    assert await office.rows_of([person]) == 0
    await _recorded(office, "request.previewed", "hold.placed", "request.approved", "hold.released")


async def test_a_request_is_refused_and_another_is_extended_with_reasons(office: World, ada: Officer) -> None:
    refused, extended = await office.crowd.make(2)
    request_id = await ada.opens("erasure", refused)
    why = ("--reason", "suspected_fraud", "--explanation", "Somebody else wrote this letter.")
    await ada.asks("request", "deny", request_id, *why)
    assert (await ada.sees(request_id, "DENIED"))["reason"] == "SUSPECTED_FRAUD"
    assert await office.rows_of([refused]) > 0
    code, _, complaint = await ada.types("request", "approve", request_id)
    assert code != ENDED, complaint

    request_id = await ada.opens("access", extended)
    before = (await ada.sees(request_id, "IDENTITY_PENDING"))["due_time"]
    longer = await ada.asks("request", "extend", request_id, "--reasons", "Your data is spread over many profiles.")
    assert longer["due_time"] > before
    assert longer["extended_time"]
    assert longer["extension_reasons"] == "Your data is spread over many profiles."
    code, _, complaint = await ada.types("request", "extend", request_id, "--reasons", "Once more.")
    assert code != ENDED, "once is all that the law gives"
    assert complaint
    await _recorded(office, "request.denied", "request.extended")


async def test_clocks_ledger_metrics_register_and_breaches_are_at_hand(
    office: World, ada: Officer, tmp_path: Path
) -> None:
    late, waiting = await office.crowd.make(2)
    assert not [one for one in await ada.lists("alerts") if one["percent"] >= 100]
    # Proved, so that only officers can end it: what nobody has proved in time ends by itself within seconds.
    received = Timestamp(seconds=int((datetime.now(UTC) - timedelta(days=60)).timestamp()))
    overdue = await office.ask(waiting, Right.RIGHT_ERASURE, received=received)
    await ada.sees(overdue, "TRIAGE", "APPROVAL")
    assert overdue in [one["request_id"] for one in await ada.lists("request", "list", "--overdue")]
    alerts = await ada.lists("alerts", code=MISSED)
    assert {one["percent"] for one in alerts if one.get("request_id") == overdue} == {100}

    request_id = await ada.opens("access", late, "--received", "60d")
    entries = {one["request_id"]: one for one in await ada.lists("ledger")}
    assert entries[request_id]["missed"] is True
    assert late.account_id not in json.dumps(list(entries.values()))
    rights = {one["right"]: one for one in await ada.lists("metrics")}
    assert int(rights["ACCESS"]["received"]) >= 1

    register = json.loads(await ada.does("register"))
    assert "contacts" in json.dumps(register)
    page = tmp_path / "register.html"
    await ada.does("register", "--format", "html", "-o", str(page))
    assert page.read_text().lower().startswith("<!doctype html")

    told = ("--text", "A laptop was lost.", "--discovered", "3h", "--persons", "12", "--category", "user.contact.email")
    breach = await ada.asks("breach", "open", *told)
    code, _, _ = await ada.types("breach", "amend", breach["breach_id"], "--kind", "closed", "--text", "Over.")
    assert code != ENDED, "nobody has assessed it"
    await ada.asks("breach", "amend", breach["breach_id"], "--kind", "authority_told", "--text", "Form 4711.")
    (open_one,) = await ada.lists("breach", "list", "--open")
    assert [(one["kind"], one["officer"]) for one in open_one["events"]][-1] == ("authority_told", "ada")
    await ada.asks("breach", "amend", breach["breach_id"], "--kind", "closed", "--text", "The laptop was encrypted.")
    assert await ada.lists("breach", "list", "--open") == []
