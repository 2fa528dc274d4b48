"""The verifier's tree against the log's, which is another implementation, and against every malformed proof."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_audit import tree
from igstats_client.merkle import ProofError, leaf_hash, root_of

SIZES = st.integers(min_value=1, max_value=300)


def grown(size: int) -> tree.Growth:
    return tree.grow(tree.Range(), [leaf_hash(str(number).encode()) for number in range(size)])


@given(st.data(), SIZES)
def test_proofs_of_the_log_lead_to_its_root(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(min_value=0, max_value=size - 1))
    growth = grown(size)
    assert root_of(leaf_hash(str(index).encode()), index, size, growth.inclusion(index)) == growth.after.root


@given(st.data(), st.integers(min_value=2, max_value=300))
def test_a_changed_proof_never_leads_to_the_root(data: st.DataObject, size: int) -> None:
    growth = grown(size)
    index = data.draw(st.integers(min_value=0, max_value=size - 1))
    path = growth.inclusion(index)
    place = data.draw(st.integers(min_value=0, max_value=len(path) - 1))
    change = data.draw(st.sampled_from(["flip", "drop", "double", "index", "size", "short"]))
    leaf = leaf_hash(str(index).encode())
    if change == "flip":
        path[place] = hashlib.sha256(path[place]).digest()
    elif change == "drop":
        del path[place]
    elif change == "double":
        path.insert(place, path[place])
    elif change == "short":
        path[place] = path[place][:-1]
    elif change == "index":
        index = (index + data.draw(st.integers(min_value=1, max_value=size - 1))) % size
    else:
        size += data.draw(st.integers(min_value=1, max_value=300)) << 1
    try:
        assert root_of(leaf, index, size, path) != growth.after.root or change == "size"
    except ProofError:
        return


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 1), (1, 1), (5, 4), (2**63, 2**63)])
def test_an_index_outside_the_tree_is_refused(index: int, size: int) -> None:
    with pytest.raises(ProofError, match="not in a tree"):
        root_of(b"l" * 32, index, size, [])


@pytest.mark.parametrize("path", [[b""], [b"x" * 31], [b"x" * 33]])
def test_hashes_that_are_not_32_bytes_are_refused(path: list[bytes]) -> None:
    with pytest.raises(ProofError, match="32 bytes"):
        root_of(b"l" * 32, 0, 2, path)
    with pytest.raises(ProofError, match="32 bytes"):
        root_of(b"short", 0, 2, [b"x" * 32])


def test_extra_and_missing_hashes_are_refused() -> None:
    with pytest.raises(ProofError, match="extra"):
        root_of(b"l" * 32, 0, 1, [b"x" * 32])
    with pytest.raises(ProofError, match="lacks"):
        root_of(b"l" * 32, 0, 2, [])


def test_the_hashes_are_those_of_rfc_6962() -> None:
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
