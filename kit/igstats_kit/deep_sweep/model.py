"""What a deep sweep searches for, where, and what its findings mean. Findings name places, never values."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from igstats_kit.deep_sweep.edges import BEFORE, CONTEXT, Edges, in_hex, in_text

_SHORTEST = 6
# Ids that we made, a prefix and a ULID: they name nobody once the rows are gone, and logs may hold them.
_OURS = re.compile(r"[a-z]{2,8}_[0-9a-hjkmnp-tv-z]{26}")


class Kind(StrEnum):
    """What a place is."""

    TABLE = "table"
    STREAM = "stream"
    EXPORT = "export"
    LOG = "log"
    DATABASE_FILE = "database_file"
    WAL = "wal"


# PostgreSQL keeps the bytes of deleted rows until vacuum and recycling: there early, and wrong late.
REMAINS = frozenset({Kind.DATABASE_FILE, Kind.WAL})


@dataclass(frozen=True, order=True)
class Place:
    """Where something was found: the kind, and its name (table, stream and message, file)."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        """The place as records and logs name it."""
        return f"{self.kind}:{self.name}"


class Stored(NamedTuple):
    """Something that is kept sealed, opened: only its service can search it."""

    name: str
    created_at: datetime
    content: bytes


@dataclass(frozen=True)
class Erased:
    """One erasure whose needles are still kept. `kept` are stores that stay on a legal ground or by a hold."""

    request_id: str
    values: tuple[str, ...]
    erased_at: datetime
    last: bool
    kept: frozenset[str] = frozenset()


def searchable(value: str) -> bool:
    """Whether finding the value among bytes says anything: short values are everywhere, ids of ours name nobody."""
    return len(value.encode()) >= _SHORTEST and _OURS.fullmatch(value) is None


def forms(value: str) -> set[str]:
    """The spellings of a value that are searched for: as given, in lower case, and as JSON writes it."""
    return {value, value.lower(), json.dumps(value)[1:-1]}


class Sought(NamedTuple):
    """A form to search for in text: plain, as an expression that tells it from a piece of another, and whose it is."""

    form: str
    pattern: str
    request_id: str


class Needles:
    """The values of several erasures, and whose each is. `reach` is the longest with what is looked at around it."""

    def __init__(self, erasures: Iterable[Erased]) -> None:
        self._owners: dict[str, set[str]] = defaultdict(set)
        self.unsearched: dict[str, int] = defaultdict(int)
        for erased in erasures:
            for value in erased.values:
                if searchable(value):
                    for form in forms(value):
                        self._owners[form].add(erased.request_id)
                else:
                    self.unsearched[erased.request_id] += 1
        self._edges = {form: Edges(form) for form in self._owners}
        self.reach = max((len(form.encode()) for form in self._owners), default=0) + BEFORE + CONTEXT

    def within(self, content: bytes, start: int = 0, end: int | None = None) -> set[str]:
        """The requests whose values stand in content[start:end]; the bytes around are looked at, not searched."""
        found: set[str] = set()
        for form, owners in self._owners.items():
            if not owners <= found and self._edges[form].alone(content, start, end):
                found |= owners
        return found

    def sought(self) -> list[Sought]:
        """Everything to search for in text: also the bytes as PostgreSQL shows them, in hex."""
        written = [(form.lower(), in_text(form), owners) for form, owners in self._owners.items()]
        written += [(form.encode().hex(), in_hex(form), owners) for form, owners in self._owners.items()]
        return sorted({Sought(form, pattern, one) for form, pattern, owners in written for one in owners})


@dataclass
class Report:
    """What one run has searched and found; `unreachable` says why a kind of place could not be searched."""

    searched: dict[Kind, int] = field(default_factory=lambda: defaultdict(int))
    found: dict[str, set[Place]] = field(default_factory=lambda: defaultdict(set))
    unreachable: dict[str, str] = field(default_factory=dict)
    rewritten: set[str] = field(default_factory=set)

    def add(self, request_ids: Iterable[str], place: Place) -> None:
        """Notes that values of the requests are at a place."""
        for request_id in request_ids:
            self.found[request_id].add(place)


@dataclass(frozen=True)
class Verdict:
    """What a run says about one erasure.

    `findings` must not be; `remains` are bytes that go with vacuum and recycling; `staying` is lawful.
    """

    findings: tuple[Place, ...]
    remains: tuple[Place, ...]
    staying: tuple[Place, ...]

    @property
    def outcome(self) -> str:
        """One word for metrics and records."""
        return "FOUND" if self.findings else "REMAINS" if self.remains else "CLEAN"


def judge(erased: Erased, places: Iterable[Place], lawful: frozenset[str]) -> Verdict:
    """Tells findings from what may be there: stores that stay, and bytes that PostgreSQL has not overwritten yet.

    The log of changes mixes all tables: of a person of whom something stays it cannot tell what is gone.
    """
    findings, remains, staying = list[Place](), list[Place](), list[Place]()
    stays = erased.kept | lawful
    found = sorted(places)
    mixed = bool(erased.kept) or any(place.name in stays for place in found)
    for place in found:
        if place.kind in {Kind.TABLE, Kind.DATABASE_FILE} and place.name in stays:
            staying.append(place)
        elif place.kind in REMAINS and (not erased.last or (place.kind is Kind.WAL and mixed)):
            remains.append(place)
        else:
            findings.append(place)
    return Verdict(tuple(findings), tuple(remains), tuple(staying))


def payload(erased: Erased, report: Report, verdict: Verdict, unsearched: int) -> Mapping[str, object]:
    """The run as the evidence log keeps it."""
    return {
        "run": "last" if erased.last else "first",
        "outcome": verdict.outcome,
        "searched": dict(sorted(report.searched.items())),
        "found": [str(place) for place in verdict.findings],
        "remains": [str(place) for place in verdict.remains],
        "staying": [str(place) for place in verdict.staying],
        "unreachable": dict(report.unreachable),
        "rewritten": sorted(report.rewritten),
        "values_too_common": unsearched,
    }
