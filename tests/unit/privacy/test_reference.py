import re

from igstats_privacy.reference import ALPHABET, new_reference


def test_a_reference_has_two_groups_of_four_without_letters_that_look_alike() -> None:
    assert re.fullmatch(r"[2-9A-HJ-NP-Z]{4}-[2-9A-HJ-NP-Z]{4}", new_reference())
    assert set("01OI").isdisjoint(ALPHABET)
    assert len(set(ALPHABET)) == 32


def test_references_differ() -> None:
    assert len({new_reference() for _ in range(1000)}) == 1000
