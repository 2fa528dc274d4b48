"""The .tlog-proof file as C2SP lays it out."""

import base64

import pytest
from igstats_audit.note import Checkpoint, NoteSigner
from igstats_audit.proof_file import write


@pytest.fixture(scope="module")
def checkpoint(note_signer: NoteSigner) -> str:
    return note_signer.sign(Checkpoint(note_signer.name, 3, b"r" * 32).text)


def test_a_proof_is_header_index_path_and_the_checkpoint_verbatim(checkpoint: str) -> None:
    one, two = (base64.b64encode(part * 32).decode() for part in (b"a", b"b"))
    assert write(2, [b"a" * 32, b"b" * 32], checkpoint) == (
        f"c2sp.org/tlog-proof@v1\nindex 2\n{one}\n{two}\n\n{checkpoint}"
    )


def test_a_tree_of_one_entry_has_an_empty_path(checkpoint: str) -> None:
    assert write(0, [], checkpoint) == f"c2sp.org/tlog-proof@v1\nindex 0\n\n{checkpoint}"


def test_extra_data_stands_before_the_index(checkpoint: str) -> None:
    assert write(0, [], checkpoint, b"leaf").split("\n")[:3] == ["c2sp.org/tlog-proof@v1", "extra bGVhZg==", "index 0"]


@pytest.mark.parametrize(
    ("index", "path", "note"),
    [(-1, [], "t\n\n— n c2ln\n"), (0, [b"short"], "t\n\n— n c2ln\n"), (0, [b"h" * 32] * 64, "t\n\n— n c2ln\n")],
)
def test_what_no_tree_can_prove_is_not_written(index: int, path: list[bytes], note: str) -> None:
    with pytest.raises(ValueError, match="proof"):
        write(index, path, note)


@pytest.mark.parametrize("note", ["", "log\n1\nroot\n", "log\n1\nroot\n\n— log c2ln"])
def test_a_checkpoint_that_nobody_signed_is_not_written(note: str) -> None:
    with pytest.raises(ValueError, match="checkpoint"):
        write(0, [], note)
