"""A log as the service serves it to those who check it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from igstats_audit import proof_file, tile_path
from igstats_audit.logs import Logs
from igstats_audit.note import NoteSigner

from tests.integration.audit.conftest import World, call

COMMIT = 6_000


@dataclass(frozen=True)
class Log:
    """A log as it was served at one moment."""

    signer: NoteSigner
    note: str
    leaves: Mapping[int, bytes]
    files: Mapping[str, bytes]
    proofs: Mapping[int, str]

    @property
    def checkpoint(self) -> str:
        return self.files["checkpoint"].decode()

    @property
    def text(self) -> str:
        return self.note.partition("\n\n")[0] + "\n"

    @property
    def size(self) -> int:
        return int(self.text.split("\n")[1])

    def write(self, folder: Path) -> Path:
        for name, content in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return folder

    def proof(self, index: int, note: str) -> str:
        """The proof of an entry with another note of the same checkpoint."""
        return self.proofs[index].replace(self.checkpoint, note)


async def served_log(logs: Logs, first: int, places: Sequence[int]) -> Log:
    """All that the service serves of the access log; nothing that holds only entries before the first one."""
    access = logs.access
    head = await access.store.head()
    names = ["checkpoint"]
    for tile in tile_path.tiles(head.tree.size):
        if tile.level or tile.place * tile_path.TILE_WIDTH + tile.width > first:
            names.append(tile_path.written(tile))
            if tile.level == 0:
                names.append(tile_path.entries_path(tile.place, tile.width))
    files = {name: (await access.files.file(name))[0] for name in names}
    checkpoint, proofs = files["checkpoint"].decode(), {}
    for index in places:
        path, _, _ = await access.proofs.inclusion(index, 0)
        proofs[index] = proof_file.write(index, path, checkpoint)
    leaves = {index: (await access.proofs.entry(index)).leaf for index in places}
    return Log(access.signer, head.checkpoint, leaves, files, proofs)


async def grow(world: World, start: int, end: int) -> None:
    """Calls come in, a few thousand in a commit."""
    for first in range(start, end, COMMIT):
        await world.call(*(call(f"req_{number}") for number in range(first, min(end, first + COMMIT))))
