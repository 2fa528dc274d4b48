"""What the monitor remembers, in files of its own: whoever can change the database cannot change them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from igstats_audit.durable import replace
from igstats_audit.model import Log
from igstats_audit.monitor.model import FindingKind, HeadRow, Observation
from igstats_audit.monitor.numbers import Counter, Gap, Numbers
from igstats_audit.tree import Range

_MOST_CHECKPOINTS = 128
_MOST_SHOWN = 16
_FORM = 1


class MemoryDamagedError(Exception):
    """The monitor cannot read what it has remembered. A person decides what to believe: see the runbook."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A checkpoint that was signed and consistent when we saw it."""

    size: int
    root: bytes
    note: str


@dataclass(frozen=True, slots=True)
class Stand:
    """How far a head had come that was good: entries, commits, and its place in the stream behind the log."""

    size: int
    epoch: int
    day: date
    stream_sequence: int
    stream_made_at: datetime | None

    @classmethod
    def of(cls, row: HeadRow) -> "Stand":
        """That of a head."""
        return cls(row.size, row.epoch, row.day, row.stream_sequence, row.stream_made_at)

    def written(self) -> list[Any]:
        """As it is kept."""
        made_at = self.stream_made_at.isoformat() if self.stream_made_at else None
        return [self.size, self.epoch, self.day.isoformat(), self.stream_sequence, made_at]

    @classmethod
    def read(cls, said: list[Any] | None) -> "Stand | None":
        """From what is kept; None from a file of before."""
        if said is None:
            return None
        size, epoch, day, position, made_at = said
        seen = datetime.fromisoformat(made_at) if made_at else None
        return cls(size, epoch, date.fromisoformat(day), position, seen)


class Told(NamedTuple):
    """A finding that was told and, as far as we know, is still so."""

    finding_id: str
    found_at: datetime


Thing = tuple[FindingKind, str]
"""What makes it the same finding in one log: kind and place."""


@dataclass(slots=True)
class Memory:
    """What is known of one log: the newest tree that was checked, older checkpoints, sizes by day, and numbers.

    `shown` are checkpoints that the service has shown and that are not known to be of this tree; `mark` is a size that
    the shown one has to reach, and `behind` how many looks it has not. `keys` are the verifier keys of the log.
    """

    log: Log
    counter: Counter
    tree: Range = field(default_factory=Range)
    minimum_index: int = 0
    checkpoints: list[Seen] = field(default_factory=list)
    sizes: dict[date, int] = field(default_factory=dict)
    audited_at: datetime | None = None
    stand: Stand | None = None
    shown: list[Seen] = field(default_factory=list)
    mark: int = 0
    behind: int = 0
    told: dict[Thing, Told] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)

    @classmethod
    def new(cls, log: Log) -> "Memory":
        """Of a log that was never seen."""
        return cls(log, Counter(log))

    @property
    def empty(self) -> bool:
        """Whether nothing was ever seen."""
        return not self.tree.size and self.audited_at is None

    def adopt(self, tree: Range, note: str) -> None:
        """Remembers a checkpoint that extends the last one. Old ones are thinned out, not forgotten."""
        if tree.size > self.tree.size:
            self.checkpoints.append(Seen(tree.size, tree.root, note))
        if len(self.checkpoints) > _MOST_CHECKPOINTS:
            half = _MOST_CHECKPOINTS // 2
            self.checkpoints[:half] = self.checkpoints[:half:2]
        self.tree = tree

    def note_shown(self, doubtful: Sequence[Seen]) -> None:
        """Remembers checkpoints that were shown: of many the first ones, which prove most, and the newest."""
        self.shown = [*doubtful[: _MOST_SHOWN - 1], *doubtful[_MOST_SHOWN - 1 :][-1:]]

    def forget_mended(self, found: Iterable[Observation]) -> None:
        """Forgets what was told and a whole look does not see any more: seen again, it is told again."""
        seen = {one.thing for one in found}
        self.told = {thing: one for thing, one in self.told.items() if thing in seen}

    def note_day(self, day: date, size: int, days: int) -> None:
        """Remembers the size at the first look of a day, for as long as the log keeps its entries."""
        self.sizes.setdefault(day, size)
        for old in [one for one in self.sizes if (day - one).days > days + 1]:
            del self.sizes[old]


class MemoryFiles:
    """Keeps memories as files, each written whole or not at all."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def load(self, log: Log) -> Memory:
        """What is remembered of a log.

        Raises:
            MemoryDamagedError: The file is there and cannot be read.
        """
        try:
            return _read(log, json.loads(self._file(log).read_text()))
        except FileNotFoundError:
            return Memory.new(log)
        except (ValueError, KeyError, TypeError) as error:
            raise MemoryDamagedError(f"the memory of the log {log} is damaged") from error

    def save(self, memory: Memory) -> None:
        """Replaces what is remembered; durable when this returns."""
        replace(self._file(memory.log), json.dumps(_written(memory)).encode())

    def _file(self, log: Log) -> Path:
        return self._directory / f"{log}.json"


def _written(memory: Memory) -> dict[str, Any]:
    return {
        "form": _FORM,
        "size": memory.tree.size,
        "hashes": [one.hex() for one in memory.tree.hashes],
        "minimum_index": memory.minimum_index,
        "checkpoints": list(map(_noted, memory.checkpoints)),
        "shown": list(map(_noted, memory.shown)),
        "mark": memory.mark,
        "behind": memory.behind,
        "sizes": {day.isoformat(): size for day, size in memory.sizes.items()},
        "audited_at": memory.audited_at.isoformat() if memory.audited_at else None,
        "stand": memory.stand.written() if memory.stand else None,
        "whole": memory.counter.whole,
        "producers": {
            name: {
                "start": one.start,
                "highest": one.highest,
                "gaps": [[gap.first, gap.last, gap.since.isoformat()] for gap in one.gaps],
                "repeats": list(one.repeats.items()),
            }
            for name, one in memory.counter.producers.items()
        },
        "keys": memory.keys,
        "told": [[*thing, one.finding_id, one.found_at.isoformat()] for thing, one in memory.told.items()],
    }


def _read(log: Log, said: dict[str, Any]) -> Memory:
    if said["form"] != _FORM:
        raise ValueError("unknown form")
    producers = {
        name: Numbers(
            one["start"],
            one["highest"],
            [Gap(first, last, datetime.fromisoformat(since)) for first, last, since in one["gaps"]],
            dict(one.get("repeats", [])),
        )
        for name, one in said["producers"].items()
    }
    return Memory(
        log=log,
        counter=Counter(log, said["whole"], producers),
        tree=Range(said["size"], tuple(map(bytes.fromhex, said["hashes"]))),
        minimum_index=said["minimum_index"],
        checkpoints=list(map(_seen, said["checkpoints"])),
        sizes={date.fromisoformat(day): size for day, size in said["sizes"].items()},
        audited_at=datetime.fromisoformat(said["audited_at"]) if said["audited_at"] else None,
        stand=Stand.read(said.get("stand")),
        shown=list(map(_seen, said.get("shown", []))),
        mark=said.get("mark", 0),
        behind=said.get("behind", 0),
        keys=list(said.get("keys", [])),
        told={
            (FindingKind(kind), place): Told(finding_id, datetime.fromisoformat(found_at))
            for kind, place, finding_id, found_at in said.get("told", [])
        },
    )


def _noted(seen: Seen) -> dict[str, Any]:
    return {"size": seen.size, "root": seen.root.hex(), "note": seen.note}


def _seen(said: dict[str, Any]) -> Seen:
    return Seen(said["size"], bytes.fromhex(said["root"]), said["note"])
