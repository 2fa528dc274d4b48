"""What must hold of logs whose writers were killed, and what does not."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from igstats_audit.logs import OneLog
from igstats_audit.model import Log
from igstats_audit.tree import Range, grow
from igstats_client.forms import Refusal
from igstats_client.merkle import check_consistency, check_inclusion, leaf_hash
from igstats_client.note import Checkpoint, open_note, parse_checkpoint, parse_verifier_key

from tests.integration.audit.conftest import World


@dataclass(frozen=True)
class Acknowledged:
    """What somebody was told about their entry."""

    entry_id: str
    index: int
    path: Sequence[bytes]
    checkpoint: str


@dataclass(frozen=True)
class Followed:
    """How far somebody had followed the stream of calls, and the checkpoint that they read after that."""

    position: int
    checkpoint: str


Word = Acknowledged | Followed


@dataclass
class Findings:
    """What is wrong with logs: nothing, when all lists are empty."""

    lost: list[str] = field(default_factory=list)
    forks: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


async def look(
    world: World,
    told: Sequence[Word],
    calls_at: Callable[[int], Sequence[str]],
    keys: Mapping[Log, str] | None = None,
) -> Findings:
    """Compares both logs with what was told.

    `calls_at` names the calls of a position of the stream. `keys` verify what the logs sign, if it is not the world.
    """
    found, keys = Findings(), keys or {log: world.logs[log].signer.verifier_key for log in Log}
    evidence = [word for word in told if isinstance(word, Acknowledged)]
    access = [word for word in told if isinstance(word, Followed)]
    opened = {}
    for log, words in ((Log.EVIDENCE, evidence), (Log.ACCESS, access)):
        head = await world.logs[log].store.head()
        opened[log] = _opened([head.checkpoint, *(word.checkpoint for word in words)], keys[log], found)
    await _look_at_entries(world, evidence, opened[Log.EVIDENCE], found)
    await _look_at_calls(world, max((word.position for word in access), default=0), calls_at, found)
    for log, checkpoints in opened.items():
        await _look_at_tree(world.logs[log], checkpoints.values(), found)
    return found


async def _look_at_entries(
    world: World, told: Sequence[Acknowledged], opened: dict[str, Checkpoint], found: Findings
) -> None:
    """Every acknowledged entry is where it was said to be, and the proof that came with it still holds."""
    size = (await world.evidence.store.head()).tree.size
    leaves = await world.evidence.store.leaves(0, size)
    rows = await world.ask("SELECT index AS at, entry_id FROM evidence_entries ORDER BY index")
    if [row.at for row in rows] != list(range(size)) or len({row.entry_id for row in rows}) != size:
        found.forks.append("entries have gaps or doubles")
    entries = {row.at: row.entry_id for row in rows}
    for one in told:
        if entries.get(one.index) != one.entry_id:
            found.lost.append(f"{one.entry_id} is not where it was said to be")
        elif at := opened.get(one.checkpoint):
            try:
                check_inclusion(leaf_hash(leaves[one.index]), one.index, at.size, one.path, at.root)
            except Refusal as refusal:
                found.broken.append(f"the proof of {one.entry_id}: {refusal}")


async def _look_at_calls(
    world: World, position: int, calls_at: Callable[[int], Sequence[str]], found: Findings
) -> None:
    """The log has followed the stream to this position at least, and has its calls: each once, in order, no other."""
    head = await world.access.store.head()
    rows = await world.ask("SELECT index AS at, call_id FROM calls ORDER BY index")
    kept = [row.call_id for row in rows]
    missing = {call_id for at in range(1, position + 1) for call_id in calls_at(at)}.difference(kept)
    found.lost += sorted(missing)
    if head.stream_sequence < position:
        found.lost.append(f"the log is at {head.stream_sequence} of the stream, and was at {position}")
    if kept != [call_id for at in range(1, head.stream_sequence + 1) for call_id in calls_at(at)]:
        found.forks.append("the log has not the calls of its position, each once")
    if [row.at for row in rows] != list(range(head.tree.size)):
        found.forks.append("calls have gaps or doubles")


async def _look_at_tree(log: OneLog, checkpoints: Iterable[Checkpoint], found: Findings) -> None:
    """The head is the tree of the leaves, and continues every checkpoint that somebody was shown."""
    head = await log.store.head()
    size, root = head.tree.size, head.tree.root
    if grow(Range(), list(map(leaf_hash, await log.store.leaves(0, size)))).after.root != root:
        found.forks.append(f"the head of {log.store.log} is not the tree of its leaves")
    for old in {(one.size, one.root) for one in checkpoints if one.size}:
        if old[0] > size:
            found.forks.append(f"{log.store.log} ends before size {old[0]}")
            continue
        path, _ = await log.proofs.consistency(old[0], size)
        try:
            check_consistency(*old, size, root, path)
        except Refusal as refusal:
            found.forks.append(f"{log.store.log} does not continue size {old[0]}: {refusal}")


def _opened(notes: Iterable[str], verifier_key: str, found: Findings) -> dict[str, Checkpoint]:
    """The checkpoints of notes that have been signed by this key."""
    key, opened = parse_verifier_key(verifier_key), {}
    for note in set(notes):
        try:
            opened[note] = parse_checkpoint(open_note(note, key))
        except Refusal as refusal:
            found.broken.append(f"a checkpoint: {refusal}")
    return opened
