"""What a witness has signed outlives the next commit and the process, and is used only where it is true."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from igstats_audit.cosigned import Cosigned
from igstats_audit.model import Log as Which
from igstats_audit.note import Checkpoint, NoteSigner, read_checkpoint
from igstats_client.checkpoint import open_checkpoint, trust

from tests.unit.audit.test_proofs import entry, fill, proofs_of
from tests.unit.audit.test_witness import VKEY, cosignature

Log = Any
"""MemoryLog of conftest.py."""

FILE = "evidence.cosigned"


class Kept:
    """A log of so many entries, and what is kept of its witness."""

    def __init__(self, log: Log, signer: NoteSigner, folder: Path) -> None:
        self.log, self.signer, self.folder = log, signer, folder

    def open(self) -> Cosigned:
        """As another process has it."""
        return Cosigned(self.folder, Which.EVIDENCE, proofs_of(self.log), self.signer)

    async def sign(self, size: int) -> Checkpoint:
        """Lets the witness sign the tree of a size."""
        checkpoint = Checkpoint(self.signer.name, size, (await proofs_of(self.log).tree(size)).root)
        await self.open().keep(checkpoint, [cosignature(checkpoint)])
        return checkpoint

    async def covering(self, index: int) -> Any:
        return await self.open().covering(index, self.log.newest)


@pytest.fixture
async def kept(memory_log: Log, note_signer: NoteSigner, tmp_path: Path) -> Kept:
    await fill(memory_log, note_signer, [entry(f"e{number}") for number in range(9)])
    return Kept(memory_log, note_signer, tmp_path)


async def test_a_cosigned_checkpoint_is_there_for_other_processes_after_the_log_has_grown(kept: Kept) -> None:
    checkpoint = await kept.sign(6)
    seal = await kept.covering(5)
    trusted = trust([kept.signer.verifier_key], witnesses=[VKEY], quorum=1)
    assert open_checkpoint(seal.checkpoint + seal.cosignatures, trusted).size == 6
    assert (seal.tree.size, seal.tree.root) == (6, checkpoint.root)
    assert await kept.covering(6) is None, "it does not have this entry"


async def test_only_a_larger_one_takes_its_place(kept: Kept) -> None:
    await kept.sign(6)
    await kept.sign(4)
    assert (await kept.covering(0)).tree.size == 6
    await kept.sign(9)
    assert (await kept.covering(0)).tree.size == 9


async def test_without_one_there_is_none(kept: Kept) -> None:
    assert await kept.covering(0) is None


async def test_the_log_signs_no_tree_of_a_file_that_is_not_its_own(kept: Kept) -> None:
    await kept.sign(6)
    file = kept.folder / FILE
    forged = Checkpoint(kept.signer.name, 6, b"r" * 32)
    for content in (
        f"{forged.text}\n{cosignature(forged)}",
        file.read_text().replace("igstats.test/evidence", "igstats.test/other"),
        file.read_text().replace("\n6\n", "\n06\n"),
        "",
    ):
        file.write_text(content)
        assert await kept.covering(0) is None
    await kept.sign(7)
    file.write_bytes(b"\xff")
    assert await kept.covering(0) is None


async def test_one_of_a_larger_tree_than_the_log_has_is_not_used(kept: Kept) -> None:
    await kept.sign(9)
    kept.log.newest = replace(kept.log.newest, tree=await proofs_of(kept.log).tree(8))
    assert await kept.covering(0) is None


async def test_a_log_under_another_name_begins_anew(kept: Kept) -> None:
    await kept.sign(9)
    (kept.folder / FILE).write_text((kept.folder / FILE).read_text().replace(kept.signer.name, "igstats.test/before"))
    await kept.sign(5)
    assert read_checkpoint((kept.folder / FILE).read_text()).size == 5


async def test_a_folder_that_does_not_take_it_ends_nothing(kept: Kept) -> None:
    kept.folder = kept.folder / "gone"
    await kept.sign(6)
    assert await kept.covering(0) is None
