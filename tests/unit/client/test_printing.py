"""What others wrote stays text on its line, in everything that the command prints."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import igstats_client
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from igstats.api.v1.profile_pb2 import Profile
from igstats.audit.v1 import audit_service_pb2 as pb
from igstats_client import audit_lists, audit_report, log_checking, report, views
from igstats_client.audits import Proved
from igstats_client.errors import ApiError
from igstats_client.log_checking import Checked
from igstats_client.printing import printable, printable_json
from igstats_client.screen import Screen
from igstats_client.verdict import Check, Finding, Statement, Verdict

Run = Callable[..., Any]
Case = Any
"""The builder of conftest.py."""

MOMENT = datetime(2026, 11, 23, tzinfo=UTC)
HOSTILE = "\x1bcVERIFIED\nVERIFIED  request \x9b2J\r\x7f\u202e[bold]:warning:"
TEXTS = st.text(
    st.one_of(st.characters(codec="utf-8"), st.sampled_from("\x1b\x9b\r\n\x7f\u202e\u2028[]\\")), min_size=1
)
hostile = example(HOSTILE)


def shown(show: Callable[[Screen], object]) -> str:
    told = StringIO()
    show(Screen(told, 10_000))
    return told.getvalue()


def tame(output: str) -> bool:
    """Nothing in it steers a terminal; joiners within names are allowed."""
    return all(one.isprintable() or one in "\n\u200c\u200d" for one in output)


def audit_of(text: str) -> pb.SecurityAudit:
    found = pb.CheckFinding(severity=pb.SEVERITY_LOW, place=text, detail=text, evidence=[text, text])
    check = pb.Check(name=text, outcome=pb.CHECK_OUTCOME_FOUND, scope=text, findings=[found])
    return pb.SecurityAudit(audit_id=text, checks=[check])


def refused(text: str) -> Verdict:
    return Verdict((Finding(Check.PRODUCER, text, text),), text)


def verified(text: str) -> Verdict:
    said = Statement(text, text, ((text, 1),), (text,), MOMENT, MOMENT, (text,))
    return Verdict((), text, text, MOMENT, text, 1, (text,), 1, (said,))


def findings_of(text: str) -> list[pb.Finding]:
    return [pb.Finding(finding_id=text, place=text, detail=text, kind=pb.FINDING_KIND_FORK, log=pb.LOG_ACCESS)]


def log_of(text: str) -> Checked:
    return Checked(text, 600, text, [f"{text}+{text}+{text}"], pinned=False, first=256)


SHOWN: dict[str, Callable[[str, Screen], object]] = {
    "receipt verify, refused": lambda text, screen: report.show(refused(text), screen),
    "receipt verify, verified": lambda text, screen: report.show(verified(text), screen),
    "log audit": lambda text, screen: log_checking.show(log_of(text), screen),
    "audit report": lambda text, screen: audit_report.show(audit_of(text), Proved(text, 1, 2, pinned=False), screen),
    "audit list": lambda text, screen: audit_lists.show_audits([audit_of(text)], screen),
    "audit findings": lambda text, screen: audit_lists.show_findings(findings_of(text), screen),
}
WRITTEN: dict[str, Callable[[str], str]] = {
    "receipt verify, refused": lambda text: report.as_json(refused(text)),
    "receipt verify, verified": lambda text: report.as_json(verified(text)),
    "log audit": lambda text: log_checking.rendered(log_of(text)),
    "audit report": lambda text: audit_report.rendered(audit_of(text), Proved(text, 1, 2, pinned=False)),
    "audit list": lambda text: views.as_json(audit_of(text), indent=None),
    "audit findings": lambda text: views.as_json(findings_of(text)[0], indent=None),
}


@pytest.mark.parametrize("command", SHOWN)
@given(text=TEXTS)
@hostile
def test_no_text_of_others_steers_the_terminal_or_begins_a_line(command: str, text: str) -> None:
    output = shown(lambda screen: SHOWN[command](text, screen))
    assert tame(output)
    assert output.count("\n") == shown(lambda screen: SHOWN[command]("x", screen)).count("\n")
    assert printable(text).strip() in output


@pytest.mark.parametrize("command", WRITTEN)
@given(text=TEXTS)
@hostile
def test_no_text_of_others_steers_the_terminal_from_json_which_still_says_the_same(command: str, text: str) -> None:
    output = WRITTEN[command](text)
    assert tame(output)
    assert any(text in one for one in strings(json.loads(output)))


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from strings(one)


@given(text=TEXTS)
@hostile
def test_errors_are_text_too(text: str) -> None:
    error = ApiError(text, text, text, {text: text}, [(text, text)], None, text)
    assert tame(str(error))
    assert str(error).count("\n") == 3


@given(st.recursive(TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)))
def test_json_says_the_same_afterwards(value: Any) -> None:
    for written in (json.dumps(value, indent=1), json.dumps(value, ensure_ascii=False, indent=1)):
        assert json.loads(printable_json(written)) == value
        assert tame(printable_json(written))


def test_names_and_emoji_are_written_as_they_are() -> None:
    for text in (
        "Jane Doe",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\U0001f469\u200d\U0001f4bb",
        "\u00fc",
    ):
        assert printable(text) == text
    assert printable("a\x1b\n\u202e") == "a\\x1b\\n\\u202e"


def test_a_hostile_archive_paints_no_verdict(run: Run, case: Case) -> None:
    case.receipts[0].request_id = HOSTILE
    case.receipts[1].task_id = HOSTILE
    case.closing.holders[0].outcome = HOSTILE
    case.closing.state = HOSTILE
    Path("evidence.zip").write_bytes(case.zipped())
    for ran in (run("receipt", "verify", "evidence.zip"), run("receipt", "verify", "evidence.zip", "--json")):
        assert (ran.code, tame(ran.out)) == (1, True)
        assert not [line for line in ran.out.splitlines() if line.startswith("VERIFIED")]
        assert "\\x1bcVERIFIED" in ran.out or "\\u001bcVERIFIED" in ran.out


def test_every_part_of_the_command_prints_to_the_screen() -> None:
    rooms = Path(igstats_client.__file__).parent.glob("*.py")
    assert [file.name for file in rooms if re.search(r"\bConsole\(|(?<!\.)\bprint\(", file.read_text())] == []


def test_a_biography_keeps_its_lines_beside_its_name() -> None:
    profile = Profile(username="jane.demo", biography="one\nusername  other\x1b")
    lines = shown(lambda screen: views.show_profile(profile, screen)).splitlines()
    assert [line.strip() for line in lines if "one" in line or "other" in line] == [
        "biography  one",
        "username  other\\x1b",
    ]
    assert [line for line in lines if line.startswith("username")] == [lines[1]]


def test_a_value_that_this_release_does_not_know_is_shown_by_its_number() -> None:
    severity, outcome, kind = _of_a_later_release(7, 9, 99)
    found = pb.CheckFinding(severity=severity, place="here")
    audit = pb.SecurityAudit(worst=severity, checks=[pb.Check(outcome=outcome, findings=[found])])
    told = shown(lambda screen: audit_report.show(audit, Proved("log", 1, 2, pinned=True), screen))
    assert ("\n9  " in told, "  7  here" in told) == (True, True)
    assert " 7" in shown(lambda screen: audit_lists.show_audits([audit], screen))
    assert "99" in shown(lambda screen: audit_lists.show_findings([pb.Finding(kind=kind)], screen))


def _of_a_later_release(*numbers: int) -> list[Any]:
    return list(numbers)
