from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from igstats_audit.checks.history import Signed
from igstats_audit.checks.logs import Growth, LogStates, OpenFinding, Watched, consistency, extends, looks
from igstats_audit.checks.report import Looked, NotPossibleError, Outcome, Severity, concluded
from igstats_audit.errors import TileMissingError
from igstats_audit.model import Head
from igstats_audit.tree import Node, Range, consistency_spans, grow, leaf_hash, nodes_of, path
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


async def states(tree: Tree, before: Mapping[str, Signed]) -> LogStates:
    async def last() -> Mapping[str, Signed]:
        return before

    made = LogStates({"evidence": tree}, last)
    await made.read()
    return made


async def test_the_next_audit_compares_with_what_this_one_saw() -> None:
    assert (await states(TREE, {})).seen == {"evidence": TREE.at(MOST)}
    assert (await states(TREE, {"evidence": TREE.at(7)})).seen == {"evidence": TREE.at(MOST)}


async def test_a_fork_is_found_and_never_becomes_the_base_of_the_next_audit() -> None:
    before = {"evidence": Tree(9, b"other").at(9)}
    forked = await states(TREE, before)
    found = await looks(forked.read, None, CLOCK)["log.consistency"]()
    assert [finding.place for finding in found.findings] == ["evidence log"]
    assert forked.seen == before


async def no_growth() -> Sequence[Growth]:
    return []


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

    states_of = await states(Lost(9), {"evidence": TREE.at(4)})
    assert states_of.seen == {"evidence": TREE.at(4)}
