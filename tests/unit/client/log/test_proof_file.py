"""A .tlog-proof file is read in its one form, and proves one leaf in one place."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_client.checkpoint import Trust, trust
from igstats_client.forms import Edge, Refusal
from igstats_client.merkle import leaf_hash
from igstats_client.proof_file import check, check_hash, parse

Written = Any
"""What conftest.py writes."""

HASH = base64.b64encode(b"h" * 32).decode()


def refused(edge: Edge) -> pytest.RaisesExc[Refusal]:
    return pytest.RaisesExc(Refusal, check=lambda error: error.edge == edge)


@pytest.fixture(scope="module")
def trusted(small_log: Written) -> Trust:
    return trust(small_log.signer.verifier_keys, needed=2)


@given(index=st.integers(min_value=0, max_value=599), extra=st.none() | st.binary(max_size=40))
def test_every_proof_of_the_log_holds(small_log: Written, trusted: Trust, index: int, extra: bytes | None) -> None:
    text = small_log.proof(index, extra)
    assert check(text, small_log.leaves[index], trusted).size == 600
    assert check_hash(text, leaf_hash(small_log.leaves[index]), trusted).size == 600
    assert (parse(text).index, parse(text).extra) == (index, extra)


@given(index=st.integers(min_value=0, max_value=599), other=st.binary(max_size=40))
def test_a_proof_is_of_one_leaf(small_log: Written, trusted: Trust, index: int, other: bytes) -> None:
    if other == small_log.leaves[index]:
        return
    with refused(Edge.ROOT):
        check(small_log.proof(index), other, trusted)


def test_a_proof_is_of_one_place(small_log: Written, trusted: Trust) -> None:
    moved = small_log.proof(5).replace("index 5\n", "index 6\n")
    with refused(Edge.ROOT):
        check(moved, small_log.leaves[5], trusted)


@pytest.mark.parametrize(
    ("old", "new", "edge"),
    [
        ("@v1\n", "@v2\n", Edge.PROOF_HEADER),
        ("c2sp", " c2sp", Edge.PROOF_HEADER),
        ("index 5\n", "", Edge.PROOF_LINES),
        ("index 5\n", "index 5\nindex 5\n", Edge.BASE64),
        ("index 5\n", "Index 5\n", Edge.PROOF_LINES),
        ("index 5\n", "index\t5\n", Edge.PROOF_LINES),
        ("index 5\n", "index  5\n", Edge.DECIMAL),
        ("index 5\n", "index 05\n", Edge.DECIMAL),
        ("index 5\n", "index +5\n", Edge.DECIMAL),
        ("index 5\n", "index -5\n", Edge.DECIMAL),
        ("index 5\n", "index 5 \n", Edge.DECIMAL),
        ("index 5\n", "index 5\r\n", Edge.DECIMAL),
        ("index 5\n", "index \u0665\n", Edge.DECIMAL),
        ("index 5\n", f"index {2**63}\n", Edge.NUMBER_RANGE),
        ("index 5\n", "index 600\n", Edge.INDEX_OUTSIDE),
        ("index 5\n", "extra\nindex 5\n", Edge.PROOF_LINES),
        ("index 5\n", "extra *\nindex 5\n", Edge.BASE64),
        ("index 5\n", "extra QR==\nindex 5\n", Edge.BASE64_CANONICAL),
        ("index 5\n", "extra QQ==\nextra QQ==\nindex 5\n", Edge.PROOF_LINES),
        ("index 5\n", "index 5\nextra QQ==\n", Edge.BASE64),
        ("index 5\n", f"index 5\n{HASH}\n", Edge.PATH_EXTRA),
        ("index 5\n", f"index 5\n{HASH[:-2]}F=\n", Edge.BASE64_CANONICAL),
        ("index 5\n", "index 5\nQQ==\n", Edge.HASH_LENGTH),
        ("index 5\n", "index 5\n" + f"{HASH}\n" * 64, Edge.PATH_EXTRA),
        ("index 5\n", "index 5\n\n", Edge.CHECKPOINT_LINES),
        ("\n\nigstats", "\nigstats", Edge.BASE64),
        ("\nigstats", "\n\nigstats", Edge.CHECKPOINT_LINES),
        ("\n600\n", "\n0\n", Edge.SIGNATURE_WRONG),
        ("\n600\n", "\n601\n", Edge.SIGNATURE_WRONG),
        ("igstats.test/evidence\n600", "igstats.test/other\n600", Edge.ORIGIN),
    ],
)
def test_proofs_out_of_form_are_refused(small_log: Written, trusted: Trust, old: str, new: str, edge: Edge) -> None:
    text = small_log.proof(5)
    assert old in text
    with refused(edge):
        check(text.replace(old, new, 1), small_log.leaves[5], trusted)


def test_a_path_without_one_of_its_hashes_is_refused(small_log: Written, trusted: Trust) -> None:
    lines = small_log.proof(5).split("\n")
    for at in range(2, lines.index("")):
        with refused(Edge.PATH_MISSING):
            check("\n".join(lines[:at] + lines[at + 1 :]), small_log.leaves[5], trusted)


def test_a_proof_without_final_newline_is_refused(small_log: Written, trusted: Trust) -> None:
    with refused(Edge.FINAL_NEWLINE):
        check(small_log.proof(5).rstrip("\n"), small_log.leaves[5], trusted)


@pytest.mark.parametrize("text", ["", "\n", "\n\n", "c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v1\nindex 0\n"])
def test_half_a_proof_is_refused(small_log: Written, trusted: Trust, text: str) -> None:
    with pytest.raises(Refusal):
        check(text, small_log.leaves[0], trusted)


def test_an_endless_proof_is_refused() -> None:
    with refused(Edge.TOO_LONG):
        parse("c2sp.org/tlog-proof@v1\nindex 0\n" + "A" * (1 << 22))


def test_an_empty_log_proves_nothing(write_log: Any) -> None:
    empty = write_log([])
    text = f"c2sp.org/tlog-proof@v1\nindex 0\n\n{empty.checkpoint}"
    with refused(Edge.SIZE_ZERO):
        check(text, b"", trust(empty.signer.verifier_keys))
