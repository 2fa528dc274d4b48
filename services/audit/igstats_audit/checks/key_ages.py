"""Since when each key file has had its content, in a file outside of the database.

A secret that is mounted is as old as its mount: with every start of a pod a key of ten years looks new. What is kept is
no key: a digest of what the file holds, beside the keys of the day.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from igstats_audit import durable
from igstats_audit.checks.key_files import KeyFile
from igstats_audit.checks.report import NotPossibleError

AGES = "key-ages.json"


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a key file held, and since when."""

    digest: str
    since: datetime


def sighted(file: KeyFile, digest: str, before: Sighting | None) -> Sighting:
    """Since when a file holds what it holds now."""
    same = before is not None and before.digest == digest
    return Sighting(digest, min(file.modified_at, before.since) if before is not None and same else file.modified_at)


class KeyAges:
    """Remembers the key files from one audit to the next."""

    def __init__(self, directory: Path, paths: Mapping[str, Path]) -> None:
        self._path = directory / AGES
        self._paths = paths

    async def of(self, files: Sequence[KeyFile]) -> Sequence[KeyFile]:
        """The files as old as they are, and remembers them; what it knew of those that are not there now it keeps.

        A folder is as old as it says.

        Raises:
            NotPossibleError: What was remembered cannot be read, or not be kept.
        """
        return await asyncio.to_thread(self._of, files)

    def _of(self, files: Sequence[KeyFile]) -> Sequence[KeyFile]:
        seen = self._read()
        now = {
            one.setting: sighted(one, _digest(one.setting, path), seen.get(one.setting))
            for one in files
            if (path := self._paths[one.setting]).is_file()
        }
        if {**seen, **now} != seen:
            self._write({**seen, **now})
        return [replace(one, modified_at=now[one.setting].since) if one.setting in now else one for one in files]

    def _read(self) -> Mapping[str, Sighting]:
        try:
            said = json.loads(self._path.read_bytes())
            return {name: Sighting(one["digest"], _moment(one["since"])) for name, one in said.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            why = f"{AGES} in KEY_DIRECTORY cannot be read ({type(error).__name__}): find out who changed it"
            raise NotPossibleError(why) from error

    def _write(self, seen: Mapping[str, Sighting]) -> None:
        said = {name: {"digest": one.digest, "since": one.since.isoformat()} for name, one in seen.items()}
        try:
            durable.replace(self._path, json.dumps(said).encode())
        except OSError as error:
            raise NotPossibleError(f"{AGES} in KEY_DIRECTORY cannot be written: {type(error).__name__}") from error


def _digest(setting: str, path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise NotPossibleError(f"{setting} cannot be read ({type(error).__name__}): see that audit may") from error


def _moment(said: str) -> datetime:
    moment = datetime.fromisoformat(said)
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment
