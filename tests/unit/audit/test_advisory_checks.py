import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from igstats_audit.checks.advisories import AdvisoryError, Installed, affected, installed_here, looks
from igstats_audit.checks.report import NotPossibleError, Outcome, Severity, concluded
from igstats_kit.testing.clock import FakeClock

CLOCK = FakeClock()
HERE = [Installed("Foo.Bar", "1.10.0"), Installed("baz", "2.0")]


def advisory(*events: dict[str, str], name: str = "foo-bar", **more: Any) -> dict[str, Any]:
    part = {
        "package": {"ecosystem": "PyPI", "name": name},
        "ranges": [{"type": "ECOSYSTEM", "events": list(events)}],
    }
    found = {"id": "OSV-1", "affected": [part], "database_specific": {"severity": "HIGH"}}
    return found | {"modified": CLOCK.now().isoformat()} | more


@pytest.mark.parametrize(
    ("events", "hit"),
    [
        ([{"introduced": "0"}], True),
        ([{"introduced": "0"}, {"fixed": "1.9"}], False),
        ([{"introduced": "0"}, {"fixed": "1.10"}], False),
        ([{"introduced": "0"}, {"fixed": "1.10.1"}], True),
        ([{"introduced": "1.10.0rc1"}, {"fixed": "1.11"}], True),
        ([{"introduced": "1.10.0.post1"}], False),
        ([{"introduced": "1.2"}, {"last_affected": "1.10"}], True),
        ([{"introduced": "1.2"}, {"last_affected": "1.9.9"}], False),
        ([{"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "1.10"}, {"fixed": "1.10.2"}], True),
        ([{"fixed": "1.10.2"}, {"introduced": "1.10"}, {"fixed": "1.0"}, {"introduced": "0"}], True),
        ([{"introduced": "0"}, {"limit": "1.10"}], False),
    ],
)
def test_ranges_are_compared_as_versions_of_python_packages(events: list[dict[str, str]], *, hit: bool) -> None:
    assert bool(list(affected(HERE, [advisory(*events)]))) is hit


def test_a_finding_names_the_advisory_and_the_repaired_version() -> None:
    (finding,) = affected(HERE, [advisory({"introduced": "0"}, {"fixed": "1.10.1"}, aliases=["CVE-1"])])
    assert (finding.severity, finding.place) == (Severity.HIGH, "foo-bar")
    assert "upgrade to 1.10.1" in finding.detail
    assert {"version=1.10.0", "advisory=OSV-1", "aliases=CVE-1"} <= set(finding.evidence)


def test_listed_versions_count_without_a_range() -> None:
    listed = advisory()
    listed["affected"][0] |= {"ranges": [], "versions": ["1.10.0"]}
    assert len(list(affected(HERE, [listed]))) == 1


@pytest.mark.parametrize(
    "other",
    [
        advisory({"introduced": "0"}, withdrawn="2026-01-01T00:00:00Z"),
        advisory({"introduced": "0"}, name="unknown"),
        {"id": "OSV-2", "affected": [{"package": {"ecosystem": "npm", "name": "baz"}, "versions": ["2.0"]}]},
    ],
)
def test_what_is_withdrawn_or_about_something_else_is_passed_over(other: dict[str, Any]) -> None:
    assert list(affected(HERE, [other])) == []


@pytest.mark.parametrize("events", [[{"introduced": "one"}], [{"fixed": "x.y"}, {"introduced": "0"}]])
def test_a_range_that_cannot_be_compared_is_not_guessed(events: list[dict[str, str]]) -> None:
    with pytest.raises(AdvisoryError, match=r"OSV-1 on Foo\.Bar"):
        list(affected(HERE, [advisory(*events)]))


def file_of(tmp_path: Path, content: object) -> Path:
    file = tmp_path / "advisories.json"
    file.write_text(json.dumps(content))
    return file


@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: [one], lambda one: {"vulns": [one]}])
async def test_what_is_installed_here_is_compared(tmp_path: Path, wrap: Any) -> None:
    hit = advisory({"introduced": "0"}, name="PACKAGING")
    found = await looks(file_of(tmp_path, wrap(hit)), CLOCK)["dependencies.advisories"]()
    assert [finding.place for finding in found.findings] == ["packaging"]
    assert any(one.name == "packaging" for one in installed_here())


def changed(moment: object) -> dict[str, Any]:
    return advisory({"introduced": "0"}, name="unknown", modified=moment)


def ago(days: int) -> str:
    return (CLOCK.now() - timedelta(days=days)).isoformat()


@pytest.mark.parametrize(
    ("advisories", "outcome"),
    [
        ([changed(ago(31)), changed(ago(29))], Outcome.PASSED),
        ([changed(ago(31)), changed(ago(40))], Outcome.NOT_POSSIBLE),
        ([changed(ago(-400)), changed(ago(31))], Outcome.NOT_POSSIBLE),
        ([changed(ago(-400)), changed(ago(1))], Outcome.PASSED),
        ([changed("soon"), changed(None), changed("2026-01-01T00:00:00")], Outcome.NOT_POSSIBLE),
    ],
)
async def test_advisories_are_as_old_as_the_newest_says_and_not_as_their_file(
    tmp_path: Path, advisories: list[dict[str, Any]], outcome: Outcome
) -> None:
    found = await looks(file_of(tmp_path, advisories), CLOCK)["dependencies.advisories"]()
    assert concluded("x", found).outcome is outcome


NPM = {"id": "OSV-2", "modified": CLOCK.now().isoformat(), "affected": [{"package": {"ecosystem": "npm", "name": "x"}}]}


@pytest.mark.parametrize("content", [[], {"vulns": []}, [NPM], [{"id": "OSV-3", "modified": ago(0)}]])
async def test_a_file_without_an_advisory_on_python_packages_is_no_success(tmp_path: Path, content: object) -> None:
    found = await looks(file_of(tmp_path, content), CLOCK)["dependencies.advisories"]()
    assert concluded("x", found).outcome is Outcome.NOT_POSSIBLE


@pytest.mark.parametrize("content", ["text", [1], [{"no": "id"}], {"vulns": 1}])
async def test_a_file_of_something_else_is_no_success(tmp_path: Path, content: object) -> None:
    with pytest.raises(NotPossibleError):
        await looks(file_of(tmp_path, content), CLOCK)["dependencies.advisories"]()


async def test_without_a_file_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    for path in (None, tmp_path / "none.json"):
        with pytest.raises(NotPossibleError):
            await looks(path, CLOCK)["dependencies.advisories"]()
