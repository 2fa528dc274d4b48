"""A database that was put back does not make a log sign a second history under its name."""

import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from igstats_audit.config import AuditConfig
from igstats_audit.errors import LogForkedError, LogPutBackError
from igstats_audit.key_store import DataKeyTable
from igstats_audit.keys import DataKeys
from igstats_audit.keystore import FileKeyStore
from igstats_audit.last_signed import LastSigned
from igstats_audit.logs import Logs, note_signers, one_log
from igstats_audit.model import Log
from igstats_audit.monitor.heads import Keys
from igstats_audit.monitor.memory import Memory
from igstats_audit.monitor.store import SqlRows
from igstats_audit.monitor.trust import trusted
from igstats_audit.note import NoteSigner
from igstats_audit.renaming import NameTakenError, announcement, rename
from igstats_audit.store import SqlLog
from igstats_client.merkle import check_inclusion, leaf_hash
from igstats_client.note import open_note, parse_checkpoint, parse_verifier_key
from igstats_kit.clock import SystemClock
from igstats_kit.config import ServiceConfig
from igstats_kit.errors import DomainError
from igstats_kit.sql import Database
from igstats_kit.testing.processes import Child, Program

from tests.integration.audit.conftest import World, entry, new_pem, running, signer

MakeConfig = Callable[[str], Awaitable[ServiceConfig]]
TABLES = ("heads", "evidence_entries", "entry_ids", "log_days", "tiles", "access_entries", "calls")


def last_signed(world: World, logs: Logs, log: Log = Log.EVIDENCE) -> LastSigned:
    one = logs[log]
    return LastSigned(world.folder / "keys", log, one.signer.name, one.proofs, one.sequencer)


async def grow(world: World, logs: Logs, names: Iterator[str]) -> None:
    async with world.writing(logs):
        await logs.evidence.sequencer.append([entry(name) for name in names])


def names(first: int, after: int) -> Iterator[str]:
    return (f"e{number}" for number in range(first, after))


async def back_up(world: World) -> None:
    for table in TABLES:
        await world.tell(f"CREATE TABLE backup_{table} AS SELECT * FROM {table}")  # noqa: S608 - our own names


async def put_back(world: World) -> None:
    for table in TABLES:
        await world.tell(f"DELETE FROM {table}")  # noqa: S608 - our own names
        await world.tell(f"INSERT INTO {table} SELECT * FROM backup_{table}")  # noqa: S608 - our own names


async def signed(world: World, first: int, after: int) -> None:
    """A process that appends entries and writes down what it signed."""
    logs = world.open()
    await grow(world, logs, names(first, after))
    await last_signed(world, logs).keep()


async def test_a_log_that_goes_on_is_accepted_also_when_another_process_was_further(world: World) -> None:
    await last_signed(world, world.open()).require_continued()  # nobody has signed anything
    await signed(world, 0, 3)
    await last_signed(world, world.open()).require_continued()
    await grow(world, world.open(), names(3, 300))  # killed before it could write that down
    await last_signed(world, world.open()).require_continued()


async def test_a_log_that_has_lost_entries_is_refused(world: World) -> None:
    await signed(world, 0, 3)
    await back_up(world)
    await signed(world, 3, 5)
    await put_back(world)
    with pytest.raises(LogPutBackError, match=r"has 3 entries, and 5 were signed: see .*/audit-restored\.md"):
        await last_signed(world, world.open()).require_continued()


@pytest.mark.parametrize("after", [5, 400])
async def test_a_log_that_holds_other_entries_is_refused(world: World, after: int) -> None:
    await signed(world, 0, 3)
    await back_up(world)
    await signed(world, 3, 5)
    await put_back(world)
    await grow(world, world.open(), (f"other-{number}" for number in range(3, after)))
    with pytest.raises(LogPutBackError, match="holds others than the first 5 entries that were signed"):
        await last_signed(world, world.open("other-tiles")).require_continued()


async def test_a_slower_process_does_not_write_down_less_than_another_has_signed(world: World) -> None:
    slow = world.open()
    await grow(world, slow, names(0, 3))
    await signed(world, 3, 5)
    await last_signed(world, slow).keep()
    kept = (world.folder / "keys" / "evidence.signed").read_text()
    assert kept == (await world.evidence.store.head()).checkpoint


async def test_what_cannot_be_written_down_waits_and_what_is_no_checkpoint_is_named(world: World) -> None:
    logs = world.open()
    await grow(world, logs, names(0, 1))
    file = world.folder / "keys" / "evidence.signed"
    file.mkdir()
    with pytest.raises(DomainError, match="DEPENDENCY_UNAVAILABLE"):
        await last_signed(world, logs).keep()
    file.rmdir()
    file.write_text("half a che")
    with pytest.raises(LogPutBackError, match="which is no checkpoint"):
        await last_signed(world, logs).require_continued()


def renamed(world: World, pem: bytes | None = None) -> tuple[NoteSigner, SqlLog]:
    new = NoteSigner("igstats.test/after/evidence", new_pem() if pem is None else pem)
    return new, SqlLog(world.database, Log.EVIDENCE, world.keys)


