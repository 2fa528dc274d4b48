"""The tree against the definition of RFC 6962, against known roots, and under random growth."""

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_audit.tree import (
    EMPTY_ROOT,
    Node,
    Range,
    Span,
    consistency_spans,
    fold,
    grow,
    inclusion_spans,
    leaf_hash,
    node_hash,
    nodes_of,
    path,
    peaks,
)

CT_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(count)]


def split(count: int) -> int:
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def naive_root(hashes: Sequence[bytes]) -> bytes:
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    middle = split(len(hashes))
    return node_hash(naive_root(hashes[:middle]), naive_root(hashes[middle:]))


def naive_inclusion(index: int, hashes: Sequence[bytes]) -> list[bytes]:
    if len(hashes) == 1:
        return []
    middle = split(len(hashes))
    if index < middle:
        return [*naive_inclusion(index, hashes[:middle]), naive_root(hashes[middle:])]
    return [*naive_inclusion(index - middle, hashes[middle:]), naive_root(hashes[:middle])]


def naive_consistency(old: int, hashes: Sequence[bytes], *, whole: bool = True) -> list[bytes]:
    if old == len(hashes):
        return [] if whole else [naive_root(hashes)]
    middle = split(len(hashes))
    if old <= middle:
        return [*naive_consistency(old, hashes[:middle], whole=whole), naive_root(hashes[middle:])]
    return [*naive_consistency(old - middle, hashes[middle:], whole=False), naive_root(hashes[:middle])]


SIZES = st.integers(min_value=1, max_value=300)


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert Range().root == EMPTY_ROOT
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_leaves_of_certificate_transparency_have_their_known_roots() -> None:
    tree = Range()
    for leaf, root in zip(CT_LEAVES, CT_ROOTS, strict=True):
        tree = grow(tree, [leaf_hash(leaf)]).after
        assert tree.root.hex() == root


@given(st.lists(st.integers(min_value=0, max_value=70), max_size=8))
def test_growing_in_any_steps_gives_the_root_of_the_definition(steps: list[int]) -> None:
    hashes = leaves(sum(steps))
    tree = Range()
    for step in steps:
        growth = grow(tree, hashes[tree.size : tree.size + step])
        tree = growth.after
        assert tree.root == naive_root(hashes[: tree.size])


@given(SIZES, SIZES)
def test_the_nodes_of_a_growth_are_all_that_became_complete(old: int, added: int) -> None:
    hashes = leaves(old + added)
    growth = grow(grow(Range(), hashes[:old]).after, hashes[old:])
    complete = {
        Node(level, index): naive_root(hashes[index << level : index + 1 << level])
        for level in range(10)
        for index in range(len(hashes) >> level)
        if index + 1 << level > old
    }
    assert growth.nodes == complete


@given(st.data(), SIZES)
def test_an_inclusion_proof_is_the_one_of_the_definition(data: st.DataObject, size: int) -> None:
    hashes = leaves(size)
    nodes = grow(Range(), hashes).nodes
    index = data.draw(st.integers(min_value=0, max_value=size - 1))
    spans = inclusion_spans(index, size)
    assert path(spans, {node: nodes[node] for node in nodes_of(spans)}) == naive_inclusion(index, hashes)


@given(st.data(), SIZES)
def test_a_consistency_proof_is_the_one_of_the_definition(data: st.DataObject, size: int) -> None:
    hashes = leaves(size)
    nodes = grow(Range(), hashes).nodes
    old = data.draw(st.integers(min_value=1, max_value=size))
    assert path(consistency_spans(old, size), nodes) == naive_consistency(old, hashes)


@given(st.data(), st.integers(min_value=0, max_value=200), st.integers(min_value=1, max_value=100))
def test_appended_leaves_are_proved_without_reading_the_old_tree(data: st.DataObject, old: int, added: int) -> None:
    hashes = leaves(old + added)
    growth = grow(grow(Range(), hashes[:old]).after, hashes[old:])
    index = data.draw(st.integers(min_value=old, max_value=old + added - 1))
    assert growth.inclusion(index) == naive_inclusion(index, hashes)


@given(st.integers(min_value=0, max_value=10_000))
def test_peaks_cover_a_tree_without_gap_from_left_to_right(size: int) -> None:
    covered = 0
    for level, place in peaks(Span(0, size)):
        assert place << level == covered
        covered = place + 1 << level
    assert covered == size
    assert len(peaks(Span(0, size))) == size.bit_count()


def test_growing_by_nothing_changes_nothing() -> None:
    tree = grow(Range(), leaves(7)).after
    growth = grow(tree, [])
    assert growth.after == tree
    assert not growth.nodes


def test_folding_one_peak_is_that_peak() -> None:
    assert fold([b"x" * 32]) == b"x" * 32


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 3), (3, 3), (9, 3)])
def test_no_inclusion_outside_the_tree(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        inclusion_spans(index, size)


@pytest.mark.parametrize(("old", "size"), [(0, 3), (4, 3), (-1, 3)])
def test_no_consistency_from_nothing_or_from_the_future(old: int, size: int) -> None:
    with pytest.raises(ValueError, match="old size"):
        consistency_spans(old, size)


def test_an_old_leaf_is_not_proved_from_a_growth() -> None:
    growth = grow(grow(Range(), leaves(3)).after, leaves(2))
    with pytest.raises(ValueError, match="before"):
        growth.inclusion(2)


@pytest.mark.parametrize(
    ("size", "hashes"),
    [(1, ()), (0, (b"x" * 32,)), (2, (b"x" * 32, b"y" * 32)), (-1, ()), (1, (b"short",))],
)
def test_a_range_that_cannot_be_is_refused(size: int, hashes: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="peak"):
        Range(size, hashes)
