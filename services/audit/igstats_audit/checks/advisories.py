"""Dependencies: what is installed, compared with advisories in the OSV format that lie in a local file."""

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

from igstats_kit.clock import Clock
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

from igstats_audit.checks.report import Finding, Look, Looked, NotPossibleError, Severity, evidence

FRESH = timedelta(days=30)
_CLOCKS = timedelta(days=1)  # what clocks may differ by; a record from later than that says nothing of the age
_ECOSYSTEM = "PyPI"
_SEVERITIES = {
    "LOW": Severity.LOW,
    "MODERATE": Severity.MEDIUM,
    "MEDIUM": Severity.MEDIUM,
    "HIGH": Severity.HIGH,
    "CRITICAL": Severity.HIGH,
}
_UNRATED = Severity.MEDIUM


@dataclass(frozen=True, slots=True)
class Installed:
    """A distribution of this process."""

    name: str
    version: str


class AdvisoryError(ValueError):
    """An advisory is not in the OSV format; the text names it."""


def affected(installed: Sequence[Installed], advisories: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    """Installed distributions that an advisory is about.

    Raises:
        AdvisoryError: An advisory cannot be compared.
    """
    found = {canonicalize_name(one.name): one for one in installed}
    for advisory in advisories:
        if advisory.get("withdrawn"):
            continue
        hit: dict[NormalizedName, Mapping[str, Any]] = {}
        for part in advisory.get("affected", []):
            package = part.get("package", {})
            name = canonicalize_name(str(package.get("name", "")))
            if package.get("ecosystem") == _ECOSYSTEM and name in found and _hits(advisory, part, found[name]):
                hit.setdefault(name, part)
        for name, part in hit.items():
            yield _finding(advisory, part, found[name])


def about_python(advisories: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those about packages of PyPI: without any, the file is no evidence about what is installed here."""
    return [
        one
        for one in advisories
        if any(part.get("package", {}).get("ecosystem") == _ECOSYSTEM for part in one.get("affected", []))
    ]


def newest(advisories: Iterable[Mapping[str, Any]], now: datetime) -> datetime | None:
    """When the newest of them was changed, by its own word: how old a file is says when it was copied."""
    times = [moment for one in advisories if (moment := _modified(one)) is not None]
    return max((moment for moment in times if moment <= now + _CLOCKS), default=None)


def _modified(advisory: Mapping[str, Any]) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(advisory.get("modified")))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _finding(advisory: Mapping[str, Any], part: Mapping[str, Any], one: Installed) -> Finding:
    rating = str(advisory.get("database_specific", {}).get("severity", "")).upper()
    fixed = sorted({str(event["fixed"]) for event in _events(part) if "fixed" in event})
    text = f"an advisory is about this version: upgrade to {' or '.join(fixed)}" if fixed else "no version is repaired"
    aliases = ",".join(map(str, advisory.get("aliases", []))) or "none"
    seen = evidence(version=one.version, advisory=advisory.get("id", ""), aliases=aliases, rating=rating or "none")
    return Finding(_SEVERITIES.get(rating, _UNRATED), canonicalize_name(one.name), text, seen)


def _hits(advisory: Mapping[str, Any], part: Mapping[str, Any], one: Installed) -> bool:
    if one.version in part.get("versions", []):
        return True
    try:
        version = Version(one.version)
        return any(_in_range(version, events) for events in _ranges(part))
    except (InvalidVersion, KeyError, TypeError) as error:
        raise AdvisoryError(f"{advisory.get('id', 'an advisory')} on {one.name}") from error


def _ranges(part: Mapping[str, Any]) -> Iterator[Sequence[Mapping[str, str]]]:
    return (one["events"] for one in part.get("ranges", []) if one.get("type") == "ECOSYSTEM")


def _events(part: Mapping[str, Any]) -> Iterator[Mapping[str, str]]:
    return (event for events in _ranges(part) for event in events)


def _in_range(version: Version, events: Sequence[Mapping[str, str]]) -> bool:
    """Evaluates the events in order of their versions, as the OSV schema says."""
    inside = False
    for event in sorted(events, key=_order):
        ((kind, text),) = event.items()
        if kind == "introduced":
            inside = inside or text == "0" or version >= Version(text)
        elif (kind == "fixed" and version >= Version(text)) or (kind == "last_affected" and version > Version(text)):
            inside = False
        elif kind == "limit" and text != "*" and version >= Version(text):
            return False
    return inside


def _order(event: Mapping[str, str]) -> tuple[Version, bool]:
    ((kind, text),) = event.items()
    return Version("0.dev0") if text in ("0", "*") else Version(text), kind != "introduced"


def read(path: Path) -> list[Mapping[str, Any]]:
    """The advisories of a file: one, a list of them, or {"vulns": [...]} as the OSV API answers.

    Raises:
        ValueError: It is something else.
    """
    content = json.loads(path.read_bytes())
    if isinstance(content, dict):
        content = content.get("vulns", [content])
    if not isinstance(content, list) or not all(isinstance(one, dict) and "id" in one for one in content):
        raise ValueError("not a list of OSV records")
    return content


def installed_here() -> list[Installed]:
    """Every distribution that this process could import."""
    return [Installed(one.metadata["Name"], one.version) for one in metadata.distributions()]


def _missing(advisories: Sequence[Mapping[str, Any]], now: datetime) -> Iterator[str]:
    latest = newest(advisories, now)
    if not advisories:
        yield f"advisories on Python packages: the file has none; give it the records of {_ECOSYSTEM}"
    elif latest is None or now - latest > FRESH:
        yield f"advisories of the last {FRESH.days} days: none in the file was changed since; get a new one"


def looks(path: Path | None, clock: Clock) -> dict[str, Look]:
    """The check against the advisories at `path`."""

    async def look() -> Looked:
        if path is None:
            raise NotPossibleError("IGSTATS_AUDIT_ADVISORIES names no file of advisories")
        try:
            advisories = about_python(await asyncio.to_thread(read, path))
            found = list(affected(installed := installed_here(), advisories))
        except OSError as error:
            raise NotPossibleError(f"the advisories cannot be read: {type(error).__name__}") from error
        except AdvisoryError as error:
            raise NotPossibleError(f"an advisory cannot be compared: {error}") from error
        except (ValueError, AttributeError) as error:
            raise NotPossibleError("the file of advisories is not in the OSV format") from error
        scope = f"{len(installed)} distributions of audit, {len(advisories)} advisories on Python packages"
        return Looked(scope, found, list(_missing(advisories, clock.now())))

    return {"dependencies.advisories": look}