async def test_under_another_name_a_log_goes_on_and_says_what_it_was(world: World) -> None:
    await signed(world, 0, 3)
    await back_up(world)
    await signed(world, 3, 5)
    await put_back(world)
    new, heads = renamed(world)
    old = await rename(heads, new)
    assert old is not None
    assert await rename(heads, new) is None
    log = one_log(Log.EVIDENCE, world.database, world.keys, new, world.clock, world.folder / "after")
    await LastSigned(world.folder / "keys", Log.EVIDENCE, new.name, log.proofs, log.sequencer).require_continued()
    async with running(log.sequencer) as sequencer:
        done = await sequencer.append([announcement(Log.EVIDENCE, old, new.name, world.clock.now())])
    (told,) = done.acknowledgements
    found = await log.proofs.entry(told.index)
    said = json.loads(found.payload)
    before = parse_checkpoint(open_note(said["last_checkpoint"], parse_verifier_key(signer(Log.EVIDENCE).verifier_key)))
    now = parse_checkpoint(open_note(done.checkpoint, parse_verifier_key(new.verifier_key)))
    assert (said["name"], before.size, now.origin, now.size) == (new.name, 3, new.name, 4)
    check_inclusion(leaf_hash(found.leaf), told.index, now.size, told.path, now.root)


async def test_who_still_writes_under_the_old_name_ends(world: World) -> None:
    new, heads = renamed(world)
    async with world.writing() as logs:
        await logs.evidence.sequencer.append([entry("e0")])
        assert await rename(heads, new) is not None
        with pytest.raises(DomainError, match="DEPENDENCY_UNAVAILABLE"):
            await logs.evidence.sequencer.append([entry("e1")])
    with pytest.raises(LogForkedError):
        await world.open().evidence.sequencer.open()
    head = await world.evidence.store.head()
    assert (head.tree.size, head.checkpoint.partition("\n")[0]) == (1, new.name)


async def test_a_name_does_not_change_its_key_and_a_log_that_is_written_to_does_not_change_its_name(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await signed(world, 0, 3)
    _, heads = renamed(world)
    with pytest.raises(NameTakenError, match="set another IGSTATS_AUDIT_LOG_ORIGIN"):
        await rename(heads, NoteSigner(signer(Log.EVIDENCE).name, new_pem()))
    earlier = await heads.head()
    await signed(world, 3, 4)

    async def seen_before() -> object:
        return earlier

    monkeypatch.setattr(heads, "head", seen_before)
    with pytest.raises(NameTakenError, match="stop the audit service first"):
        await rename(heads, renamed(world)[0])


async def believed(settings: AuditConfig, memories: dict[Log, Memory]) -> None:
    """The monitor takes the new keys without having lost its memory."""
    database = Database(settings.database_url)
    keys = DataKeys(FileKeyStore(settings.key_directory), DataKeyTable(database), SystemClock())
    for log, key in note_signers(settings).items():
        rows, given = SqlRows(database, log, keys), Keys.of(key.verifier_keys)
        assert await trusted(rows, memories[log], given) == (given, [])
        other = Keys.of(NoteSigner("igstats.test/elsewhere", new_pem()).verifier_keys)
        assert [one.kind for one in (await trusted(rows, memories[log], other))[1]] == ["KEYS_CHANGED"]
        assert memories[log].keys == key.verifier_keys
    await database.close()


async def test_the_command_renames_both_logs_and_says_so_once(
    config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await config("audit")
    settings = AuditConfig.load()
    logs = Database(settings.database_url)
    for log, key in note_signers(settings).items():
        keys = DataKeys(FileKeyStore(settings.key_directory), DataKeyTable(logs), SystemClock())
        await one_log(log, logs, keys, key, SystemClock(), tmp_path).sequencer.open()
    await logs.close()
    memories = {log: Memory.new(log) for log in Log}
    for log, key in note_signers(settings).items():
        memories[log].keys = key.verifier_keys
    monkeypatch.setenv("IGSTATS_AUDIT_LOG_ORIGIN", "igstats.test/after")
    said = []
    for attempt in range(2):
        program = Program("audit", [sys.executable, "-m", "igstats_audit", "rename-logs"], tmp_path / f"log-{attempt}")
        assert await (await Child.start(program)).wait() == 0, program.log.read_text()
        said.append([json.loads(line) for line in program.log.read_text().splitlines()])
    assert [line["name"] for line in said[0]] == ["igstats.test/after/evidence", "igstats.test/after/access"]
    assert said[1] == []
    await believed(AuditConfig.load(), memories)
    program = Program("audit", [sys.executable, "-m", "igstats_audit", "verifier-keys"], tmp_path / "keys")
    assert await (await Child.start(program)).wait() == 0
    signers = note_signers(AuditConfig.load()).values()
    assert program.log.read_text().split() == [key for one in signers for key in one.verifier_keys]
