"""The verifier's tree against the definitions of RFC 6962 and the published vectors, and against malformed proofs."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_client.forms import Edge
from igstats_client.merkle import ProofError, check_consistency, check_inclusion, leaf_hash, node_hash, root_of

# Leaves and roots of the test vectors that every implementation of Certificate Transparency shares.
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LARGEST = 150
HASHES = [leaf_hash(str(number).encode()) for number in range(LARGEST)]


def split(count: int) -> int:
    return 1 << ((count - 1).bit_length() - 1)


def root(hashes: list[bytes]) -> bytes:
    """MTH of section 2.1, as it is written there."""
    if len(hashes) == 1:
        return hashes[0]
    middle = split(len(hashes))
    return node_hash(root(hashes[:middle]), root(hashes[middle:]))


def inclusion(index: int, hashes: list[bytes]) -> list[bytes]:
    """PATH of section 2.1.1."""
    if len(hashes) == 1:
        return []
    middle = split(len(hashes))
    if index < middle:
        return [*inclusion(index, hashes[:middle]), root(hashes[middle:])]
    return [*inclusion(index - middle, hashes[middle:]), root(hashes[:middle])]


def consistency(old: int, hashes: list[bytes], *, whole: bool = True) -> list[bytes]:
    """PROOF of section 2.1.2."""
    if old == len(hashes):
        return [] if whole else [root(hashes)]
    middle = split(len(hashes))
    if old <= middle:
        return [*consistency(old, hashes[:middle], whole=whole), root(hashes[middle:])]
    return [*consistency(old - middle, hashes[middle:], whole=False), root(hashes[:middle])]


@st.composite
def places(draw: st.DrawFn, least: int = 1) -> tuple[int, int]:
    """An index in a tree, and the size of the tree."""
    size = draw(st.integers(min_value=least, max_value=LARGEST))
    return draw(st.integers(min_value=0, max_value=size - 1)), size


def refused(edge: Edge) -> pytest.RaisesExc[ProofError]:
    return pytest.RaisesExc(ProofError, check=lambda error: error.edge == edge)


def test_roots_are_those_of_the_published_vectors() -> None:
    hashes = [leaf_hash(bytes.fromhex(leaf)) for leaf in LEAVES]
    for size, expected in enumerate(ROOTS, start=1):
        for index in range(size):
            found = root_of(hashes[index], index, size, inclusion(index, hashes[:size]))
            assert found.hex() == expected
        for old in range(1, size + 1):
            old_root, new_root = bytes.fromhex(ROOTS[old - 1]), bytes.fromhex(expected)
            check_consistency(old, old_root, size, new_root, consistency(old, hashes[:size]))


@given(places())
def test_every_true_proof_of_inclusion_holds(place: tuple[int, int]) -> None:
    index, size = place
    check_inclusion(HASHES[index], index, size, inclusion(index, HASHES[:size]), root(HASHES[:size]))


@given(places())
def test_every_true_proof_of_consistency_holds(place: tuple[int, int]) -> None:
    old, size = place[0] + 1, place[1]
    check_consistency(old, root(HASHES[:old]), size, root(HASHES[:size]), consistency(old, HASHES[:size]))


@given(st.data(), places(least=2))
def test_a_changed_proof_of_inclusion_never_holds(data: st.DataObject, place: tuple[int, int]) -> None:
    index, size = place
    path = change(data, inclusion(index, HASHES[:size]))
    with pytest.raises(ProofError):
        check_inclusion(HASHES[index], index, size, path, root(HASHES[:size]))


@given(st.data(), places(least=2))
def test_a_changed_proof_of_consistency_never_holds(data: st.DataObject, place: tuple[int, int]) -> None:
    old, size = place[0] + 1, place[1]
    path = change(data, consistency(old, HASHES[:size]))
    with pytest.raises(ProofError):
        check_consistency(old, root(HASHES[:old]), size, root(HASHES[:size]), path)


@given(places(least=2), st.integers(min_value=0, max_value=LARGEST - 1))
def test_a_leaf_stands_nowhere_else(place: tuple[int, int], other: int) -> None:
    index, size = place
    if other in (index, *range(size, LARGEST)):
        return
    with pytest.raises(ProofError):
        check_inclusion(HASHES[index], other, size, inclusion(index, HASHES[:size]), root(HASHES[:size]))


@given(places(), st.integers(min_value=1, max_value=LARGEST))
def test_a_tree_continues_only_its_own_past(place: tuple[int, int], other: int) -> None:
    old, size = place[0] + 1, place[1]
    forged = [hashlib.sha256(b"forged").digest(), *HASHES[1:old]]
    with pytest.raises(ProofError):
        check_consistency(old, root(forged), size, root(HASHES[:size]), consistency(old, HASHES[:size]))
    if other <= size and other != old:
        with pytest.raises(ProofError):
            check_consistency(other, root(HASHES[:old]), size, root(HASHES[:size]), consistency(old, HASHES[:size]))


def change(data: st.DataObject, path: list[bytes]) -> list[bytes]:
    """The proof with one thing wrong."""
    if not path:
        return [bytes(32)]
    at = data.draw(st.integers(min_value=0, max_value=len(path) - 1))
    bit = data.draw(st.integers(min_value=0, max_value=255))
    flipped = (int.from_bytes(path[at], "big") ^ 1 << bit).to_bytes(32, "big")
    wrong = {
        "flip": [*path[:at], flipped, *path[at + 1 :]],
        "drop": [*path[:at], *path[at + 1 :]],
        "double": [*path[:at], path[at], *path[at:]],
        "append": [*path, path[at]],
        "cut": [*path[:at], path[at][:-1], *path[at + 1 :]],
        "lengthen": [*path[:at], path[at] + b"\0", *path[at + 1 :]],
    }
    return wrong[data.draw(st.sampled_from(sorted(wrong)))]


@pytest.mark.parametrize(
    ("index", "size", "edge"),
    [
        (0, 0, Edge.SIZE_ZERO),
        (-1, 1, Edge.INDEX_OUTSIDE),
        (1, 1, Edge.INDEX_OUTSIDE),
        (5, 4, Edge.INDEX_OUTSIDE),
        (2**63, 2**63, Edge.INDEX_OUTSIDE),
        (0, -1, Edge.INDEX_OUTSIDE),
        (0, 2**63, Edge.NUMBER_RANGE),
    ],
)
def test_an_index_outside_the_tree_is_refused(index: int, size: int, edge: Edge) -> None:
    with refused(edge):
        root_of(HASHES[0], index, size, [])


@pytest.mark.parametrize("path", [[b""], [b"x" * 31], [b"x" * 33]])
def test_hashes_that_are_not_32_bytes_are_refused(path: list[bytes]) -> None:
    with refused(Edge.HASH_LENGTH):
        root_of(HASHES[0], 0, 2, path)
    with refused(Edge.HASH_LENGTH):
        root_of(b"short", 0, 2, [HASHES[0]])
    with refused(Edge.HASH_LENGTH):
        check_consistency(1, HASHES[0], 2, HASHES[1], path)
    with refused(Edge.HASH_LENGTH):
        check_consistency(1, b"short", 2, HASHES[1], [HASHES[1]])
    with refused(Edge.HASH_LENGTH):
        check_consistency(1, HASHES[0], 2, b"short", [HASHES[1]])


def test_extra_and_missing_hashes_are_refused() -> None:
    with refused(Edge.PATH_EXTRA):
        root_of(HASHES[0], 0, 1, [HASHES[0]])
    with refused(Edge.PATH_MISSING):
        root_of(HASHES[0], 0, 2, [])
    with refused(Edge.PATH_EXTRA):
        check_consistency(2, HASHES[0], 2, HASHES[0], [HASHES[0]])
    with refused(Edge.PATH_MISSING):
        check_consistency(1, HASHES[0], 2, HASHES[0], [])


@pytest.mark.parametrize(
    ("old", "size", "edge"), [(0, 1, Edge.SIZE_ZERO), (-1, 1, Edge.SIZE_ZERO), (0, 0, Edge.SIZE_ZERO)]
)
def test_nothing_continues_an_empty_tree(old: int, size: int, edge: Edge) -> None:
    with refused(edge):
        check_consistency(old, HASHES[0], size, HASHES[0], [])


@pytest.mark.parametrize(("old", "size"), [(2, 1), (1, 2**63)])
def test_trees_never_shrink_nor_outgrow_their_numbers(old: int, size: int) -> None:
    with refused(Edge.SIZE_SHRINKS):
        check_consistency(old, HASHES[0], size, HASHES[0], [])


def test_a_tree_of_the_same_size_has_the_same_root() -> None:
    check_consistency(3, HASHES[0], 3, HASHES[0], [])
    with refused(Edge.ROOT):
        check_consistency(3, HASHES[0], 3, HASHES[1], [])
