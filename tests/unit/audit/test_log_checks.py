from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from igstats_audit.checks.history import Listing, Remembered, Signed
from igstats_audit.checks.logs import (
    MARK,
    Growth,
    History,
    LogStates,
    OpenFinding,
    Watched,
    consistency,
    extends,
    looks,
)
from igstats_audit.checks.remembered import LogMemory
from igstats_audit.checks.report import Looked, NotPossibleError, Outcome, Severity, concluded
from igstats_audit.errors import LogForkedError, TileMissingError
from igstats_audit.model import Head
from igstats_audit.tree import Node, Range, consistency_spans, grow, leaf_hash, nodes_of, path
from igstats_kit.errors import DomainError, Reason
from igstats_kit.testing.clock import FakeClock

CLOCK = FakeClock()
NOW = CLOCK.now()
MOST = 40


class Tree:
    """A log in memory, of any size up to its own."""

    def __init__(self, size: int, salt: bytes = b"") -> None:
        self.ranges = [Range()]
        self.hashes: dict[Node, bytes] = {}
        for number in range(size):
            growth = grow(self.ranges[-1], [leaf_hash(salt + bytes([number]))])
            self.ranges.append(growth.after)
            self.hashes |= growth.nodes

    def at(self, size: int) -> Signed:
        return Signed(size, self.ranges[size].root)

    async def head(self) -> Head:
        return Head(self.ranges[-1], 1, "")

    async def consistency(self, old: int, size: int) -> tuple[Sequence[bytes], int]:
        spans = consistency_spans(old, size)
        return path(spans, {node: self.hashes[node] for node in nodes_of(spans)}), size


TREE = Tree(MOST)


@pytest.mark.parametrize("old", range(MOST + 1))
async def test_every_growth_of_a_log_is_accepted(old: int) -> None:
    for new in range(old, MOST + 1):
        proof = (await TREE.consistency(old, new))[0] if 0 < old < new else []
        assert extends(TREE.at(old), TREE.at(new), proof)


@pytest.mark.parametrize(("old", "new"), [(3, 7), (4, 8), (5, 5), (1, 40)])
async def test_a_proof_that_is_not_exactly_right_is_refused(old: int, new: int) -> None:
    proof = list((await TREE.consistency(old, new))[0]) if old < new else []
    before, now = TREE.at(old), TREE.at(new)
    wrong = bytes(32)
    assert not extends(replace(before, root=wrong), now, proof)
    assert not extends(before, replace(now, root=wrong), proof)
    assert not extends(before, now, [*proof, wrong])
    for place in range(len(proof)):
        assert not extends(before, now, [*proof[:place], wrong, *proof[place + 1 :]])
        assert not extends(before, now, proof[:place] + proof[place + 1 :])


def test_a_log_that_has_shrunk_is_found() -> None:
    (finding,) = consistency([Growth("evidence", TREE.at(9), TREE.at(8))])
    assert (finding.severity, finding.place) == (Severity.HIGH, "evidence log")


@dataclass
class Left:
    """What audits have left: in the list, and outside of the database."""

    listed: Mapping[str, Signed] = field(default_factory=dict)
    audits: int = 1
    unlisted: int = 0
    named: bool = True
    remembered: Remembered | None = None

    async def listing(self, audit_id: str) -> Listing:
        assert audit_id == (self.remembered.audit_id if self.remembered else "")
        return Listing(self.listed, self.audits, self.named, self.unlisted)

    async def read(self) -> Remembered | None:
        return self.remembered

    async def write(self, remembered: Remembered) -> None:
        self.remembered = remembered

    def states(self, tree: Tree = TREE) -> LogStates:
        return LogStates({"evidence": tree}, self, self)

    async def looked(self, tree: Tree = TREE) -> tuple[Outcome, list[str]]:
        looked = await looks(self.states(tree).read, None, CLOCK)["log.consistency"]()
        return concluded("x", looked).outcome, [finding.place for finding in looked.findings]


def of(signed: Signed) -> Mapping[str, Signed]:
    return {"evidence": signed}


def left(listed: Signed, outside: Signed | None = None) -> Left:
    return Left(of(listed), remembered=Remembered("sec_1", of(outside or listed)))


async def test_a_log_that_has_grown_since_the_last_audit_passes() -> None:
    for one in (left(TREE.at(7)), left(TREE.at(7), TREE.at(5)), left(TREE.at(MOST)), left(TREE.at(0))):
        assert await one.looked() == (Outcome.PASSED, [])


async def test_the_next_audit_compares_with_what_this_one_saw() -> None:
    one = left(TREE.at(7))
    states = one.states()
    await states.read()
    await states.keep("sec_2")
    assert states.seen == of(TREE.at(MOST))
    assert one.remembered == Remembered("sec_2", of(TREE.at(MOST)))


OTHER = Tree(9, b"other").at(9)


