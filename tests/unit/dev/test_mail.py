"""The catcher of letters, spoken to by SMTP and HTTP."""

from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiohttp
import aiosmtplib
import pytest
from igstats_dev.faults import Fault, Faults
from igstats_dev.mail.catcher import KINDS, Catcher
from igstats_dev.mail.letters import Letters
from igstats_dev.mail.server import Reader


class Office:
    """A catcher that listens."""

    def __init__(self, letters: Letters, faults: Faults, smtp: int, http: str) -> None:
        self.letters, self.faults, self.smtp, self.http = letters, faults, smtp, http

    async def send(self, to: str = "ada@example.com", text: str = "Grüße") -> None:
        letter = EmailMessage()
        letter["From"], letter["To"], letter["Subject"] = "privacy@example.com", to, "Ihr Antrag"
        letter.set_content(text)
        letter["Content-Language"] = "de"
        await aiosmtplib.send(letter, hostname="127.0.0.1", port=self.smtp)

    async def get(self, path: str) -> Any:
        async with aiohttp.ClientSession() as session, session.get(self.http + path) as answer:
            return await answer.json()


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    letters, faults = Letters(tmp_path / "mail"), Faults(KINDS)
    async with (
        Catcher(letters, faults).listening("127.0.0.1:0") as smtp,
        Reader(letters, faults).listening("127.0.0.1:0") as http,
    ):
        yield Office(letters, faults, smtp, f"http://127.0.0.1:{http}")


async def test_letters_are_kept_in_the_order_they_came_and_can_be_read(office: Office) -> None:
    await office.send(text="eins")
    await office.send(text="zwei")
    shown = (await office.get("/letters"))["letters"]
    assert [one["text"] for one in shown] == ["eins", "zwei"]
    assert {(one["to"], one["subject"], one["language"]) for one in shown} == {("ada@example.com", "Ihr Antrag", "de")}
    assert office.letters.raw(shown[0]["name"]) is not None
    assert office.letters.raw("../lock") is None


@pytest.mark.parametrize(("kind", "code"), [("refuse", 550), ("busy", 451)])
async def test_a_letter_is_refused_on_command(office: Office, kind: str, code: int) -> None:
    office.faults.add(Fault(kind, where="ada@", times=1))
    await office.send(to="bob@example.com")
    with pytest.raises(aiosmtplib.SMTPResponseException) as refused:
        await office.send()
    assert refused.value.code == code
    await office.send()
    assert len(office.letters.all()) == 2


async def test_the_connection_breaks_on_command_and_nothing_is_kept(office: Office) -> None:
    office.faults.add(Fault("cut", times=1))
    with pytest.raises((aiosmtplib.SMTPException, OSError)):
        await office.send()
    assert office.letters.all() == []
    await office.send()
    assert len(office.letters.all()) == 1


async def test_faults_are_set_over_http_and_unknown_ones_are_refused(office: Office) -> None:
    async with aiohttp.ClientSession() as session:
        for kind, status in (("delay", 201), ("gravity", 400)):
            async with session.post(f"{office.http}/_faults", json={"kind": kind, "milliseconds": 1}) as answer:
                assert answer.status == status
    assert [fault["kind"] for fault in (await office.get("/_faults"))["faults"]] == ["delay"]
