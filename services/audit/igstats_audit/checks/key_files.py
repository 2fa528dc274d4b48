"""Key files: their age, and who may read or replace them; and the key of the day, which must not outlive its day."""

import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from igstats_kit.clock import Clock
from ulid import ULID

from igstats_audit.checks.report import Finding, Look, Looked, NotPossibleError, Severity, evidence

OLDEST = timedelta(days=365)
DAY_KEY_OLDEST = timedelta(hours=26)  # a day, an hour until the worker looks, an hour of work
DAY_KEYS = 2  # one in use, and for a moment the one that it follows

_OTHERS, _GROUP, _GROUP_WRITES, _OTHERS_WRITE, _STICKY = 0o007, 0o070, 0o020, 0o002, 0o1000
_ROOT = 0


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A key file, or a folder of them, by the setting that names it."""

    setting: str
    modified_at: datetime
    mode: int
    ours: bool

    @property
    def octal(self) -> str:
        """The mode bits as people write them."""
        return f"{self.mode:04o}"


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder on the way to a key file, so many steps above it: whoever may write there can put another key in place.

    `safe_owner`: root or audit. `our_group`: the folder is not audit's own, and its group is one of audit's process, as
    a volume that is mounted for it comes.
    """

    setting: str
    above: int
    mode: int
    safe_owner: bool
    our_group: bool

    @property
    def is_open(self) -> bool:
        """Whether somebody may rename what is in it: where the sticky bit is set only the owner of a thing may."""
        writers = _OTHERS_WRITE if self.our_group else _OTHERS_WRITE | _GROUP_WRITES
        return not self.safe_owner or bool(self.mode & writers and not self.mode & _STICKY)


@dataclass(frozen=True, slots=True)
class DayKey:
    """A key of the day in the key store."""

    kek_id: str
    made_at: datetime


ReadAges = Callable[[Sequence[KeyFile]], Awaitable[Sequence[KeyFile]]]


def age(files: Sequence[KeyFile], now: datetime) -> Iterator[Finding]:
    """Keys that nobody has renewed for a long time."""
    for file in files:
        if now - file.modified_at > OLDEST:
            text = f"unchanged for more than {OLDEST.days} days: plan its rotation (SECURITY.md says which can rotate)"
            seen = evidence(since=file.modified_at, age_days=(now - file.modified_at).days)
            yield Finding(Severity.LOW, file.setting, text, seen)


def permissions(files: Sequence[KeyFile]) -> Iterator[Finding]:
    """Keys that others may read or change. A mounted secret is not ours, and reaches us by its group."""
    for file in files:
        seen = evidence(mode=file.octal, owner="audit" if file.ours else "another user")
        if file.mode & _OTHERS:
            text = "open to every user of the machine: chmod o=, then rotate the key"
            yield Finding(Severity.HIGH, file.setting, text, seen)
        elif file.mode & _GROUP_WRITES:
            yield Finding(Severity.HIGH, file.setting, "its group may replace it: chmod g-w, then look who did", seen)
        elif file.ours and file.mode & _GROUP:
            yield Finding(Severity.MEDIUM, file.setting, "its group may read it: chmod g=, then rotate the key", seen)


def ways(folders: Sequence[Folder]) -> Iterator[Finding]:
    """Folders above a key file in which somebody else may put another one in its place."""
    for folder in folders:
        if folder.is_open:
            text = "others may replace it, by a folder above it: chmod go-w that, chown it to root or audit, and rotate"
            owner = "root or audit" if folder.safe_owner else "another user"
            seen = evidence(folders_above=folder.above, mode=f"{folder.mode:04o}", owner=owner)
            yield Finding(Severity.HIGH, folder.setting, text, seen)


def day_keys(keys: Sequence[DayKey], now: datetime) -> Iterator[Finding]:
    """Keys of the day that should be gone: while they live, what was erased still opens in a backup."""
    if not keys:
        text = "there is no key of the day: no entry can be sealed; look at the log of the rotation worker"
        yield Finding(Severity.HIGH, "key store", text, evidence(keys=0))
    for key in keys:
        if now - key.made_at > DAY_KEY_OLDEST:
            hours = (now - key.made_at) // timedelta(hours=1)
            text = "older than a day: erased keys are not dead in backups yet; look at the log of the rotation worker"
            yield Finding(Severity.HIGH, key.kek_id, text, evidence(made=key.made_at, age_hours=hours))
    if len(keys) > DAY_KEYS:
        text = "more keys of the day than one and its successor: a rotation does not end; look at its log"
        yield Finding(Severity.MEDIUM, "key store", text, evidence(keys=len(keys)))


def read_files(paths: Mapping[str, Path]) -> tuple[list[KeyFile], list[str]]:
    """The files as they are now, by setting; and those that cannot be looked at."""
    found, blind = [], []
    for setting, path in paths.items():
        try:
            state = path.stat()
        except OSError as error:
            blind.append(f"{setting} ({type(error).__name__}): see that the file is there")
            continue
        modified = datetime.fromtimestamp(state.st_mtime, UTC)
        found.append(KeyFile(setting, modified, state.st_mode & 0o777, state.st_uid == os.geteuid()))
    return found, blind


def read_folders(paths: Mapping[str, Path]) -> tuple[list[Folder], list[str]]:
    """The folders above the files, by the way that the setting names and by the one that its links lead to."""
    found, blind = [], []
    for setting, path in paths.items():
        try:
            there = {(above, one) for way in (path.absolute(), path.resolve()) for above, one in _above(way)}
            found += [_folder(setting, above, one) for above, one in sorted(there)]
        except OSError as error:
            blind.append(f"the folders above {setting} ({type(error).__name__}): let audit look into them")
    return found, blind


def _above(path: Path) -> Iterator[tuple[int, Path]]:
    return enumerate(path.parents, 1)


def _folder(setting: str, above: int, path: Path) -> Folder:
    state = path.stat()
    ours = state.st_uid == os.geteuid()
    group = not ours and state.st_gid in {os.getegid(), *os.getgroups()}
    return Folder(setting, above, state.st_mode & 0o7777, ours or state.st_uid == _ROOT, group)


def read_day_keys(ids: Sequence[str]) -> list[DayKey]:
    """The keys of the store; their ids tell when they were made."""
    return [DayKey(kek_id, ULID.from_str(kek_id.removeprefix("kek_").upper()).datetime) for kek_id in ids]


def looks(
    paths: Mapping[str, Path], key_ids: Callable[[], Sequence[str]] | None, ages: ReadAges, clock: Clock
) -> dict[str, Look]:
    """The checks of this family by name; `paths` are all key files by setting, `ages` tells how old each really is."""

    async def of_age() -> Looked:
        files, blind = read_files(paths)
        return Looked(_scope(files), list(age(await ages(files), clock.now())), blind)

    async def of_permissions() -> Looked:
        files, blind = read_files(paths)
        folders, hidden = read_folders({file.setting: paths[file.setting] for file in files})
        scope = f"{_scope(files)}, and the folders above them"
        return Looked(scope, [*permissions(files), *ways(folders)], [*blind, *hidden])

    async def of_day_keys() -> Looked:
        if key_ids is None:
            raise NotPossibleError("there is no key store to look into")
        keys = read_day_keys(key_ids())
        return Looked(f"{len(keys)} keys of the day", list(day_keys(keys, clock.now())))

    return {"keys.age": of_age, "keys.permissions": of_permissions, "keys.day": of_day_keys}


def _scope(files: Sequence[KeyFile]) -> str:
    return f"key files of audit: {', '.join(file.setting for file in files) or 'none'}"