@pytest.mark.parametrize("one", [left(OTHER), left(TREE.at(7), OTHER), left(OTHER, TREE.at(7))])
async def test_a_fork_is_found_by_what_either_place_keeps_and_never_becomes_the_base(one: Left) -> None:
    assert await one.looked() == (Outcome.FOUND, ["evidence log"])
    states = one.states()
    await states.read()
    assert one.remembered
    assert states.seen == one.remembered.logs


async def test_a_new_and_empty_log_passes_one_with_entries_cannot_be_compared() -> None:
    assert await Left(audits=0).looked(Tree(0)) == (Outcome.PASSED, [])
    assert await Left(audits=0).looked(Tree(1)) == (Outcome.NOT_POSSIBLE, [])


async def test_an_audit_that_saw_no_log_is_nothing_to_pass_by() -> None:
    assert await Left(remembered=Remembered("sec_1", {})).looked() == (Outcome.NOT_POSSIBLE, [])


async def test_what_lies_outside_of_the_database_is_missed() -> None:
    assert await Left(of(TREE.at(7))).looked() == (Outcome.NOT_POSSIBLE, [])


async def test_a_list_without_an_audit_that_was_run_is_found() -> None:
    assert await replace(left(TREE.at(7)), named=False).looked() == (Outcome.FOUND, ["list of audits"])
    assert await replace(left(TREE.at(7)), listed={}, audits=0, named=False).looked() == (
        Outcome.FOUND,
        ["list of audits"],
    )


async def test_an_emptied_list_is_found_by_what_the_evidence_log_names() -> None:
    assert await Left(audits=0, unlisted=2).looked() == (Outcome.FOUND, ["list of audits"])
    assert await Left(audits=0, unlisted=1).looked() == (Outcome.NOT_POSSIBLE, [])  # killed before the list had it
    assert await replace(left(TREE.at(7)), unlisted=3).looked() == (Outcome.PASSED, [])


async def test_a_head_that_its_tree_does_not_give_is_found() -> None:
    class Forked(Tree):
        async def head(self) -> Head:
            raise LogForkedError

    for one in (left(TREE.at(7)), Left(audits=0)):
        assert await one.looked(Forked(1)) == (Outcome.FOUND, ["evidence log"])


async def test_after_a_look_that_failed_nothing_is_left_in_place_of_the_last_one() -> None:
    class Gone(Tree):
        async def head(self) -> Head:
            raise DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="database")

    one = left(TREE.at(7))
    states = one.states(Gone(1))
    with pytest.raises(DomainError):
        await states.read()
    await states.keep("sec_2")
    assert (states.seen, one.remembered) == ({}, Remembered("sec_1", of(TREE.at(7))))


async def test_what_an_audit_leaves_outside_is_read_again(tmp_path: Path) -> None:
    memory, saw = LogMemory(tmp_path), Remembered("sec_1", of(TREE.at(7)))
    assert await memory.read() is None
    await memory.write(Remembered("sec_0", {}))
    await memory.write(saw)
    assert await memory.read() == saw
    assert (tmp_path / MARK).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"audit_id": "sec_1", "logs": {"evidence": 7}}', b"\xff"])
async def test_what_cannot_be_read_is_no_success_and_is_not_written_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MARK).write_bytes(content)
    states = LogStates({"evidence": TREE}, Left(), LogMemory(tmp_path))
    with pytest.raises(NotPossibleError, match=MARK):
        await looks(states.read, None, CLOCK)["log.consistency"]()
    await states.keep("sec_2")
    assert (tmp_path / MARK).read_bytes() == content


async def test_a_folder_that_cannot_be_written_does_not_end_an_audit(tmp_path: Path) -> None:
    memory = LogMemory(tmp_path / "gone")
    await memory.write(Remembered("sec_1", {}))
    assert await memory.read() is None


async def no_growth() -> History:
    return History([], Listing({}, 0, named=False, unlisted=0), None)


async def watched(looked_at: datetime | None, count: int = 0) -> Looked:
    async def monitor() -> Watched:
        return Watched(
            looked_at, [OpenFinding("TILE_CHANGED", f"tile/1/00{number}", "evidence") for number in range(count)]
        )

    return await looks(no_growth, monitor, CLOCK)["log.findings"]()


async def test_what_the_monitor_still_sees_is_found() -> None:
    assert concluded("x", await watched(NOW)).outcome is Outcome.PASSED
    assert [finding.evidence for finding in (await watched(NOW, 1)).findings] == [("kind=TILE_CHANGED",)]
    assert len((await watched(NOW, 30)).findings) == 21


async def test_a_monitor_that_does_not_look_is_no_success() -> None:
    for looked_at in (None, NOW - timedelta(hours=27)):
        assert concluded("x", await watched(looked_at)).outcome is Outcome.NOT_POSSIBLE
    with pytest.raises(NotPossibleError):
        await looks(no_growth, None, CLOCK)["log.findings"]()


async def test_a_tree_with_a_lost_part_extends_nothing() -> None:
    class Lost(Tree):
        async def consistency(self, old: int, size: int) -> tuple[Sequence[bytes], int]:
            raise TileMissingError

    assert await left(TREE.at(4)).looked(Lost(9)) == (Outcome.FOUND, ["evidence log"])
